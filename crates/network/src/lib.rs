//! The swarm and Bitswap: how blocks come from and go to other nodes.
//!
//! [`Network::start`] opens the listeners and hands back a handle; [`Network::session`] fetches
//! blocks by CID from whoever has them, verified; the blocks of the [`cairn_block::BlockStore`]
//! given at the start are served to whoever asks.
//!
//! Spec: <https://specs.ipfs.tech/bitswap-protocol/> and the libp2p specs, pinned in
//! `spec/PINS.toml`.
//! Invariants: nothing hashes or reads the disk inside the swarm's poll; every queue, list and
//! length that a peer can influence has a named limit; what a peer sends is only ever kept after
//! its hash was computed and found among the wants.
//! Not here: where fetched blocks are kept (`cairn-store`, brought together in `cairn-node`).

mod bitswap;
mod config;
mod error;
mod identity;
mod info;
mod network;
mod session;
mod swarm;

#[cfg(feature = "fuzz")]
pub use bitswap::fuzz::TARGETS as FUZZ_TARGETS;
pub use bitswap::limits;
pub use config::{ConnectionLimits, NetworkConfig};
pub use error::NetworkError;
pub use identity::{Keypair, PeerId, PublicKey, decode_private_key, generate_ed25519};
pub use info::{BitswapStat, Direction, LedgerInfo, PeerInfo};
pub use libp2p::Multiaddr;
pub use network::Network;
pub use session::{Arrival, Session};
