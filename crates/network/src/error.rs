//! What can go wrong with the network as a whole.
//!
//! Not here: why one block could not be had (`cairn_block::BlockError`).

use crate::{Multiaddr, PeerId};
use thiserror::Error;

/// Why the network did not start, or did not do as it was told.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// None of the addresses could be listened on; this is the first of them.
    #[error("could not listen on {addr}: {reason}")]
    Listen {
        /// The address.
        addr: Multiaddr,
        /// What the transport said, such as "address already in use".
        reason: String,
    },
    /// A transport could not be set up.
    #[error("could not set up the {transport} transport: {reason}")]
    Transport {
        /// Which one.
        transport: &'static str,
        /// What it said.
        reason: String,
    },
    /// The peer could not be reached.
    #[error("failed to dial {target}: {reason}")]
    Dial {
        /// The address or peer asked for.
        target: String,
        /// What each attempt ended with.
        reason: String,
    },
    /// There is no connection to this peer.
    #[error("not connected to {peer}")]
    NotConnected {
        /// The peer asked for.
        peer: PeerId,
    },
    /// The peer sent no echo.
    #[error("no ping of {peer}: {reason}")]
    Ping {
        /// The peer asked.
        peer: PeerId,
        /// What came instead.
        reason: String,
    },
    /// Streams of a protocol cannot be taken.
    #[error("cannot listen for protocol {name:?}: {reason}")]
    Protocol {
        /// Its name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// The peer opened no stream.
    #[error("no stream of {wanted}: {reason}")]
    Stream {
        /// The protocol and the peer.
        wanted: String,
        /// What was in the way.
        reason: String,
    },
    /// The bytes are not a private key in libp2p's protobuf form.
    #[error("private key cannot be read: {reason}")]
    Key {
        /// What is wrong with it; never contains the key.
        reason: String,
    },
    /// The network has been shut down.
    #[error("the network has been shut down")]
    Stopped,
}
