//! One connection: bytes both ways until both ends have finished, or one breaks.
//!
//! Invariants: memory is [`COPY_LEN`] each way; the peer's connection is not closed for being one
//! too many while it carries something.
//! Not here: who may connect to what (`tunnels.rs`).

use super::{CarriedStream, Place, STREAMS_MAX, Shared};
use cairn_network::{Multiaddr, PeerId, PeerStream};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncWriteExt as _, copy_bidirectional_with_sizes},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Bytes that wait each way.
const COPY_LEN: usize = 64 * 1024;

/// Longest time until there is a stream, or a connection to the service. Source: Kubo's.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(30);

impl Shared {
    /// From a peer to a service of this side.
    pub(super) async fn carry_in(
        self: Arc<Self>,
        protocol: String,
        (peer, stream): (PeerId, PeerStream),
        (target, tells_peer): (Place, bool),
    ) {
        let begun = timeout(BEGIN_TIMEOUT, async {
            let mut local = TcpStream::connect(target.target()).await?;
            if tells_peer {
                local.write_all(format!("{peer}\n").as_bytes()).await?;
            }
            Ok::<_, io::Error>(local)
        });
        let local = match begun.await {
            Ok(Ok(local)) => local,
            Ok(Err(error)) => return warn!(%target, %error, "the service was not reached"),
            Err(_) => return warn!(%target, "the service was not reached in time"),
        };
        let (origin, target) = (format!("/p2p/{peer}"), target.to_string());
        self.carry(CarriedStream { id: 0, protocol, origin, target }, peer, (local, stream)).await;
    }

    /// From a client of this side to a peer.
    pub(super) async fn carry_out(
        self: Arc<Self>,
        protocol: String,
        (local, from): (TcpStream, SocketAddr),
        (peer, addrs): (PeerId, Vec<Multiaddr>),
    ) {
        let opening = self.network.open_stream((peer, addrs), &protocol);
        let stream = match timeout(BEGIN_TIMEOUT, opening).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return warn!(%error, "a connection was not carried"),
            Err(_) => return warn!(%peer, "a connection was not carried: no stream in time"),
        };
        let (origin, target) = (Place::of(from).to_string(), format!("/p2p/{peer}"));
        self.carry(CarriedStream { id: 0, protocol, origin, target }, peer, (local, stream)).await;
    }

    async fn carry(
        &self,
        stream: CarriedStream,
        peer: PeerId,
        (mut local, mut remote): (TcpStream, PeerStream),
    ) {
        let Some((id, stop)) = self.enter(stream) else {
            return warn!("a connection was not carried: there are {STREAMS_MAX} already");
        };
        let _protection = self.network.protect(peer);
        local.set_nodelay(true).unwrap_or(());
        let copied = copy_bidirectional_with_sizes(&mut local, &mut remote, COPY_LEN, COPY_LEN);
        tokio::select! {
            ended = copied => debug!(id, ?ended, "a carried connection ended"),
            () = stop.cancelled() => debug!(id, "a carried connection was closed"),
        }
        self.state().streams.remove(&id);
    }

    /// Gives the connection a number and a place in the list.
    fn enter(&self, mut stream: CarriedStream) -> Option<(u64, CancellationToken)> {
        let mut state = self.state();
        if state.streams.len() >= STREAMS_MAX {
            return None;
        }
        let (id, stop) = (state.next_id, CancellationToken::new());
        state.next_id += 1;
        stream.id = id;
        state.streams.insert(id, (stream, stop.clone()));
        Some((id, stop))
    }
}
