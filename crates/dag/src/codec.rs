//! Blocks as data, by the codec that their CID names.
//!
//! Invariants: decoding is bounded in depth ([`NESTING_MAX`](crate::NESTING_MAX)) and takes no
//! more memory than a few times the block; encoding gives the codec's one canonical form.
//! Not here: the codecs (a module each), links without the data around them (`links.rs`).

use crate::{
    Node, dag_cbor, dag_jose, dag_json,
    dag_pb::{self, DagPbError},
    git_raw,
};
use bytes::Bytes;
use cairn_block::codec;
use thiserror::Error;

/// Why bytes are not data, or data cannot be bytes.
///
/// Match on the variant, not on the text: messages may change in any release.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes are not what the codec says.
    #[error("invalid {codec} at byte {offset}: {reason}")]
    Malformed {
        /// The codec's name.
        codec: &'static str,
        /// Where decoding stopped.
        offset: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// The bytes are not dag-pb.
    #[error(transparent)]
    DagPb(#[from] DagPbError),
    /// The data has no form in this codec.
    #[error("this cannot be {codec}: {reason}")]
    Form {
        /// The codec's name.
        codec: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// No codec of this code here, or not in this direction.
    #[error("codec {} is not supported", name(*codec))]
    Unsupported {
        /// Its code.
        codec: u64,
    },
}

impl CodecError {
    /// Says that data has no form in a codec.
    pub(crate) fn form(codec: &'static str, reason: impl Into<String>) -> Self {
        Self::Form { codec, reason: reason.into() }
    }
}

/// The codec's name, or its code if it has none.
pub fn name(code: u64) -> String {
    codec::name_of(code).map_or_else(|| format!("{code:#x}"), ToOwned::to_owned)
}

/// Reads a block's data.
///
/// Takes what Kubo takes, which is more than [`encode`] writes: maps in any order, short floats,
/// white space. See [`decode_canonical`].
///
/// # Errors
///
/// [`CodecError::Malformed`], or [`CodecError::Unsupported`].
pub fn decode(code: u64, data: &Bytes) -> Result<Node, CodecError> {
    match code {
        codec::RAW | codec::LIBP2P_KEY => Ok(Node::Bytes(data.to_vec())),
        codec::DAG_PB => dag_pb::to_node(data),
        codec::DAG_CBOR => dag_cbor::decode(data),
        codec::CBOR => dag_cbor::decode_plain(data),
        codec::DAG_JSON => dag_json::decode(data),
        codec::JSON => dag_json::decode_plain(data),
        codec::DAG_JOSE => dag_jose::decode(data),
        codec::GIT_RAW => git_raw::decode(data),
        codec => Err(CodecError::Unsupported { codec }),
    }
}

/// Writes data as a block.
///
/// # Errors
///
/// [`CodecError::Form`], or [`CodecError::Unsupported`].
pub fn encode(code: u64, node: &Node) -> Result<Vec<u8>, CodecError> {
    match code {
        codec::RAW | codec::LIBP2P_KEY => match node {
            Node::Bytes(bytes) => Ok(bytes.clone()),
            other => Err(CodecError::form("raw", format!("it is a {}, not bytes", other.kind()))),
        },
        codec::DAG_PB => dag_pb::from_node(node),
        codec::DAG_CBOR => dag_cbor::encode(node),
        codec::CBOR => dag_cbor::encode_plain(node),
        codec::DAG_JSON => dag_json::encode(node),
        codec::JSON => dag_json::encode_plain(node),
        codec::DAG_JOSE => dag_jose::encode(node),
        codec => Err(CodecError::Unsupported { codec }),
    }
}

/// Reads a block's data and refuses all but the canonical form, so that encoding it again gives
/// the same bytes.
///
/// # Errors
///
/// As [`decode`] and [`encode`]; [`CodecError::Malformed`] names the first byte that differs.
pub fn decode_canonical(code: u64, data: &Bytes) -> Result<Node, CodecError> {
    let node = decode(code, data)?;
    let canonical = encode(code, &node)?;
    if canonical == *data {
        return Ok(node);
    }
    let offset = canonical.iter().zip(data).take_while(|(ours, theirs)| ours == theirs).count();
    let codec = codec::name_of(code).unwrap_or("block");
    Err(CodecError::Malformed { codec, offset, reason: "not in canonical form" })
}

/// A map's entries in the order that `order` gives their names; none may stand twice.
pub(crate) fn sorted<'a, K: Ord>(
    codec: &'static str,
    entries: &'a [(String, Node)],
    order: impl Fn(&'a str) -> K,
) -> Result<Vec<&'a (String, Node)>, CodecError> {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|(name, _)| order(name));
    match entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(CodecError::form(codec, format!("{:?} stands twice", pair[0].0))),
        None => Ok(entries),
    }
}

/// Whether a name stands twice.
pub(crate) fn has_repeated_name(entries: &[(String, Node)]) -> bool {
    let mut names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}
