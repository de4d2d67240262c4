//! A block's links, whatever its codec.
//!
//! Not here: following them (`walk.rs`).

use crate::{CodecError, DagError, dag_cbor, dag_jose, dag_json, dag_pb, git_raw};
use cairn_block::{BLOCK_LEN_MAX, Block, Cid, codec};

/// Returns the CIDs that `block` links to, in order, repeated ones too.
///
/// # Errors
///
/// [`DagError::Malformed`] if the bytes are not what the codec says, [`DagError::Unsupported`]
/// for a codec that may have links and has no decoder here.
pub fn links(block: &Block) -> Result<Vec<Cid>, DagError> {
    Ok(sized_links(block)?.into_iter().map(|(cid, _)| cid).collect())
}

/// Like [`links`], each with the length of its block where the link tells.
pub(crate) fn sized_links(block: &Block) -> Result<Vec<(Cid, Option<u64>)>, DagError> {
    let cid = block.cid();
    match cid.codec() {
        codec::DAG_PB => {
            let node = dag_pb::decode(block.data());
            let node = node.map_err(|error| DagError::malformed(cid, &error))?;
            // A link states the length of all that is below it, so only a small one is a block's.
            let len = |size: Option<u64>| size.filter(|len| *len <= BLOCK_LEN_MAX as u64);
            Ok(node.links.into_iter().map(|link| (link.cid, len(link.size))).collect())
        }
        codec if is_leaf(codec) => Ok(Vec::new()),
        codec => match other_links(codec, block.data()) {
            Ok(links) => Ok(links.into_iter().map(|cid| (cid, None)).collect()),
            Err(CodecError::Unsupported { codec }) => {
                Err(DagError::Unsupported { cid: cid.clone(), codec })
            }
            Err(error) => Err(DagError::malformed(cid, &error)),
        },
    }
}

/// Links of codecs that do not tell the length of what they link to.
fn other_links(codec: u64, data: &[u8]) -> Result<Vec<Cid>, CodecError> {
    match codec {
        codec::DAG_CBOR => dag_cbor::links(data),
        codec::DAG_JOSE => dag_jose::links(data),
        codec::DAG_JSON => dag_json::decode(data).map(|node| node.links()),
        codec::GIT_RAW => git_raw::links(data),
        codec => Err(CodecError::Unsupported { codec }),
    }
}

/// Whether blocks of this codec never have links.
pub fn is_leaf(codec: u64) -> bool {
    matches!(codec, codec::RAW | codec::CBOR | codec::JSON | codec::LIBP2P_KEY)
}
