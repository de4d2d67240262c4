//! One block of a file that is changed, checked against what its parent says of it.
//!
//! Invariant: a node's parts are as long together as it and its parent say.
//! Not here: which of them are opened (`overwrite.rs`, `grow.rs`).

use crate::{
    Child, Data, DataType, Metadata, UnixfsError,
    entry::{Opened, file_len, open},
};
use bytes::Bytes;
use cairn_block::{Block, codec};
use cairn_dag::dag_pb::PbNode;

/// Most bytes by which a leaf is longer than its data; an inner node is longer by more.
const WRAPPER_LEN_MAX: u64 = 20;

/// A block of a file.
pub(super) enum Part {
    /// The bytes of a leaf.
    Leaf(Bytes),
    /// A node with links, and nothing else.
    Node { data: Data, node: PbNode },
}

impl Part {
    /// How many bytes of the file it holds.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Leaf(bytes) => bytes.len() as u64,
            Self::Node { data, .. } => file_len(data),
        }
    }
}

/// Opens a block whose parent says that it holds `expected` bytes.
pub(super) fn open_part(block: &Block, expected: Option<u64>) -> Result<Part, UnixfsError> {
    let cid = block.cid();
    let part = match open(block)? {
        Opened::Raw => Part::Leaf(block.data().clone()),
        Opened::Node { data, node } => {
            if !matches!(data.kind, DataType::File | DataType::Raw) {
                return Err(UnixfsError::NotAFile { kind: data.kind.name(), cid: cid.clone() });
            }
            if node.links.len() != data.blocksizes.len() {
                let reason = "as many block sizes as links are needed";
                return Err(UnixfsError::malformed(cid, reason));
            }
            let actual = file_len(&data);
            if let Some(declared) = data.filesize.filter(|declared| *declared != actual) {
                return Err(UnixfsError::Len { cid: cid.clone(), declared, actual });
            }
            let own = data.data.clone().unwrap_or_default();
            match (node.links.is_empty(), own.is_empty()) {
                (true, _) => Part::Leaf(own),
                (false, true) => Part::Node { data, node },
                (false, false) => {
                    let reason = "a node with data and links cannot be edited";
                    return Err(UnixfsError::malformed(cid, reason));
                }
            }
        }
    };
    let actual = part.len();
    match expected.filter(|declared| *declared != actual) {
        Some(declared) => Err(UnixfsError::Len { cid: cid.clone(), declared, actual }),
        None => Ok(part),
    }
}

/// What a file's root says about itself.
pub(super) fn metadata_of(root: &Block) -> Result<Metadata, UnixfsError> {
    Ok(match open(root)? {
        Opened::Raw => Metadata::default(),
        Opened::Node { data, .. } => Metadata { mode: data.permissions(), mtime: data.mtime },
    })
}

/// What a node links to, in order.
pub(super) fn children(data: &Data, node: &PbNode) -> Vec<Child> {
    let child = |(link, len): (&cairn_dag::dag_pb::PbLink, &u64)| Child {
        cid: link.cid.clone(),
        data_len: *len,
        total_len: link.size.unwrap_or(*len),
    };
    node.links.iter().zip(&data.blocksizes).map(child).collect()
}

/// Whether a link leads to a leaf, as far as it tells.
pub(crate) fn is_leaf(child: &Child) -> bool {
    let more = child.total_len.checked_sub(child.data_len);
    child.cid.codec() == codec::RAW || more.is_some_and(|more| more <= WRAPPER_LEN_MAX)
}
