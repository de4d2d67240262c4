//! What a migration tells while it runs and when it is done.
//!
//! Not here: how it looks (the `cairn` binary).

use cairn_block::Cid;
use std::path::PathBuf;

/// What happens during a migration.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// So far the blocks have come.
    Blocks(BlockProgress),
    /// So many blocks of pinned DAGs have been looked at.
    Checked(u64),
    /// Something is left out or not whole, named.
    Lost(Loss),
    /// Something else that the operator should know.
    Note(String),
}

/// How far the blocks have come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockProgress {
    /// Blocks that are in the target now.
    pub count: u64,
    /// Their bytes.
    pub len: u64,
    /// How many bytes there will be, as an estimate; `None` before there is one.
    pub total_len: Option<u64>,
}

/// What is not in the target as it was, or should have been, in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// A file that should hold a block, or a directory of such files.
    Block {
        /// The file.
        path: PathBuf,
        /// Why it was not taken.
        reason: String,
    },
    /// A pin that makes no sense, or its name.
    Pin {
        /// The pin's record or CID.
        pin: String,
        /// What is wrong.
        reason: String,
    },
    /// A block that a pin or the MFS root needs, and that the source does not have whole.
    Missing {
        /// The block.
        block: Cid,
        /// Who needs it.
        root: Cid,
        /// What is wrong with it.
        reason: String,
    },
    /// A key.
    Key {
        /// The file.
        path: PathBuf,
        /// Why it was not taken.
        reason: String,
    },
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Block { path, reason } => write!(f, "block {}: {reason}", path.display()),
            Self::Pin { pin, reason } => write!(f, "pin {pin}: {reason}"),
            Self::Missing { block, root, reason } => {
                write!(f, "{root} is not whole: block {block} {reason}")
            }
            Self::Key { path, reason } => write!(f, "key {}: {reason}", path.display()),
        }
    }
}

/// What a migration has done, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The peer ID of the target; empty in a dry run.
    pub peer_id: String,
    /// Whether the target was there before, so that its config and identity stayed.
    pub target_existed: bool,
    /// Blocks copied.
    pub block_count: u64,
    /// Their bytes; 0 in a dry run, which reads no block.
    pub block_len: u64,
    /// Blocks that the target had already.
    pub present_count: u64,
    /// Recursive pins, those that were there already included.
    pub recursive_count: u64,
    /// Direct pins, likewise.
    pub direct_count: u64,
    /// The root of MFS.
    pub mfs_root: Option<Cid>,
    /// Keys, those that were there already included.
    pub key_count: u64,
    /// Config keys that were not taken over, with the reason.
    pub config_left_out: Vec<(String, String)>,
    /// How many blocks, pins, keys are lost; each was told as an [`Event::Lost`].
    pub loss_count: u64,
}
