//! A lookup: asking peers ever nearer to a place until the nearest have answered.
//!
//! Spec: IPFS Kademlia DHT, "Lookup Process", pinned in `spec/PINS.toml`.
//! Invariants: at most [`CONCURRENCY`] requests are under way, [`REQUESTS_MAX`] are made and
//! [`CANDIDATES_MAX`] peers are remembered, for at most [`LOOKUP_TIMEOUT`]; dropping the future
//! withdraws all of it.
//! Not here: what is asked for (`dht.rs`), how (`rpc.rs`).

use super::{
    place::{Distance, Place},
    rpc::Rpc,
    scope::{Contact, Scope},
    table::BUCKET_LEN_MAX,
    wire::{Message, contacts},
};
use crate::{PeerId, routing::QueryEvent};
use futures::{StreamExt as _, stream::FuturesUnordered};
use std::{
    collections::{BTreeMap, HashSet},
    ops::ControlFlow,
    pin::pin,
    time::Duration,
};
use tokio::{sync::mpsc, time::sleep};

/// Requests under way in one lookup: α of the specification.
const CONCURRENCY: usize = 10;

/// Nearest peers that must have answered before a search for something may end: β.
const NEAREST_ANSWERS: usize = 3;

/// Requests of one lookup.
const REQUESTS_MAX: usize = 256;

/// Peers that one lookup remembers.
const CANDIDATES_MAX: usize = 1024;

/// Longest time of one lookup; what it has found by then is its answer.
const LOOKUP_TIMEOUT: Duration = Duration::from_mins(1);

/// Nearer peers taken from one answer.
const CLOSER_MAX: usize = 2 * BUCKET_LEN_MAX;

/// When a lookup is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The twenty nearest have answered: to store something with them.
    Nearest,
    /// The three nearest have: to find what is stored.
    Stored,
}

/// Where one candidate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Asked,
    Answered,
    Failed,
}

/// What a lookup needs to know.
pub(crate) struct Lookup<'a> {
    pub(crate) rpc: &'a dyn Rpc,
    pub(crate) own: PeerId,
    pub(crate) scope: Scope,
    pub(crate) target: Place,
    pub(crate) request: Message,
    pub(crate) goal: Goal,
    /// Told of every step, as far as it listens.
    pub(crate) events: Option<mpsc::Sender<QueryEvent>>,
}

/// What a lookup hears.
pub(crate) enum Heard<'a> {
    /// A peer answered; the nearer peers that it named follow by themselves.
    Answer(&'a Contact, &'a Message),
    /// It did not.
    Failure(&'a Contact),
}

struct Candidate {
    contact: Contact,
    state: State,
}

impl Lookup<'_> {
    /// Runs to its end, or until `hear` breaks it off; returns those that answered, nearest first.
    pub(crate) async fn run(
        &self,
        seeds: Vec<Contact>,
        mut hear: impl FnMut(Heard<'_>) -> ControlFlow<()>,
    ) -> Vec<Contact> {
        let mut candidates = Candidates::new(self);
        candidates.add_all(seeds);
        let mut under_way = FuturesUnordered::new();
        let mut requests = 0;
        let mut deadline = pin!(sleep(LOOKUP_TIMEOUT));
        loop {
            while under_way.len() < CONCURRENCY
                && requests < REQUESTS_MAX
                && let Some(contact) = candidates.next(self.goal)
            {
                requests += 1;
                self.tell(|| QueryEvent::Asking { peer: contact.peer });
                under_way.push(async move {
                    let answer = self.rpc.ask(&contact, self.request.clone()).await;
                    (contact, answer)
                });
            }
            if candidates.is_done(self.goal) {
                break;
            }
            let next = tokio::select! {
                next = under_way.next() => next,
                () = &mut deadline => None,
            };
            let Some((contact, answer)) = next else { break };
            let heard = match &answer {
                Ok(message) => {
                    candidates.set(&contact, State::Answered);
                    let mut closer = contacts(&message.closer, self.scope);
                    closer.truncate(CLOSER_MAX);
                    let peer = contact.peer;
                    self.tell(|| QueryEvent::Answered { peer, closer: closer.clone() });
                    candidates.add_all(closer);
                    hear(Heard::Answer(&contact, message))
                }
                Err(error) => {
                    candidates.set(&contact, State::Failed);
                    let (peer, reason) = (contact.peer, error.to_string());
                    self.tell(|| QueryEvent::Failed { peer, reason });
                    hear(Heard::Failure(&contact))
                }
            };
            if heard.is_break() {
                break;
            }
        }
        candidates.answered()
    }

    fn tell(&self, event: impl FnOnce() -> QueryEvent) {
        if let Some(events) = &self.events {
            // Whoever reads slowly misses some: these are for curious people.
            drop(events.try_send(event()));
        }
    }
}

/// The peers of one lookup by distance.
struct Candidates {
    target: Place,
    own: PeerId,
    by_distance: BTreeMap<Distance, Candidate>,
    seen: HashSet<PeerId>,
}

impl Candidates {
    fn new(lookup: &Lookup<'_>) -> Self {
        let (target, own) = (lookup.target, lookup.own);
        Self { target, own, by_distance: BTreeMap::new(), seen: HashSet::new() }
    }

    fn add_all(&mut self, contacts: Vec<Contact>) {
        for contact in contacts {
            self.add(contact);
        }
    }

    fn add(&mut self, contact: Contact) {
        let is_wanted = contact.peer != self.own && !contact.addrs.is_empty();
        if !is_wanted || self.seen.len() >= CANDIDATES_MAX || !self.seen.insert(contact.peer) {
            return;
        }
        let distance = self.distance(&contact);
        self.by_distance.insert(distance, Candidate { contact, state: State::New });
    }

    fn distance(&self, contact: &Contact) -> Distance {
        Place::of_peer(&contact.peer).distance(&self.target)
    }

    fn set(&mut self, contact: &Contact, state: State) {
        let distance = self.distance(contact);
        if let Some(candidate) = self.by_distance.get_mut(&distance) {
            candidate.state = state;
        }
    }

    /// The nearest that count towards the goal.
    fn relevant(&mut self, goal: Goal) -> impl Iterator<Item = &mut Candidate> {
        let count = match goal {
            Goal::Nearest => BUCKET_LEN_MAX,
            Goal::Stored => NEAREST_ANSWERS,
        };
        let alive = self.by_distance.values_mut().filter(|one| one.state != State::Failed);
        alive.take(count)
    }

    /// The next to ask: the nearest that was not asked yet, if it is near enough to matter.
    fn next(&mut self, goal: Goal) -> Option<Contact> {
        // A search looks at more than it needs, so that one slow peer does not hold it up.
        let goal = if goal == Goal::Stored && !self.is_done(goal) { Goal::Nearest } else { goal };
        let next = self.relevant(goal).find(|candidate| candidate.state == State::New)?;
        next.state = State::Asked;
        Some(next.contact.clone())
    }

    fn is_done(&mut self, goal: Goal) -> bool {
        self.relevant(goal).all(|candidate| candidate.state == State::Answered)
    }

    fn answered(&self) -> Vec<Contact> {
        let answered = self.by_distance.values().filter(|one| one.state == State::Answered);
        answered.take(BUCKET_LEN_MAX).map(|one| one.contact.clone()).collect()
    }
}
