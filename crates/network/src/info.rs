//! What the network tells about itself: peers, counters, ledgers.
//!
//! Not here: how it is shown (`services/rpc`).

use crate::{Multiaddr, PeerId};
use cairn_block::Cid;
use libp2p::identity::PublicKey;
use std::time::{Duration, Instant};

/// Who opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The other side.
    Inbound,
    /// This node.
    Outbound,
}

/// One connection to a peer.
#[derive(Debug, Clone)]
pub struct PeerInfo {
    /// Who it is.
    pub id: PeerId,
    /// The other end's address, without `/p2p/…`.
    pub addr: Multiaddr,
    /// Who opened it.
    pub direction: Direction,
    /// When it was opened.
    pub opened: Instant,
    /// The last ping's round trip, once there was one.
    pub latency: Option<Duration>,
    /// The name and version the peer gave; empty until it has identified itself.
    pub agent: String,
    /// What the peer speaks; empty until it has identified itself.
    pub protocols: Vec<String>,
    /// Where the peer says it listens; empty until it has identified itself.
    pub listen_addrs: Vec<Multiaddr>,
    /// The peer's public key; `None` until it has identified itself.
    pub public_key: Option<PublicKey>,
}

/// Bitswap's counters since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BitswapStat {
    /// What is wanted now.
    pub wantlist: Vec<Cid>,
    /// Peers that speak Bitswap.
    pub peers: Vec<PeerId>,
    /// Blocks received, wanted or not.
    pub blocks_received: u64,
    /// Their bytes.
    pub data_received: u64,
    /// Blocks received after another peer had delivered them.
    pub dup_blocks_received: u64,
    /// Their bytes.
    pub dup_data_received: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Blocks sent.
    pub blocks_sent: u64,
    /// Their bytes.
    pub data_sent: u64,
    /// Blocks received that were never asked for; they were dropped.
    pub unasked_blocks_received: u64,
    /// Streams closed because a message was malformed or too long.
    pub malformed_messages_received: u64,
}

/// What was exchanged with one peer.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerInfo {
    /// The peer.
    pub peer: PeerId,
    /// Bytes sent over bytes received plus one: what the peer owes.
    pub value: f64,
    /// Bytes of blocks sent to the peer.
    pub sent: u64,
    /// Bytes of blocks received from the peer.
    pub received: u64,
    /// Messages that carried blocks, both ways.
    pub exchanged: u64,
}
