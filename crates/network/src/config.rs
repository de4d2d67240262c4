//! What the network is told at its start.
//!
//! Not here: where the values come from (`cairn-node`'s config).

use crate::{
    BandwidthLimits, DhtConfig, Filters, Keypair, Multiaddr, PubsubConfig, ReachabilityConfig,
    RoutersConfig, StreamLimits, SwarmKey, TrimSettings, WebConfig,
};
use cairn_runtime::{Budget, Clock};
use std::time::Duration;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections in all.
    pub established_max: u32,
    /// Of which opened by others.
    pub incoming_max: u32,
    /// Of which opened here.
    pub outgoing_max: u32,
    /// With one peer.
    pub per_peer_max: u32,
    /// Handshakes under way, each direction.
    pub pending_max: u32,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            established_max: 256,
            incoming_max: 192,
            outgoing_max: 256,
            per_peer_max: 4,
            pending_max: 64,
        }
    }
}

/// Everything [`crate::Network::start`] needs besides a store.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// Who this node is.
    pub keypair: Keypair,
    /// Where to listen; port 0 lets the system choose.
    pub listen: Vec<Multiaddr>,
    /// Addresses to tell others besides those listened on.
    pub announce: Vec<Multiaddr>,
    /// Whether to look for peers in the local network and connect to them.
    pub mdns: bool,
    /// The name and version told to peers.
    pub agent: String,
    /// How many connections there may be.
    pub limits: ConnectionLimits,
    /// How many streams there may be.
    pub streams: StreamLimits,
    /// No connection is made while the process has more memory, in bytes.
    pub memory_max: Option<u64>,
    /// The memory for what is received, and for what waits to be sent.
    pub budget: Budget,
    /// Whether the store's blocks are served to peers.
    pub serve: bool,
    /// How long a connection that nothing uses is kept.
    pub idle_timeout: Duration,
    /// Which DHTs to take part in; none unless told.
    pub dht: DhtConfig,
    /// Which routers to ask over HTTP; none unless told.
    pub routers: RoutersConfig,
    /// Which web servers to fetch blocks from.
    pub web: WebConfig,
    /// How messages of topics are spread; `None` to take no part.
    pub pubsub: Option<PubsubConfig>,
    /// Addresses that are neither dialled nor answered.
    pub filters: Filters,
    /// The key of the private network that this node belongs to, if it belongs to one.
    pub swarm_key: Option<SwarmKey>,
    /// How much may go through all connections.
    pub bandwidth: BandwidthLimits,
    /// What is done to be reached from outside; nothing unless told.
    pub reachability: ReachabilityConfig,
    /// When connections are closed because there are too many; `None` for never.
    pub trim: Option<TrimSettings>,
    /// What time it is.
    pub clock: Clock,
}

impl NetworkConfig {
    /// The defaults for a node that listens nowhere yet.
    pub fn new(keypair: Keypair) -> Self {
        Self {
            keypair,
            listen: Vec::new(),
            announce: Vec::new(),
            mdns: false,
            agent: format!("cairn/{}", env!("CARGO_PKG_VERSION")),
            limits: ConnectionLimits::default(),
            streams: StreamLimits::default(),
            memory_max: None,
            budget: Budget::default(),
            serve: true,
            idle_timeout: Duration::from_hours(24),
            dht: DhtConfig::default(),
            routers: RoutersConfig::default(),
            web: WebConfig::default(),
            pubsub: None,
            filters: Filters::default(),
            swarm_key: None,
            bandwidth: BandwidthLimits::default(),
            reachability: ReachabilityConfig::default(),
            trim: None,
            clock: Clock::system(),
        }
    }
}
