//! `block rm`: removes blocks from the store.

use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    text::each,
};
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "block rm",
    tagline: "Remove blocks from the store",
    help: "Pinned blocks stay.",
    arguments: &[Argument::text("cid", "The blocks to remove").many()],
    options: &[
        Opt::flag("force", "Blocks that are not there are no error").or(&["f"]),
        Opt::flag("quiet", "Print errors only").or(&["q"]),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, answer: Answer, text| {
            if answer.error.is_empty() {
                text.line(format_args!("removed {}", answer.hash));
            } else {
                text.fail(format_args!("cannot remove {}: {}", answer.hash, answer.error));
            }
        })
    }),
    ..Command::BASE
};

/// What became of one block.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    /// The CID.
    pub hash: String,
    /// Why it is still there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let mut named = Vec::new();
    for argument in call.request.arguments() {
        named.push(call.resolve_cid(argument).await?);
    }
    let removed = call.node()?.block_rm(named, call.request.flag("force")).await;
    for removal in removed.map_err(|error| RpcError::of(&error))? {
        if removal.error.is_some() || !call.request.flag("quiet") {
            let error = removal.error.unwrap_or_default();
            call.out.event(&Answer { hash: cids.of(&removal.cid), error }).await?;
        }
    }
    Ok(())
}
