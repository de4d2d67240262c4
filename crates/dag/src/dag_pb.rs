//! The dag-pb codec: a list of named links, and data.
//!
//! What nearly all of IPFS is made of. The encoding is fixed to the byte, since CIDs depend on
//! it: links stand before data, though data has the lower field number.
//!
//! Spec: <https://ipld.io/specs/codecs/dag-pb/spec/>, pinned in `spec/PINS.toml`.
//! Invariants: decoding copies no data and no names; [`encode`] writes the one canonical form.
//! Not here: what the data means (`cairn-unixfs`).

mod node;

pub(crate) use node::{from_node, to_node};

use crate::pb::{self, Fields, PbError, Value};
use bytes::Bytes;
use cairn_block::{Cid, CidError};
use std::borrow::Cow;
use thiserror::Error;

/// Most links that one node may have.
///
/// A link takes at least 36 bytes, so a block of 2 MiB holds fewer; longer inputs are refused
/// before memory is set aside for them.
pub const LINKS_MAX: usize = 65_536;

/// Why bytes are not a dag-pb node.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DagPbError {
    /// Not a protobuf message.
    #[error("not dag-pb: {0}")]
    Pb(#[from] PbError),
    /// A field that dag-pb does not have, or of the wrong type.
    #[error("not dag-pb: unexpected field {number} in {message}")]
    Field {
        /// The field's number.
        number: u64,
        /// `"PBNode"` or `"PBLink"`.
        message: &'static str,
    },
    /// A field stands twice, or after one that it must precede.
    #[error("not dag-pb: field {number} of {message} is out of order")]
    Order {
        /// The field's number.
        number: u64,
        /// `"PBNode"` or `"PBLink"`.
        message: &'static str,
    },
    /// A link has no `Hash`.
    #[error("not dag-pb: link {index} has no hash")]
    NoHash {
        /// Which link, from 0.
        index: usize,
    },
    /// A link's `Hash` is not a CID.
    #[error("not dag-pb: link {index}: {source}")]
    Hash {
        /// Which link, from 0.
        index: usize,
        /// What is wrong with it.
        source: CidError,
    },
    /// Over [`LINKS_MAX`].
    #[error("not dag-pb: more than {LINKS_MAX} links")]
    TooManyLinks,
}

/// A link of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PbLink {
    /// Where it leads.
    pub cid: Cid,
    /// Its name; bytes, because no decoder in use insists on UTF-8. `None` where the field is
    /// not there at all, which is not the same bytes as an empty name.
    pub name: Option<Bytes>,
    /// What its maker says is the length of all blocks below, in bytes (`Tsize`); never checked.
    pub size: Option<u64>,
}

impl PbLink {
    /// Makes a link with all three fields, as every UnixFS node has them.
    pub fn new(name: impl Into<Bytes>, cid: Cid, size: u64) -> Self {
        Self { cid, name: Some(name.into()), size: Some(size) }
    }

    /// The name's bytes; empty if there is none.
    pub fn name_bytes(&self) -> &[u8] {
        self.name.as_deref().unwrap_or_default()
    }

    /// The name for people; what is not UTF-8 is replaced.
    pub fn name_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.name_bytes())
    }

    fn encoded_len(&self) -> usize {
        let bytes_len = |len: usize| 1 + pb::varint_len(len as u64) + len;
        bytes_len(self.cid.encoded_len())
            + self.name.as_ref().map_or(0, |name| bytes_len(name.len()))
            + self.size.map_or(0, |size| 1 + pb::varint_len(size))
    }
}

/// A decoded node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PbNode {
    /// The links, in the order in which they stand.
    pub links: Vec<PbLink>,
    /// The data; `None` where the field is not there at all.
    pub data: Option<Bytes>,
}

impl PbNode {
    /// The sum of the links' sizes and of `encoded_len`, as a link to this node states it.
    ///
    /// Saturates, since sizes come from strangers.
    pub fn total_len(&self, encoded_len: usize) -> u64 {
        let sizes = self.links.iter().map(|link| link.size.unwrap_or(0));
        sizes.fold(encoded_len as u64, u64::saturating_add)
    }
}

/// Returns the bytes of `node`: links in the order given, then data.
///
/// Links of a canonical node are sorted by name, equal names in the order of insertion; that is
/// the caller's to do, because file nodes have no names and directories are kept sorted anyway.
pub fn encode(node: &PbNode) -> Vec<u8> {
    let data_len = node.data.as_ref().map_or(0, |data| data.len() + 11);
    let links_len: usize = node.links.iter().map(|link| link.encoded_len() + 6).sum();
    let mut out = Vec::with_capacity(data_len + links_len);
    let mut cid = Vec::new();
    for link in &node.links {
        cid.clear();
        link.cid.encode(&mut cid);
        pb::put_len(&mut out, 2, link.encoded_len());
        pb::put_bytes(&mut out, 1, &cid);
        if let Some(name) = &link.name {
            pb::put_bytes(&mut out, 2, name);
        }
        if let Some(size) = link.size {
            pb::put_uint(&mut out, 3, size);
        }
    }
    if let Some(data) = &node.data {
        pb::put_bytes(&mut out, 1, data);
    }
    out
}

/// Reads a node; names and data share memory with `block`.
///
/// Links may stand before or after data, but not on both sides of it; the fields of a link stand
/// in the order hash, name, size; nothing else is accepted.
///
/// # Errors
///
/// Any [`DagPbError`].
pub fn decode(block: &Bytes) -> Result<PbNode, DagPbError> {
    const MESSAGE: &str = "PBNode";
    let mut node = PbNode::default();
    let mut links_closed = false;
    let mut fields = Fields::new(block);
    while let Some((number, value)) = fields.field()? {
        match (number, value) {
            (1, Value::Bytes(data)) => {
                if node.data.is_some() {
                    return Err(DagPbError::Order { number, message: MESSAGE });
                }
                node.data = Some(block.slice_ref(data));
                links_closed = !node.links.is_empty();
            }
            (2, Value::Bytes(message)) => {
                if links_closed {
                    return Err(DagPbError::Order { number, message: MESSAGE });
                }
                if node.links.len() == LINKS_MAX {
                    return Err(DagPbError::TooManyLinks);
                }
                node.links.push(decode_link(block, message, node.links.len())?);
            }
            _ => return Err(DagPbError::Field { number, message: MESSAGE }),
        }
    }
    Ok(node)
}

fn decode_link(block: &Bytes, message: &[u8], index: usize) -> Result<PbLink, DagPbError> {
    const MESSAGE: &str = "PBLink";
    let (mut cid, mut name, mut size) = (None, None, None);
    let mut last = 0;
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.field()? {
        if number <= last {
            return Err(DagPbError::Order { number, message: MESSAGE });
        }
        last = number;
        match (number, value) {
            (1, Value::Bytes(bytes)) => {
                let parsed = Cid::from_bytes(bytes);
                cid = Some(parsed.map_err(|source| DagPbError::Hash { index, source })?);
            }
            (2, Value::Bytes(bytes)) => name = Some(block.slice_ref(bytes)),
            (3, Value::Varint(number)) => size = Some(number),
            _ => return Err(DagPbError::Field { number, message: MESSAGE }),
        }
    }
    let cid = cid.ok_or(DagPbError::NoHash { index })?;
    Ok(PbLink { cid, name, size })
}

#[cfg(test)]
mod tests;
