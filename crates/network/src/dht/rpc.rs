//! Requests to one peer, whatever carries them.
//!
//! [`StreamRpc`] uses the swarm: it connects if needed, opens a stream a request, and lets
//! connections go that only lookups needed. The simulation has one of its own, so that ten
//! thousand servers fit into one process.
//!
//! Invariants: at most [`ASKS_MAX`] requests are under way; one takes at most [`ASK_TIMEOUT`];
//! at most [`LENT_MAX`] connections stay open that lookups have opened.
//! Not here: what is asked (`lookup.rs`), the answering side (`server.rs`).

use super::{
    scope::Contact,
    wire::{self, ANSWER_LEN_MAX, Message},
};
use crate::{Multiaddr, PeerId, streams::StreamError, swarm};
use futures::{AsyncWriteExt as _, FutureExt as _, future::BoxFuture};
use libp2p::{Stream, StreamProtocol};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use thiserror::Error;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};

/// Longest time that one request may take, the connection included.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests of all DHTs that are under way: fewer than the handshakes that may be.
pub(crate) const ASKS_MAX: usize = 48;

/// Connections opened by lookups that stay open for the next.
const LENT_MAX: usize = 48;

/// Why a peer did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum RpcError {
    /// It could not be reached.
    #[error("not reached: {reason}")]
    Unreachable {
        /// What the attempts ended with.
        reason: String,
    },
    /// It does not speak the protocol, so it is no server.
    #[error("does not speak the protocol")]
    Unsupported,
    /// The stream broke, or the answer made no sense.
    #[error("broke off: {reason}")]
    Broken {
        /// What happened.
        reason: String,
    },
    /// It took too long.
    #[error("no answer within {ASK_TIMEOUT:?}")]
    Timeout,
    /// The node is stopping.
    #[error("the network has been shut down")]
    Stopped,
}

/// A way to ask peers.
pub(crate) trait Rpc: Send + Sync {
    /// Sends a request and waits for the answer.
    fn ask<'a>(
        &'a self,
        to: &'a Contact,
        request: Message,
    ) -> BoxFuture<'a, Result<Message, RpcError>>;

    /// Where this node may be reached, as far as it knows.
    fn own_addrs(&self) -> BoxFuture<'_, Vec<Multiaddr>>;

    /// Sends messages that are not answered, over one stream.
    fn tell<'a>(
        &'a self,
        to: &'a Contact,
        messages: Vec<Message>,
    ) -> BoxFuture<'a, Result<(), RpcError>>;
}

/// Requests over the swarm.
pub(crate) struct StreamRpc {
    protocol: StreamProtocol,
    swarm: mpsc::Sender<swarm::Command>,
    asks: Arc<Semaphore>,
    /// Whom lookups have connected to, longest unused first.
    lent: Mutex<VecDeque<PeerId>>,
}

impl StreamRpc {
    /// Asks over `protocol`; `asks` has [`ASKS_MAX`] permits, shared by all DHTs.
    pub(crate) fn new(
        protocol: StreamProtocol,
        swarm: mpsc::Sender<swarm::Command>,
        asks: Arc<Semaphore>,
    ) -> Self {
        Self { protocol, swarm, asks, lent: Mutex::default() }
    }

    async fn open(&self, to: &Contact) -> Result<Stream, RpcError> {
        let (reply, answer) = oneshot::channel();
        let peer = to.peer;
        let reach = swarm::Reach { peer, addrs: to.addrs.clone(), is_kept: false };
        self.send(swarm::Command::Reach(reach, reply)).await?;
        let reached = answer.await.map_err(|_| RpcError::Stopped)?;
        let is_new =
            reached.map_err(|error| RpcError::Unreachable { reason: error.to_string() })?;
        self.used(peer, is_new).await;
        let (reply, answer) = oneshot::channel();
        self.send(swarm::Command::OpenStream(peer, self.protocol.clone(), reply)).await?;
        match answer.await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(StreamError::Unsupported)) => Err(RpcError::Unsupported),
            Ok(Err(StreamError::Failed(reason))) => Err(RpcError::Broken { reason }),
            Err(_) => Err(RpcError::Broken { reason: "the connection closed".to_owned() }),
        }
    }

    /// Notes who was used; when there are too many, the one longest unused may be closed.
    async fn used(&self, peer: PeerId, is_new: bool) {
        let released = {
            let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
            let place = lent.iter().position(|known| *known == peer);
            if let Some(place) = place {
                lent.remove(place);
            }
            if place.is_some() || is_new {
                lent.push_back(peer);
            }
            if lent.len() > LENT_MAX { lent.pop_front() } else { None }
        };
        if let Some(peer) = released {
            // The swarm is gone only when everything stops.
            drop(self.send(swarm::Command::Release(peer)).await);
        }
    }

    async fn send(&self, command: swarm::Command) -> Result<(), RpcError> {
        self.swarm.send(command).await.map_err(|_| RpcError::Stopped)
    }

    async fn exchange(&self, to: &Contact, request: Message) -> Result<Message, RpcError> {
        let mut stream = self.open(to).await?;
        wire::write(&mut stream, &request).await.map_err(|error| broken(&error))?;
        let answer = wire::read(&mut stream, ANSWER_LEN_MAX).await;
        let answer = answer.map_err(|error| broken(&error))?;
        let end = || RpcError::Broken { reason: "the stream ended before the answer".to_owned() };
        answer.filter(|answer| answer.kind == request.kind).ok_or_else(end)
    }

    async fn send_all(&self, to: &Contact, messages: Vec<Message>) -> Result<(), RpcError> {
        let mut stream = self.open(to).await?;
        for message in &messages {
            wire::write(&mut stream, message).await.map_err(|error| broken(&error))?;
        }
        // The other side reads to the end of the stream.
        stream.close().await.map_err(|error| broken(&error))
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, RpcError>>,
    ) -> Result<T, RpcError> {
        let permit = self.asks.acquire().await.map_err(|_| RpcError::Stopped)?;
        let answer = timeout(ASK_TIMEOUT, work).await.unwrap_or(Err(RpcError::Timeout));
        drop(permit);
        answer
    }
}

impl Rpc for StreamRpc {
    fn own_addrs(&self) -> BoxFuture<'_, Vec<Multiaddr>> {
        async {
            let (reply, answer) = oneshot::channel();
            match self.send(swarm::Command::AnnouncedAddrs(reply)).await {
                Ok(()) => answer.await.unwrap_or_default(),
                Err(_) => Vec::new(),
            }
        }
        .boxed()
    }

    fn ask<'a>(
        &'a self,
        to: &'a Contact,
        request: Message,
    ) -> BoxFuture<'a, Result<Message, RpcError>> {
        self.within(self.exchange(to, request)).boxed()
    }

    fn tell<'a>(
        &'a self,
        to: &'a Contact,
        messages: Vec<Message>,
    ) -> BoxFuture<'a, Result<(), RpcError>> {
        self.within(self.send_all(to, messages)).boxed()
    }
}

fn broken(error: &std::io::Error) -> RpcError {
    RpcError::Broken { reason: error.to_string() }
}
