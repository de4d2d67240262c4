//! The task that owns wants and ledgers, and moves messages, blocks and answers between them.
//!
//! It waits for nothing but its next input: handlers are only ever given what they have room
//! for, hashing and the store's reads run elsewhere and report back.
//!
//! Invariants: one turn handles a bounded number of inputs, then sends what follows from them;
//! inputs come through bounded queues.
//! Not here: the rules (`client.rs`, `server.rs`), bytes and streams (`wire.rs`, `handler.rs`).

mod answer;
mod connections;
mod receive;
mod recent;

use super::{
    Awaited,
    client::{Client, Waiter},
    limits::OFFENCES_MAX,
    protocol::Version,
    server::{Account, Answer, Server},
    wire::{Message, Outgoing},
};
use crate::{BitswapStat, LedgerInfo, PeerId, session::Arrival, swarm};
use cairn_block::{Block, BlockStore, Cid};
use cairn_hash::Multihash;
use cairn_runtime::{Budget, Clock, Tasks};
use connections::Connections;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use libp2p::swarm::ConnectionId;
use receive::Receiving;
use recent::Recent;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};
use tracing::debug;

/// Events of all connections that may wait for the engine.
const EVENT_QUEUE_LEN: usize = 128;

/// Inputs handled before the consequences are sent.
const BATCH_MAX: usize = 64;

/// Turns of the server that are looked up at once.
const ANSWERS_MAX: usize = 8;

/// How often time is looked at while something is wanted.
const TICK: Duration = Duration::from_millis(100);

/// Peers whose accounts are kept after they have gone.
const ACCOUNTS_MAX: usize = 4096;

/// What the handle may ask of the engine.
#[derive(Debug)]
pub(crate) enum Command {
    Want(Want),
    /// The session asks this peer first: it has announced what is wanted.
    Provider(u64, PeerId),
    Stat(oneshot::Sender<BitswapStat>),
    Wantlist(Option<PeerId>, oneshot::Sender<Vec<Cid>>),
    Ledger(PeerId, oneshot::Sender<Option<LedgerInfo>>),
}

/// Blocks wanted by one fetch.
#[derive(Debug)]
pub(crate) struct Want {
    pub(crate) session: u64,
    pub(crate) fetch: u64,
    pub(crate) cids: Vec<(usize, Cid)>,
    /// Has room for an answer to every CID; closed when nobody waits any more.
    pub(crate) answers: mpsc::Sender<Arrival>,
}

/// One connection of one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) peer: PeerId,
    pub(crate) connection: ConnectionId,
}

/// What one request to a web server came to.
#[derive(Debug)]
pub(crate) enum Gift {
    Block(Block),
    Presence(Cid, bool),
}

/// What handlers report.
#[derive(Debug)]
pub(crate) enum Event {
    /// There is a connection; messages for it go here.
    Open(Link, mpsc::Sender<Outgoing>),
    /// The peer speaks Bitswap on it.
    Ready(Link, Version),
    /// So many bytes of [`Outgoing::len`] have been written, or given up.
    Sent(Link, usize),
    /// A message came; the permit is its share of the memory for messages.
    Message { link: Link, message: Message, permit: Option<OwnedSemaphorePermit> },
    /// A message broke the rules; its stream is closed.
    Malformed(Link),
    /// A web server may be asked, by the sessions that learn of it; messages for it go here.
    Web(Link, mpsc::Sender<Outgoing>),
    /// What a web server has given, checked, and what it has or has not; the permit is its share
    /// of the requests that may be under way.
    Fetched { link: Link, gift: Gift, permit: Option<OwnedSemaphorePermit> },
}

/// What work elsewhere reports.
enum Done {
    Named(Vec<(PeerId, Vec<Block>)>),
    Answered(PeerId, Answer),
}

/// What has closed.
enum Closed {
    Connection(Link),
    Fetch(u64),
}

/// What connects the engine with the rest.
pub(crate) struct Links {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) swarm: mpsc::Sender<swarm::Command>,
    pub(crate) awaited: Arc<Awaited>,
    pub(crate) tasks: Tasks,
    pub(crate) serve: bool,
    pub(crate) budget: Budget,
}

/// Makes the channel on which handlers report.
pub(crate) fn events() -> (mpsc::Sender<Event>, mpsc::Receiver<Event>) {
    mpsc::channel(EVENT_QUEUE_LEN)
}

/// Starts the engine on the tasks given by `links`.
pub(crate) fn start<S: BlockStore + Clone + 'static>(
    links: Links,
    events: mpsc::Receiver<Event>,
    store: S,
) {
    let Links { commands, swarm, awaited, tasks, serve, budget } = links;
    let (done_sender, done) = mpsc::channel(2 * ANSWERS_MAX + receive::JOBS_MAX);
    let engine = Engine {
        store,
        swarm,
        serve,
        // A group of its own, which ends with the engine: see `Tasks::spawn`.
        tasks: tasks.child(),
        clock: Clock::system(),
        client: Client::default(),
        server: Server::new(Arc::clone(&awaited)),
        connections: Connections::new(budget.sent()),
        receiving: Receiving::default(),
        recent: Recent::default(),
        fetches: HashMap::new(),
        closing: FuturesUnordered::new(),
        answers: 0,
        done: done_sender,
        offences: HashMap::new(),
        accounts: HashMap::new(),
        account_order: VecDeque::new(),
        stat: BitswapStat::default(),
    };
    let inputs = Inputs { commands, events, done, awaited };
    tasks.spawn("bitswap", engine.run(inputs));
}

/// Where inputs come from.
struct Inputs {
    commands: mpsc::Receiver<Command>,
    events: mpsc::Receiver<Event>,
    done: mpsc::Receiver<Done>,
    awaited: Arc<Awaited>,
}

/// One input.
enum Input {
    Command(Command),
    Event(Event),
    Done(Done),
    Closed(Closed),
    Arrived(Vec<Multihash>),
    Tick,
    End,
}

/// How a peer has misbehaved.
#[derive(Debug, Default)]
struct Offences {
    malformed: u32,
    unasked: u32,
}

struct Engine<S> {
    store: S,
    swarm: mpsc::Sender<swarm::Command>,
    serve: bool,
    tasks: Tasks,
    clock: Clock,
    client: Client,
    server: Server,
    connections: Connections,
    receiving: Receiving,
    recent: Recent,
    fetches: HashMap<u64, mpsc::Sender<Arrival>>,
    closing: FuturesUnordered<BoxFuture<'static, Closed>>,
    /// Turns being looked up.
    answers: usize,
    done: mpsc::Sender<Done>,
    offences: HashMap<PeerId, Offences>,
    accounts: HashMap<PeerId, Account>,
    account_order: VecDeque<PeerId>,
    stat: BitswapStat,
}

impl<S: BlockStore + Clone + 'static> Engine<S> {
    async fn run(mut self, mut inputs: Inputs) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_idle = self.client.is_idle() && self.recent.is_empty();
            let input = tokio::select! {
                Some(done) = inputs.done.recv() => Input::Done(done),
                Some(closed) = self.closing.next() => Input::Closed(closed),
                command = inputs.commands.recv() => command.map_or(Input::End, Input::Command),
                Some(event) = inputs.events.recv() => Input::Event(event),
                arrived = inputs.awaited.take() => Input::Arrived(arrived),
                _ = ticks.tick(), if !is_idle => Input::Tick,
            };
            if let Input::End = input {
                return;
            }
            self.on_input(input);
            for _ in 0..BATCH_MAX {
                if let Ok(done) = inputs.done.try_recv() {
                    self.on_input(Input::Done(done));
                } else if let Ok(event) = inputs.events.try_recv() {
                    self.on_input(Input::Event(event));
                } else if let Ok(command) = inputs.commands.try_recv() {
                    self.on_input(Input::Command(command));
                } else {
                    break;
                }
            }
            self.follow_up();
        }
    }

    fn on_input(&mut self, input: Input) {
        match input {
            Input::Command(command) => self.on_command(command),
            Input::Event(event) => self.on_event(event),
            Input::Done(Done::Named(named)) => self.on_named(named),
            Input::Done(Done::Answered(peer, answer)) => self.on_answered(peer, answer),
            Input::Closed(Closed::Connection(link)) => self.on_connection_closed(link),
            Input::Closed(Closed::Fetch(fetch)) => {
                self.fetches.remove(&fetch);
                self.client.cancel(fetch);
            }
            Input::Arrived(hashes) => hashes.iter().for_each(|hash| self.server.arrived(hash)),
            Input::Tick => {
                let now = self.clock.monotonic();
                self.recent.tick(now);
                self.client.tick(now);
            }
            Input::End => {}
        }
    }

    fn on_command(&mut self, command: Command) {
        // Whoever asked may have gone: a reply that nobody takes is no error.
        match command {
            Command::Want(want) => self.on_want(want),
            Command::Provider(session, peer) => self.client.provider(peer, session),
            Command::Stat(reply) => {
                let wantlist = self.client.wantlist();
                let peers = self.connections.ready();
                drop(reply.send(BitswapStat { wantlist, peers, ..self.stat.clone() }));
            }
            Command::Wantlist(None, reply) => drop(reply.send(self.client.wantlist())),
            Command::Wantlist(Some(peer), reply) => drop(reply.send(self.server.wantlist(&peer))),
            Command::Ledger(peer, reply) => {
                drop(reply.send(self.accounts.get(&peer).map(|account| account.info(peer))));
            }
        }
    }

    fn on_want(&mut self, want: Want) {
        let Want { session, fetch, cids, answers } = want;
        if answers.is_closed() {
            return;
        }
        let now = self.clock.monotonic();
        for (place, cid) in cids {
            match self.recent.get(cid.multihash()) {
                // It has room for an answer to every CID; nobody may wait for it any more.
                Some(block) => drop(answers.try_send((place, block.clone().rename(cid)))),
                None => self.client.want(Waiter { fetch, place, cid, session }, now),
            }
        }
        if self.fetches.insert(fetch, answers.clone()).is_none() {
            let closed = async move {
                answers.closed().await;
                Closed::Fetch(fetch)
            };
            self.closing.push(closed.boxed());
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Open(link, messages) => self.on_open(link, messages),
            Event::Web(link, messages) => {
                self.on_open(link, messages);
                if self.connections.set_ready(link, Version::V1_2) {
                    self.client.web_ready(link.peer, self.clock.monotonic());
                    self.account(link.peer);
                }
            }
            Event::Fetched { link, gift, permit } => {
                self.on_fetched(link, gift);
                drop(permit);
            }
            Event::Ready(link, version) => {
                if self.connections.set_ready(link, version) {
                    let now = self.clock.monotonic();
                    self.client.peer_ready(link.peer, version.has_presence(), now);
                    self.account(link.peer);
                }
            }
            Event::Sent(link, len) => self.connections.set_sent(link, len),
            Event::Message { link, message, permit } => self.on_message(link, message, permit),
            Event::Malformed(link) => {
                self.stat.malformed_messages_received += 1;
                let offences = self.offences.entry(link.peer).or_default();
                offences.malformed += 1;
                if offences.malformed >= OFFENCES_MAX {
                    self.punish(link.peer);
                }
            }
        }
    }

    fn on_open(&mut self, link: Link, messages: mpsc::Sender<Outgoing>) {
        let closed = messages.clone();
        self.connections.open(link, messages);
        let closed = async move {
            closed.closed().await;
            Closed::Connection(link)
        };
        self.closing.push(closed.boxed());
    }

    fn on_connection_closed(&mut self, link: Link) {
        let peer = link.peer;
        if !self.connections.close(link) {
            return;
        }
        // Whatever it was asked over that connection is lost.
        self.client.peer_gone(peer);
        if let Some(version) = self.connections.version(&peer) {
            self.client.peer_ready(peer, version.has_presence(), self.clock.monotonic());
        }
        if !self.connections.has(&peer) {
            self.server.peer_gone(peer);
            self.offences.remove(&peer);
        }
    }

    fn punish(&self, peer: PeerId) {
        // If the swarm is too busy, the next offence tries again.
        if self.swarm.try_send(swarm::Command::Punish(peer)).is_err() {
            debug!(%peer, "swarm is busy");
        }
    }

    /// Everything that may follow from the inputs just handled.
    fn follow_up(&mut self) {
        self.start_naming();
        self.client.schedule(self.clock.monotonic());
        for peer in self.client.dirty() {
            if self.connections.has_room_for_notes(&peer) {
                let (wants, full) = self.client.take(peer);
                let message = Outgoing { wants, full, ..Outgoing::default() };
                self.connections.send(&peer, message);
            }
        }
        self.start_answers();
    }

    fn start_answers(&mut self) {
        while self.serve && self.answers < ANSWERS_MAX {
            let connections = &self.connections;
            let Some(turn) = self.server.next(|peer| connections.has_room(peer)) else { return };
            self.answers += 1;
            let (store, done) = (self.store.clone(), self.done.clone());
            self.tasks.spawn("bitswap answer", async move {
                let peer = turn.peer;
                let answer = answer::look_up(&store, turn).await;
                // The engine is gone only when everything stops.
                drop(done.send(Done::Answered(peer, answer)).await);
            });
        }
    }

    fn on_answered(&mut self, peer: PeerId, mut answer: Answer) {
        self.answers -= 1;
        self.server.done(peer, &mut answer);
        let Answer { blocks, haves, dont_haves, .. } = answer;
        let len: usize = blocks.iter().map(|block| block.data().len()).sum();
        let (count, len) = (blocks.len() as u64, len as u64);
        let haves = haves.into_iter().map(|cid| (cid, true));
        let presences = haves.chain(dont_haves.into_iter().map(|cid| (cid, false))).collect();
        let pending_len = self.server.pending_len(&peer);
        let message = Outgoing { blocks, presences, pending_len, ..Outgoing::default() };
        if message.is_empty() || !self.connections.send(&peer, message) || count == 0 {
            return;
        }
        self.stat.blocks_sent += count;
        self.stat.data_sent += len;
        let account = self.account(peer);
        account.sent += len;
        account.exchanged += 1;
    }

    fn account(&mut self, peer: PeerId) -> &mut Account {
        if !self.accounts.contains_key(&peer) {
            if self.accounts.len() >= ACCOUNTS_MAX
                && let Some(oldest) = self.account_order.pop_front()
            {
                self.accounts.remove(&oldest);
            }
            self.account_order.push_back(peer);
        }
        self.accounts.entry(peer).or_default()
    }
}
