//! `filestore dups`: blocks that are kept twice, by reference and as bytes.
//!
//! There are none: a block has one record that counts, and bytes take a reference's place. The
//! command is here for scripts that ask.

use crate::{
    Call, Command, RpcError,
    commands::refs::{Answer, lines},
};
use cairn_block::{Cid, codec};
use cairn_node::Node;

/// References of one look that are compared.
const BATCH_COUNT: usize = 4096;

/// The row of the table.
pub(in crate::commands) const COMMAND: Command = Command {
    path: "filestore dups",
    tagline: "List blocks that are kept by reference and as bytes",
    help: "Prints nothing while all is well: here, adding a file's bytes takes the place of the\n\
           references to them.",
    run: Some(|call| Box::pin(run(call))),
    text: Some(lines),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let node = call.node()?.clone();
    node.check_references_enabled().map_err(|error| RpcError::of(&error))?;
    let mut listing = Some(node.store().references());
    while let Some(mut list) = listing.take() {
        let node = node.clone();
        let (found, list, is_last) = cairn_runtime::blocking(move || {
            let (mut found, mut count) = (Vec::new(), 0);
            for referred in list.by_ref().take(BATCH_COUNT) {
                let referred = referred.map_err(|error| RpcError::of(&error))?;
                count += 1;
                let cid = Cid::v1(codec::RAW, referred.hash);
                if has_bytes(&node, &cid)? {
                    found.push(cid);
                }
            }
            Ok::<_, RpcError>((found, list, count < BATCH_COUNT))
        })
        .await?;
        for cid in found {
            call.out.event(&Answer::link(cids.of(&cid))).await?;
        }
        listing = (!is_last).then_some(list);
    }
    Ok(())
}

/// Whether the block is here with bytes of its own.
fn has_bytes(node: &Node, cid: &Cid) -> Result<bool, RpcError> {
    let store = node.store();
    let lens = store.lens(std::slice::from_ref(cid)).map_err(|error| RpcError::of(&error))?;
    let referred = store.reference(cid).map_err(|error| RpcError::of(&error))?;
    Ok(lens.first().is_some_and(Option::is_some) && referred.is_none())
}
