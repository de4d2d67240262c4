//! Why the node could not do what was asked, and whose fault that is.
//!
//! Not here: how a surface shows it (`services/*`, `cli`).

use crate::{add::AddEntryError, config::ConfigError, mfs::MfsError};
use cairn_block::{BlockError, Cid};
use cairn_dag::{CarError, DagError, PathError};
use cairn_network::{NetworkError, RoutingError};
use cairn_store::{PinError, RepoError, StoreError};
use cairn_unixfs::UnixfsError;
use thiserror::Error;

/// Why a call on [`crate::Node`] failed.
///
/// Match on the variant or on [`NodeError::kind`], not on the text.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A block is missing, broken or unreadable.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The repository cannot be opened or changed.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The block store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The pins cannot be read or changed.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The config cannot be read or changed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The network did not start or answer.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The key of a private network cannot be read, or there should be one.
    #[error("private network: {path}: {reason}", path = path.display())]
    SwarmKey {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file of limits on resources cannot be understood.
    #[error("limits on resources: {path}: {reason}", path = path.display())]
    ResourceOverrides {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Routing gave no answer.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// A walk over a DAG failed.
    #[error(transparent)]
    Dag(#[from] DagError),
    /// Not an IPFS path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A file or directory cannot be built, resolved or read.
    #[error(transparent)]
    Unixfs(#[from] UnixfsError),
    /// An entry of an add cannot be taken.
    #[error(transparent)]
    Entry(#[from] AddEntryError),
    /// MFS refused.
    #[error(transparent)]
    Mfs(#[from] MfsError),
    /// A CAR file is broken.
    #[error("{path}: {source}")]
    Car {
        /// Which file.
        path: String,
        /// What is wrong with it.
        source: CarError,
    },
    /// An import ended early; what came before is kept, durably.
    #[error("{source}; {kept_count} blocks ({kept_len} bytes) were kept, no root is pinned")]
    ImportEnded {
        /// Blocks that were kept, of all files.
        kept_count: u64,
        /// Their bytes.
        kept_len: u64,
        /// Why it ended, with the file's name.
        source: Box<NodeError>,
    },
    /// A git repository, or what should be its root, is not what it should be.
    #[error("git: {reason}")]
    Git {
        /// Which object or line, and what is wrong with it.
        reason: String,
    },
    /// A directory or a link stands where a file should.
    #[error("{path} is not a file")]
    NotAFile {
        /// Its path.
        path: String,
    },
    /// Options of an add that do not go together, or are not there yet.
    #[error("{reason}")]
    Options {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// Nobody listens to the add any more.
    #[error("the add was cancelled")]
    Cancelled,
    /// A pin to remove is not there.
    #[error("not pinned or pinned indirectly")]
    NotPinned {
        /// What was to be unpinned.
        cid: Cid,
    },
    /// The pin is recursive and only a direct one was to be removed.
    #[error("{cid} is pinned recursively")]
    PinnedRecursively {
        /// Which one.
        cid: Cid,
    },
    /// An update's old pin is not there.
    #[error("'from' cid was not recursively pinned already")]
    UpdateFrom {
        /// Which one.
        cid: Cid,
    },
    /// An update's new pin is there already.
    #[error("'to' cid was already recursively pinned")]
    UpdateTo {
        /// Which one.
        cid: Cid,
    },
    /// A direct pin was asked for where a recursive one is.
    #[error("{cid} already pinned recursively")]
    AlreadyPinnedRecursively {
        /// Which one.
        cid: Cid,
    },
    /// A setting of the config is not what the network can use.
    #[error("{key}: {addr:?} is not a multiaddress: {reason}")]
    Multiaddr {
        /// The config key.
        key: &'static str,
        /// The text found there.
        addr: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A collection runs already.
    #[error("garbage is being collected already")]
    Collecting,
    /// What a pin keeps cannot be told.
    #[error(
        "no garbage was collected, because what a pin keeps cannot be told: {source}; \
         `cairn pin verify` names the pin"
    )]
    Unmarked {
        /// Where its DAG could not be followed.
        source: Box<NodeError>,
    },
    /// The root of MFS is no CID.
    #[error(
        "the root of MFS is damaged, so what it keeps cannot be told; `cairn files chroot --confirm \
         [CID]`, with the daemon stopped, sets another"
    )]
    MfsRoot,
    /// A network was needed and the node is offline.
    #[error("this action must be run in online mode, try running 'ipfs daemon' first")]
    Offline,
}

/// Whose fault a failure is, coarsely: what surfaces choose status and exit codes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller asked for something that makes no sense: do not repeat.
    Invalid,
    /// What was asked for is not here, nor (if asked) with anybody else.
    NotFound,
    /// It conflicts with what is there: a lock, a pin, an existing repository.
    Conflict,
    /// The caller went away or the node is stopping.
    Cancelled,
    /// Disk, network or data failed.
    Failed,
}

impl NodeError {
    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(error) => match error {
                ConfigError::NotFound { .. } => ErrorKind::NotFound,
                ConfigError::Repo(error) => repo_kind(error),
                ConfigError::NoPort { .. } => ErrorKind::Failed,
                _ => ErrorKind::Invalid,
            },
            Self::Entry(
                AddEntryError::Io { .. }
                | AddEntryError::Changed { .. }
                | AddEntryError::Reference { .. },
            ) => ErrorKind::Failed,
            Self::Entry(_)
            | Self::Options { .. }
            | Self::Car { .. }
            | Self::NotAFile { .. }
            | Self::Path(_)
            | Self::Multiaddr { .. }
            | Self::Pin(PinError::NameTooLong { .. }) => ErrorKind::Invalid,
            Self::Block(error) if error.is_not_found() => ErrorKind::NotFound,
            Self::Dag(error) if error.is_not_found() => ErrorKind::NotFound,
            Self::Unixfs(error) if error.is_not_found() => ErrorKind::NotFound,
            Self::Repo(error) => repo_kind(error),
            Self::NotPinned { .. }
            | Self::PinnedRecursively { .. }
            | Self::AlreadyPinnedRecursively { .. }
            | Self::Collecting
            | Self::UpdateFrom { .. }
            | Self::UpdateTo { .. } => ErrorKind::Conflict,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::ImportEnded { source, .. } => source.kind(),
            _ => ErrorKind::Failed,
        }
    }

    /// Whether the same call may succeed later without anyone changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Block(error) => error.is_transient(),
            Self::Store(error) => error.is_transient(),
            Self::Network(_) => true,
            Self::ImportEnded { source, .. } => source.is_transient(),
            _ => false,
        }
    }
}

fn repo_kind(error: &RepoError) -> ErrorKind {
    match error {
        RepoError::Missing { .. } => ErrorKind::NotFound,
        RepoError::Exists { .. }
        | RepoError::Kubo { .. }
        | RepoError::Newer { .. }
        | RepoError::Locked { .. } => ErrorKind::Conflict,
        _ => ErrorKind::Failed,
    }
}
