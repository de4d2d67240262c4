//! Why a migration cannot begin or go on.
//!
//! Not here: single blocks, pins and keys that are left out, which do not end it (`report.rs`).

use cairn_node::{ConfigError, NodeError};
use cairn_store::{MetaError, PinError, RepoError, StoreError};
use std::{
    io,
    path::{Path, PathBuf},
};
use thiserror::Error;

/// Why a migration cannot begin or go on. What it has copied until then stays, and the next run
/// goes on from there.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The source is not what it should be.
    #[error("there is no Kubo repository at {path}: {reason}", path = path.display())]
    NotKubo {
        /// Where it was looked for.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The source's format is older or newer than what is known.
    #[error(
        "the Kubo repository at {path} has format {found}, and formats {min} to {max} can be \
         read; {advice}",
        path = path.display()
    )]
    Version {
        /// The source.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The oldest that can be read.
        min: u64,
        /// The newest.
        max: u64,
        /// What to do.
        advice: &'static str,
    },
    /// Its daemon, or another program, has it.
    #[error(
        "the Kubo repository at {path} is in use by process {process}: stop the daemon first \
         (`ipfs shutdown`)",
        path = path.display()
    )]
    InUse {
        /// The source.
        path: PathBuf,
        /// Who has its lock.
        process: i32,
    },
    /// It keeps its data in a way that cannot be read here.
    #[error("{path} {reason}", path = path.display())]
    Unsupported {
        /// The file that says so.
        path: PathBuf,
        /// What it says, and what to do.
        reason: String,
    },
    /// It belongs to a private network, and the target is there already and does not.
    #[error(
        "the source is the node of a private network, and the target is there already, without \
         {path} or in another network: copy the key there yourself, choose another place with \
         --to, or offer the blocks to whom the target is connected with by --ignore-swarm-key",
        path = path.display()
    )]
    OtherNetwork {
        /// Where the target has its key, or should have it.
        path: PathBuf,
    },
    /// Source and target are the same, or one lies in the other.
    #[error(
        "{target} cannot be the target, because the source is {source_path}; choose another with \
         --to",
        target = target.display(), source_path = source_path.display()
    )]
    SamePlace {
        /// The source.
        source_path: PathBuf,
        /// The target.
        target: PathBuf,
    },
    /// The target is there already, as somebody else.
    #[error(
        "the repository at {path} is there already and is {found}, so it cannot become {wanted}; \
         leave --identity out, or choose another place with --to",
        path = path.display()
    )]
    OtherIdentity {
        /// The target.
        path: PathBuf,
        /// Its peer ID.
        found: String,
        /// The source's.
        wanted: String,
    },
    /// A file of the source is not what it should be.
    #[error("{path} is damaged: {reason}", path = path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk refused.
    #[error("could not {op} {path}: {source}", path = path.display())]
    Io {
        /// What was being done.
        op: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The target refused; a full disk is one of these.
    #[error(transparent)]
    Target(#[from] NodeError),
}

impl MigrateError {
    pub(crate) fn io(op: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { op, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(path: &Path, reason: &str) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.to_owned() }
    }
}

impl From<StoreError> for MigrateError {
    fn from(error: StoreError) -> Self {
        Self::Target(error.into())
    }
}

impl From<PinError> for MigrateError {
    fn from(error: PinError) -> Self {
        Self::Target(error.into())
    }
}

impl From<MetaError> for MigrateError {
    fn from(error: MetaError) -> Self {
        Self::Target(PinError::from(error).into())
    }
}

impl From<RepoError> for MigrateError {
    fn from(error: RepoError) -> Self {
        Self::Target(error.into())
    }
}

impl From<ConfigError> for MigrateError {
    fn from(error: ConfigError) -> Self {
        Self::Target(error.into())
    }
}
