//! How this node is reached from outside: what the operator may say, and what is known.
//!
//! Not here: finding out (`autonat.rs`), what follows (`swarm/reachability.rs`, `swarm/relay.rs`).

use crate::Multiaddr;
use std::time::Duration;

/// Everything about being reached from outside. Unless told, nothing of it is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReachabilityConfig {
    /// Whether to ask the router for a port (`UPnP`).
    pub port_mapping: bool,
    /// Asking others, and answering them, whether addresses can be reached.
    pub autonat: AutonatConfig,
    /// What is believed instead of finding out.
    pub forced: Option<Reachability>,
    /// Whether circuits over relays can be dialled and listened on; `None` for not.
    pub relay_client: Option<RelayClientConfig>,
    /// Whether this node relays for others, once it can be reached; `None` for never.
    pub relay_service: Option<RelayServiceConfig>,
    /// Whether to turn relayed connections into direct ones.
    pub hole_punching: bool,
}

/// Which sides of AutoNAT run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each turns one side on, alone")]
pub struct AutonatConfig {
    /// Ask others (version 2).
    pub client: bool,
    /// Answer others (version 2).
    pub server: bool,
    /// Answer others in version 1; ask in it, too, unless `client` is set.
    pub v1: bool,
    /// Whether addresses that are not public are asked about and dialled, for tests on one
    /// machine: in public it would let strangers reach into this network.
    pub private_addrs: bool,
    /// Dials for others in one interval.
    pub global_limit: u32,
    /// Of which for one peer.
    pub peer_limit: u32,
    /// The interval.
    pub interval: Duration,
}

impl Default for AutonatConfig {
    fn default() -> Self {
        Self {
            client: false,
            server: false,
            v1: false,
            private_addrs: false,
            global_limit: 30,
            peer_limit: 3,
            interval: Duration::from_mins(1),
        }
    }
}

/// Which relays are listened on, where this node cannot be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RelayClientConfig {
    /// These, always; those found among the connected peers if empty.
    pub static_relays: Vec<Multiaddr>,
    /// Whether to listen on relays at all; dialling over them is always possible.
    pub listens: bool,
}

/// What this node does for those that cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayServiceConfig {
    /// Longest circuit.
    pub duration_max: Duration,
    /// Most bytes through one circuit, both ways together.
    pub len_max: u64,
    /// How long a reservation lasts.
    pub reservation_ttl: Duration,
    /// Reservations in all.
    pub reservations_max: usize,
    /// Reservations of peers with the same IP address.
    pub reservations_per_ip_max: usize,
    /// Circuits of one peer.
    pub circuits_per_peer_max: usize,
}

impl Default for RelayServiceConfig {
    fn default() -> Self {
        Self {
            duration_max: Duration::from_mins(2),
            len_max: 128 * 1024,
            reservation_ttl: Duration::from_hours(1),
            reservations_max: 128,
            reservations_per_ip_max: 8,
            circuits_per_peer_max: 16,
        }
    }
}

/// Whether others can reach this node, or one of its addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reachability {
    /// Nobody has told yet.
    #[default]
    Unknown,
    /// They can.
    Public,
    /// They cannot.
    Private,
}

/// What is known of the addresses of this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReachabilityReport {
    /// Of the node.
    pub node: Reachability,
    /// Of every address that was asked about or will be, in no order.
    pub addrs: Vec<(Multiaddr, Reachability)>,
}
