//! Closes connections when there are too many.
//!
//! Above the high mark the least useful go, down to the low mark: first those without traffic of
//! late, those that others opened before those opened here, the oldest first. New ones have a
//! grace period, so that they can show what they are for.
//!
//! Invariants: a protected peer and a relay in use stay whatever the marks say; a peer with a
//! reservation here, and one that somebody has connected
//! to by name goes last.
//! Not here: the fixed limits on connections (`build.rs`).
//!
//! Source: `Swarm.ConnMgr` of Kubo's `docs/config.md`.

use super::SwarmTask;
use crate::{Direction, PeerId};
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};
use tracing::debug;

/// Bytes a second, either way, from which a connection counts as used.
const USED_RATE: f64 = 64.0;

/// When connections are closed, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrimSettings {
    /// How many are left.
    pub low: usize,
    /// More than so many are too many.
    pub high: usize,
    /// How long a connection is left alone at first.
    pub grace: Duration,
    /// How often they are counted.
    pub period: Duration,
}

/// What decides about a peer; what sorts first goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    is_named: bool,
    is_used: bool,
    is_ours: bool,
    /// Later is worth more.
    since: Instant,
}

/// Whom to part from so that `low` connections are left.
fn chosen(peers: HashMap<PeerId, (Worth, usize)>, excess: usize) -> Vec<PeerId> {
    let mut peers: Vec<_> = peers.into_iter().collect();
    peers.sort_by_key(|(_, (worth, _))| *worth);
    let mut closed = 0;
    let chosen = peers.into_iter().take_while(|(_, (_, count))| {
        let goes = closed < excess;
        closed += count;
        goes
    });
    chosen.map(|(peer, _)| peer).collect()
}

impl SwarmTask {
    /// Closes connections if there are too many.
    pub(super) fn trim(&mut self, settings: TrimSettings, now: Instant) {
        if self.connections.len() <= settings.high {
            return;
        }
        let excess = self.connections.len().saturating_sub(settings.low);
        for peer in chosen(self.worths(settings.grace, now), excess) {
            let had_gone = self.swarm.disconnect_peer_id(peer).is_err();
            debug!(%peer, had_gone, "closed its connections, there are too many");
        }
    }

    /// The peers that may go, with their connections counted.
    fn worths(&self, grace: Duration, now: Instant) -> HashMap<PeerId, (Worth, usize)> {
        let mut worths: HashMap<PeerId, (Worth, usize)> = HashMap::new();
        let mut new: HashSet<PeerId> = HashSet::new();
        for info in self.connections.values() {
            if now.saturating_duration_since(info.opened) < grace {
                new.insert(info.id);
            }
            let rates = self.meter.told(Some(info.id));
            let worth = Worth {
                is_named: self.kept.contains(&info.id) || self.outlook.clients.contains(&info.id),
                is_used: rates.rate_in + rates.rate_out >= USED_RATE,
                is_ours: info.direction == Direction::Outbound,
                since: info.opened,
            };
            let known = worths.entry(info.id).or_insert((worth, 0));
            known.0 = known.0.max(worth);
            known.1 += 1;
        }
        worths.retain(|peer, _| {
            let is_needed = self.protected.contains(peer) || self.is_relay_in_use(peer);
            !new.contains(peer) && !is_needed
        });
        worths
    }
}

#[cfg(test)]
mod tests {
    use super::{Worth, chosen};
    use crate::generate_ed25519;
    use cairn_runtime::Clock;
    use std::time::Duration;

    #[test]
    fn the_least_useful_go_first() {
        let start = Clock::system().monotonic();
        let worth = |is_named, is_used, is_ours, age: u64| Worth {
            is_named,
            is_used,
            is_ours,
            since: start + Duration::from_secs(100 - age),
        };
        let rows = [
            worth(false, false, false, 9),
            worth(false, false, false, 3),
            worth(false, false, true, 9),
            worth(false, true, false, 9),
            worth(true, false, false, 9),
        ];
        let peers = rows.map(|worth| (generate_ed25519().public().to_peer_id(), (worth, 2)));
        for excess in 0..=10_usize {
            let expected: Vec<_> =
                peers.iter().take(excess.div_ceil(2)).map(|(peer, _)| *peer).collect();
            assert_eq!(chosen(peers.into_iter().collect(), excess), expected, "{excess}");
        }
    }
}
