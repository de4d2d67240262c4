//! Who has what, and where peers are: every way of finding out as one handle.
//!
//! Today these are the two DHTs. All of them are asked at the same time; what one finds is used
//! at once and the others go on, so the slowest costs nothing.
//!
//! Invariants: a search ends when its stream or future is dropped; with no source everything
//! answers [`RoutingError::Off`].
//! Not here: how one DHT searches (`dht.rs`), dialling those who were found (`retrieval.rs`).

mod info;

use crate::{
    PeerId, ProvideKeys,
    dht::{Dht, scope::Contact, streamed, sweep::Swept, wire::Kind, wire::Message},
};
use cairn_block::Cid;
use cairn_names::{better_value, check_value};
use cairn_runtime::Clock;
use futures::{
    FutureExt as _, Stream, StreamExt as _,
    future::{BoxFuture, join_all, select_ok},
    stream::select_all,
};
pub use info::{DhtBucket, DhtPeer, DhtStat, QueryEvent, RoutingError};
use std::{collections::HashSet, sync::Arc};
use tokio::sync::mpsc;

/// Providers that one search yields at most.
const FOUND_MAX: usize = 512;

/// Where the steps of a search are told; whoever reads slowly misses some.
pub type QueryEvents = mpsc::Sender<QueryEvent>;

/// Every way of finding content, peers and values; cheap to clone.
#[derive(Debug, Clone)]
pub struct Routing {
    dhts: Arc<[Dht]>,
    clock: Clock,
}

impl Routing {
    pub(crate) fn new(dhts: Vec<Dht>) -> Self {
        Self { dhts: dhts.into(), clock: Clock::system() }
    }

    /// Whether there is any way to ask.
    pub fn is_on(&self) -> bool {
        !self.dhts.is_empty()
    }

    /// Whether there is anybody to ask right now.
    pub fn has_peers(&self) -> bool {
        self.dhts.iter().any(|dht| dht.size() > 0)
    }

    pub(crate) fn dhts(&self) -> &[Dht] {
        &self.dhts
    }

    /// Searches for peers that have announced a block, each told once.
    ///
    /// The stream ends when everybody has been asked. Dropping it ends the search.
    pub fn find_providers(
        &self,
        cid: &Cid,
        events: Option<&QueryEvents>,
    ) -> impl Stream<Item = Contact> + Send + Unpin + use<> {
        let key = cid.multihash().to_bytes();
        let searches = self.dhts.iter().map(|dht| dht.find_providers(key.clone(), events.cloned()));
        let mut seen = HashSet::new();
        select_all(searches).filter(move |contact| {
            let is_new = seen.len() < FOUND_MAX && seen.insert(contact.peer);
            std::future::ready(is_new)
        })
    }

    /// Searches for the addresses of a peer.
    ///
    /// # Errors
    ///
    /// [`RoutingError::NotFound`], or why nobody could be asked.
    pub async fn find_peer(
        &self,
        peer: PeerId,
        events: Option<&QueryEvents>,
    ) -> Result<Contact, RoutingError> {
        self.first(|dht| {
            let events = events.cloned();
            async move { dht.find_peer(peer, events).await }.boxed()
        })
        .await
    }

    /// Searches for the best value under a key such as `/ipns/…`, checked.
    ///
    /// # Errors
    ///
    /// [`RoutingError::NotFound`], or why nobody could be asked.
    pub async fn get_value(
        &self,
        key: &[u8],
        events: Option<&QueryEvents>,
    ) -> Result<Vec<u8>, RoutingError> {
        let answers = join_all(self.dhts.iter().map(|dht| dht.get_value(key, events.cloned())));
        let mut best = None;
        let mut failure = RoutingError::Off;
        for answer in answers.await {
            match answer {
                Ok(value) => {
                    let beats = |best: &Vec<u8>| better_value(key, &value, best).is_gt();
                    if best.as_ref().is_none_or(beats) {
                        best = Some(value);
                    }
                }
                Err(error) => failure = failure.or(error),
            }
        }
        best.ok_or(failure)
    }

    /// Checks a value and stores it with the peers nearest to its key; returns how many took it.
    ///
    /// # Errors
    ///
    /// [`RoutingError::Value`] if it may not stand under this key, [`RoutingError::NotStored`] if
    /// nobody took it, or why nobody could be asked.
    pub async fn put_value(
        &self,
        key: &[u8],
        value: &[u8],
        events: Option<&QueryEvents>,
    ) -> Result<usize, RoutingError> {
        check_value(key, value, self.clock.now())
            .map_err(|error| RoutingError::Value { reason: error.to_string() })?;
        let puts = self.dhts.iter().map(|dht| dht.put_value(key, value, events.cloned()));
        sum(join_all(puts).await)
    }

    /// Announces that this node has a block; returns how many peers keep that.
    ///
    /// # Errors
    ///
    /// [`RoutingError::NotStored`], or why nobody could be asked.
    pub async fn provide(
        &self,
        cid: &Cid,
        events: Option<&QueryEvents>,
    ) -> Result<usize, RoutingError> {
        let key = cid.multihash().to_bytes();
        let told = self.dhts.iter().map(|dht| dht.provide(&key, events.cloned()));
        sum(join_all(told).await)
    }

    /// Announces all keys of a part of the keyspace, region by region.
    ///
    /// # Errors
    ///
    /// Why nobody could be told; with several ways to announce, if none worked.
    pub async fn sweep(&self, keys: &ProvideKeys, part: u16) -> Result<Swept, RoutingError> {
        let keys = keys.part(part);
        let mut total = Swept::default();
        let mut failure = None;
        for dht in self.dhts.iter().filter(|dht| dht.size() > 0) {
            match dht.sweep(&keys).await {
                Ok(swept) => {
                    total.keys = total.keys.max(swept.keys);
                    total.told += swept.told;
                    total.lookups += swept.lookups;
                    total.regions += swept.regions;
                }
                Err(error) => failure = Some(error),
            }
        }
        total.missed = keys.len() as u64 - total.keys;
        match failure {
            Some(error) if total.keys == 0 && !keys.is_empty() => Err(error),
            _ if total.keys == 0 && !keys.is_empty() && !self.has_peers() => {
                Err(RoutingError::NoPeers)
            }
            _ => Ok(total),
        }
    }

    /// Searches for the peers nearest to a key or peer ID, given as bytes, the nearest first.
    ///
    /// Asks one DHT: the public one if it knows anybody, else the local network's.
    ///
    /// # Errors
    ///
    /// [`RoutingError::NoPeers`], or [`RoutingError::Off`] without a DHT.
    pub async fn closest(&self, name: &[u8]) -> Result<Vec<Contact>, RoutingError> {
        let known = self.dhts.iter().find(|dht| dht.size() > 0);
        let dht = known.or(self.dhts.first()).ok_or(RoutingError::Off)?;
        dht.nearest(Message::ask(Kind::FindNode, name), None).await
    }

    /// Searches for the peers nearest to a key or peer ID, given as bytes.
    ///
    /// The steps are told on the way; the nearest come last, one by one.
    pub fn query(&self, name: &[u8]) -> impl Stream<Item = QueryEvent> + Send + Unpin + use<> {
        /// Steps that may wait to be read.
        const EVENTS_MAX: usize = 1024;
        let searches = self.dhts.iter().map(|dht| {
            let (dht, name) = (dht.clone(), name.to_vec());
            streamed(EVENTS_MAX, |events| async move {
                let request = Message::ask(Kind::FindNode, &name);
                let nearest = dht.nearest(request, Some(events.clone())).await;
                for contact in nearest.unwrap_or_default() {
                    // Nobody reads any more only when the search is dropped.
                    drop(events.send(QueryEvent::Final { peer: contact.peer }).await);
                }
            })
        });
        select_all(searches)
    }

    /// The routing tables and what is kept for others.
    pub fn stat(&self) -> Vec<DhtStat> {
        self.dhts.iter().map(Dht::stat).collect()
    }

    /// The first success, or the most telling failure.
    async fn first<T>(
        &self,
        ask: impl Fn(Dht) -> BoxFuture<'static, Result<T, RoutingError>>,
    ) -> Result<T, RoutingError> {
        if self.dhts.is_empty() {
            return Err(RoutingError::Off);
        }
        let asked = self.dhts.iter().cloned().map(ask);
        select_ok(asked).await.map(|(found, _)| found)
    }
}

/// Adds up what went well; the most telling failure if nothing did.
fn sum(results: Vec<Result<usize, RoutingError>>) -> Result<usize, RoutingError> {
    let mut total = 0;
    let mut failure = RoutingError::Off;
    for result in results {
        match result {
            Ok(count) => total += count,
            Err(error) => failure = failure.or(error),
        }
    }
    if total > 0 { Ok(total) } else { Err(failure) }
}
