//! `pin add`: fetches content and keeps it.

use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    text::each,
};
use cairn_block::Cid;
use cairn_node::{PinOptions, PinProgress};
use cairn_runtime::duration_of;
use serde::{Deserialize, Serialize};
use std::{pin::pin, time::Duration};
use tokio::{sync::watch, time::timeout};

/// How often `--progress` tells how far it is.
const PROGRESS_PERIOD: Duration = Duration::from_millis(500);

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "pin add",
    tagline: "Keep content in the store",
    help: "Missing blocks are fetched. The pins are there when everything is on disk: all of them,\n\
           or none. Pinning again changes a pin's name and its end.",
    arguments: &[Argument::text("ipfs-path", "What to pin").many().or_stdin()],
    options: &[
        Opt::flag("recursive", "With everything below it").or(&["r"]).default("true"),
        Opt::text("name", "A name for the pins").or(&["n"]),
        Opt::flag("progress", "Show how far it is"),
        Opt::text("expire-in", "Unpin after this time, such as 90m or 30d (default: never)"),
        Opt::flag("fast-provide-root", "Accepted; there is no providing yet"),
        Opt::flag("fast-provide-dag", "Accepted; there is no providing yet"),
        Opt::flag("fast-provide-wait", "Accepted; there is no providing yet"),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, answer: PinAddAnswer, text| {
            let how = if request.flag("recursive") { "recursively" } else { "directly" };
            for pin in answer.pins {
                text.line(format_args!("pinned {pin} {how}"));
            }
        })
    }),
    ..Command::BASE
};

/// The answer, or how far it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PinAddAnswer {
    /// What is pinned now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<String>,
    /// Blocks seen so far.
    #[serde(skip_serializing_if = "is_zero")]
    pub progress: u64,
    /// Their bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

async fn run(call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let name = call.request.text("name").unwrap_or("").to_owned();
    super::check_name(&name)?;
    let expire_in = call.request.text("expire-in").map(expiry_of).transpose()?;
    let mut roots = Vec::new();
    for argument in call.request.arguments() {
        roots.push(call.resolve_cid(argument).await?);
    }
    let recursive = call.request.flag("recursive");
    let options = PinOptions { recursive, name, expire_in, ..PinOptions::default() };
    pin_all(&call, &roots, options).await.map_err(|error| error.about("pin"))?;
    let pins = roots.iter().map(|cid| cids.of(cid)).collect();
    let answer = PinAddAnswer { pins, ..PinAddAnswer::default() };
    if call.request.flag("progress") {
        call.out.event(&answer).await
    } else {
        call.out.once(&answer).await
    }
}

/// Reads a duration; days may stand alone (`30d`).
fn expiry_of(text: &str) -> Result<Duration, RpcError> {
    let days = || {
        let days: u64 = text.strip_suffix('d')?.parse().ok()?;
        Some(Duration::from_secs(days.checked_mul(24 * 3600)?))
    };
    let wrong = || RpcError::request(format!("option \"expire-in\": invalid duration {text:?}"));
    duration_of(text).or_else(days).ok_or_else(wrong)
}

async fn pin_all(call: &Call, roots: &[Cid], options: PinOptions) -> Result<(), RpcError> {
    let node = call.node()?;
    if !call.request.flag("progress") {
        let pinned = node.pin_add_many(roots, options, None).await;
        return pinned.map_err(|error| RpcError::of(&error));
    }
    let (sender, progress) = watch::channel(PinProgress::default());
    let mut work = pin!(node.pin_add_many(roots, options, Some(sender)));
    loop {
        let done = timeout(PROGRESS_PERIOD, work.as_mut()).await;
        let PinProgress { block_count: progress, len: bytes, .. } = *progress.borrow();
        let is_new = done.is_err() || progress > 0;
        if is_new && !matches!(done, Ok(Err(_))) {
            call.out.event(&PinAddAnswer { progress, bytes, ..PinAddAnswer::default() }).await?;
        }
        if let Ok(result) = done {
            return result.map_err(|error| RpcError::of(&error));
        }
    }
}
