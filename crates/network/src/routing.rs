//! Who has what, and where peers are: every way of finding out as one handle.
//!
//! These are the two DHTs, and routers over HTTP. All of them are asked at the same time; what one
//! finds is used at once and the others go on, so the slowest costs nothing.
//!
//! Invariants: a search ends when its stream or future is dropped; with no source everything
//! answers [`RoutingError::Off`].
//! Not here: how one DHT searches (`dht.rs`), or a router is asked (`delegated.rs`), dialling those who were found (`retrieval.rs`).

pub(crate) mod delegated;
mod info;

use crate::{
    PeerId, ProvideKeys,
    dht::{Dht, scope::Contact, streamed, sweep::Swept, wire::Kind, wire::Message},
};
use cairn_block::Cid;
use cairn_names::{better_value, check_value};
use cairn_runtime::Clock;
use cairn_web::Client;
use delegated::Router;
pub use delegated::{Endpoint, ROUTERS_MAX, RoutersConfig};
use futures::{
    FutureExt as _, Stream, StreamExt as _,
    future::join_all,
    stream::{FuturesUnordered, select_all},
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
    routers: Arc<[Router]>,
    publishers: Arc<[Router]>,
    /// Providers that are nobody's answer.
    ignored: Arc<HashSet<PeerId>>,
    clock: Clock,
}

impl Routing {
    pub(crate) fn new(dhts: Vec<Dht>, config: RoutersConfig, web: &Client, clock: &Clock) -> Self {
        let router = |endpoint| Router::new(endpoint, web.clone(), clock.clone());
        let routers = |endpoints: Vec<Endpoint>| {
            endpoints.into_iter().take(ROUTERS_MAX).map(router).collect()
        };
        Self {
            dhts: dhts.into(),
            routers: routers(config.routers),
            publishers: routers(config.publishers),
            ignored: Arc::new(config.ignored.into_iter().collect()),
            clock: clock.clone(),
        }
    }

    /// Whether there is any way to ask.
    pub fn is_on(&self) -> bool {
        self.has_dht() || !self.routers.is_empty()
    }

    /// Whether there is a DHT: the one way to announce.
    pub fn has_dht(&self) -> bool {
        !self.dhts.is_empty()
    }

    /// Whether there is anybody to ask right now.
    pub fn can_ask(&self) -> bool {
        self.has_peers() || !self.routers.is_empty()
    }

    /// Whether some DHT knows anybody.
    pub fn has_peers(&self) -> bool {
        self.dhts.iter().any(|dht| dht.size() > 0)
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
        let asked = self.routers.iter().map(|router| router.find_providers(cid));
        let ignored = Arc::clone(&self.ignored);
        let mut seen = HashSet::new();
        select_all(searches.chain(asked)).filter(move |contact| {
            let is_wanted = seen.len() < FOUND_MAX && !ignored.contains(&contact.peer);
            let is_new = is_wanted && seen.insert(contact.peer);
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
        let searches = self.dhts.iter().map(|dht| dht.find_peer(peer, events.cloned()).boxed());
        let asked = self.routers.iter().map(|router| router.find_peer(peer).boxed());
        let mut searches: FuturesUnordered<_> = searches.chain(asked).collect();
        let mut failure = RoutingError::Off;
        while let Some(answer) = searches.next().await {
            match answer {
                Ok(found) => return Ok(found),
                Err(error) => failure = failure.or(error),
            }
        }
        Err(failure)
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
        let searches = self.dhts.iter().map(|dht| dht.get_value(key, events.cloned()).boxed());
        let asked = self.routers.iter().map(|router| self.ask_value(router, key).boxed());
        let mut best = None;
        let mut failure = RoutingError::Off;
        for answer in join_all(searches.chain(asked)).await {
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

    /// Asks a router for a value, and believes nothing that is not signed.
    async fn ask_value(&self, router: &Router, key: &[u8]) -> Result<Vec<u8>, RoutingError> {
        let value = router.get_value(key).await?;
        let checked = check_value(key, &value, self.clock.now());
        checked.map(|()| value).map_err(|_| RoutingError::NotFound)
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
        let puts = self.dhts.iter().map(|dht| dht.put_value(key, value, events.cloned()).boxed());
        let given = self.publishers.iter().map(|router| router.put_value(key, value).boxed());
        sum(join_all(puts.chain(given)).await)
    }

    /// Announces that this node has a block; returns how many peers keep that.
    ///
    /// Routers are not told: their API has no way to announce.
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
