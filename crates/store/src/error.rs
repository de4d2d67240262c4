//! What can go wrong with blocks on disk.
//!
//! Not here: what can go wrong with the repository around them (`repo.rs`) or pins (`pins.rs`).

use cairn_block::BlockError;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use thiserror::Error;

/// Why the store could not do what was asked.
///
/// Reads keep working after every one of them.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk refused; a full disk is one of these, and writes work again when there is room.
    #[error("could not {op} {path}: {source}", path = path.display())]
    Io {
        /// What was being done.
        op: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said; shared, since one failed sync fails many callers.
        source: Arc<io::Error>,
    },
    /// A sync failed, so what was written since the last good one may be lost. Nothing more is
    /// written until the repository is opened again, which drops that part.
    #[error(
        "blocks are read-only until a restart, because a sync of {path} failed: {source}",
        path = path.display()
    )]
    SyncFailed {
        /// The file whose sync failed.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// A file was written by a newer version of this program.
    #[error("{path} has format {found}, newer than this program's", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format number found.
        found: u32,
    },
    /// The block cannot be kept.
    #[error(transparent)]
    Block(#[from] BlockError),
}

impl StoreError {
    pub(crate) fn io(op: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { op, path: path.to_owned(), source: Arc::new(source) }
    }

    /// Whether the disk was full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_full(source))
    }

    /// Whether the same call may succeed later without a restart.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl From<StoreError> for BlockError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Block(error) => error,
            StoreError::Io { op, ref source, .. } => {
                // The text names the file; the kind must survive for callers that look at it.
                Self::io(op, io::Error::new(source.kind(), error.clone()))
            }
            other => Self::io("write", io::Error::other(other)),
        }
    }
}
