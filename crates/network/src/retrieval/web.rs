//! Blocks from web servers: gateways that a provider's addresses name, or the operator.
//!
//! A server is, to the engine, one more peer: it is told wants and answers with blocks. So a
//! session asks it beside Bitswap's peers, each for other blocks, and whoever is faster gets more
//! to do. Unlike those it is never asked by a session that has not learned of it.
//!
//! Spec: Trustless Gateway, "Block Responses", pinned in `spec/PINS.toml`; which servers are
//! asked, as Kubo's `HTTPRetrieval` says.
//! Invariants: at most [`OPEN_MAX`] servers are asked at a time, by at most the configured number
//! of requests; a server that sends what was not asked for is left for [`BAN`]; one that fails, for
//! a while that doubles.
//! Not here: one server's requests (`worker.rs`), which addresses are servers (`server.rs`).

mod server;
mod worker;

use crate::{
    Filters, Multiaddr, PeerId,
    bitswap::{
        engine::{Command, Event, Link},
        limits::PEER_UNSENT_MAX,
    },
    routing::delegated::rest::Rest,
};
use cairn_block::BLOCK_LEN_MAX;
use cairn_hash::{Multihash, sha256};
use cairn_runtime::{Clock, Tasks};
use cairn_web::{Client, Trust};
use libp2p::swarm::ConnectionId;
pub use server::{WebServer, is_web};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, mpsc};
use tracing::debug;
use worker::{End, Worker};

/// Servers that are asked at a time.
const OPEN_MAX: usize = 32;

/// Servers that are remembered; those that are open stay.
const KNOWN_MAX: usize = 256;

/// Servers that the addresses of one provider name.
const SERVERS_MAX: usize = 4;

/// Servers that the operator may name.
pub const GATEWAYS_MAX: usize = 16;

/// For how long a server is left that sent wrong bytes.
const BAN: Duration = Duration::from_mins(5);

/// Which web servers blocks are fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebConfig {
    /// Whether any are.
    pub enabled: bool,
    /// If it is not empty, hosts that alone are asked.
    pub allowed: Vec<String>,
    /// Hosts that are never asked.
    pub denied: Vec<String>,
    /// Requests under way at once, to all servers.
    pub workers: usize,
    /// Longest block that is taken, in bytes.
    pub block_len_max: usize,
    /// Whose certificates count; blocks are checked by their hash in any case.
    pub trust: Trust,
    /// Servers that are asked for what nobody else has.
    pub gateways: Vec<WebServer>,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            allowed: Vec::new(),
            denied: Vec::new(),
            workers: 16,
            block_len_max: BLOCK_LEN_MAX,
            trust: Trust::System,
            gateways: Vec::new(),
        }
    }
}

/// All web servers.
#[derive(Debug, Clone)]
pub(crate) struct WebSources {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: WebConfig,
    filters: Filters,
    web: Client,
    events: mpsc::Sender<Event>,
    engine: mpsc::Sender<Command>,
    clock: Clock,
    /// A group of its own, which ends with the last handle.
    tasks: Tasks,
    turns: Arc<Semaphore>,
    connections: AtomicUsize,
    hosts: Mutex<HashMap<WebServer, Arc<Host>>>,
}

/// What is remembered of one server.
#[derive(Debug, Default)]
struct Host {
    rest: Rest,
    is_open: std::sync::atomic::AtomicBool,
}

/// The channels to the engine.
pub(crate) struct ToEngine {
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) commands: mpsc::Sender<Command>,
}

impl WebSources {
    pub(crate) fn new(
        config: WebConfig,
        filters: Filters,
        engine: ToEngine,
        (tasks, clock): (&Tasks, &Clock),
    ) -> Self {
        let tasks = tasks.child();
        let web = Client::new(&tasks, config.trust);
        let turns = Arc::new(Semaphore::new(config.workers.max(1)));
        let (hosts, connections) = (Mutex::default(), AtomicUsize::new(0));
        let ToEngine { events, commands: engine } = engine;
        let clock = clock.clone();
        let shared = Shared {
            config,
            filters,
            web,
            events,
            engine,
            clock,
            tasks,
            turns,
            connections,
            hosts,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes the web servers out of a provider's addresses; returns those that may be asked.
    pub(crate) fn take_servers(&self, addrs: &mut Vec<Multiaddr>) -> Vec<WebServer> {
        let shared = &self.shared;
        let mut servers = Vec::new();
        for addr in addrs.extract_if(.., |addr| is_web(addr)) {
            let server = WebServer::of(&addr).filter(|server| shared.admits(server));
            let is_open = shared.config.enabled && !shared.filters.blocks(&addr);
            if let Some(server) = server
                && is_open
                && servers.len() < SERVERS_MAX
                && !servers.contains(&server)
            {
                servers.push(server);
            }
        }
        servers
    }

    /// The servers that the operator has named.
    pub(crate) fn gateways(&self) -> &[WebServer] {
        &self.shared.config.gateways
    }

    /// Lets a session ask a server.
    pub(crate) async fn engage(&self, session: u64, server: WebServer) {
        let shared = &self.shared;
        let Some((host, is_new)) = shared.host(&server) else { return };
        let peer = peer_of(&server);
        if is_new {
            let number = shared.connections.fetch_add(1, Ordering::Relaxed);
            // Counted from the other end than those of the swarm.
            let connection = ConnectionId::new_unchecked(usize::MAX - number);
            let link = Link { peer, connection };
            let (sender, messages) = mpsc::channel(2 * PEER_UNSENT_MAX);
            let worker = Worker {
                link,
                server: server.clone(),
                messages,
                events: shared.events.clone(),
                web: shared.web.clone(),
                turns: Arc::clone(&shared.turns),
                block_len_max: shared.config.block_len_max.min(BLOCK_LEN_MAX),
            };
            let clock = shared.clock.clone();
            shared.tasks.spawn("web source", async move {
                let end = worker.run(sender).await;
                debug!(server = server.base(), ?end, "network.web");
                match end {
                    End::Idle => host.rest.succeeded(),
                    End::Failed(at_least) => host.rest.failed(clock.monotonic(), at_least),
                    End::Lied => host.rest.failed(clock.monotonic(), BAN),
                }
                host.is_open.store(false, Ordering::Relaxed);
            });
        }
        // The engine is gone only when everything stops.
        drop(shared.engine.send(Command::Provider(session, peer)).await);
    }
}

impl Shared {
    fn admits(&self, server: &WebServer) -> bool {
        let is_in =
            |list: &[String]| list.iter().any(|host| host.eq_ignore_ascii_case(server.host()));
        let WebConfig { allowed, denied, .. } = &self.config;
        !is_in(denied) && (allowed.is_empty() || is_in(allowed))
    }

    /// A server that may be asked, and whether nobody asks it yet.
    fn host(&self, server: &WebServer) -> Option<(Arc<Host>, bool)> {
        let mut hosts = self.hosts();
        let now = self.clock.monotonic();
        if let Some(host) = hosts.get(server) {
            if host.is_open.load(Ordering::Relaxed) {
                return Some((Arc::clone(host), false));
            }
            if host.rest.is_resting(now) {
                return None;
            }
        }
        let is_open = |host: &Arc<Host>| host.is_open.load(Ordering::Relaxed);
        if hosts.values().filter(|host| is_open(host)).count() >= OPEN_MAX {
            return None;
        }
        if hosts.len() >= KNOWN_MAX && !hosts.contains_key(server) {
            // Those that are left alone are remembered for longer than those that are not.
            let idle = |(_, host): &(&WebServer, &Arc<Host>)| !is_open(host);
            let known = || hosts.iter().filter(idle);
            let rested = known().find(|(_, host)| !host.rest.is_resting(now));
            let oldest = rested.or_else(|| known().next()).map(|(server, _)| server.clone());
            hosts.remove(&oldest?);
        }
        let host = Arc::clone(hosts.entry(server.clone()).or_default());
        host.is_open.store(true, Ordering::Relaxed);
        Some((host, true))
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<WebServer, Arc<Host>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As whom the engine knows a server: nobody has the key of this ID.
fn peer_of(server: &WebServer) -> PeerId {
    let hash = Multihash::sha2_256(sha256(format!("web server {}", server.base()).as_bytes()));
    PeerId::from_bytes(&hash.to_bytes()).expect("invariant: SHA-256 makes a peer ID")
}
