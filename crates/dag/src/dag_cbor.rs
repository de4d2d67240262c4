//! The dag-cbor codec, and plain CBOR without links.
//!
//! Spec: <https://ipld.io/specs/codecs/dag-cbor/spec/>, pinned in `spec/PINS.toml`, over RFC 8949.
//! Invariants: [`decode`] accepts what Kubo accepts (maps in any order, short floats, undefined
//! as null) and no name twice, no NaN, no infinity, no longer numbers than needed, no indefinite
//! lengths, no tag but 42, nothing behind the value; [`encode`] writes the canonical form.
//! Not here: the data model (`node.rs`).

mod decode;
mod encode;
mod head;
mod links;

use crate::{CodecError, Node};
pub use links::links;

/// The tag of links.
const LINK_TAG: u64 = 42;

/// Reads a block.
///
/// # Errors
///
/// [`CodecError::Malformed`].
pub fn decode(data: &[u8]) -> Result<Node, CodecError> {
    decode::block(data, Flavour::Dag)
}

/// Reads a block of plain CBOR, which has no links.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_plain(data: &[u8]) -> Result<Node, CodecError> {
    decode::block(data, Flavour::Plain)
}

/// Writes a block.
///
/// # Errors
///
/// [`CodecError::Form`] for what only a program can make: a NaN, a name twice, too deep a nest.
pub fn encode(node: &Node) -> Result<Vec<u8>, CodecError> {
    encode::block(node, Flavour::Dag)
}

/// Writes a block of plain CBOR; maps keep their order.
///
/// # Errors
///
/// As [`encode`], and for links.
pub fn encode_plain(node: &Node) -> Result<Vec<u8>, CodecError> {
    encode::block(node, Flavour::Plain)
}

/// Which of the two codecs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flavour {
    Dag,
    Plain,
}

impl Flavour {
    fn name(self) -> &'static str {
        match self {
            Self::Dag => "dag-cbor",
            Self::Plain => "cbor",
        }
    }
}

#[cfg(test)]
mod tests;
