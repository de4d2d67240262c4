//! Streams of protocols that are not part of the swarm itself: opened and taken by tasks.
//!
//! The swarm negotiates them and hands them over; reading, writing and what they mean happen
//! elsewhere, so that nothing of that is in the swarm's poll.
//!
//! Invariants: a stream that nobody has room for is dropped, which resets it; a protocol is
//! offered only while it is on and somebody takes its streams.
//! Not here: the DHT (`dht.rs`), Bitswap, which has a handler of its own.

mod handler;
mod taken;

use crate::{Multiaddr, PeerId};
use handler::Handler;
use libp2p::{
    Stream, StreamProtocol,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
};
use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};
pub(crate) use taken::readable;
pub use taken::{IncomingStreams, PROTOCOL_LEN_MAX, PeerStream, TAKEN_MAX};
use tokio::sync::{mpsc, oneshot};

/// Inbound streams that may wait to be taken, of one protocol.
pub(crate) const INBOUND_QUEUE_LEN: usize = 64;

/// Requests for a stream that may wait for the swarm's next poll.
const OPENING_MAX: usize = 1024;

/// Why no stream was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StreamError {
    /// The other side does not speak the protocol.
    Unsupported,
    /// Anything else.
    Failed(String),
}

/// Where an opened stream goes.
pub(crate) type StreamReply = oneshot::Sender<Result<Stream, StreamError>>;

/// A stream that a peer has opened.
pub(crate) struct Inbound {
    pub(crate) peer: PeerId,
    /// The other end of the connection.
    pub(crate) addr: Multiaddr,
    pub(crate) stream: Stream,
}

/// A protocol whose streams are taken while it is on.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    protocol: StreamProtocol,
    is_on: Arc<AtomicBool>,
    streams: mpsc::Sender<Inbound>,
}

impl Accepted {
    /// Makes the swarm's half and the receiver of the streams; `is_on` may change at any time.
    pub(crate) fn new(
        protocol: StreamProtocol,
        is_on: Arc<AtomicBool>,
    ) -> (Self, mpsc::Receiver<Inbound>) {
        let (streams, taken) = mpsc::channel(INBOUND_QUEUE_LEN);
        (Self { protocol, is_on, streams }, taken)
    }

    fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }
}

/// The protocols that are offered; every connection looks at them whenever it is polled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offered(Arc<RwLock<Vec<Accepted>>>);

impl Offered {
    pub(crate) fn new(accepted: Vec<Accepted>) -> Self {
        Self(Arc::new(RwLock::new(accepted)))
    }

    /// The names of those that are on.
    pub(crate) fn names(&self) -> Vec<StreamProtocol> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|one| one.is_on()).map(|one| one.protocol.clone()).collect()
    }

    /// Where streams of a protocol go, if it is still on.
    fn of(&self, protocol: &StreamProtocol) -> Option<mpsc::Sender<Inbound>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let one = all.iter().find(|one| one.protocol == *protocol && one.is_on())?;
        Some(one.streams.clone())
    }
}

/// The protocols, for every connection.
#[derive(Debug, Default)]
pub(crate) struct Behaviour {
    offered: Offered,
    opening: VecDeque<(PeerId, NotifyHandler, Open)>,
    waker: Option<Waker>,
}

/// A stream to be opened.
#[derive(Debug)]
pub(crate) struct Open {
    protocol: StreamProtocol,
    reply: StreamReply,
}

impl Behaviour {
    pub(crate) fn new(offered: Offered) -> Self {
        Self { offered, opening: VecDeque::new(), waker: None }
    }

    /// Opens a stream on any connection that is there; without one the reply is dropped.
    pub(crate) fn open(&mut self, peer: PeerId, protocol: StreamProtocol, reply: StreamReply) {
        self.open_by((peer, NotifyHandler::Any), protocol, reply);
    }

    /// Opens a stream on one connection; if it has gone, the reply is dropped.
    pub(crate) fn open_on(
        &mut self,
        (peer, connection): (PeerId, ConnectionId),
        protocol: StreamProtocol,
        reply: StreamReply,
    ) {
        self.open_by((peer, NotifyHandler::One(connection)), protocol, reply);
    }

    fn open_by(
        &mut self,
        (peer, by): (PeerId, NotifyHandler),
        protocol: StreamProtocol,
        reply: StreamReply,
    ) {
        if self.opening.len() >= OPENING_MAX {
            let busy = StreamError::Failed("too many streams are being opened".to_owned());
            return drop(reply.send(Err(busy)));
        }
        self.opening.push_back((peer, by, Open { protocol, reply }));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn handler(&self, peer: PeerId, addr: &Multiaddr) -> Handler {
        Handler::new(peer, addr.clone(), self.offered.clone())
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler(peer, remote))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler(peer, addr))
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        if let Some((peer_id, handler, event)) = self.opening.pop_front() {
            return Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler, event });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
