//! `git`: whole git repositories as blocks.
//!
//! Not here: running git (the `cairn` binary), objects and packs (`cairn-node`).

pub(super) mod export;
pub(super) mod import;
pub(crate) mod ls;

use crate::{Call, Command, RpcError};
use cairn_block::Cid;

/// The group's row of the table.
pub(super) const COMMAND: Command =
    Command::group("git", "Keep git repositories, and give them back");

/// The root that the first argument leads to.
async fn root(call: &Call) -> Result<Cid, RpcError> {
    Ok(call.resolve(call.request.first()?).await?.cid)
}
