//! `pin add`: fetches content and keeps it.

use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    text::each,
};
use serde::{Deserialize, Serialize};
use std::{pin::pin, time::Duration};
use tokio::{sync::watch, time::timeout};

/// How often `--progress` tells how far it is.
const PROGRESS_PERIOD: Duration = Duration::from_millis(500);

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "pin add",
    tagline: "Keep content in the store",
    help: "Missing blocks are fetched. The pin is there when everything is on disk.",
    arguments: &[Argument::text("ipfs-path", "What to pin").many().or_stdin()],
    options: &[
        Opt::flag("recursive", "With everything below it").or(&["r"]).default("true"),
        Opt::text("name", "A name for the pins").or(&["n"]),
        Opt::flag("progress", "Show how far it is"),
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
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

async fn run(call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let name = call.request.text("name").map(str::to_owned);
    super::check_name(name.as_deref().unwrap_or(""))?;
    let mut pins = Vec::new();
    for argument in call.request.arguments() {
        let cid = call.resolve_cid(argument).await?;
        pin_one(&call, &cid, name.clone()).await.map_err(|error| error.about("pin"))?;
        pins.push(cids.of(&cid));
    }
    let answer = PinAddAnswer { pins, progress: 0 };
    if call.request.flag("progress") {
        call.out.event(&answer).await
    } else {
        call.out.once(&answer).await
    }
}

async fn pin_one(
    call: &Call,
    cid: &cairn_block::Cid,
    name: Option<String>,
) -> Result<(), RpcError> {
    let node = call.node()?;
    let recursive = call.request.flag("recursive");
    if !call.request.flag("progress") {
        let pinned = node.pin_add(cid, recursive, name, None).await;
        return pinned.map_err(|error| RpcError::of(&error));
    }
    let (sender, progress) = watch::channel(0);
    let mut work = pin!(node.pin_add(cid, recursive, name, Some(sender)));
    loop {
        let done = timeout(PROGRESS_PERIOD, work.as_mut()).await;
        let so_far = PinAddAnswer { pins: Vec::new(), progress: *progress.borrow() };
        call.out.event(&so_far).await?;
        if let Ok(result) = done {
            return result.map_err(|error| RpcError::of(&error));
        }
    }
}
