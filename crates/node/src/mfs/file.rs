//! Files of the tree: how they are built, and what they say of themselves.
//!
//! Not here: their bytes (`write.rs`), nodes and layouts (`cairn-unixfs`).

use crate::NodeError;
use cairn_block::{Block, codec};
use cairn_chunk::ChunkSpec;
use cairn_dag::dag_pb;
use cairn_unixfs::{Data, Metadata, Options, UnixfsError, leaf_with_metadata};

/// How to build and to cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) options: Options,
    pub(super) chunker: ChunkSpec,
}

/// Reads a dag-pb block and the message in it.
fn decode(block: &Block) -> Result<(dag_pb::PbNode, Data), NodeError> {
    let malformed = |reason: String| UnixfsError::Malformed { cid: block.cid().clone(), reason };
    let node = dag_pb::decode(block.data()).map_err(|error| malformed(error.to_string()))?;
    let bytes = node.data.clone().unwrap_or_default();
    let data = Data::decode(&bytes).map_err(|error| malformed(error.to_string()))?;
    Ok((node, data))
}

/// The same file, directory or symlink with other metadata; only its root changes.
pub(super) fn describe(
    block: &Block,
    change: impl FnOnce(&mut Metadata),
    options: &Options,
) -> Result<(Block, u64), NodeError> {
    if block.cid().codec() == codec::RAW {
        let mut metadata = Metadata::default();
        change(&mut metadata);
        let data = leaf_with_metadata(block.data().clone(), &metadata);
        let block = options.block(codec::DAG_PB, data)?;
        let total_len = block.data().len() as u64;
        return Ok((block, total_len));
    }
    let (mut node, data) = decode(block)?;
    let mut metadata = Metadata { mode: data.permissions(), mtime: data.mtime };
    change(&mut metadata);
    node.data = Some(data.with_metadata(&metadata).encode().into());
    let encoded = dag_pb::encode(&node);
    let total_len = node.total_len(encoded.len());
    Ok((options.block(codec::DAG_PB, encoded.into())?, total_len))
}
