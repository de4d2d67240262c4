//! Why a UnixFS DAG could not be built or read.

use cairn_block::{BlockError, Cid};
use cairn_dag::DagError;
use cairn_hash::DigestError;
use thiserror::Error;

/// Why a UnixFS DAG could not be built or read.
///
/// Match on the variant, not on the text: messages may change in any release.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum UnixfsError {
    /// A block is missing, corrupt, or not what its codec says.
    #[error(transparent)]
    Dag(#[from] DagError),
    /// The block is not UnixFS, or breaks its rules.
    #[error("{cid} is not valid UnixFS: {reason}")]
    Malformed {
        /// The block refused.
        cid: Cid,
        /// What is wrong with it.
        reason: String,
    },
    /// The sizes written in a file's blocks contradict each other.
    #[error("{cid} holds {actual} bytes of the file, its parent says {declared}")]
    Len {
        /// The block whose size is wrong.
        cid: Cid,
        /// What its parent says, in bytes.
        declared: u64,
        /// What it holds, in bytes.
        actual: u64,
    },
    /// Bytes were asked of something that is not a file.
    #[error("{cid} is a {kind}, not a file")]
    NotAFile {
        /// What it is.
        kind: &'static str,
        /// The block.
        cid: Cid,
    },
    /// Entries were asked of something that is not a directory.
    #[error("{cid} is a {kind}, not a directory")]
    NotADirectory {
        /// What it is.
        kind: &'static str,
        /// The block.
        cid: Cid,
    },
    /// A path leads nowhere.
    #[error("no link named {name:?} under {cid}")]
    NoLink {
        /// The segment that was not found.
        name: String,
        /// Where it was looked for.
        cid: Cid,
    },
    /// The path starts from a name, which must be resolved first.
    #[error("{name} is a name, not a cid")]
    Name {
        /// The name.
        name: String,
    },
    /// A directory entry cannot have this name.
    #[error("invalid name for a directory entry: {name:?}")]
    EntryName {
        /// The name refused.
        name: String,
    },
    /// Too many names in one directory share their hash (an attack, in practice).
    #[error("directory cannot be sharded: the hashes of two names are equal")]
    HashCollision,
    /// An option is out of its range.
    #[error("invalid option: {reason}")]
    Options {
        /// Which, and what it may be.
        reason: &'static str,
    },
    /// A change would make a file too long.
    #[error("the file would be too long")]
    FileLen,
    /// A file of one leaf carries mode or mtime, which must be written into the leaf.
    #[error("mode and mtime of a one-leaf file must be written into the leaf")]
    LeafMetadata,
    /// The hash function cannot be computed here.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl From<BlockError> for UnixfsError {
    fn from(error: BlockError) -> Self {
        Self::Dag(error.into())
    }
}

impl UnixfsError {
    /// Says that `cid` breaks the rules of UnixFS.
    pub(crate) fn malformed(cid: &Cid, reason: &(impl ToString + ?Sized)) -> Self {
        Self::Malformed { cid: cid.clone(), reason: reason.to_string() }
    }

    /// Whether a block or a path segment is simply not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Dag(error) => error.is_not_found(),
            Self::NoLink { .. } => true,
            _ => false,
        }
    }
}
