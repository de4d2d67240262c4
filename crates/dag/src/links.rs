//! A block's links, whatever its codec.
//!
//! Not here: following them (`walk.rs`).

use crate::{DagError, dag_pb};
use cairn_block::{Block, Cid, codec};

/// Returns the CIDs that `block` links to, in order, repeated ones too.
///
/// # Errors
///
/// [`DagError::Malformed`] if the bytes are not what the codec says, [`DagError::Unsupported`]
/// for a codec that may have links and has no decoder here.
pub fn links(block: &Block) -> Result<Vec<Cid>, DagError> {
    let cid = block.cid();
    match cid.codec() {
        codec::DAG_PB => {
            let node = dag_pb::decode(block.data());
            let node = node.map_err(|error| DagError::malformed(cid, error))?;
            Ok(node.links.into_iter().map(|link| link.cid).collect())
        }
        codec if is_leaf(codec) => Ok(Vec::new()),
        codec => Err(DagError::Unsupported { cid: cid.clone(), codec }),
    }
}

/// Whether blocks of this codec never have links.
pub(crate) fn is_leaf(codec: u64) -> bool {
    matches!(codec, codec::RAW | codec::CBOR | codec::JSON | codec::LIBP2P_KEY)
}
