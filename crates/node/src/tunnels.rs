//! TCP connections carried over streams between peers.
//!
//! One side listens for a protocol and connects each stream to a service of its own; the other
//! listens on a local port and opens a stream for each connection. Either end of either half may
//! stop sending first; what comes back is carried on.
//!
//! Source: `p2p` of Kubo's commands.
//! Invariants: at most [`TUNNELS_MAX`] tunnels and [`STREAMS_MAX`] streams of all of them; a
//! tunnel that is closed takes no more connections, those that it has go on.
//! Not here: negotiating protocols (`cairn-network`).

mod carry;
mod place;

use cairn_network::{IncomingStreams, Multiaddr, Network, NetworkError, PeerId};
use cairn_runtime::Tasks;
pub use place::Place;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use thiserror::Error;
use tokio::{net::TcpListener, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

/// Tunnels at a time.
pub const TUNNELS_MAX: usize = 256;

/// Connections that all tunnels carry at a time.
pub const STREAMS_MAX: usize = 1024;

/// The wait after an accept that failed, for want of descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why there is no tunnel.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TunnelError {
    /// The protocol will not do, or the peer cannot be reached.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// An address that is no place for TCP.
    #[error("cannot use {address}: {reason}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The local port cannot be listened on.
    #[error("could not listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There are [`TUNNELS_MAX`].
    #[error("there are {TUNNELS_MAX} tunnels already")]
    TooMany,
}

/// A tunnel, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelInfo {
    /// The protocol of its streams.
    pub protocol: String,
    /// Where connections come from: a local address, or this node as `/p2p/…`.
    pub listen: String,
    /// Where they go.
    pub target: String,
}

/// A connection that is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedStream {
    /// Its number, which no other one gets.
    pub id: u64,
    /// The protocol of the stream.
    pub protocol: String,
    /// Who connected: a local address, or a peer.
    pub origin: String,
    /// Where to.
    pub target: String,
}

/// A tunnel that was just made; dropping this leaves it open.
#[derive(Debug, Clone)]
pub struct Tunnel {
    /// What it carries from where to where.
    pub info: TunnelInfo,
    stop: CancellationToken,
}

impl Tunnel {
    /// Waits until somebody closes it.
    pub async fn closed(&self) {
        self.stop.cancelled().await;
    }

    /// Closes it when the answer is dropped.
    #[must_use]
    pub fn close_on_drop(&self) -> DropGuard {
        self.stop.clone().drop_guard()
    }
}

/// All tunnels; cheap to clone.
#[derive(Debug, Clone)]
pub struct Tunnels {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    network: Network,
    tasks: Tasks,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tunnels: Vec<Tunnel>,
    streams: BTreeMap<u64, (CarriedStream, CancellationToken)>,
    next_id: u64,
}

impl Tunnels {
    pub(crate) fn new(network: Network, tasks: Tasks) -> Self {
        Self { shared: Arc::new(Shared { network, tasks, state: Mutex::default() }) }
    }

    /// Takes the streams that peers open of `protocol` and connects each to `target`; if
    /// `tells_peer`, the peer's ID and a line's end go ahead of what it sends.
    ///
    /// # Errors
    ///
    /// [`TunnelError::Network`] if the protocol will not do or is taken, [`TunnelError::TooMany`].
    pub fn listen(
        &self,
        protocol: &str,
        target: Place,
        tells_peer: bool,
    ) -> Result<Tunnel, TunnelError> {
        let own = format!("/p2p/{}", self.shared.network.peer_id());
        let info =
            TunnelInfo { protocol: protocol.to_owned(), listen: own, target: target.to_string() };
        let streams = self.shared.network.take_streams(protocol)?;
        let tunnel = self.begin(info)?;
        let work = Arc::clone(&self.shared).serve(tunnel.clone(), streams, (target, tells_peer));
        self.shared.tasks.spawn("tunnel", work);
        Ok(tunnel)
    }

    /// Listens on `at` and carries each connection to `peer`, over a stream of `protocol`; without
    /// addresses, the peer is looked for.
    ///
    /// # Errors
    ///
    /// [`TunnelError::Listen`] naming the address, [`TunnelError::Address`] if it is a name,
    /// [`TunnelError::TooMany`].
    pub async fn forward(
        &self,
        protocol: &str,
        at: &Place,
        peer: (PeerId, Vec<Multiaddr>),
    ) -> Result<Tunnel, TunnelError> {
        let failed = |source| TunnelError::Listen { address: at.to_string(), source };
        let listener = TcpListener::bind(at.socket()?).await.map_err(failed)?;
        let info = TunnelInfo {
            protocol: protocol.to_owned(),
            listen: Place::of(listener.local_addr().map_err(failed)?).to_string(),
            target: format!("/p2p/{}", peer.0),
        };
        let tunnel = self.begin(info)?;
        let work = Arc::clone(&self.shared).accept(tunnel.clone(), listener, peer);
        self.shared.tasks.spawn("tunnel", work);
        Ok(tunnel)
    }

    /// The tunnels, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<TunnelInfo> {
        self.shared.state().tunnels.iter().map(|tunnel| tunnel.info.clone()).collect()
    }

    /// Closes the tunnels that `fits`, but not what they carry; answers how many.
    pub fn close(&self, fits: impl Fn(&TunnelInfo) -> bool) -> usize {
        let mut state = self.shared.state();
        let closed = state.tunnels.extract_if(.., |tunnel| fits(&tunnel.info));
        closed.map(|tunnel| tunnel.stop.cancel()).count()
    }

    /// The connections that are carried, the oldest first.
    #[must_use]
    pub fn streams(&self) -> Vec<CarriedStream> {
        self.shared.state().streams.values().map(|(stream, _)| stream.clone()).collect()
    }

    /// Breaks the connection with this number off, or all without one; answers how many.
    pub fn close_streams(&self, id: Option<u64>) -> usize {
        let state = self.shared.state();
        let fits = state.streams.iter().filter(|(number, _)| id.is_none_or(|id| id == **number));
        fits.map(|(_, (_, stop))| stop.cancel()).count()
    }

    fn begin(&self, info: TunnelInfo) -> Result<Tunnel, TunnelError> {
        let mut state = self.shared.state();
        if state.tunnels.len() >= TUNNELS_MAX {
            return Err(TunnelError::TooMany);
        }
        let tunnel = Tunnel { info, stop: CancellationToken::new() };
        state.tunnels.push(tunnel.clone());
        Ok(tunnel)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a tunnel from the list that ended in another way than by being closed.
    fn end(&self, tunnel: &Tunnel) {
        tunnel.stop.cancel();
        self.state().tunnels.retain(|other| !other.stop.is_cancelled());
    }

    async fn serve(
        self: Arc<Self>,
        tunnel: Tunnel,
        mut streams: IncomingStreams,
        (target, tells_peer): (Place, bool),
    ) {
        loop {
            let (peer, stream) = tokio::select! {
                next = streams.next() => match next {
                    Some(next) => next,
                    None => break,
                },
                () = tunnel.stop.cancelled() => break,
            };
            let carried = Arc::clone(&self).carry_in(
                tunnel.info.protocol.clone(),
                (peer, stream),
                (target.clone(), tells_peer),
            );
            self.tasks.spawn("tunnel stream", carried);
        }
        self.end(&tunnel);
    }

    async fn accept(
        self: Arc<Self>,
        tunnel: Tunnel,
        listener: TcpListener,
        peer: (PeerId, Vec<Multiaddr>),
    ) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = tunnel.stop.cancelled() => break,
            };
            match accepted {
                Ok((local, from)) => {
                    let protocol = tunnel.info.protocol.clone();
                    let carried =
                        Arc::clone(&self).carry_out(protocol, (local, from), peer.clone());
                    self.tasks.spawn("tunnel stream", carried);
                }
                Err(error) => {
                    debug!(%error, "could not accept a connection for a tunnel");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        self.end(&tunnel);
    }
}
