//! Publish and subscribe: messages by topic, to whoever listens (gossipsub 1.1 to 1.3, floodsub).
//!
//! The library spreads messages and scores peers; here are who listens on this node, the limits,
//! and the check that a message is not an old one sent again.
//!
//! Spec: libp2p/specs `pubsub/gossipsub`, and `pubsub/README.md` for messages and signatures.
//! Invariants: a message is taken only with a valid signature and a sequence number above the
//! last one of its author; a listener that is too slow loses messages, and nobody waits for it.
//! Not here: how topics and messages look from outside (`services/rpc`).

mod hub;

pub(crate) use hub::{Gossip, Hub, gossip};

use crate::{
    PeerId,
    swarm::{Command, Reply},
};
use bytes::Bytes;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

/// Longest message, in bytes (1 MiB).
pub const MESSAGE_LEN_MAX: usize = 1024 * 1024;

/// Longest name of a topic, in bytes.
pub const TOPIC_LEN_MAX: usize = 1024;

/// Topics that this node may listen to.
pub const TOPIC_COUNT_MAX: usize = 4096;

/// Messages that wait for one listener.
pub(crate) const WAITING_MAX: usize = 256;

/// Listeners of one topic.
pub(crate) const LISTENER_COUNT_MAX: usize = 1024;

/// How messages are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PubsubConfig {
    /// Whether to send everything to everybody, as floodsub does.
    pub flood: bool,
    /// How long a message is known again.
    pub seen_ttl: Duration,
}

impl Default for PubsubConfig {
    fn default() -> Self {
        Self { flood: false, seen_ttl: Duration::from_mins(2) }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PubsubMessage {
    /// Who wrote it, by its signature.
    pub from: PeerId,
    /// What it says.
    pub data: Bytes,
    /// Its author's number of it.
    pub sequence: u64,
    /// Where it was published.
    pub topic: String,
}

/// Why something could not be published or listened to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PubsubError {
    /// The node does not take part.
    #[error(
        "pubsub is not enabled: set Pubsub.Enabled, or run the daemon with \
             --enable-pubsub-experiment"
    )]
    Disabled,
    /// Over [`MESSAGE_LEN_MAX`].
    #[error("the message is too long: at most {MESSAGE_LEN_MAX} bytes")]
    TooLong,
    /// Over [`TOPIC_LEN_MAX`], or no name at all.
    #[error("the topic's name has {len} bytes, not 1 to {TOPIC_LEN_MAX}")]
    Topic {
        /// Bytes of the name.
        len: usize,
    },
    /// Over [`TOPIC_COUNT_MAX`] topics, or 1024 listeners of one.
    #[error("too many subscriptions")]
    TooMany,
    /// The library refused.
    #[error("could not publish: {reason}")]
    Failed {
        /// What it said.
        reason: String,
    },
    /// The network has been shut down.
    #[error("the network has been shut down")]
    Stopped,
}

/// What a node that takes part speaks.
pub(crate) const PROTOCOLS: &[&str] =
    &["/meshsub/1.3.0", "/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0", "/floodsub/1.0.0"];

/// What the handle asks of the swarm; a reply that is dropped says that nobody takes part.
#[derive(Debug)]
pub(crate) enum PubsubCommand {
    Publish(String, Bytes, Reply<Result<(), PubsubError>>),
    Subscribe(String, Reply<Result<Subscription, PubsubError>>),
    Topics(Reply<Vec<String>>),
    Peers(Option<String>, Reply<Vec<PeerId>>),
    /// Forgets the sequence numbers of one author or of all.
    Reset(Option<PeerId>, Reply<()>),
    /// A listener has gone.
    Check(String),
}

/// The handle; cheap to clone. All methods are safe to cancel.
#[derive(Debug, Clone)]
pub struct Pubsub {
    pub(crate) swarm: mpsc::Sender<Command>,
}

impl Pubsub {
    /// Publishes a message, to those who listen here as well.
    ///
    /// Nobody listening is no error. Dropping the future may or may not publish it.
    ///
    /// # Errors
    ///
    /// Any [`PubsubError`].
    pub async fn publish(&self, topic: String, data: Bytes) -> Result<(), PubsubError> {
        self.ask(|reply| PubsubCommand::Publish(topic, data, reply)).await?
    }

    /// Listens to a topic.
    ///
    /// # Errors
    ///
    /// Any [`PubsubError`].
    pub async fn subscribe(&self, topic: String) -> Result<Subscription, PubsubError> {
        self.ask(|reply| PubsubCommand::Subscribe(topic, reply)).await?
    }

    /// The topics that are listened to here.
    ///
    /// # Errors
    ///
    /// [`PubsubError::Disabled`].
    pub async fn topics(&self) -> Result<Vec<String>, PubsubError> {
        self.ask(PubsubCommand::Topics).await
    }

    /// The peers that listen to a topic, or take part at all.
    ///
    /// # Errors
    ///
    /// [`PubsubError::Disabled`].
    pub async fn peers(&self, topic: Option<String>) -> Result<Vec<PeerId>, PubsubError> {
        self.ask(|reply| PubsubCommand::Peers(topic, reply)).await
    }

    /// Forgets how far the messages of an author, or of all, are numbered.
    ///
    /// # Errors
    ///
    /// [`PubsubError::Disabled`].
    pub async fn reset(&self, author: Option<PeerId>) -> Result<(), PubsubError> {
        self.ask(|reply| PubsubCommand::Reset(author, reply)).await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> PubsubCommand,
    ) -> Result<T, PubsubError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.swarm.send(Command::Pubsub(command(reply))).await;
        sent.map_err(|_| PubsubError::Stopped)?;
        answer.await.map_err(|_| PubsubError::Disabled)
    }
}

/// Somebody who listens to a topic; dropped, it listens no longer.
#[derive(Debug)]
pub struct Subscription {
    pub(crate) topic: String,
    pub(crate) messages: mpsc::Receiver<PubsubMessage>,
    pub(crate) swarm: mpsc::Sender<Command>,
}

impl Subscription {
    /// Waits for the next message; `None` once the network has been shut down.
    ///
    /// Safe to cancel.
    pub async fn next(&mut self) -> Option<PubsubMessage> {
        self.messages.recv().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.messages.close();
        let command = Command::Pubsub(PubsubCommand::Check(self.topic.clone()));
        // If the queue is full, the next message to the topic or the next check finds out.
        drop(self.swarm.try_send(command));
    }
}
