//! Bitswap on one connection: reads every inbound stream, writes one outbound stream.
//!
//! Runs in the connection's own task. Reading and writing never wait for one another, so two
//! nodes that both send a lot cannot block each other; reading waits for the engine, which is
//! what holds a fast sender back.
//!
//! Invariants: at most [`INBOUND_STREAMS_MAX`] streams are read, one large message at a time,
//! and that only within the budget shared by all connections.
//! Not here: what messages mean (`engine.rs`), how they are written (`wire.rs`).

mod inbound;
mod outbound;

use super::{
    engine::{Event, Link},
    limits::{INBOUND_STREAMS_MAX, PEER_UNSENT_MAX},
    protocol::{PROTOCOLS, Version},
    wire::Outgoing,
};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use libp2p::{
    InboundUpgrade, OutboundUpgrade, Stream, StreamProtocol,
    core::UpgradeInfo,
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, SubstreamProtocol,
        handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use outbound::{Ended, Writer};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::{Mutex, Semaphore, mpsc};

/// Attempts to open the outbound stream before the peer counts as not speaking Bitswap.
const OPEN_ATTEMPTS_MAX: u32 = 3;

/// Negotiates a stream and tells which version it speaks.
#[derive(Debug, Clone)]
pub(crate) struct Upgrade;

/// The state of one connection.
pub(crate) struct Handler {
    link: Link,
    events: mpsc::Sender<Event>,
    budget: Arc<Semaphore>,
    /// Held while a large message is read.
    large: Arc<Mutex<()>>,
    /// Tells the engine of this connection, before anything else happens.
    opening: Option<BoxFuture<'static, ()>>,
    inbound: FuturesUnordered<BoxFuture<'static, ()>>,
    outbound: Outbound,
    open_attempts: u32,
}

/// Where the outbound stream stands.
enum Outbound {
    /// To be asked for at the next poll.
    Wanted(Writer),
    /// Being negotiated.
    Requested(Writer),
    /// Open; the future ends when a new stream is needed.
    Open(BoxFuture<'static, Ended>),
    /// Broken; the future ends when there is something to send on a new one.
    Idle(BoxFuture<'static, Option<Writer>>),
    /// Not spoken there, as far as is known; kept, since that it closes would mean that the
    /// connection is gone.
    Unsupported(Writer),
    /// No longer needed.
    Closed,
}

impl Handler {
    pub(crate) fn new(link: Link, events: mpsc::Sender<Event>, budget: Arc<Semaphore>) -> Self {
        // Room for as much as the engine may have unsent, and its notes besides.
        let (sender, messages) = mpsc::channel::<Outgoing>(2 * PEER_UNSENT_MAX);
        let announce = events.clone();
        let opening = async move {
            // The engine is gone only when everything stops.
            drop(announce.send(Event::Open(link, sender)).await);
        };
        let writer = Writer { link, events: events.clone(), messages, unsent: None };
        Self {
            link,
            events,
            budget,
            large: Arc::default(),
            opening: Some(opening.boxed()),
            inbound: FuturesUnordered::new(),
            outbound: Outbound::Wanted(writer),
            open_attempts: 0,
        }
    }

    fn on_inbound(&mut self, mut stream: Stream) {
        stream.ignore_for_keep_alive();
        // Whoever speaks Bitswap here can be tried again.
        self.outbound = match self.take_outbound() {
            Outbound::Unsupported(writer) => {
                self.open_attempts = 0;
                Outbound::Wanted(writer)
            }
            other => other,
        };
        if self.inbound.len() >= INBOUND_STREAMS_MAX {
            return;
        }
        let reader = inbound::Reader {
            link: self.link,
            events: self.events.clone(),
            budget: Arc::clone(&self.budget),
            large: Arc::clone(&self.large),
        };
        self.inbound.push(reader.run(stream).boxed());
    }

    fn on_outbound(&mut self, mut stream: Stream, version: Version) {
        stream.ignore_for_keep_alive();
        self.open_attempts = 0;
        self.outbound = match self.take_outbound() {
            Outbound::Requested(writer) => Outbound::Open(writer.run(stream, version).boxed()),
            other => other,
        };
    }

    fn on_outbound_failed(&mut self) {
        self.open_attempts += 1;
        self.outbound = match self.take_outbound() {
            Outbound::Requested(writer) if self.open_attempts < OPEN_ATTEMPTS_MAX => {
                Outbound::Wanted(writer)
            }
            Outbound::Requested(writer) => Outbound::Unsupported(writer),
            other => other,
        };
    }

    fn take_outbound(&mut self) -> Outbound {
        std::mem::replace(&mut self.outbound, Outbound::Closed)
    }

    /// Moves the outbound stream on; true when a new one is to be asked for.
    fn poll_outbound(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            match self.take_outbound() {
                Outbound::Wanted(writer) => {
                    self.outbound = Outbound::Requested(writer);
                    return true;
                }
                Outbound::Open(mut future) => match future.poll_unpin(cx) {
                    Poll::Ready(Ended::Stopped) => return false,
                    Poll::Ready(Ended::Broken(writer)) => {
                        self.outbound = Outbound::Idle(writer.wait().boxed());
                    }
                    Poll::Pending => {
                        self.outbound = Outbound::Open(future);
                        return false;
                    }
                },
                Outbound::Idle(mut future) => match future.poll_unpin(cx) {
                    Poll::Ready(Some(writer)) => self.outbound = Outbound::Wanted(writer),
                    Poll::Ready(None) => return false,
                    Poll::Pending => {
                        self.outbound = Outbound::Idle(future);
                        return false;
                    }
                },
                other => {
                    self.outbound = other;
                    return false;
                }
            }
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Infallible;
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Upgrade> {
        SubstreamProtocol::new(Upgrade, ())
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Upgrade, (), Infallible>> {
        if let Some(opening) = &mut self.opening {
            if opening.poll_unpin(cx).is_pending() {
                return Poll::Pending;
            }
            self.opening = None;
        }
        while let Poll::Ready(Some(())) = self.inbound.poll_next_unpin(cx) {}
        if self.poll_outbound(cx) {
            let protocol = SubstreamProtocol::new(Upgrade, ());
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Upgrade, Upgrade>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, _),
                ..
            }) => self.on_inbound(stream),
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, version),
                ..
            }) => self.on_outbound(stream, version),
            ConnectionEvent::DialUpgradeError(_) => self.on_outbound_failed(),
            _ => {}
        }
    }
}

impl UpgradeInfo for Upgrade {
    type Info = StreamProtocol;
    type InfoIter = std::array::IntoIter<StreamProtocol, 4>;

    fn protocol_info(&self) -> Self::InfoIter {
        PROTOCOLS.map(|row| row.0).into_iter()
    }
}

impl InboundUpgrade<Stream> for Upgrade {
    type Output = (Stream, Version);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, Version::of(&protocol))))
    }
}

impl OutboundUpgrade<Stream> for Upgrade {
    type Output = (Stream, Version);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, Version::of(&protocol))))
    }
}
