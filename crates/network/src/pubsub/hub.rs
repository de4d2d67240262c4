//! The swarm's side: who listens, what is taken, what is passed on.
//!
//! Not here: spreading (the `libp2p-gossipsub` crate).

use super::{
    LISTENER_COUNT_MAX, MESSAGE_LEN_MAX, PubsubCommand, PubsubConfig, PubsubError, PubsubMessage,
    Subscription, TOPIC_COUNT_MAX, TOPIC_LEN_MAX, WAITING_MAX,
};
use crate::{Keypair, PeerId, swarm::Command};
use bytes::Bytes;
use libp2p::gossipsub::{
    AllowAllSubscriptionFilter, Behaviour, ConfigBuilder, Event, IdentTopic, IdentityTransform,
    MaxCountSubscriptionFilter, Message, MessageAcceptance, MessageAuthenticity, MessageId,
    PeerScoreParams, PeerScoreThresholds, PublishError, TopicHash, ValidationMode,
};
use std::collections::{HashMap, VecDeque};
use tokio::sync::mpsc;
use tracing::debug;

/// Topics of one peer that are kept.
const PEER_TOPIC_COUNT_MAX: usize = 1024;

/// Changes of subscriptions in one message.
const CHANGE_COUNT_MAX: usize = 256;

/// Authors whose last number is kept; those not heard of for longest are forgotten first.
const AUTHOR_COUNT_MAX: usize = 16 * 1024;

/// What is sent besides a message's data: names, signature, key.
const ENVELOPE_LEN_MAX: usize = 64 * 1024;

/// The library's behaviour, with a limit on what peers subscribe to.
pub(crate) type Gossip =
    Behaviour<IdentityTransform, MaxCountSubscriptionFilter<AllowAllSubscriptionFilter>>;

/// Makes the behaviour.
pub(crate) fn gossip(keypair: &Keypair, settings: PubsubConfig) -> Result<Gossip, String> {
    let config = ConfigBuilder::default()
        .max_transmit_size(MESSAGE_LEN_MAX + ENVELOPE_LEN_MAX)
        .duplicate_cache_time(settings.seen_ttl)
        .validation_mode(ValidationMode::Strict)
        .validate_messages()
        .message_id_fn(name_of)
        .flood_publish(settings.flood)
        .support_floodsub()
        .build()
        .map_err(|error| error.to_string())?;
    let filter = MaxCountSubscriptionFilter {
        filter: AllowAllSubscriptionFilter {},
        max_subscribed_topics: PEER_TOPIC_COUNT_MAX,
        max_subscriptions_per_request: CHANGE_COUNT_MAX,
    };
    let signed = MessageAuthenticity::Signed(keypair.clone());
    let mut gossip = Behaviour::new_with_subscription_filter(signed, config, filter)?;
    gossip.with_peer_score(PeerScoreParams::default(), PeerScoreThresholds::default())?;
    Ok(gossip)
}

/// A message's name, as other implementations make it: they ask each other by it.
fn name_of(message: &Message) -> MessageId {
    let mut name = message.source.map(PeerId::to_bytes).unwrap_or_default();
    name.extend_from_slice(&message.sequence_number.unwrap_or_default().to_be_bytes());
    MessageId(name)
}

/// The last numbers of authors.
#[derive(Debug, Default)]
struct Sequences {
    last: HashMap<PeerId, u64>,
    /// In the order in which they were first heard of.
    order: VecDeque<PeerId>,
}

impl Sequences {
    /// Whether a number is above the last one, which it then is.
    fn advance(&mut self, author: PeerId, sequence: u64) -> bool {
        if let Some(last) = self.last.get_mut(&author) {
            let is_new = sequence > *last;
            *last = sequence.max(*last);
            return is_new;
        }
        if self.order.len() >= AUTHOR_COUNT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.last.remove(&oldest);
        }
        self.order.push_back(author);
        self.last.insert(author, sequence);
        true
    }

    fn reset(&mut self, author: Option<PeerId>) {
        match author {
            Some(author) => {
                self.last.remove(&author);
                self.order.retain(|known| *known != author);
            }
            None => *self = Self::default(),
        }
    }
}

/// Who listens on this node.
#[derive(Debug)]
pub(crate) struct Hub {
    own: PeerId,
    listeners: HashMap<String, Vec<mpsc::Sender<PubsubMessage>>>,
    sequences: Sequences,
    swarm: mpsc::Sender<Command>,
}

impl Hub {
    pub(crate) fn new(own: PeerId, swarm: mpsc::Sender<Command>) -> Self {
        Self { own, listeners: HashMap::new(), sequences: Sequences::default(), swarm }
    }

    /// Does what was asked; without a behaviour the reply is dropped.
    pub(crate) fn on_command(&mut self, gossip: Option<&mut Gossip>, command: PubsubCommand) {
        let Some(gossip) = gossip else { return };
        match command {
            PubsubCommand::Publish(topic, data, reply) => {
                drop(reply.send(self.publish(gossip, topic, data)));
            }
            PubsubCommand::Subscribe(topic, reply) => {
                drop(reply.send(self.subscribe(gossip, topic)));
            }
            PubsubCommand::Topics(reply) => {
                let mut topics: Vec<String> = self.listeners.keys().cloned().collect();
                topics.sort();
                drop(reply.send(topics));
            }
            PubsubCommand::Peers(topic, reply) => drop(reply.send(peers(gossip, topic))),
            PubsubCommand::Reset(author, reply) => {
                self.sequences.reset(author);
                // Whoever asked may have gone.
                reply.send(()).unwrap_or(());
            }
            PubsubCommand::Check(topic) => self.check(gossip, &topic),
        }
    }

    fn publish(
        &mut self,
        gossip: &mut Gossip,
        topic: String,
        data: Bytes,
    ) -> Result<(), PubsubError> {
        check_topic(&topic)?;
        if data.len() > MESSAGE_LEN_MAX {
            return Err(PubsubError::TooLong);
        }
        let published = gossip.publish(IdentTopic::new(topic.clone()), data.to_vec());
        let sequence = match published {
            // Its name ends with its number.
            Ok(MessageId(name)) => name.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)),
            // Nobody else listens, or nobody who can keep up: those here do.
            Err(PublishError::NoPeersSubscribedToTopic | PublishError::AllQueuesFull(_)) => 0,
            Err(PublishError::MessageTooLarge) => return Err(PubsubError::TooLong),
            Err(error) => return Err(PubsubError::Failed { reason: error.to_string() }),
        };
        self.tell(&PubsubMessage { from: self.own, data, sequence, topic });
        Ok(())
    }

    fn subscribe(
        &mut self,
        gossip: &mut Gossip,
        topic: String,
    ) -> Result<Subscription, PubsubError> {
        check_topic(&topic)?;
        let is_new = !self.listeners.contains_key(&topic);
        let count = self.listeners.get(&topic).map_or(0, Vec::len);
        if is_new && self.listeners.len() >= TOPIC_COUNT_MAX || count >= LISTENER_COUNT_MAX {
            return Err(PubsubError::TooMany);
        }
        if is_new {
            let subscribed = gossip.subscribe(&IdentTopic::new(topic.clone()));
            subscribed.map_err(|error| PubsubError::Failed { reason: error.to_string() })?;
        }
        let (sender, messages) = mpsc::channel(WAITING_MAX);
        self.listeners.entry(topic.clone()).or_default().push(sender);
        Ok(Subscription { topic, messages, swarm: self.swarm.clone() })
    }

    /// Forgets listeners that have gone, and a topic that nobody listens to.
    fn check(&mut self, gossip: &mut Gossip, topic: &str) {
        let Some(listeners) = self.listeners.get_mut(topic) else { return };
        listeners.retain(|listener| !listener.is_closed());
        if listeners.is_empty() {
            self.listeners.remove(topic);
            gossip.unsubscribe(&IdentTopic::new(topic));
        }
    }

    /// Takes what the behaviour reports.
    pub(crate) fn on_event(&mut self, gossip: &mut Gossip, event: Event) {
        let Event::Message { propagation_source, message_id, message } = event else { return };
        let taken = self.take(message);
        let verdict = if taken.is_some() {
            MessageAcceptance::Accept
        } else {
            // Whoever passed it on need not know that it is old.
            MessageAcceptance::Ignore
        };
        gossip.report_message_validation_result(&message_id, &propagation_source, verdict);
        if let Some(message) = taken
            && self.tell(&message)
        {
            self.check(gossip, &message.topic);
        }
    }

    /// What counts of a message that was received; `None` for one that does not.
    fn take(&mut self, message: Message) -> Option<PubsubMessage> {
        let (from, sequence) = (message.source?, message.sequence_number?);
        if from == self.own || !self.sequences.advance(from, sequence) {
            return None;
        }
        let topic = message.topic.into_string();
        Some(PubsubMessage { from, data: message.data.into(), sequence, topic })
    }

    /// Gives a message to those who listen; answers whether some have gone.
    fn tell(&self, message: &PubsubMessage) -> bool {
        let Some(listeners) = self.listeners.get(&message.topic) else { return false };
        let mut gone = false;
        for listener in listeners {
            match listener.try_send(message.clone()) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Closed(_)) => gone = true,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    debug!(topic = message.topic, "a listener is too slow and misses a message");
                }
            }
        }
        gone
    }
}

fn check_topic(topic: &str) -> Result<(), PubsubError> {
    let len = topic.len();
    if (1..=TOPIC_LEN_MAX).contains(&len) { Ok(()) } else { Err(PubsubError::Topic { len }) }
}

/// Peers that take part, or that listen to a topic.
fn peers(gossip: &Gossip, topic: Option<String>) -> Vec<PeerId> {
    let topic = topic.map(TopicHash::from_raw);
    let listens =
        |topics: &[&TopicHash]| topic.as_ref().is_none_or(|topic| topics.contains(&topic));
    let all = gossip.all_peers().filter(|(_, topics)| listens(topics));
    let mut peers: Vec<PeerId> = all.map(|(peer, _)| *peer).collect();
    peers.sort();
    peers
}

#[cfg(test)]
mod tests {
    use super::{AUTHOR_COUNT_MAX, Sequences};
    use crate::{PeerId, generate_ed25519};

    #[test]
    fn an_old_message_does_not_count_again() {
        let [one, other] = [(), ()].map(|()| generate_ed25519().public().to_peer_id());
        let mut sequences = Sequences::default();
        let rows =
            [(one, 5, true), (one, 5, false), (one, 4, false), (other, 1, true), (one, 6, true)];
        for (author, sequence, expected) in rows {
            assert_eq!(sequences.advance(author, sequence), expected, "{sequence}");
        }
        sequences.reset(Some(one));
        assert!(sequences.advance(one, 5) && !sequences.advance(other, 1));
        sequences.reset(None);
        assert!(sequences.advance(other, 1));
    }

    #[test]
    fn authors_are_forgotten_when_there_are_too_many() {
        let mut sequences = Sequences::default();
        let author = |number: usize| {
            let mut bytes = vec![0, 32];
            bytes.extend_from_slice(&[0; 24]);
            bytes.extend_from_slice(&(number as u64).to_be_bytes());
            PeerId::from_bytes(&bytes).unwrap()
        };
        for number in 0..AUTHOR_COUNT_MAX + 10 {
            assert!(sequences.advance(author(number), 1));
        }
        assert_eq!(sequences.last.len(), AUTHOR_COUNT_MAX);
        assert!(sequences.advance(author(0), 1), "the oldest was forgotten");
        assert!(!sequences.advance(author(AUTHOR_COUNT_MAX), 1));
    }
}
