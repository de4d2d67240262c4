//! `stats`: the same figures as `bitswap stat` and `repo stat`, under the names of old.

pub(super) mod bw;
pub(super) mod dht;

use super::{bitswap, repo};
use crate::{Command, Needs};

/// The group's row of the table.
pub(super) const COMMAND: Command = Command::group("stats", "Show figures about the node");

/// The row for the exchange.
pub(super) const BITSWAP: Command = Command {
    path: "stats bitswap",
    tagline: "Show the counters of the exchange",
    options: bitswap::stat::OPTIONS,
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(bitswap::stat::run(call))),
    text: Some(bitswap::stat::text),
    ..Command::BASE
};

/// The row for the repository.
pub(super) const REPO: Command = Command {
    path: "stats repo",
    tagline: "Show how much the repository holds",
    options: repo::stat::OPTIONS,
    run: Some(|call| Box::pin(repo::stat::run(call))),
    text: Some(repo::stat::text),
    ..Command::BASE
};
