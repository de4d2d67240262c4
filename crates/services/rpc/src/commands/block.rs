//! `block`: single blocks.

pub(super) mod get;
pub(super) mod put;
pub(super) mod rm;
pub(super) mod stat;

use crate::Command;
use serde::{Deserialize, Serialize};

/// The group's row of the table.
pub(super) const COMMAND: Command = Command::group("block", "Read, write and remove single blocks");

/// A block's CID and length.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BlockStat {
    /// The CID.
    pub key: String,
    /// Length in bytes.
    pub size: u64,
}
