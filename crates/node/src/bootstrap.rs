//! Joining the network: who is dialled first, and again while there are few peers.
//!
//! Peers of earlier runs come first: they cost nobody's servers anything, and are still there
//! when those of the config are not. Then come the addresses of `Bootstrap`. The placeholder
//! `auto` stands for nothing, so that no endpoint is contacted that the operator has not named.
//!
//! Invariants: at most [`REMEMBERED_MAX`] peers are remembered, in a file that may be lost; a
//! node with [`PEERS_ENOUGH`] peers dials nobody.
//! Not here: peers that must always be connected (`peering.rs`).

use crate::{Config, NodeError, config::ConfigError};
use cairn_network::{Direction, Multiaddr, Network};
use cairn_runtime::blocking;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::sleep;
use tracing::debug;

/// The key of the config.
const KEY: &str = "Bootstrap";

/// What stands for the endpoints of a service that gives out configuration.
const AUTO: &str = "auto";

/// Peers that are dialled at the same time.
const DIAL_COUNT_MAX: usize = 8;

/// With so many peers nobody more is dialled.
const PEERS_ENOUGH: usize = 4;

/// How often it is looked at whether there are enough.
const INTERVAL: Duration = Duration::from_secs(30);

/// Peers remembered for the next run.
const REMEMBERED_MAX: usize = 64;

/// Longest file of remembered peers, in bytes.
const FILE_LEN_MAX: u64 = 64 * 1024;

/// Its name in the repository.
const FILE: &str = "peers";

/// Dials remembered and named peers while there are few, and remembers who was reached; for ever.
pub(crate) async fn run(network: Network, folder: PathBuf, named: Vec<Multiaddr>) {
    let path = folder.join(FILE);
    let from = path.clone();
    let mut remembered = blocking(move || read(&from)).await;
    loop {
        for addrs in [&remembered, &named] {
            if network.peers().await.len() < PEERS_ENOUGH {
                dial_all(&network, addrs).await;
            }
        }
        sleep(INTERVAL).await;
        let reached = reached(&network).await;
        if !reached.is_empty() && reached != remembered {
            remembered = reached;
            let (to, text) = (path.clone(), text(&remembered));
            if let Err(error) = blocking(move || write(&to, &text)).await {
                debug!(%error, "peers are not remembered");
            }
        }
    }
}

async fn dial_all(network: &Network, addrs: &[Multiaddr]) {
    let dials = stream::iter(addrs.to_vec()).for_each_concurrent(DIAL_COUNT_MAX, |addr| async {
        if let Err(error) = network.connect(addr).await {
            debug!(%error, "bootstrap peer not reached");
        }
    });
    dials.await;
}

/// The addresses at which this node has reached others, in a fixed order.
async fn reached(network: &Network) -> Vec<Multiaddr> {
    let peers = network.peers().await;
    let dialled = peers.into_iter().filter(|info| info.direction == Direction::Outbound);
    let mut addrs: Vec<Multiaddr> =
        dialled.filter_map(|info| info.addr.with_p2p(info.id).ok()).collect();
    addrs.sort_by_key(Multiaddr::to_vec);
    addrs.dedup();
    addrs.truncate(REMEMBERED_MAX);
    addrs
}

fn text(addrs: &[Multiaddr]) -> String {
    let lines: Vec<String> = addrs.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Reads the file; lines that are no addresses are passed over.
fn read(path: &Path) -> Vec<Multiaddr> {
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(FILE_LEN_MAX).read_to_string(&mut text));
    if let Err(error) = read {
        debug!(%error, "no peers are remembered");
    }
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.filter_map(|line| line.parse().ok()).take(REMEMBERED_MAX).collect()
}

/// Replaces the file: whole or not at all, but not durably, since it may be lost.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::File::create(&beside)?.write_all(text.as_bytes())?;
    std::fs::rename(beside, path)
}

/// The entries of `Bootstrap` as they stand in the file.
pub(crate) fn list(config: &Config) -> Result<Vec<String>, NodeError> {
    let value = match config.get(KEY) {
        Ok(value) => value,
        Err(ConfigError::NotFound { .. }) => Value::Null,
        Err(error) => return Err(error.into()),
    };
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// Adds entries and returns those that were not there; blocks on the disk.
pub(crate) fn add(config: &Config, entries: &[String]) -> Result<Vec<String>, NodeError> {
    for entry in entries {
        check(entry)?;
    }
    let mut all = list(config)?;
    let mut added = Vec::new();
    for entry in entries {
        if !all.contains(entry) {
            all.push(entry.clone());
            added.push(entry.clone());
        }
    }
    config.set(KEY, json!(all))?;
    Ok(added)
}

/// Removes entries, or all of them with `None`, and returns those that are gone; blocks.
pub(crate) fn remove(
    config: &Config,
    entries: Option<&[String]>,
) -> Result<Vec<String>, NodeError> {
    let (gone, kept): (Vec<_>, Vec<_>) = list(config)?
        .into_iter()
        .partition(|entry| entries.is_none_or(|entries| entries.contains(entry)));
    config.set(KEY, json!(kept))?;
    Ok(gone)
}

fn check(entry: &str) -> Result<(), NodeError> {
    let refused =
        |reason: String| NodeError::Multiaddr { key: KEY, addr: entry.to_owned(), reason };
    if entry == AUTO {
        return Ok(());
    }
    let addr: Multiaddr = entry.parse().map_err(|error| refused(format!("{error}")))?;
    let text = addr.to_string();
    let has_peer = text.rsplit_once('/').is_some_and(|(before, _)| before.ends_with("/p2p"));
    if has_peer { Ok(()) } else { Err(refused("it has no /p2p/PEER at its end".to_owned())) }
}

#[cfg(test)]
mod tests;
