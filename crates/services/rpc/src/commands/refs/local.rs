//! `refs local`: every block of the store.

use super::{Answer, lines};
use crate::{Call, RpcError, command::Command};
use cairn_block::{Cid, codec};

/// Blocks listed before they are sent on.
const BATCH_COUNT: usize = 1024;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "refs local",
    tagline: "List all blocks of the store",
    help: "Blocks are kept without codec, so each is printed as a raw CID of version 1.",
    run: Some(|call| Box::pin(run(call))),
    text: Some(lines),
    ..Command::BASE
};

/// Lists the blocks.
pub(in crate::commands) async fn run(call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let store = call.node()?.store().clone();
    let mut listing = Some(store.list());
    while let Some(mut blocks) = listing.take() {
        let (batch, rest) = cairn_runtime::blocking(move || {
            let batch: Vec<_> = blocks.by_ref().take(BATCH_COUNT).collect();
            (batch, blocks)
        })
        .await;
        let is_last = batch.len() < BATCH_COUNT;
        for item in batch {
            let (hash, _) = item.map_err(|error| RpcError::of(&error))?;
            call.out.event(&Answer::link(cids.of(&Cid::v1(codec::RAW, hash)))).await?;
        }
        listing = (!is_last).then_some(rest);
    }
    Ok(())
}
