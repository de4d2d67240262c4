//! The transports: TCP, WebSocket, QUIC and circuits over relays, each below the same filters,
//! counters and encryption.
//!
//! TCP and WebSocket take TLS or Noise, whichever the other side offers, with yamux, whose
//! windows tune themselves; QUIC brings its own of each. In a private network everything goes
//! through the shared key first, which QUIC cannot do and therefore is left out.
//!
//! Invariants: an address that is filtered is neither dialled nor answered, also when it comes
//! from a name; every byte of every stream is counted once, and waits for the limits (those of a
//! circuit as what goes through the stream to the relay).
//! Not here: what runs over the connections (`build.rs`).

mod filter;
mod meter;
mod permit;
mod secure;

pub use filter::{Filters, Range};
pub(crate) use meter::Meter;
pub use meter::{Bandwidth, BandwidthLimits};

use super::chain;
use crate::{NetworkConfig, NetworkError, PeerId};
use filter::Filtered;
use futures::{
    AsyncRead, AsyncWrite, FutureExt as _, TryFutureExt as _,
    future::{self, BoxFuture, Either},
};
use libp2p::{
    Transport,
    core::{
        muxing::{StreamMuxer, StreamMuxerBox},
        transport::{Boxed, timeout::TransportTimeout},
        upgrade::Version,
    },
    dns,
    pnet::{PnetConfig, PnetError, PnetOutput, PreSharedKey},
    quic, relay, tcp, websocket, yamux,
};
use secure::Secure;
use std::{error::Error, time::Duration};

/// Longest that a connection may take until it is encrypted and carries streams.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that is encrypted and carries many streams.
type Muxed = (PeerId, StreamMuxerBox);

/// Makes the transports that the config asks for.
pub(super) fn build(
    config: &NetworkConfig,
    meter: &Meter,
    circuits: Option<relay::client::Transport>,
) -> Result<Boxed<Muxed>, NetworkError> {
    let direct = direct(config, meter)?;
    let all = match circuits {
        None => direct,
        Some(circuits) => {
            let secure = Secure::new(&config.keypair)?;
            let key = config.swarm_key.as_ref().map(|key| PreSharedKey::new(*key.bytes()));
            let circuits = stack(circuits, key, &secure, &meter.within());
            // Before the others, which would take a relay's address for their own.
            circuits.or_transport(direct).map(|either, _| either.into_inner()).boxed()
        }
    };
    Ok(TransportTimeout::new(all, HANDSHAKE_TIMEOUT).boxed())
}

fn direct(config: &NetworkConfig, meter: &Meter) -> Result<Boxed<Muxed>, NetworkError> {
    let secure = Secure::new(&config.keypair)?;
    let key = config.swarm_key.as_ref().map(|key| PreSharedKey::new(*key.bytes()));
    let filters = &config.filters;
    let tcp = || {
        let settings = tcp::Config::default().nodelay(true);
        Filtered::new(tcp::tokio::Transport::new(settings), filters.clone())
    };
    let resolved = dns::tokio::Transport::system(tcp());
    let web = websocket::Config::new(resolved.map_err(|error| failed("dns", &error))?);
    let plain = stack(tcp(), key, &secure, meter);
    let web = stack(web, key, &secure, meter);
    if key.is_some() {
        let plain = dns::tokio::Transport::system(plain);
        let plain = plain.map_err(|error| failed("dns", &error))?;
        return Ok(web.or_transport(plain).map(|either, _| either.into_inner()).boxed());
    }
    let quic = Filtered::new(
        quic::tokio::Transport::new(quic::Config::new(&config.keypair)),
        filters.clone(),
    );
    let counted = meter.clone();
    let quic = quic.map(move |(peer, muxer), _| (peer, counted.muxer(peer, muxer)));
    let direct = plain.or_transport(quic).map(|either, _| either.into_inner());
    let direct = dns::tokio::Transport::system(direct);
    let direct = direct.map_err(|error| failed("dns", &error))?;
    Ok(web.or_transport(direct).map(|either, _| either.into_inner()).boxed())
}

/// Puts the shared key, if there is one, encryption and streams over a transport of bytes.
fn stack<T>(raw: T, key: Option<PreSharedKey>, secure: &Secure, meter: &Meter) -> Boxed<Muxed>
where
    T: Transport + Send + Unpin + 'static,
    T::Output: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send + 'static,
    T::ListenerUpgrade: Send + 'static,
{
    let meter = meter.clone();
    raw.and_then(move |socket, _| keyed(key, socket))
        .upgrade(Version::V1Lazy)
        .authenticate(secure.clone())
        .multiplex(yamux::Config::default())
        .map(move |(peer, muxer), _| (peer, meter.muxer(peer, muxer)))
        .boxed()
}

/// Shows that this node has the shared key, and sees that the other one has.
fn keyed<S>(
    key: Option<PreSharedKey>,
    socket: S,
) -> BoxFuture<'static, Result<Either<PnetOutput<S>, S>, PnetError>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match key {
        Some(key) => PnetConfig::new(key).handshake(socket).map_ok(Either::Left).boxed(),
        None => future::ready(Ok(Either::Right(socket))).boxed(),
    }
}

impl Meter {
    /// Counts what goes through a connection's streams.
    fn muxer<M>(&self, peer: PeerId, muxer: M) -> StreamMuxerBox
    where
        M: StreamMuxer + Send + 'static,
        M::Substream: Send + Unpin + 'static,
        M::Error: Send + Sync + Error + 'static,
    {
        StreamMuxerBox::new(meter::Counted::new(muxer, self.of(peer)))
    }
}

pub(super) fn failed(transport: &'static str, error: &dyn Error) -> NetworkError {
    NetworkError::Transport { transport, reason: chain(error) }
}
