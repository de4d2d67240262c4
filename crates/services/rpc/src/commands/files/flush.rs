//! `files flush`: makes changes durable.

use super::{FLUSH, failed, path};
use crate::{
    Call, RpcError,
    command::{Argument, Command},
};
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "files flush",
    tagline: "Bring the changes of MFS to disk",
    help: "All of them, wherever they are; the answer is the CID of the path.",
    arguments: &[Argument::text("path", "What to answer the CID of (default: /)").optional()],
    options: &[FLUSH],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    /// What is at the path.
    pub cid: String,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let text = call.request.arguments().first().map_or("/", String::as_str);
    let block = call.node()?.mfs_find(&path(text)?, &call.blocks()?).await.map_err(failed)?;
    call.node()?.mfs_flush().await.map_err(failed)?;
    call.out.once(&Answer { cid: cids.of(block.cid()) }).await
}
