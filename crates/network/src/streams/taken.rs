//! Protocols that come and go while the node runs, and the streams that peers open of them.
//!
//! Invariants: at most [`TAKEN_MAX`] protocols; a name belongs to one taker at a time, and none of
//! the node's own can be taken; a protocol is offered for as long as its taker lives.
//! Not here: what is said on the streams.

use super::{Accepted, Inbound, Offered};
use crate::{NetworkError, PeerId};
use libp2p::{Stream, StreamProtocol};
use std::sync::{Arc, PoisonError, atomic::AtomicBool};
use tokio::sync::mpsc;
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _};

/// Protocols that can be taken at a time.
pub const TAKEN_MAX: usize = 256;

/// Longest name of a protocol that can be taken, in bytes; multistream-select allows more.
pub const PROTOCOL_LEN_MAX: usize = 255;

/// A stream to or from a peer, encrypted, in order; shutting it down ends one direction.
pub type PeerStream = Compat<Stream>;

pub(crate) fn readable(stream: Stream) -> PeerStream {
    stream.compat()
}

/// The streams that peers open of one protocol; dropping it ends the offer.
#[derive(Debug)]
pub struct IncomingStreams {
    protocol: StreamProtocol,
    offered: Offered,
    streams: mpsc::Receiver<Inbound>,
}

impl IncomingStreams {
    /// Begins to offer `name`.
    pub(crate) fn begin(name: &str, offered: Offered) -> Result<Self, NetworkError> {
        let refused = |reason| NetworkError::Protocol { name: name.to_owned(), reason };
        if name.len() > PROTOCOL_LEN_MAX {
            return Err(refused("its name is too long"));
        }
        if name.contains(|letter: char| letter.is_control() || letter.is_whitespace()) {
            return Err(refused("its name has spaces or control characters in it"));
        }
        let protocol = StreamProtocol::try_from_owned(name.to_owned())
            .map_err(|_| refused("its name does not begin with a slash"))?;
        let (accepted, streams) = Accepted::new(protocol.clone(), Arc::new(AtomicBool::new(true)));
        let mut all = offered.write();
        if all.iter().any(|other| other.protocol == protocol) {
            return Err(refused("somebody listens for it already"));
        }
        if all.len() >= TAKEN_MAX {
            return Err(refused("too many are listened for"));
        }
        all.push(accepted);
        drop(all);
        Ok(Self { protocol, offered, streams })
    }

    /// Waits for a peer to open a stream; `None` when the network has stopped.
    ///
    /// Safe to cancel. Streams that come while `INBOUND_QUEUE_LEN` wait are reset.
    pub async fn next(&mut self) -> Option<(PeerId, PeerStream)> {
        let Inbound { peer, stream, .. } = self.streams.recv().await?;
        Some((peer, readable(stream)))
    }
}

impl Drop for IncomingStreams {
    fn drop(&mut self) {
        self.offered.write().retain(|other| other.protocol != self.protocol);
    }
}

impl Offered {
    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Vec<Accepted>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
