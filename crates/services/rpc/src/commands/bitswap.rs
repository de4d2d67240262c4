//! `bitswap`: the exchange of blocks with peers.

pub(super) mod ledger;
pub(super) mod stat;
pub(super) mod wantlist;

use crate::Command;

/// The group's row of the table.
pub(super) const COMMAND: Command =
    Command::group("bitswap", "See the exchange of blocks with peers");
