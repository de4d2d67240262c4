//! The addresses heard of, by peer, within limits.
//!
//! Invariant: at most [`KNOWN_PEERS_MAX`] peers with [`ADDRS_PER_PEER_MAX`] addresses each; the
//! peer longest unheard of goes first.

use crate::{Multiaddr, PeerId};
use std::collections::{HashMap, VecDeque};

/// Peers whose addresses are kept.
pub(crate) const KNOWN_PEERS_MAX: usize = 1024;

/// Addresses kept of one peer.
pub(crate) const ADDRS_PER_PEER_MAX: usize = 32;

/// Longest address kept, in bytes.
const ADDR_LEN_MAX: usize = 512;

/// Addresses by peer.
#[derive(Debug, Default)]
pub(crate) struct KnownAddrs {
    peers: HashMap<PeerId, VecDeque<Multiaddr>>,
    /// Oldest first; every peer of `peers` once.
    order: VecDeque<PeerId>,
}

impl KnownAddrs {
    /// Remembers that `peer` may be reached at `addr`.
    pub(crate) fn insert(&mut self, peer: PeerId, addr: Multiaddr) {
        if addr.len() > ADDR_LEN_MAX || addr.is_empty() {
            return;
        }
        if !self.peers.contains_key(&peer) {
            if self.peers.len() >= KNOWN_PEERS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.peers.remove(&oldest);
            }
            self.order.push_back(peer);
        }
        let addrs = self.peers.entry(peer).or_default();
        if addrs.contains(&addr) {
            return;
        }
        if addrs.len() >= ADDRS_PER_PEER_MAX {
            addrs.pop_front();
        }
        addrs.push_back(addr);
    }

    /// Where `peer` may be reached.
    pub(crate) fn of(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.peers.get(peer).into_iter().flatten().cloned().collect()
    }

    /// Everything known.
    pub(crate) fn all(&self) -> Vec<(PeerId, Vec<Multiaddr>)> {
        self.order.iter().map(|peer| (*peer, self.of(peer))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{ADDRS_PER_PEER_MAX, KNOWN_PEERS_MAX, KnownAddrs};
    use crate::{Multiaddr, PeerId};

    fn addr(port: usize) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
    }

    #[test]
    fn keeps_the_newest_within_both_limits() {
        let mut known = KnownAddrs::default();
        let first = PeerId::random();
        for port in 0..ADDRS_PER_PEER_MAX + 10 {
            known.insert(first, addr(port));
            known.insert(first, addr(port));
        }
        assert_eq!(known.of(&first).len(), ADDRS_PER_PEER_MAX);
        assert_eq!(known.of(&first)[0], addr(10), "the oldest went");
        for _ in 0..KNOWN_PEERS_MAX {
            known.insert(PeerId::random(), addr(1));
        }
        assert_eq!(known.all().len(), KNOWN_PEERS_MAX);
        assert!(known.of(&first).is_empty(), "the peer longest known went");
    }
}
