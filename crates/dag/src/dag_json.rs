//! The dag-json codec, and plain JSON without links and bytes.
//!
//! Spec: <https://ipld.io/specs/codecs/dag-json/spec/>, pinned in `spec/PINS.toml`, over RFC 8259.
//! Invariants: [`decode`] accepts maps in any order and white space, and no name twice, no
//! integer over 64 bits, no float that is infinite, nothing behind the value, and none of the
//! forms that the reserved name `/` rules out; [`encode`] writes the canonical form.
//! Not here: the data model (`node.rs`).

mod decode;
mod encode;
mod text;

use crate::{CodecError, Node};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// The reserved name.
const SLASH: &str = "/";

/// What follows the reserved name where bytes stand.
const BYTES: &str = "bytes";

/// Reads a block.
///
/// # Errors
///
/// [`CodecError::Malformed`].
pub fn decode(data: &[u8]) -> Result<Node, CodecError> {
    decode::block(data, Flavour::Dag)
}

/// Reads a block of plain JSON, where the name `/` means nothing.
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
/// [`CodecError::Form`] for maps that would read as something else, and for what only a program
/// can make: a NaN, a name twice, too deep a nest.
pub fn encode(node: &Node) -> Result<Vec<u8>, CodecError> {
    encode::block(node, Flavour::Dag)
}

/// Writes a block of plain JSON; maps keep their order.
///
/// # Errors
///
/// As [`encode`], and for links and bytes.
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
            Self::Dag => "dag-json",
            Self::Plain => "json",
        }
    }
}

/// What a map means that begins with the reserved name.
#[derive(Debug, PartialEq, Eq)]
enum Reserved<'a> {
    /// A link's text.
    Link(&'a str),
    /// The text of bytes.
    Bytes(&'a str),
    /// Nothing that the codec allows.
    Forbidden,
    /// An ordinary map.
    Not,
}

/// Source: dag-json, "The Reserved Namespace".
fn reserved<'a>(mut entries: impl ExactSizeIterator<Item = (&'a str, &'a Node)>) -> Reserved<'a> {
    let count = entries.len();
    match entries.next() {
        Some((SLASH, Node::String(text))) if count == 1 => Reserved::Link(text),
        Some((SLASH, Node::String(_))) => Reserved::Forbidden,
        Some((SLASH, Node::Map(inner))) => match inner.first() {
            Some((name, Node::String(text))) if name == BYTES => {
                if count == 1 && inner.len() == 1 {
                    Reserved::Bytes(text)
                } else {
                    Reserved::Forbidden
                }
            }
            _ => Reserved::Not,
        },
        _ => Reserved::Not,
    }
}

fn bytes_of(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}

fn text_of(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests;
