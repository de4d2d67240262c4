//! `object patch append-data` and `set-data`: the same links, other data.

use crate::{
    Call, RpcError,
    command::{Argument, Command},
    commands::object::{block_of, keep, made, node_of},
    files,
};
use cairn_block::BLOCK_LEN_MAX;

/// What both take.
const ARGUMENTS: &[Argument] =
    &[Argument::text("root", "The node"), Argument::file("data", "The data")];

/// The row of `append-data`.
pub(crate) const APPEND: Command = Command {
    path: "object patch append-data",
    tagline: "Make a node with data behind that of another",
    help: "The data is that of the node, not of a file: use `cairn files write` for those.",
    arguments: ARGUMENTS,
    run: Some(|call| Box::pin(run(call, true))),
    text: Some(made),
    ..Command::BASE
};

/// The row of `set-data`.
pub(crate) const SET: Command = Command {
    path: "object patch set-data",
    tagline: "Make a node with the links of another and new data",
    arguments: ARGUMENTS,
    run: Some(|call| Box::pin(run(call, false))),
    text: Some(made),
    ..Command::BASE
};

async fn run(mut call: Call, append: bool) -> Result<(), RpcError> {
    let new = files::read_one(call.take_files()?, BLOCK_LEN_MAX).await?;
    let block = call.resolve(call.request.first()?).await?.block;
    let mut node = node_of(&block)?;
    let old = node.data.take().filter(|_| append).unwrap_or_default();
    node.data = Some([&old[..], &new].concat().into());
    let patched = block_of(node, block.cid()).await?;
    keep(&call, vec![patched], false).await
}
