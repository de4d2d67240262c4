//! The dag-jose codec: signed and encrypted objects.
//!
//! In a block, what JOSE writes as base64url are bytes of CBOR. As data, it is text again, and a
//! signed object whose payload is a CID also has it as `link`, one whose payload is JSON as `pld`,
//! where text such as `ipfs://CID` is a link.
//!
//! Spec: <https://ipld.io/specs/codecs/dag-jose/spec/>, pinned in `spec/PINS.toml`.
//! Invariant: only the fields of the two schemas, each of its kind.
//! Not here: making encrypted objects.

mod decrypt;
mod error;
mod jwk;
mod sign;

use crate::{CodecError, Node, dag_cbor, dag_json};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use cairn_block::Cid;
pub use decrypt::{DecryptionKey, decrypt};
pub use error::JoseError;
pub use jwk::JWK_LEN_MAX;
pub use sign::{Key, sign, verify};

const CODEC: &str = "dag-jose";

/// What a field holds.
#[derive(Clone, Copy)]
enum Field {
    /// Bytes in the block, base64url in the data.
    Base64,
    /// A map of anything.
    Map,
    /// Several of what these fields describe.
    List(&'static [(&'static str, Field)]),
    /// In the data only.
    Derived,
}

/// `EncodedJWS`.
const SIGNED: &[(&str, Field)] = &[
    ("payload", Field::Base64),
    ("signatures", Field::List(SIGNATURE)),
    (LINK, Field::Derived),
    (PAYLOAD_DATA, Field::Derived),
];

/// `EncodedSignature`.
const SIGNATURE: &[(&str, Field)] =
    &[("header", Field::Map), ("protected", Field::Base64), ("signature", Field::Base64)];

/// `EncodedJWE`.
const ENCRYPTED: &[(&str, Field)] = &[
    ("aad", Field::Base64),
    ("ciphertext", Field::Base64),
    ("iv", Field::Base64),
    ("protected", Field::Base64),
    ("recipients", Field::List(RECIPIENT)),
    ("tag", Field::Base64),
    ("unprotected", Field::Map),
];

/// `EncodedRecipient`.
const RECIPIENT: &[(&str, Field)] = &[("encrypted_key", Field::Base64), ("header", Field::Map)];

/// Where a payload stands that is a CID.
const LINK: &str = "link";

/// Where a payload stands that is a map of JSON.
const PAYLOAD_DATA: &str = "pld";

/// How a link begins in such a payload.
const LINK_SCHEME: &str = "ipfs://";

/// Reads a block.
///
/// # Errors
///
/// [`CodecError::Malformed`] for what is no dag-cbor, [`CodecError::Form`] for what is no JOSE.
pub fn decode(data: &[u8]) -> Result<Node, CodecError> {
    let block = dag_cbor::decode(data)?;
    let mut entries = convert(&block, fields_of(&block)?, to_text)?;
    entries.extend(payload(&block));
    Ok(Node::Map(entries))
}

/// Writes a block.
///
/// # Errors
///
/// [`CodecError::Form`].
pub fn encode(node: &Node) -> Result<Vec<u8>, CodecError> {
    let entries = convert(node, fields_of(node)?, to_bytes)?;
    dag_cbor::encode(&Node::Map(entries))
}

/// Returns the links of a block: the payload of a signed object, or those in it.
///
/// # Errors
///
/// [`CodecError::Malformed`] for what is no dag-cbor at all.
pub fn links(data: &[u8]) -> Result<Vec<Cid>, CodecError> {
    let mut links = dag_cbor::links(data)?;
    if let Ok(block) = dag_cbor::decode(data) {
        links.extend(payload(&block).into_iter().flat_map(|(_, node)| node.links()));
    }
    Ok(links)
}

/// The payload as what it means: a link, or data. Any other is kept as it is.
fn payload(block: &Node) -> Option<(String, Node)> {
    let Some(Node::Bytes(bytes)) = block.get("payload") else { return None };
    if let Ok(cid) = Cid::from_bytes(bytes) {
        return Some((LINK.to_owned(), Node::link(cid)));
    }
    match dag_json::decode_plain(bytes) {
        Ok(node @ Node::Map(_)) => Some((PAYLOAD_DATA.to_owned(), with_links(node))),
        _ => None,
    }
}

/// Makes links of text that says so; the decoder has bounded the depth.
fn with_links(node: Node) -> Node {
    match node {
        Node::String(text) => {
            let cid = text.strip_prefix(LINK_SCHEME).and_then(|cid| cid.parse().ok());
            cid.map_or(Node::String(text), Node::link)
        }
        Node::List(items) => Node::List(items.into_iter().map(with_links).collect()),
        Node::Map(entries) => {
            let entry = |(name, value)| (name, with_links(value));
            Node::Map(entries.into_iter().map(entry).collect())
        }
        other => other,
    }
}

/// Which of the two it is. Source: RFC 7516, section 9.
fn fields_of(node: &Node) -> Result<&'static [(&'static str, Field)], CodecError> {
    match (node.get("signatures"), node.get("ciphertext")) {
        (Some(_), None) => Ok(SIGNED),
        (None, Some(_)) => Ok(ENCRYPTED),
        _ => Err(CodecError::form(CODEC, "it has neither signatures nor a ciphertext, or both")),
    }
}

/// Brings a map from one side to the other; depth is that of the schemas.
fn convert(
    node: &Node,
    fields: &[(&str, Field)],
    base64: fn(&Node) -> Option<Node>,
) -> Result<Vec<(String, Node)>, CodecError> {
    let Node::Map(entries) = node else {
        return Err(CodecError::form(CODEC, format!("it is a {}, not a map", node.kind())));
    };
    let mut out = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        let field = fields.iter().find(|(known, _)| known == name);
        let Some((_, field)) = field else {
            return Err(CodecError::form(CODEC, format!("it has no field {name:?}")));
        };
        let converted = match (field, value) {
            (Field::Derived, _) => continue,
            (Field::Base64, value) => base64(value),
            (Field::Map, Node::Map(_)) => Some(value.clone()),
            (Field::List(inner), Node::List(items)) => {
                let items: Result<Vec<Node>, CodecError> =
                    items.iter().map(|item| convert(item, inner, base64).map(Node::Map)).collect();
                Some(Node::List(items?))
            }
            _ => None,
        };
        let Some(converted) = converted else {
            return Err(CodecError::form(CODEC, format!("{name} is a {}", value.kind())));
        };
        out.push((name.clone(), converted));
    }
    Ok(out)
}

fn to_text(node: &Node) -> Option<Node> {
    match node {
        Node::Bytes(bytes) => Some(Node::String(URL_SAFE_NO_PAD.encode(bytes))),
        _ => None,
    }
}

fn to_bytes(node: &Node) -> Option<Node> {
    match node {
        Node::String(text) => URL_SAFE_NO_PAD.decode(text).ok().map(Node::Bytes),
        Node::Bytes(_) => Some(node.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
