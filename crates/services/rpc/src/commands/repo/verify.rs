//! `repo verify`: reads and hashes every block now.
//!
//! Source: options, messages and exit codes are Kubo's (`core/commands/repo.go`); progress is
//! told every few MiB instead of every block.
//! Not here: the same in the background (`repo scrub`).

use crate::{
    Call, RpcError,
    answer::not_online,
    command::{Command, Opt},
    text::{CidText, each},
};
use cairn_block::{Cid, codec};
use cairn_node::{Healing, Removal, Repair, VerifyEvent, VerifyFinding};
use cairn_runtime::duration_of;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use std::pin::pin;

/// Shorter messages are padded to cover a line of progress. Source: Kubo.
const MESSAGE_LEN_MIN: usize = 20;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "repo verify",
    tagline: "Check that no block is corrupt",
    help: "Alone it only tells. Corrupt blocks are never served, whether or not they are repaired.\n\
           Exit code 1 means that something is corrupt and was not repaired.",
    options: &[
        Opt::flag("drop", "Forget corrupt blocks"),
        Opt::flag("heal", "Fetch corrupt blocks from peers; forget those that nobody has"),
        Opt::text("heal-timeout", "Longest silence of all peers, such as 30s; 0 waits for ever")
            .default("30s"),
        Opt::flag("reset-meta", "Set damaged metadata aside and keep the pins that can be read"),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, answer: VerifyAnswer, text| {
            if answer.msg.is_empty() {
                text.write(format_args!("{} blocks processed.\r", answer.progress));
            } else if answer.msg.len() < MESSAGE_LEN_MIN {
                text.line(format_args!("{}             ", answer.msg));
            } else {
                text.line(answer.msg);
            }
        })
    }),
    ..Command::BASE
};

/// A message, or how far it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VerifyAnswer {
    /// What was found, or the summary.
    pub msg: String,
    /// Blocks looked at so far.
    pub progress: u64,
}

/// What happened to corrupt blocks.
#[derive(Debug, Default)]
struct Counts {
    corrupt: u64,
    removed: u64,
    remove_failed: u64,
    healed: u64,
    heal_failed: u64,
}

async fn run(call: Call) -> Result<(), RpcError> {
    if call.request.flag("reset-meta") {
        return Err(RpcError::request(
            "--reset-meta works only while no daemon runs; stop it with `cairn shutdown`",
        ));
    }
    let repair = repair_of(&call)?;
    let cids = call.request.cid_text()?;
    let node = call.node()?;
    if matches!(repair, Repair::Heal { .. }) && !node.is_online() {
        return Err(not_online());
    }
    let mut events = pin!(node.repo_verify(repair).map_err(|error| RpcError::of(&error))?);
    let mut counts = Counts::default();
    while let Some(event) = events.next().await {
        match event.map_err(|error| RpcError::of(&error))? {
            VerifyEvent::Progress(progress) => {
                call.out.event(&VerifyAnswer { progress, ..VerifyAnswer::default() }).await?;
            }
            VerifyEvent::Corrupt(finding) => {
                counts.add(&finding);
                let msg = message(&finding, cids);
                call.out.event(&VerifyAnswer { msg, ..VerifyAnswer::default() }).await?;
            }
            _ => {}
        }
    }
    let msg = counts.summary();
    if counts.is_failure(repair) {
        return Err(RpcError::failed(msg));
    }
    call.out.event(&VerifyAnswer { msg, ..VerifyAnswer::default() }).await
}

fn repair_of(call: &Call) -> Result<Repair, RpcError> {
    let text = call.request.text("heal-timeout").unwrap_or("0");
    let timeout = duration_of(text)
        .ok_or_else(|| RpcError::request(format!("invalid heal-timeout: {text:?}")))?;
    Ok(if call.request.flag("heal") {
        Repair::Heal { patience: Some(timeout).filter(|timeout| !timeout.is_zero()) }
    } else if call.request.flag("drop") {
        Repair::Drop
    } else {
        Repair::Nothing
    })
}

fn message(finding: &VerifyFinding, cids: CidText) -> String {
    let corrupt = &finding.corrupt;
    let name = match &corrupt.hash {
        Some(hash) => cids.of(&Cid::v1(codec::RAW, hash.clone())),
        None => format!("at {} of {}", corrupt.offset, corrupt.path.display()),
    };
    let removal = match &finding.removal {
        Removal::NotAsked => String::new(),
        Removal::Removed => ", removed".to_owned(),
        Removal::Failed(reason) => format!(", failed to remove ({reason})"),
    };
    let healing = match &finding.healing {
        None => String::new(),
        Some(Healing::Healed) => ", healed".to_owned(),
        Some(Healing::Failed(reason)) => format!(", failed to heal ({reason})"),
    };
    format!("block {name} was corrupt ({}){removal}{healing}", corrupt.kind)
}

impl Counts {
    fn add(&mut self, finding: &VerifyFinding) {
        self.corrupt += 1;
        self.removed += u64::from(finding.removal == Removal::Removed);
        self.remove_failed += u64::from(matches!(finding.removal, Removal::Failed(_)));
        self.healed += u64::from(finding.healing == Some(Healing::Healed));
        self.heal_failed += u64::from(matches!(finding.healing, Some(Healing::Failed(_))));
    }

    fn summary(&self) -> String {
        if self.corrupt == 0 {
            return "verify complete, all blocks validated.".to_owned();
        }
        let parts = [
            (self.corrupt, "blocks corrupt"),
            (self.removed, "removed"),
            (self.remove_failed, "failed to remove"),
            (self.healed, "healed"),
            (self.heal_failed, "failed to heal"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        format!("verify complete, {}", parts.join(", "))
    }

    fn is_failure(&self, repair: Repair) -> bool {
        match repair {
            Repair::Nothing => self.corrupt > 0,
            Repair::Drop => self.remove_failed > 0,
            Repair::Heal { .. } => self.remove_failed > 0 || self.heal_failed > 0,
        }
    }
}
