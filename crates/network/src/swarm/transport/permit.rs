//! Counts open streams, in all and by peer, and refuses those beyond the limits.
//!
//! What others open too much of is dropped, which resets it; what is opened here too much of
//! fails when it is used. Neither ends the connection: other streams on it may be worth keeping.
//!
//! Invariants: a stream that is open is counted, and no longer when it is dropped, however that
//! comes; peers are remembered while they have a connection.
//! Not here: how many bytes go through (`meter.rs`), connections (`build.rs`).

use crate::{
    PeerId,
    resources::{StreamLimit, StreamLimits},
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Who has opened a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Theirs,
    Ours,
}

/// The streams that are open.
#[derive(Debug, Default)]
struct Open {
    theirs: AtomicUsize,
    ours: AtomicUsize,
}

impl Open {
    fn count(&self, side: Side) -> &AtomicUsize {
        match side {
            Side::Theirs => &self.theirs,
            Side::Ours => &self.ours,
        }
    }

    /// Counts one more; false, and it is not counted, if that is too many.
    fn add(&self, side: Side, limit: StreamLimit) -> bool {
        let within =
            |count: usize, limit: Option<u32>| limit.is_none_or(|limit| count <= limit as usize);
        let count = self.count(side).fetch_add(1, Ordering::Relaxed) + 1;
        let of_side = if side == Side::Theirs { limit.inbound } else { limit.outbound };
        let (theirs, ours) = self.told();
        let admitted = within(count, of_side) && within(theirs + ours, limit.all);
        if !admitted {
            self.remove(side);
        }
        admitted
    }

    fn remove(&self, side: Side) {
        self.count(side).fetch_sub(1, Ordering::Relaxed);
    }

    fn told(&self) -> (usize, usize) {
        (self.theirs.load(Ordering::Relaxed), self.ours.load(Ordering::Relaxed))
    }
}

/// All of them; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Permits(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: StreamLimits,
    all: Open,
    peers: Mutex<HashMap<PeerId, Weak<Open>>>,
}

/// What one connection's streams ask.
#[derive(Debug, Clone)]
pub(super) struct PeerPermits {
    shared: Arc<Shared>,
    limit: StreamLimit,
    open: Arc<Open>,
}

/// A stream that is open.
#[derive(Debug)]
pub(super) struct Permit {
    of: PeerPermits,
    side: Side,
}

impl Permits {
    pub(crate) fn new(limits: StreamLimits) -> Self {
        Self(Arc::new(Shared { limits, all: Open::default(), peers: Mutex::default() }))
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<PeerId, Weak<Open>>> {
        self.0.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a connection with `peer`.
    pub(super) fn of(&self, peer: PeerId) -> PeerPermits {
        let mut peers = self.peers();
        let known = peers.get(&peer).and_then(Weak::upgrade);
        let open = known.unwrap_or_else(|| {
            peers.retain(|_, open| open.strong_count() > 0);
            let open = Arc::new(Open::default());
            peers.insert(peer, Arc::downgrade(&open));
            open
        });
        PeerPermits { shared: Arc::clone(&self.0), limit: self.0.limits.of(&peer), open }
    }

    /// Streams that others have opened, and that this node has, with all peers or with one.
    pub(crate) fn told(&self, peer: Option<&PeerId>) -> (usize, usize) {
        match peer {
            None => self.0.all.told(),
            Some(peer) => {
                let open = self.peers().get(peer).and_then(Weak::upgrade);
                open.map(|open| open.told()).unwrap_or_default()
            }
        }
    }

    pub(crate) fn limits(&self) -> &StreamLimits {
        &self.0.limits
    }
}

impl PeerPermits {
    /// Counts one more stream, unless there are too many.
    pub(super) fn take(&self, side: Side) -> Option<Permit> {
        if !self.open.add(side, self.limit) {
            return None;
        }
        if !self.shared.all.add(side, self.shared.limits.system) {
            self.open.remove(side);
            return None;
        }
        Some(Permit { of: self.clone(), side })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.of.open.remove(self.side);
        self.of.shared.all.remove(self.side);
    }
}

#[cfg(test)]
mod tests {
    use super::{PeerId, Permits, Side, StreamLimit, StreamLimits};
    use std::collections::HashMap;

    fn limit(all: u32, inbound: u32) -> StreamLimit {
        StreamLimit { all: Some(all), inbound: Some(inbound), outbound: None }
    }

    /// CVE-2022-23492 and CVE-2022-23486: a peer that opens streams without end.
    #[test]
    fn one_peer_opens_no_more_streams_than_it_may() {
        let favourite = PeerId::random();
        let limits = StreamLimits {
            system: limit(10, 8),
            peer: limit(5, 3),
            peers: HashMap::from([(favourite, limit(20, 20))]),
        };
        let permits = Permits::new(limits);
        let peer = PeerId::random();
        let (one, other) = (permits.of(peer), permits.of(peer));
        let mut held: Vec<_> = (0..100).filter_map(|_| one.take(Side::Theirs)).collect();
        assert_eq!(held.len(), 3);
        assert!(other.take(Side::Theirs).is_none(), "another connection of it changes nothing");
        held.extend((0..100).filter_map(|_| other.take(Side::Ours)));
        assert_eq!((held.len(), permits.told(Some(&peer))), (5, (3, 2)));
        let more = permits.of(favourite);
        held.extend((0..100).filter_map(|_| more.take(Side::Theirs)));
        assert_eq!((held.len(), permits.told(None)), (10, (8, 2)), "the limit of all");
        assert!(permits.of(PeerId::random()).take(Side::Ours).is_none());
        held.clear();
        assert_eq!(permits.told(None), (0, 0));
        assert!(one.take(Side::Theirs).is_some());
        drop((one, other, more));
        assert_eq!(permits.told(Some(&peer)), (0, 0));
    }

    #[test]
    fn peers_that_have_gone_are_forgotten() {
        let permits = Permits::new(StreamLimits::default());
        for _ in 0..1000 {
            assert!(permits.of(PeerId::random()).take(Side::Theirs).is_some());
        }
        assert!(permits.peers().len() <= 1);
    }
}
