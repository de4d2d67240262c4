//! Why something with a CAR file failed.

use cairn_block::Cid;
use cairn_dag::{CarError, DagError};
use cairn_node::NodeError;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why something with a CAR file failed; the message names the file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The system refused.
    #[error("could not {op} {}: {source}", .path.display())]
    Io {
        /// A verb such as `"read"`.
        op: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what it should be, or a block in it is not.
    #[error("{}: {source}", .path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// Where, and what is wrong.
        source: CarError,
    },
    /// The index is not what it should be.
    #[error("{}: invalid index at byte {offset}: {reason}", .path.display())]
    Index {
        /// Which file.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A block is not in the file.
    #[error("{}: block {cid} is not in it", .path.display())]
    NotFound {
        /// Which file.
        path: PathBuf,
        /// Which block.
        cid: Cid,
    },
    /// A walk below a root failed.
    #[error("{}: {source}", .path.display())]
    Dag {
        /// Which file.
        path: PathBuf,
        /// Which block, and why.
        source: DagError,
    },
    /// What was asked cannot be done with this file.
    #[error("{}: {reason}", .path.display())]
    Refused {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A file or directory could not be built.
    #[error(transparent)]
    Build(#[from] NodeError),
}

impl ArchiveError {
    pub(crate) fn io(op: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { op, path: path.to_owned(), source }
    }

    pub(crate) fn broken(path: &Path, source: CarError) -> Self {
        Self::Broken { path: path.to_owned(), source }
    }

    pub(crate) fn refused(path: &Path, reason: impl Into<String>) -> Self {
        Self::Refused { path: path.to_owned(), reason: reason.into() }
    }
}
