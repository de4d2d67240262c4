//! How many connections and streams there may be, and are.
//!
//! Not here: counting and refusing streams (`swarm/transport/permit.rs`), refusing connections,
//! which is the library's.

use crate::{ConnectionLimits, PeerId};
use std::collections::HashMap;

/// Peers that may have limits of their own.
pub const PEER_LIMITS_MAX: usize = 1024;

/// Most streams of one scope; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamLimit {
    /// Both ways together.
    pub all: Option<u32>,
    /// Opened by others.
    pub inbound: Option<u32>,
    /// Opened here.
    pub outbound: Option<u32>,
}

/// How many streams there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamLimits {
    /// With everybody.
    pub system: StreamLimit,
    /// With one peer.
    pub peer: StreamLimit,
    /// With peers that have limits of their own; at most [`PEER_LIMITS_MAX`].
    pub peers: HashMap<PeerId, StreamLimit>,
}

impl StreamLimits {
    /// No limits but those that each protocol has.
    #[must_use]
    pub fn none() -> Self {
        let none = StreamLimit::default();
        Self { system: none, peer: none, peers: HashMap::new() }
    }

    /// What holds for one peer.
    #[must_use]
    pub fn of(&self, peer: &PeerId) -> StreamLimit {
        self.peers.get(peer).copied().unwrap_or(self.peer)
    }
}

impl Default for StreamLimits {
    /// Others open at most 8192 streams, 1024 each.
    fn default() -> Self {
        let inbound = |limit| StreamLimit { inbound: Some(limit), ..StreamLimit::default() };
        Self { system: inbound(8192), peer: inbound(1024), peers: HashMap::new() }
    }
}

/// What is open now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Connections opened by others.
    pub conns_inbound: usize,
    /// Connections opened here.
    pub conns_outbound: usize,
    /// Of all of them, those that take a file of the system's: QUIC's share one.
    pub files: usize,
    /// Streams opened by others.
    pub streams_inbound: usize,
    /// Streams opened here.
    pub streams_outbound: usize,
}

/// What is open, and may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceReport {
    /// Limits on connections.
    pub conns: ConnectionLimits,
    /// Limits on streams.
    pub streams: StreamLimits,
    /// Memory of the process above which no connection is made, in bytes.
    pub memory_max: Option<u64>,
    /// With everybody.
    pub system: Usage,
    /// Handshakes under way.
    pub transient: Usage,
    /// With each peer that is connected.
    pub peers: Vec<(PeerId, Usage)>,
}
