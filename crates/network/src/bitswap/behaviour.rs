//! Bitswap as the swarm sees it: a handler for every connection, and nothing else.
//!
//! Not here: what the handlers do (`handler.rs`); their events go to the engine directly.

use super::{
    engine::{Event, Link},
    handler::Handler,
};
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandlerInEvent,
        THandlerOutEvent, ToSwarm,
    },
};
use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::{Semaphore, mpsc};

/// Makes the connections' handlers.
pub(crate) struct Behaviour {
    events: mpsc::Sender<Event>,
    /// What all handlers together may be reading, in bytes.
    budget: Arc<Semaphore>,
}

impl Behaviour {
    pub(crate) fn new(events: mpsc::Sender<Event>, received_len_max: usize) -> Self {
        Self { events, budget: Arc::new(Semaphore::new(received_len_max)) }
    }

    fn handler(&self, peer: PeerId, connection: ConnectionId) -> Handler {
        let link = Link { peer, connection };
        Handler::new(link, self.events.clone(), Arc::clone(&self.budget))
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler(peer, connection))
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler(peer, connection))
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

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}
