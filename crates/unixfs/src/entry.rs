//! What a block is, seen as a place in a file system.

use crate::{Data, DataType, Mtime, UnixfsError};
use cairn_block::{Block, codec};
use cairn_dag::{
    DagError,
    dag_pb::{self, PbNode},
};

/// What a block is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryKind {
    /// A file.
    File,
    /// A directory, in one node or sharded.
    Directory {
        /// Whether it is a HAMT.
        sharded: bool,
    },
    /// A symlink.
    Symlink {
        /// Where it points; what is not UTF-8 is replaced.
        target: String,
    },
}

impl EntryKind {
    /// The word for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory { .. } => "directory",
            Self::Symlink { .. } => "symlink",
        }
    }
}

/// What the root block of a file, directory or symlink tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// A file's length, as its root states it; a symlink's target's; 0 for a directory.
    pub len: u64,
    /// Unix permissions, if they were kept.
    pub mode: Option<u32>,
    /// Last change, if it was kept.
    pub mtime: Option<Mtime>,
    /// How many links the root has.
    pub links: usize,
    /// The length of all blocks together, as the root's links state it (`CumulativeSize`).
    pub total_len: u64,
}

impl Entry {
    /// Reads what `block` says about itself; nothing below it is looked at.
    ///
    /// # Errors
    ///
    /// [`UnixfsError::Malformed`] if the block is no UnixFS root (another codec, say).
    pub fn of(block: &Block) -> Result<Self, UnixfsError> {
        let block_len = block.data().len() as u64;
        let (data, node) = match open(block)? {
            Opened::Raw => {
                return Ok(Self {
                    kind: EntryKind::File,
                    len: block_len,
                    mode: None,
                    mtime: None,
                    links: 0,
                    total_len: block_len,
                });
            }
            Opened::Node { data, node } => (data, node),
        };
        let data_len = data.data.as_ref().map_or(0, |data| data.len() as u64);
        let (kind, len) = match data.kind {
            DataType::File | DataType::Raw => {
                (EntryKind::File, data.filesize.unwrap_or_else(|| file_len(&data)))
            }
            DataType::Directory => (EntryKind::Directory { sharded: false }, 0),
            DataType::HamtShard => (EntryKind::Directory { sharded: true }, 0),
            DataType::Symlink => {
                let target = data.data.as_deref().unwrap_or_default();
                let target = String::from_utf8_lossy(target).into_owned();
                (EntryKind::Symlink { target }, data_len)
            }
            DataType::Metadata => {
                return Err(UnixfsError::malformed(block.cid(), "a metadata node"));
            }
        };
        Ok(Self {
            kind,
            len,
            mode: data.permissions(),
            mtime: data.mtime,
            links: node.links.len(),
            total_len: node.total_len(block.data().len()),
        })
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, EntryKind::Directory { .. })
    }
}

/// The length of the file below a node, from its parts.
pub(crate) fn file_len(data: &Data) -> u64 {
    let own = data.data.as_ref().map_or(0, |data| data.len() as u64);
    data.blocksizes.iter().fold(own, |sum, size| sum.saturating_add(*size))
}

/// A block as UnixFS sees it.
pub(crate) enum Opened {
    /// A raw leaf.
    Raw,
    /// A dag-pb node with its message.
    Node { data: Data, node: PbNode },
}

/// Decodes a block that must be UnixFS.
pub(crate) fn open(block: &Block) -> Result<Opened, UnixfsError> {
    let cid = block.cid();
    match cid.codec() {
        codec::RAW => Ok(Opened::Raw),
        codec::DAG_PB => {
            let node = open_node(block)?;
            let Some(bytes) = &node.data else {
                return Err(UnixfsError::malformed(cid, "a node without data"));
            };
            let data = Data::decode(bytes).map_err(|error| UnixfsError::malformed(cid, &error))?;
            Ok(Opened::Node { data, node })
        }
        codec => Err(DagError::Unsupported { cid: cid.clone(), codec }.into()),
    }
}

/// Decodes a block that must be dag-pb.
pub(crate) fn open_node(block: &Block) -> Result<PbNode, UnixfsError> {
    let node = dag_pb::decode(block.data());
    Ok(node.map_err(|error| DagError::malformed(block.cid(), &error))?)
}
