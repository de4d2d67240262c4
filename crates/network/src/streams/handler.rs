//! One connection's part: asks for outbound streams, hands inbound ones over.
//!
//! Invariant: at most [`WAITING_MAX`] streams of one connection are waited for.

use super::{Inbound, Offered, Open, StreamError, StreamReply};
use crate::{Multiaddr, PeerId};
use libp2p::{
    InboundUpgrade, Stream, StreamProtocol,
    core::{UpgradeInfo, upgrade::ReadyUpgrade},
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol,
        handler::{
            ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
        },
    },
};
use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll, Waker},
};

/// Outbound streams of one connection that may wait to be negotiated.
const WAITING_MAX: usize = 64;

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Handler {
    peer: PeerId,
    addr: Multiaddr,
    offered: Offered,
    waiting: VecDeque<Open>,
    waker: Option<Waker>,
}

impl Handler {
    pub(super) fn new(peer: PeerId, addr: Multiaddr, offered: Offered) -> Self {
        Self { peer, addr, offered, waiting: VecDeque::new(), waker: None }
    }

    fn on_inbound(&self, stream: Stream, protocol: &StreamProtocol) {
        if let Some(taker) = self.offered.of(protocol) {
            let inbound = Inbound { peer: self.peer, addr: self.addr.clone(), stream };
            // No room: the stream is reset, and the peer may try again.
            drop(taker.try_send(inbound));
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Infallible;
    type InboundProtocol = Upgrade;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = StreamReply;

    fn listen_protocol(&self) -> SubstreamProtocol<Upgrade> {
        SubstreamProtocol::new(Upgrade(self.offered.names()), ())
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<ReadyUpgrade<StreamProtocol>, StreamReply, Infallible>> {
        if let Some(Open { protocol, reply }) = self.waiting.pop_front() {
            let protocol = SubstreamProtocol::new(ReadyUpgrade::new(protocol), reply);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, open: Open) {
        if self.waiting.len() >= WAITING_MAX {
            let busy = StreamError::Failed("too many streams are being opened".to_owned());
            return drop(open.reply.send(Err(busy)));
        }
        self.waiting.push_back(open);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Upgrade, ReadyUpgrade<StreamProtocol>, (), StreamReply>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol),
                ..
            }) => self.on_inbound(stream, &protocol),
            // Whoever asked may have gone: then the stream closes.
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: stream,
                info: reply,
            }) => drop(reply.send(Ok(stream))),
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: reply, error }) => {
                let error = match error {
                    StreamUpgradeError::NegotiationFailed => StreamError::Unsupported,
                    other => StreamError::Failed(other.to_string()),
                };
                drop(reply.send(Err(error)));
            }
            _ => {}
        }
    }
}

/// Offers protocols, and tells which one was chosen.
#[derive(Debug, Clone)]
pub(crate) struct Upgrade(Vec<StreamProtocol>);

impl UpgradeInfo for Upgrade {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Upgrade {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, chosen: StreamProtocol) -> Self::Future {
        ready(Ok((stream, chosen)))
    }
}
