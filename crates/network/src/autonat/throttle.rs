//! How often this node dials for others.
//!
//! Source of the limits: `AutoNAT.Throttle` of Kubo's `docs/config.md`.
//! Invariant: no more peers are counted than there are dials in an interval.
//! Not here: how many answers are under way at once (`server.rs`).

use crate::{AutonatConfig, PeerId};
use cairn_runtime::Clock;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Counts dials, interval by interval.
#[derive(Debug)]
pub(super) struct Throttle {
    settings: AutonatConfig,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    began: Instant,
    in_all: u32,
    by_peer: HashMap<PeerId, u32>,
}

impl Throttle {
    pub(super) fn new(settings: AutonatConfig, clock: Clock) -> Self {
        let state = State { began: clock.monotonic(), in_all: 0, by_peer: HashMap::new() };
        Self { settings, clock, state: Mutex::new(state) }
    }

    /// Counts a dial for `peer`; false if there were too many of late.
    pub(super) fn admits(&self, peer: PeerId) -> bool {
        let now = self.clock.monotonic();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(state.began) >= self.settings.interval {
            *state = State { began: now, in_all: 0, by_peer: HashMap::new() };
        }
        let of_peer = state.by_peer.get(&peer).copied().unwrap_or_default();
        if state.in_all >= self.settings.global_limit || of_peer >= self.settings.peer_limit {
            return false;
        }
        state.in_all += 1;
        state.by_peer.insert(peer, of_peer + 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{AutonatConfig, Clock, PeerId, Throttle};
    use std::time::{Duration, SystemTime};

    #[test]
    fn dials_are_counted_in_all_and_by_peer() {
        let clock = Clock::manual(SystemTime::UNIX_EPOCH);
        let settings = AutonatConfig { global_limit: 5, peer_limit: 2, ..AutonatConfig::default() };
        let throttle = Throttle::new(settings, clock.clone());
        let admitted =
            |peers: &[PeerId]| peers.iter().map(|peer| throttle.admits(*peer)).collect::<Vec<_>>();
        let [a, b, c] = [(), (), ()].map(|()| PeerId::random());
        assert_eq!(
            admitted(&[a, a, a, b, b, b, c, c]),
            [true, true, false, true, true, false, true, false]
        );
        clock.advance(Duration::from_mins(1));
        assert_eq!(admitted(&[a, c]), [true, true]);
    }
}
