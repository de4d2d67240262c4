//! `pin rm`: lets content go.

use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    text::each,
};
use cairn_node::NodeError;
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "pin rm",
    tagline: "Let content go",
    help: "Garbage collection may take it then. What is pinned only below something else\n\
           stays. If one of many is not pinned, none is let go.",
    arguments: &[Argument::text("ipfs-path", "What to unpin").many().or_stdin()],
    options: &[Opt::flag("recursive", "Recursive pins, too").or(&["r"]).default("true")],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, answer: Answer, text| {
            for pin in answer.pins {
                text.line(format_args!("unpinned {pin}"));
            }
        })
    }),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    /// What is pinned no more.
    pub pins: Vec<String>,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let mut roots = Vec::new();
    for argument in call.request.arguments() {
        roots.push(call.resolve_cid(argument).await?);
    }
    let removed = call.node()?.pin_rm_many(&roots, call.request.flag("recursive")).await;
    removed.map_err(|error| match &error {
        NodeError::NotPinned { cid } => RpcError::of(&error).about(&cids.of(cid)),
        _ => RpcError::of(&error),
    })?;
    call.out.once(&Answer { pins: roots.iter().map(|cid| cids.of(cid)).collect() }).await
}
