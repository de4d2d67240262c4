//! Why MFS refused.
//!
//! The texts are those that clients of Kubo's `files` commands match on.

use cairn_block::Cid;
use thiserror::Error;

/// Why MFS could not do what was asked.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum MfsError {
    /// Not a path of MFS.
    #[error("{reason}")]
    Path {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nothing is there.
    #[error("file does not exist")]
    Missing,
    /// Something is there already.
    #[error("file already exists")]
    Exists,
    /// Something is there already that is not replaced.
    #[error("directory already has entry by that name")]
    Taken,
    /// The path goes on below something that is no directory.
    #[error("cannot access {path}: Not a directory")]
    Below {
        /// The path up to there, without its first slash.
        path: String,
    },
    /// A directory was expected.
    #[error("{path} is not a directory")]
    NotADirectory {
        /// Where.
        path: String,
    },
    /// A file was expected.
    #[error("{path} was not a file")]
    NotAFile {
        /// Where.
        path: String,
    },
    /// Something that is not done to what is there.
    #[error("{reason}")]
    Refused {
        /// Why not.
        reason: &'static str,
    },
    /// Too much waits to be flushed.
    #[error(
        "reached limit of {limit} unflushed MFS operations. To resolve: 1) run 'ipfs files flush' \
         to persist changes, 2) use --flush=true (default), or 3) increase \
         Internal.MFSNoFlushLimit in config"
    )]
    Unflushed {
        /// `Internal.MFSNoFlushLimit`.
        limit: u64,
    },
    /// The root cannot be read, so nothing can.
    #[error(
        "the root of MFS, {cid}, cannot be read: {reason}; if it is lost, `cairn files chroot \
         --confirm [CID]`, with the daemon stopped, sets another or an empty one"
    )]
    Root {
        /// The root.
        cid: Cid,
        /// Why not.
        reason: String,
    },
    /// A new root is not here, or no directory.
    #[error("new root {cid} {reason}")]
    NewRoot {
        /// The CID that was given.
        cid: Cid,
        /// What is wrong with it.
        reason: String,
    },
}
