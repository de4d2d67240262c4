//! `bitswap`: the exchange of blocks with peers.

pub(super) mod ledger;
pub(super) mod stat;
pub(super) mod wantlist;

use crate::Command;
use cairn_block::Cid;
use serde::{Deserialize, Serialize};

/// The group's row of the table.
pub(super) const COMMAND: Command =
    Command::group("bitswap", "See the exchange of blocks with peers");

/// A CID as IPLD's JSON writes links: `{"/": "Qm…"}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Link {
    /// The CID.
    #[serde(rename = "/")]
    pub cid: String,
}

impl Link {
    fn of(cid: &Cid) -> Self {
        Self { cid: cid.to_string() }
    }
}
