//! The connections that can carry messages, and how much each has still to write.
//!
//! Invariant: never more than [`PEER_UNSENT_MAX`] data messages and as many notes are handed to a
//! connection, which has room for both; so handing over never waits.

use super::Link;
use crate::{
    PeerId,
    bitswap::{
        limits::{MESSAGE_LEN_TARGET, PEER_UNSENT_LEN_MAX, PEER_UNSENT_MAX},
        protocol::Version,
        wire::Outgoing,
    },
};
use libp2p::swarm::ConnectionId;
use std::collections::HashMap;
use tokio::sync::mpsc;

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    messages: mpsc::Sender<Outgoing>,
    version: Option<Version>,
    unsent: usize,
    unsent_len: usize,
}

/// All connections by peer; a peer's first one that speaks Bitswap is used.
#[derive(Debug)]
pub(super) struct Connections {
    peers: HashMap<PeerId, Vec<Connection>>,
    /// What all of them have still to write, and may have at most.
    unsent_len: usize,
    unsent_len_max: usize,
}

impl Connections {
    pub(super) fn new(unsent_len_max: usize) -> Self {
        Self { peers: HashMap::new(), unsent_len: 0, unsent_len_max }
    }

    pub(super) fn open(&mut self, link: Link, messages: mpsc::Sender<Outgoing>) {
        let connection =
            Connection { id: link.connection, messages, version: None, unsent: 0, unsent_len: 0 };
        self.peers.entry(link.peer).or_default().push(connection);
    }

    /// Notes that a connection speaks Bitswap; true if the peer had none that does.
    pub(super) fn set_ready(&mut self, link: Link, version: Version) -> bool {
        let was_ready = self.version(&link.peer).is_some();
        match self.connection(link) {
            Some(connection) => connection.version = Some(version),
            None => return false,
        }
        !was_ready
    }

    pub(super) fn set_sent(&mut self, link: Link, len: usize) {
        if let Some(connection) = self.connection(link) {
            connection.unsent = connection.unsent.saturating_sub(1);
            connection.unsent_len = connection.unsent_len.saturating_sub(len);
            self.unsent_len = self.unsent_len.saturating_sub(len);
        }
    }

    /// Forgets a connection; true if it was the one in use, or the peer's last.
    pub(super) fn close(&mut self, link: Link) -> bool {
        let in_use = self.in_use(&link.peer).is_none_or(|used| used.id == link.connection);
        if let Some(connections) = self.peers.get_mut(&link.peer) {
            for closed in connections.extract_if(.., |one| one.id == link.connection) {
                self.unsent_len = self.unsent_len.saturating_sub(closed.unsent_len);
            }
            if connections.is_empty() {
                self.peers.remove(&link.peer);
                return true;
            }
        }
        in_use
    }

    /// Whether there is any connection to the peer.
    pub(super) fn has(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    /// What the peer speaks, if anything.
    pub(super) fn version(&self, peer: &PeerId) -> Option<Version> {
        self.in_use(peer).and_then(|connection| connection.version)
    }

    /// The peers that speak Bitswap.
    pub(super) fn ready(&self) -> Vec<PeerId> {
        self.peers.keys().filter(|peer| self.in_use(peer).is_some()).copied().collect()
    }

    /// Whether a message with blocks may be handed over. When half of what all may have is
    /// taken, the rest is for those who have none.
    pub(super) fn has_room(&self, peer: &PeerId) -> bool {
        let len = self.unsent_len + MESSAGE_LEN_TARGET;
        self.in_use(peer).is_some_and(|used| {
            used.unsent < PEER_UNSENT_MAX
                && used.unsent_len + MESSAGE_LEN_TARGET <= PEER_UNSENT_LEN_MAX
                && len <= self.unsent_len_max
                && (used.unsent == 0 || len <= self.unsent_len_max / 2)
        })
    }

    /// Whether a message of wants may be handed over.
    pub(super) fn has_room_for_notes(&self, peer: &PeerId) -> bool {
        self.in_use(peer).is_some_and(|used| used.unsent < PEER_UNSENT_MAX)
    }

    /// Hands a message over; false if it could not be, and is lost.
    pub(super) fn send(&mut self, peer: &PeerId, message: Outgoing) -> bool {
        if message.is_empty() {
            return false;
        }
        let connections = self.peers.get_mut(peer).into_iter().flatten();
        let Some(connection) = connections.into_iter().find(|one| one.version.is_some()) else {
            return false;
        };
        let len = message.len();
        let sent = connection.messages.try_send(message).is_ok();
        if sent {
            connection.unsent += 1;
            connection.unsent_len += len;
            self.unsent_len += len;
        }
        sent
    }

    fn in_use(&self, peer: &PeerId) -> Option<&Connection> {
        self.peers.get(peer)?.iter().find(|connection| connection.version.is_some())
    }

    fn connection(&mut self, link: Link) -> Option<&mut Connection> {
        let connections = self.peers.get_mut(&link.peer)?;
        connections.iter_mut().find(|connection| connection.id == link.connection)
    }
}
