//! `object new`: an empty node.

use super::{block_of, keep, made};
use crate::{
    Call, RpcError,
    command::{Argument, Command},
};
use bytes::Bytes;
use cairn_block::{Block, Version, codec};
use cairn_dag::dag_pb::PbNode;
use cairn_unixfs::{Data, DataType};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "object new",
    tagline: "Make an empty dag-pb node",
    help: "With the template `unixfs-dir` it is an empty directory.",
    arguments: &[Argument::text("template", "What it is to be: unixfs-dir").optional()],
    run: Some(|call| Box::pin(run(call))),
    text: Some(made),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let node = match call.request.arguments().first().map_or("", String::as_str) {
        "" => PbNode::default(),
        "unixfs-dir" => directory(),
        other => return Err(RpcError::request(format!("template {other:?} not found"))),
    };
    let like = Block::sha2_256(codec::DAG_PB, Bytes::new());
    let block = block_of(node, &like.cid().with_version(Version::V0)?).await?;
    keep(&call, vec![block], false).await
}

/// An empty directory.
pub(super) fn directory() -> PbNode {
    PbNode { links: Vec::new(), data: Some(Data::new(DataType::Directory).encode().into()) }
}
