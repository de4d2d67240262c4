//! Finding those who have what a session wants: routing is asked beside the connected peers.
//!
//! A session's first search begins with its first want; connected peers that have the block are
//! faster and end it. Later ones begin only when nothing has come for a while, each after twice
//! the pause of the one before, in turn for the session's first block and for one that is wanted:
//! what was announced may be the root alone.
//!
//! Invariants: at most [`SEARCHES_MAX`] sessions search at once; a session connects to at most
//! [`PROVIDERS_MAX`] providers for each search; a search ends when nobody waits any more.
//! Not here: asking peers for blocks (`bitswap/`).

mod web;

use crate::{
    Contact, PeerId, Routing,
    bitswap::engine,
    swarm::{self, Reach},
};
use cairn_block::Cid;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use std::{
    collections::HashSet,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::debug;
pub use web::{GATEWAYS_MAX, WebConfig, WebServer, is_web};
pub(crate) use web::{ToEngine, WebSources};

/// Sessions that search at once; more wait for their turn.
pub(crate) const SEARCHES_MAX: usize = 16;

/// Providers that one search connects to. Source: Kubo's default.
const PROVIDERS_MAX: usize = 10;

/// How long nothing must have come before the second search.
const PAUSE_MIN: Duration = Duration::from_secs(2);

/// The longest pause between two searches.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Retrieval {
    pub(crate) own: PeerId,
    pub(crate) routing: Routing,
    pub(crate) sources: WebSources,
    pub(crate) swarm: mpsc::Sender<swarm::Command>,
    pub(crate) engine: mpsc::Sender<engine::Command>,
    pub(crate) turns: Semaphore,
}

/// One session's searches.
#[derive(Debug)]
pub(crate) struct Seeker {
    retrieval: Arc<Retrieval>,
    session: u64,
    count: AtomicU32,
    root: OnceLock<Cid>,
}

impl Seeker {
    pub(crate) fn new(retrieval: Arc<Retrieval>, session: u64) -> Self {
        Self { retrieval, session, count: AtomicU32::new(0), root: OnceLock::new() }
    }

    /// Whether there is anybody to ask.
    pub(crate) fn is_on(&self) -> bool {
        self.retrieval.routing.is_on() || !self.retrieval.sources.gateways().is_empty()
    }

    /// How long nothing must have come before the next search.
    pub(crate) fn pause(&self) -> Duration {
        match self.count.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            count => (PAUSE_MIN * 2_u32.saturating_pow(count.min(16) - 1)).min(PAUSE_MAX),
        }
    }

    /// Notes what the session was begun for.
    pub(crate) fn wants(&self, cid: &Cid) {
        self.root.get_or_init(|| cid.clone());
    }

    /// Searches for those who have `wanted`, or the session's first block, and connects to them.
    pub(crate) fn search(&self, wanted: &Cid) -> BoxFuture<'static, ()> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let cid = if number.is_multiple_of(2) { self.root.get() } else { None };
        let cid = cid.unwrap_or(wanted).clone();
        let (retrieval, session) = (Arc::clone(&self.retrieval), self.session);
        let is_first = number == 0;
        async move { retrieval.search(session, cid, is_first).await }.boxed()
    }
}

impl Retrieval {
    async fn search(&self, session: u64, cid: Cid, is_first: bool) {
        let Ok(turn) = self.turns.acquire().await else { return };
        let mut found = self.routing.find_providers(&cid, None).fuse();
        let mut seen = HashSet::from([self.own]);
        let mut dials: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
        if !is_first {
            // Nobody had it so far: those whom the operator has named for this are asked, too.
            for server in self.sources.gateways() {
                dials.push(self.sources.engage(session, server.clone()).boxed());
            }
        }
        loop {
            tokio::select! {
                contact = found.next(), if seen.len() <= PROVIDERS_MAX && !found.is_done() => {
                    let Some(mut contact) = contact else { continue };
                    if !seen.insert(contact.peer) {
                        continue;
                    }
                    let had_addrs = !contact.addrs.is_empty();
                    for server in self.sources.take_servers(&mut contact.addrs) {
                        dials.push(self.sources.engage(session, server).boxed());
                    }
                    // Who is a web server only cannot be dialled.
                    if !had_addrs || !contact.addrs.is_empty() {
                        dials.push(self.connect(session, contact).boxed());
                    }
                }
                Some(()) = dials.next() => {}
                else => break,
            }
        }
        drop(turn);
    }

    /// Connects to a provider, and lets the session ask it first.
    async fn connect(&self, session: u64, mut provider: Contact) {
        let peer = provider.peer;
        if provider.addrs.is_empty()
            && let Ok(found) = self.routing.find_peer(peer, None).await
        {
            provider = found;
        }
        let (reply, answer) = oneshot::channel();
        let reach = Reach { peer, addrs: provider.addrs, is_kept: true };
        if self.swarm.send(swarm::Command::Reach(reach, reply)).await.is_err() {
            return;
        }
        match answer.await {
            Ok(Ok(_)) => {
                // The engine is gone only when everything stops.
                drop(self.engine.send(engine::Command::Provider(session, peer)).await);
            }
            Ok(Err(error)) => debug!(%peer, %error, "provider not reached"),
            Err(_) => {}
        }
    }
}
