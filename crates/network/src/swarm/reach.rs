//! Connections that lookups need: made by what is known of a peer, and let go again.
//!
//! Invariants: a peer that is being dialled for a lookup is not dialled once more for another; a
//! connection that a person, a peering or a fetch has asked for is never released.
//! Not here: which connections stay when there are too many in all.

use super::{DIAL_WAITERS_MAX, DialWaiter, Reply, SwarmTask, describe};
use crate::{Direction, Multiaddr, NetworkError, PeerId};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use tracing::debug;

/// A peer to be connected to.
#[derive(Debug)]
pub(crate) struct Reach {
    pub(crate) peer: PeerId,
    /// Where; those known if empty.
    pub(crate) addrs: Vec<Multiaddr>,
    /// Whether the connection is for more than a lookup.
    pub(crate) is_kept: bool,
}

/// Whom the end of a dial is told.
pub(super) enum DialReply {
    /// Who asked for this peer or address by name.
    Named(Reply<Result<PeerId, NetworkError>>),
    /// A lookup or fetch, which wants to know whether the connection is new.
    Reached { reply: Reply<Result<bool, NetworkError>>, is_kept: bool },
}

impl DialWaiter {
    pub(super) fn fail(self, reason: String) {
        let error = NetworkError::Dial { target: self.target, reason };
        // Whoever asked may have gone.
        match self.reply {
            DialReply::Named(reply) => drop(reply.send(Err(error))),
            DialReply::Reached { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}

impl SwarmTask {
    /// There is a connection.
    pub(super) fn reached(&mut self, waiter: DialWaiter, peer: PeerId, is_new: bool) {
        match waiter.reply {
            DialReply::Named(reply) => {
                self.kept.insert(peer);
                drop(reply.send(Ok(peer)));
            }
            DialReply::Reached { reply, is_kept } => {
                if is_kept {
                    self.kept.insert(peer);
                }
                drop(reply.send(Ok(is_new)));
            }
        }
    }

    pub(super) fn reach(&mut self, reach: Reach, reply: Reply<Result<bool, NetworkError>>) {
        let Reach { peer, mut addrs, is_kept } = reach;
        if self.swarm.is_connected(&peer) {
            if is_kept {
                self.kept.insert(peer);
            }
            return drop(reply.send(Ok(false)));
        }
        let reply = DialReply::Reached { reply, is_kept };
        let waiter = DialWaiter { target: peer.to_string(), peer: Some(peer), reply };
        let waiting = self.dials.values_mut();
        let same =
            |waiters: &&mut Vec<DialWaiter>| waiters.iter().any(|waiter| waiter.peer == Some(peer));
        if let Some(waiters) = waiting.into_iter().find(same) {
            if waiters.len() >= DIAL_WAITERS_MAX {
                return waiter.fail("too many wait for this dial".to_owned());
            }
            return waiters.push(waiter);
        }
        if self.dials.len() >= DIAL_WAITERS_MAX {
            return waiter.fail("too many dials under way".to_owned());
        }
        if addrs.is_empty() {
            addrs = self.known.of(&peer);
        }
        let options = DialOpts::peer_id(peer).addresses(addrs).condition(PeerCondition::Always);
        let options = options.build();
        let id = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => drop(self.dials.insert(id, vec![waiter])),
            Err(error) => waiter.fail(describe(&error)),
        }
    }

    /// Closes the connections with a peer, if only lookups wanted them.
    pub(super) fn release(&mut self, peer: PeerId) {
        let mut of_peer = self.connections.values().filter(|info| info.id == peer);
        let is_ours = of_peer.all(|info| info.direction == Direction::Outbound);
        let is_needed = self.kept.contains(&peer) || self.is_relay_in_use(&peer);
        if is_ours && !is_needed && self.swarm.disconnect_peer_id(peer).is_ok() {
            debug!(%peer, "released");
        }
    }

    /// A peer has told what it speaks and where it listens.
    pub(super) fn tell_dhts(&self, peer: PeerId, protocols: &[String], listens: &[Multiaddr]) {
        let dialled = self
            .connections
            .values()
            .filter(|info| info.id == peer && info.direction == Direction::Outbound);
        // An address that worked is worth more than those told.
        let mut addrs: Vec<Multiaddr> = dialled.map(|info| info.addr.clone()).collect();
        addrs.extend(listens.iter().cloned());
        for dht in &self.dhts {
            dht.identified(peer, protocols, addrs.clone());
        }
    }
}
