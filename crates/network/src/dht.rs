//! The distributed hash table: who has what, asked of and answered to other nodes.
//!
//! There are two, alike but for protocol and addresses: the public one and that of the local
//! network. Each has a routing table, lookups, a server with records kept for others, and an
//! upkeep that keeps the table fresh. All of it runs in tasks beside the swarm, which only opens
//! and hands over streams.
//!
//! ```text
//!   Routing ─▶ Dht ─▶ lookup ─▶ Rpc ─▶ streams (swarm)
//!               ├── table ◀── identify, answers
//!   streams ─▶ server ─▶ table, records ─▶ file
//! ```
//!
//! Spec: IPFS Kademlia DHT, pinned in `spec/PINS.toml`.
//! Invariants: every list, queue and length that a peer can influence has a limit; a value is
//! checked before it is stored and before it is believed; dropping a search ends its requests.
//! Not here: several DHTs as one (`routing.rs`), announcing what this node has (`provide.rs`).

pub(crate) mod lookup;
pub(crate) mod place;
mod records;
pub(crate) mod rpc;
pub(crate) mod scope;
mod server;
pub(crate) mod sweep;
pub(crate) mod table;
mod upkeep;
pub(crate) mod wire;

use crate::{
    Multiaddr, NetworkConfig, PeerId,
    routing::{DhtBucket, DhtPeer, DhtStat, QueryEvent, RoutingError},
    streams::{Accepted, Inbound},
    swarm::{self, KnownAddrs},
};
use cairn_names::{better_value, check_value};
use cairn_runtime::{Clock, Tasks};
use futures::{StreamExt as _, stream::BoxStream, stream::FuturesUnordered};
use libp2p::{StreamProtocol, multiaddr::Protocol};
use lookup::{Goal, Heard, Lookup};
use place::Place;
use records::Records;
use rpc::{Rpc, StreamRpc};
use scope::{Contact, Scope};
use std::{
    cmp::Ordering,
    collections::HashSet,
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{self, AtomicBool},
    },
    time::Duration,
};
use table::{BUCKET_LEN_MAX, Insertion, Table};
use tokio::sync::{Notify, Semaphore, mpsc};
use tracing::{debug, info};
use wire::{Kind, Message, contacts};

/// The public DHT's protocol.
const WAN_PROTOCOL: StreamProtocol = StreamProtocol::new("/ipfs/kad/1.0.0");

/// The local network's.
const LAN_PROTOCOL: StreamProtocol = StreamProtocol::new("/ipfs/lan/kad/1.0.0");

/// Lookups of one DHT that run at once; more wait for their turn.
const LOOKUPS_MAX: usize = 32;

/// Providers that one search finds at most.
const FOUND_MAX: usize = 256;

/// When a node answers others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DhtMode {
    /// Never.
    Client,
    /// Once an address of its own has been confirmed to be reachable.
    Auto,
    /// Always.
    Server,
}

/// Which DHTs to take part in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DhtConfig {
    /// The public one.
    pub wan: Option<DhtMode>,
    /// That of the local network.
    pub lan: Option<DhtMode>,
    /// Whether addresses of this machine count as local: for several nodes on one machine.
    pub lan_loopback: bool,
    /// The folder for what is kept for others; without one it stays in memory.
    pub folder: Option<PathBuf>,
}

/// One DHT; cheap to clone.
#[derive(Clone)]
pub(crate) struct Dht {
    shared: Arc<Shared>,
}

struct Shared {
    own: PeerId,
    name: &'static str,
    protocol: StreamProtocol,
    scope: Scope,
    mode: DhtMode,
    is_serving: Arc<AtomicBool>,
    rpc: Arc<dyn Rpc>,
    table: Mutex<Table>,
    /// Addresses of peers that identified themselves, servers or not.
    book: Mutex<KnownAddrs>,
    records: Records,
    lookups: Semaphore,
    /// Set when the table has got a peer.
    grown: Notify,
    clock: Clock,
}

impl std::fmt::Debug for Dht {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dht").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

/// What is needed to start the DHTs, once the swarm runs.
pub(crate) struct Starting {
    dhts: Vec<(Dht, mpsc::Receiver<Inbound>)>,
}

/// Makes the DHTs that the config asks for, and the protocols that the swarm is to offer.
pub(crate) fn prepare(
    config: &NetworkConfig,
    swarm: &mpsc::Sender<swarm::Command>,
) -> (Starting, Vec<Accepted>) {
    let asks = Arc::new(Semaphore::new(rpc::ASKS_MAX));
    let lan = Scope::Lan { loopback: config.dht.lan_loopback };
    let wanted = [
        (config.dht.wan, "wan", WAN_PROTOCOL, Scope::Wan),
        (config.dht.lan, "lan", LAN_PROTOCOL, lan),
    ];
    let (mut dhts, mut protocols) = (Vec::new(), Vec::new());
    for (mode, name, protocol, scope) in wanted {
        let Some(mode) = mode else { continue };
        let rpc = StreamRpc::new(protocol.clone(), swarm.clone(), Arc::clone(&asks));
        let file = config.dht.folder.as_ref().map(|folder| folder.join(format!("dht-{name}.redb")));
        let parts = Parts { name, protocol: protocol.clone(), scope, mode, file };
        let own = config.keypair.public().to_peer_id();
        let dht = Dht::new(own, parts, Arc::new(rpc), config.clock.clone());
        let (accepted, inbound) = Accepted::new(protocol, Arc::clone(&dht.shared.is_serving));
        dhts.push((dht, inbound));
        protocols.push(accepted);
    }
    (Starting { dhts }, protocols)
}

impl Starting {
    /// The DHTs.
    pub(crate) fn dhts(&self) -> Vec<Dht> {
        self.dhts.iter().map(|(dht, _)| dht.clone()).collect()
    }

    /// Starts their tasks.
    pub(crate) fn start(self, tasks: &Tasks) {
        for (dht, inbound) in self.dhts {
            tasks.spawn("dht server", server::serve(dht.clone(), inbound));
            tasks.spawn("dht records", dht.shared.records.clone().write_behind());
            tasks.spawn("dht upkeep", upkeep::run(dht));
        }
    }
}

/// What tells one DHT from another.
pub(crate) struct Parts {
    pub(crate) name: &'static str,
    pub(crate) protocol: StreamProtocol,
    pub(crate) scope: Scope,
    pub(crate) mode: DhtMode,
    pub(crate) file: Option<PathBuf>,
}

impl Dht {
    pub(crate) fn new(own: PeerId, parts: Parts, rpc: Arc<dyn Rpc>, clock: Clock) -> Self {
        let Parts { name, protocol, scope, mode, file } = parts;
        let shared = Shared {
            own,
            name,
            protocol,
            scope,
            mode,
            is_serving: Arc::new(AtomicBool::new(mode == DhtMode::Server)),
            rpc,
            table: Mutex::new(Table::new(Place::of_peer(&own), scope)),
            book: Mutex::default(),
            records: Records::open(file, clock.clone()),
            lookups: Semaphore::new(LOOKUPS_MAX),
            grown: Notify::new(),
            clock,
        };
        Self { shared: Arc::new(shared) }
    }

    /// `wan` or `lan`.
    pub(crate) fn name(&self) -> &'static str {
        self.shared.name
    }

    /// Whether others are answered.
    pub(crate) fn is_serving(&self) -> bool {
        self.shared.is_serving.load(atomic::Ordering::Relaxed)
    }

    /// An address of this node has been confirmed to be reachable.
    pub(crate) fn reachable_at(&self, addr: &Multiaddr) {
        let shared = &self.shared;
        if shared.mode == DhtMode::Auto
            && shared.is_direct(addr)
            && !shared.is_serving.swap(true, atomic::Ordering::Relaxed)
        {
            info!(dht = shared.name, %addr, "reachable: answering other nodes from now on");
        }
    }

    /// These are all addresses of this node that are confirmed to be reachable.
    pub(crate) fn reachable_only_at(&self, addrs: &[Multiaddr]) {
        let shared = &self.shared;
        if shared.mode == DhtMode::Auto
            && !addrs.iter().any(|addr| shared.is_direct(addr))
            && shared.is_serving.swap(false, atomic::Ordering::Relaxed)
        {
            info!(dht = shared.name, "no longer reachable: answering nobody from now on");
        }
    }

    /// A connected peer told what it speaks and where it listens.
    pub(crate) fn identified(&self, peer: PeerId, protocols: &[String], addrs: Vec<Multiaddr>) {
        let shared = &self.shared;
        {
            let mut book = shared.book();
            for addr in shared.scope.filter(addrs.iter().cloned()) {
                book.insert(peer, addr);
            }
        }
        if protocols.iter().any(|name| *name == shared.protocol.as_ref()) {
            self.add(Contact { peer, addrs });
        } else {
            shared.table().remove(&peer);
        }
    }

    /// Adds a server to the table.
    pub(crate) fn add(&self, contact: Contact) {
        let peer = contact.peer;
        if peer == self.shared.own {
            return;
        }
        let now = self.shared.clock.monotonic();
        let inserted = self.shared.table().insert(contact, now);
        if inserted == Insertion::Added {
            debug!(dht = self.shared.name, %peer, "added to the routing table");
            self.shared.grown.notify_one();
        }
    }

    /// Peers of the table.
    pub(crate) fn size(&self) -> usize {
        self.shared.table().len()
    }

    /// Looks for the peers nearest to the key of `request`.
    pub(crate) async fn nearest(
        &self,
        request: Message,
        events: Option<mpsc::Sender<QueryEvent>>,
    ) -> Result<Vec<Contact>, RoutingError> {
        self.look_up(request, Goal::Nearest, events, |_| ControlFlow::Continue(())).await
    }

    async fn look_up(
        &self,
        request: Message,
        goal: Goal,
        events: Option<mpsc::Sender<QueryEvent>>,
        mut hear: impl FnMut(Heard<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Contact>, RoutingError> {
        let shared = &self.shared;
        let turn = shared.lookups.acquire().await.map_err(|_| RoutingError::Stopped)?;
        let target = Place::of_key(&request.key);
        let seeds = shared.table().nearest(&target, BUCKET_LEN_MAX);
        if seeds.is_empty() {
            return Err(RoutingError::NoPeers);
        }
        let (own, scope, rpc) = (shared.own, shared.scope, &*shared.rpc);
        let lookup = Lookup { rpc, own, scope, target, request, goal, events };
        let nearest = lookup.run(seeds, |heard| {
            match &heard {
                Heard::Answer(contact, _) => self.answered(contact),
                Heard::Failure(contact) => shared.table().failed(&contact.peer),
            }
            hear(heard)
        });
        let nearest = nearest.await;
        drop(turn);
        Ok(nearest)
    }

    /// A peer answered a request, so it is a server.
    fn answered(&self, contact: &Contact) {
        self.add(contact.clone());
        self.shared.table().answered(&contact.peer, self.shared.clock.monotonic());
    }

    /// Searches for those who announced `key`, a multihash.
    pub(crate) fn find_providers(
        &self,
        key: Vec<u8>,
        events: Option<mpsc::Sender<QueryEvent>>,
    ) -> BoxStream<'static, Contact> {
        let dht = self.clone();
        streamed(FOUND_MAX, move |found| async move {
            let scope = dht.shared.scope;
            let place = Place::of_key(&key);
            let mut seen = HashSet::new();
            let mut pass_on = |contact: Contact| {
                if seen.len() < FOUND_MAX && seen.insert(contact.peer) {
                    let contact = dht.with_known_addrs(contact);
                    let event = QueryEvent::Provider { provider: contact.clone() };
                    events.as_ref().map(|events| events.try_send(event));
                    // There is room for all that may be seen.
                    drop(found.try_send(contact));
                }
            };
            let own = dht.shared.records.providers(place, BUCKET_LEN_MAX).await;
            own.into_iter().for_each(&mut pass_on);
            let request = Message::ask(Kind::GetProviders, &key);
            let looked = dht.look_up(request, Goal::Stored, events.clone(), |heard| {
                if let Heard::Answer(_, message) = heard {
                    contacts(&message.providers, scope).into_iter().for_each(&mut pass_on);
                }
                ControlFlow::Continue(())
            });
            if let Err(error) = looked.await {
                debug!(dht = dht.shared.name, %error, "no search for providers");
            }
        })
    }

    fn with_known_addrs(&self, mut contact: Contact) -> Contact {
        if contact.addrs.is_empty() {
            contact.addrs = self.known_addrs(&contact.peer);
        }
        contact
    }

    /// Where a peer may be reached, without asking anybody.
    pub(crate) fn known_addrs(&self, peer: &PeerId) -> Vec<Multiaddr> {
        let in_table = self.shared.table().get(peer).map(|entry| entry.contact.addrs.clone());
        in_table.unwrap_or_else(|| self.shared.book().of(peer))
    }

    /// Searches for a peer's addresses.
    pub(crate) async fn find_peer(
        &self,
        peer: PeerId,
        events: Option<mpsc::Sender<QueryEvent>>,
    ) -> Result<Contact, RoutingError> {
        let known = self.known_addrs(&peer);
        if !known.is_empty() {
            return Ok(Contact { peer, addrs: known });
        }
        let request = Message::ask(Kind::FindNode, &peer.to_bytes());
        let scope = self.shared.scope;
        let mut found: Option<Contact> = None;
        let looked = self.look_up(request, Goal::Stored, events, |heard| {
            let Heard::Answer(_, message) = heard else { return ControlFlow::Continue(()) };
            let named = contacts(&message.closer, scope).into_iter();
            found = named.into_iter().find(|one| one.peer == peer && !one.addrs.is_empty());
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        looked.await?;
        found.ok_or(RoutingError::NotFound)
    }

    /// Searches for the best value under `key`.
    pub(crate) async fn get_value(
        &self,
        key: &[u8],
        events: Option<mpsc::Sender<QueryEvent>>,
    ) -> Result<Vec<u8>, RoutingError> {
        let place = Place::of_key(key);
        let now = self.shared.clock.now();
        let is_valid = |value: &Vec<u8>| check_value(key, value, now).is_ok();
        let mut best = self.shared.records.value(place).await.filter(is_valid);
        let request = Message::ask(Kind::GetValue, key);
        let looked = self.look_up(request, Goal::Stored, events, |heard| {
            if let Heard::Answer(contact, message) = heard
                && let Some(record) = &message.record
            {
                if !is_valid(&record.value) {
                    debug!(peer = %contact.peer, "sent a value that is not valid");
                } else if best
                    .as_ref()
                    .is_none_or(|best| better_value(key, &record.value, best) == Ordering::Greater)
                {
                    best = Some(record.value.clone());
                }
            }
            ControlFlow::Continue(())
        });
        let looked = looked.await;
        best.ok_or_else(|| looked.err().unwrap_or(RoutingError::NotFound))
    }

    /// Stores a checked value here and with the nearest peers; returns how many of these took it.
    pub(crate) async fn put_value(
        &self,
        key: &[u8],
        value: &[u8],
        events: Option<mpsc::Sender<QueryEvent>>,
    ) -> Result<usize, RoutingError> {
        if let Err(full) = self.keep_value(key, value).await {
            debug!(?full, "a value is kept by others alone");
        }
        let request = Message::ask(Kind::FindNode, key);
        let nearest = self.nearest(request, events.clone()).await?;
        let mut puts: FuturesUnordered<_> = nearest
            .iter()
            .map(|contact| async {
                let put = self.shared.rpc.ask(contact, Message::put_value(key, value)).await;
                (contact.peer, put)
            })
            .collect();
        let mut stored = 0;
        while let Some((peer, put)) = puts.next().await {
            match put {
                Ok(_) => {
                    stored += 1;
                    let event = QueryEvent::Stored { peer };
                    events.as_ref().map(|events| events.try_send(event));
                }
                Err(error) => debug!(%peer, %error, "did not take a value"),
            }
        }
        if stored == 0 { Err(RoutingError::NotStored) } else { Ok(stored) }
    }

    /// Announces to the nearest peers that this node has what `key` names; returns to how many.
    pub(crate) async fn provide(
        &self,
        key: &[u8],
        events: Option<mpsc::Sender<QueryEvent>>,
    ) -> Result<usize, RoutingError> {
        if self.size() == 0 {
            return Err(RoutingError::NoPeers);
        }
        let own = self.own_contact().await?;
        let request = Message::ask(Kind::FindNode, key);
        let nearest = self.nearest(request, events.clone()).await?;
        let tell = |contact: Contact| {
            let (own, events) = (&own, events.clone());
            async move {
                let message = Message::add_provider(key, own);
                let told = self.shared.rpc.tell(&contact, vec![message]).await;
                if told.is_ok() {
                    let event = QueryEvent::Stored { peer: contact.peer };
                    events.map(|events| events.try_send(event));
                }
                told.is_ok()
            }
        };
        let told: FuturesUnordered<_> = nearest.into_iter().map(tell).collect();
        let told = told.filter(|told| std::future::ready(*told)).count().await;
        if told == 0 { Err(RoutingError::NotStored) } else { Ok(told) }
    }

    /// This node, as the DHT's others may reach it.
    pub(crate) async fn own_contact(&self) -> Result<Contact, RoutingError> {
        let addrs = self.shared.scope.filter(self.shared.rpc.own_addrs().await);
        if addrs.is_empty() {
            return Err(RoutingError::NoAddress);
        }
        Ok(Contact { peer: self.shared.own, addrs })
    }

    /// What `stats dht` shows.
    pub(crate) fn stat(&self) -> DhtStat {
        let now = self.shared.clock.monotonic();
        let age = |since| Some(now.saturating_duration_since(since));
        let table = self.shared.table();
        let buckets = table.buckets().map(|(bits, entries)| DhtBucket {
            shared_bits: bits,
            peers: entries
                .iter()
                .map(|entry| DhtPeer {
                    peer: entry.contact.peer,
                    since: age(entry.added).unwrap_or_default(),
                    seen: age(entry.seen).unwrap_or_default(),
                    useful: entry.useful.and_then(age),
                })
                .collect(),
        });
        let buckets = buckets.collect();
        drop(table);
        DhtStat {
            name: self.shared.name,
            is_server: self.is_serving(),
            buckets,
            provider_records: self.shared.records.provider_count(),
            values: self.shared.records.value_count(),
        }
    }
}

impl Shared {
    /// Whether this node can be reached at an address by the peers of this DHT, without a relay.
    fn is_direct(&self, addr: &Multiaddr) -> bool {
        self.scope.admits(addr) && !addr.iter().any(|part| part == Protocol::P2pCircuit)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn book(&self) -> MutexGuard<'_, KnownAddrs> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a peer may be silent before the upkeep asks it.
    const fn silence_max() -> Duration {
        Duration::from_mins(10)
    }
}

/// Makes a stream of what `work` sends; both run where the stream is polled, and end with it.
pub(crate) fn streamed<T: Send + 'static, F: Future<Output = ()> + Send + 'static>(
    len: usize,
    work: impl FnOnce(mpsc::Sender<T>) -> F,
) -> BoxStream<'static, T> {
    let (sender, mut receiver) = mpsc::channel(len);
    let work = futures::stream::once(work(sender)).filter_map(|()| std::future::ready(None));
    let sent = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    futures::stream::select(sent, work).boxed()
}

#[cfg(test)]
pub(crate) mod tests;
