//! What routing tells: the steps of a search, the state of the tables, and what went wrong.
//!
//! Not here: how it is shown (`services/rpc`).

use crate::{PeerId, dht::scope::Contact};
use std::time::Duration;
use thiserror::Error;

/// One step of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryEvent {
    /// A peer is being asked.
    Asking {
        /// Which one.
        peer: PeerId,
    },
    /// It answered.
    Answered {
        /// Which one.
        peer: PeerId,
        /// Whom it named.
        closer: Vec<Contact>,
    },
    /// It did not.
    Failed {
        /// Which one.
        peer: PeerId,
        /// Why.
        reason: String,
    },
    /// Somebody has what is searched for.
    Provider {
        /// Who, and where.
        provider: Contact,
    },
    /// A peer took what was to be stored.
    Stored {
        /// Which one.
        peer: PeerId,
    },
    /// One of the nearest, at the end.
    Final {
        /// Which one.
        peer: PeerId,
    },
}

/// One DHT's routing table, and how much it keeps for others.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DhtStat {
    /// `wan` or `lan`.
    pub name: &'static str,
    /// Whether other nodes are answered.
    pub is_server: bool,
    /// The peers, by how many leading bits they share with this node.
    pub buckets: Vec<DhtBucket>,
    /// Announcements of others.
    pub provider_records: u64,
    /// Values of others.
    pub values: u64,
}

/// The peers that share so many bits with this node.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DhtBucket {
    /// How many.
    pub shared_bits: u32,
    /// The peers.
    pub peers: Vec<DhtPeer>,
}

/// One peer of a routing table.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DhtPeer {
    /// Who it is.
    pub peer: PeerId,
    /// How long it has been there.
    pub since: Duration,
    /// How long ago it was heard of.
    pub seen: Duration,
    /// How long ago it answered, if ever.
    pub useful: Option<Duration>,
}

/// Why routing gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RoutingError {
    /// Nobody may be asked.
    #[error("routing is off, or has no such way: see config key Routing.Type")]
    Off,
    /// No peer is known that could be asked.
    #[error("no peers in the routing table: connect to some, or name them in Bootstrap")]
    NoPeers,
    /// Everybody was asked.
    #[error("routing: not found")]
    NotFound,
    /// Nobody took it.
    #[error("no peer took it")]
    NotStored,
    /// No address of this node can be told in this network.
    #[error("this node has no address that others could reach it at")]
    NoAddress,
    /// The value may not stand under its key.
    #[error("invalid value: {reason}")]
    Value {
        /// Why not.
        reason: String,
    },
    /// The network has been shut down.
    #[error("the network has been shut down")]
    Stopped,
}

impl RoutingError {
    /// Of two failures the one that tells more.
    pub(super) fn or(self, other: Self) -> Self {
        let rank = |error: &Self| match error {
            Self::Off => 0,
            Self::Stopped => 1,
            Self::NoAddress => 2,
            Self::NoPeers => 3,
            Self::NotStored => 4,
            Self::NotFound => 5,
            Self::Value { .. } => 6,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }
}
