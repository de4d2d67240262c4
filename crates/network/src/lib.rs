//! The swarm, Bitswap and the DHT: how blocks and who has them are told between nodes.
//!
//! [`Network::start`] opens the listeners and hands back a handle; [`Network::session`] fetches
//! blocks by CID from whoever has them, verified; the blocks of the [`cairn_block::BlockStore`]
//! given at the start are served to whoever asks. [`Network::routing`] finds who has what.
//!
//! Spec: <https://specs.ipfs.tech/bitswap-protocol/> and the libp2p specs, pinned in
//! `spec/PINS.toml`.
//! Invariants: nothing hashes or reads the disk inside the swarm's poll; every queue, list and
//! length that a peer can influence has a named limit; what a peer sends is only ever kept after
//! its hash was computed and found among the wants.
//! Not here: where fetched blocks are kept (`cairn-store`, brought together in `cairn-node`).

#[cfg(test)]
mod advisories;
mod autonat;
mod bitswap;
mod config;
mod dht;
mod error;
#[cfg(feature = "fuzz")]
mod fuzz;
mod identity;
mod info;
mod network;
mod ping;
#[cfg(test)]
mod pipe;
mod provide;
mod pubsub;
mod reachability;
mod resources;
mod retrieval;
mod routing;
mod session;
mod streams;
mod swarm;
mod swarm_key;

pub use bitswap::limits;
pub use cairn_web::Trust;
pub use config::{ConnectionLimits, NetworkConfig};
pub use dht::{DhtConfig, DhtMode, scope::Contact, sweep::Swept};
pub use error::NetworkError;
#[cfg(feature = "fuzz")]
pub use fuzz::TARGETS as FUZZ_TARGETS;
pub use identity::{Keypair, PeerId, PublicKey, decode_private_key, generate_ed25519};
pub use info::{BitswapStat, Direction, LedgerInfo, PeerInfo};
pub use libp2p::{Multiaddr, multiaddr::Protocol};
pub use network::{IDENTIFY_PATIENCE, Network};
pub use ping::{PING_TIMEOUT, Pinger};
pub use provide::{KEYS_MAX as PROVIDE_KEYS_MAX, PARTS as PROVIDE_PARTS, ProvideKeys};
pub use pubsub::{
    MESSAGE_LEN_MAX, Pubsub, PubsubConfig, PubsubError, PubsubMessage, Subscription,
    TOPIC_COUNT_MAX, TOPIC_LEN_MAX,
};
pub use reachability::{
    AutonatConfig, Reachability, ReachabilityConfig, ReachabilityReport, RelayClientConfig,
    RelayServiceConfig,
};
pub use resources::{PEER_LIMITS_MAX, ResourceReport, StreamLimit, StreamLimits, Usage};
pub use retrieval::{GATEWAYS_MAX, WebConfig, WebServer, is_web};
pub use routing::{
    DhtBucket, DhtPeer, DhtStat, Endpoint, QueryEvent, QueryEvents, ROUTERS_MAX, RoutersConfig,
    Routing, RoutingError,
};
pub use session::{Arrival, Session};
pub use streams::{IncomingStreams, PROTOCOL_LEN_MAX, PeerStream, TAKEN_MAX};
pub use swarm::{Bandwidth, BandwidthLimits, Filters, Protection, Range, TrimSettings};
pub use swarm_key::{SWARM_KEY_FILE_LEN_MAX, SwarmKey};
