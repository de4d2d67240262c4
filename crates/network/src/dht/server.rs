//! The answering side: what other nodes may ask and store here.
//!
//! Spec: IPFS Kademlia DHT, "RPC Messages" and what it says of each, pinned in `spec/PINS.toml`.
//! Invariants: at most [`STREAMS_MAX`] streams are served, [`PEER_STREAMS_MAX`] of one peer, each
//! one request at a time; a peer announces only itself, at most [`TOKENS_MAX`] things at once;
//! once the records are half full, only keys near this node are taken, so that a stranger cannot
//! fill it with keys that are not its business.
//! Not here: how streams are opened (`streams.rs`).

use super::{
    Dht,
    place::Place,
    records::{Full, PROVIDERS_MAX},
    scope::Contact,
    table::BUCKET_LEN_MAX,
    wire::{self, KEY_LEN_MAX, Kind, Message, Peer, REQUEST_LEN_MAX, Record, contacts},
};
use crate::{Multiaddr, PeerId, streams::Inbound};
use cairn_names::{better_value, check_value, expiry_of_value};
use futures::{
    AsyncRead, AsyncWrite, FutureExt as _, StreamExt as _, future::BoxFuture,
    stream::FuturesUnordered,
};
use std::{
    cmp::Ordering,
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, time::timeout};
use tracing::debug;

/// Streams served at once.
const STREAMS_MAX: usize = 256;

/// Streams of one peer served at once.
const PEER_STREAMS_MAX: usize = 16;

/// How long a stream may be silent.
const IDLE_MAX: Duration = Duration::from_mins(1);

/// How long an answer may take to be written.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// Things that one peer may store at once.
const TOKENS_MAX: f64 = 4096.0;

/// Things that one peer may store a second, in the long run.
const TOKENS_PER_SECOND: f64 = 50.0;

/// Peers whose tokens are counted; the one that stored least lately goes first.
const ALLOWANCES_MAX: usize = 4096;

/// Providers told in one answer.
const PROVIDERS_TOLD_MAX: usize = 100;

/// Nearer peers that may be known of a key that is still this node's business, once the records
/// are half full.
const NEARER_MAX: usize = 3 * BUCKET_LEN_MAX;

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It makes no sense.
    Malformed,
    /// The value is not to be believed, or older than the one that is here.
    Value,
    /// There is no room, or the peer stores too much.
    Full,
}

/// Serves streams as long as the swarm hands them over.
pub(super) async fn serve(dht: Dht, mut inbound: mpsc::Receiver<Inbound>) {
    let mut streams: FuturesUnordered<BoxFuture<'static, PeerId>> = FuturesUnordered::new();
    let mut counts: HashMap<PeerId, usize> = HashMap::new();
    let allowances = Arc::new(Allowances::default());
    loop {
        tokio::select! {
            Some(peer) = streams.next() => release(&mut counts, peer),
            next = inbound.recv() => {
                let Some(Inbound { peer, addr, stream }) = next else { return };
                let of_peer = counts.get(&peer).copied().unwrap_or_default();
                if streams.len() >= STREAMS_MAX || of_peer >= PEER_STREAMS_MAX {
                    debug!(%peer, "too many streams: one is dropped");
                    continue;
                }
                counts.insert(peer, of_peer + 1);
                let from = From { peer, addr };
                streams.push(serve_one(dht.clone(), Arc::clone(&allowances), from, stream).boxed());
            }
        }
    }
}

fn release(counts: &mut HashMap<PeerId, usize>, peer: PeerId) {
    if let Some(count) = counts.get_mut(&peer) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&peer);
        }
    }
}

/// Who asks, and from where.
#[derive(Debug, Clone)]
pub(crate) struct From {
    pub(crate) peer: PeerId,
    pub(crate) addr: Multiaddr,
}

async fn serve_one(
    dht: Dht,
    allowances: Arc<Allowances>,
    from: From,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> PeerId {
    let served = async {
        while let Ok(read) = timeout(IDLE_MAX, wire::read(&mut stream, REQUEST_LEN_MAX)).await {
            let Some(request) = read? else { break };
            match dht.answer(&from, request, &allowances).await {
                Ok(Some(answer)) => {
                    let written = timeout(WRITE_MAX, wire::write(&mut stream, &answer)).await;
                    written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
                }
                Ok(None) => {}
                // A peer that is told nothing has to ask elsewhere.
                Err(refused) => return Err(io::Error::other(format!("refused: {refused:?}"))),
            }
        }
        Ok::<_, io::Error>(())
    };
    if let Err(error) = served.await {
        debug!(peer = %from.peer, %error, "stream ended");
    }
    from.peer
}

impl Dht {
    /// Answers one request; `None` where there is nothing to say.
    pub(crate) async fn answer(
        &self,
        from: &From,
        request: Message,
        allowances: &Allowances,
    ) -> Result<Option<Message>, Refused> {
        let kind = Kind::try_from(request.kind).map_err(|_| Refused::Malformed)?;
        let has_key = !request.key.is_empty() && request.key.len() <= KEY_LEN_MAX;
        if !has_key && kind != Kind::Ping {
            return Err(Refused::Malformed);
        }
        match kind {
            Kind::Ping => Ok(Some(Message::ask(Kind::Ping, &[]))),
            Kind::FindNode => Ok(Some(self.answer_with_closer(from, kind, &request.key))),
            Kind::GetProviders => {
                let mut answer = self.answer_with_closer(from, kind, &request.key);
                let place = Place::of_key(&request.key);
                let found = self.shared.records.providers(place, PROVIDERS_TOLD_MAX).await;
                let told = found.into_iter().map(|contact| self.with_known_addrs(contact));
                answer.providers = told.map(|contact| Peer::from(&contact)).collect();
                Ok(Some(answer))
            }
            Kind::GetValue => {
                let mut answer = self.answer_with_closer(from, kind, &request.key);
                answer.record = self.own_value(&request.key).await;
                Ok(Some(answer))
            }
            Kind::AddProvider => {
                self.add_provider(from, &request, allowances);
                Ok(None)
            }
            Kind::PutValue => self.put_own_value(from, request, allowances).await.map(Some),
        }
    }

    /// An answer that names the servers nearest to the key.
    fn answer_with_closer(&self, from: &From, kind: Kind, key: &[u8]) -> Message {
        let place = Place::of_key(key);
        let mut nearest = self.shared.table().nearest(&place, BUCKET_LEN_MAX + 1);
        nearest.retain(|contact| contact.peer != from.peer);
        nearest.truncate(BUCKET_LEN_MAX);
        if kind == Kind::FindNode
            && let Ok(peer) = PeerId::from_bytes(key)
            && peer != from.peer
            && !nearest.iter().any(|contact| contact.peer == peer)
        {
            // Whoever looks for a peer is told of it, also if it is no server.
            let addrs = self.known_addrs(&peer);
            if !addrs.is_empty() {
                nearest.insert(0, Contact { peer, addrs });
            }
        }
        let closer = nearest.iter().map(Peer::from).collect();
        Message { closer, ..Message::ask(kind, key) }
    }

    fn add_provider(&self, from: &From, request: &Message, allowances: &Allowances) {
        // Nobody speaks for others.
        let told = contacts(&request.providers, self.shared.scope);
        let Some(mut provider) = told.into_iter().find(|told| told.peer == from.peer) else {
            return;
        };
        if provider.addrs.is_empty() {
            provider.addrs = self.shared.scope.filter([from.addr.clone()]);
        }
        let place = Place::of_key(&request.key);
        let now = self.shared.clock.monotonic();
        let refused = if !allowances.take(from.peer, now) || !self.is_own_business(&place) {
            Some(Full::Records)
        } else {
            self.shared.records.add_provider(place, provider).err()
        };
        if let Some(full) = refused {
            debug!(peer = %from.peer, ?full, "did not keep a provider record");
        }
    }

    /// Whether a key is one that this node should keep records for.
    fn is_own_business(&self, place: &Place) -> bool {
        self.shared.records.provider_count() < PROVIDERS_MAX / 2
            || self.shared.table().nearer_than_own(place) <= NEARER_MAX
    }

    async fn own_value(&self, key: &[u8]) -> Option<Record> {
        let value = self.shared.records.value(Place::of_key(key)).await?;
        // It was checked when it came, but its time may be over.
        check_value(key, &value, self.shared.clock.now()).ok()?;
        Some(Record::new(key, &value))
    }

    async fn put_own_value(
        &self,
        from: &From,
        request: Message,
        allowances: &Allowances,
    ) -> Result<Message, Refused> {
        let record = request.record.as_ref().ok_or(Refused::Malformed)?;
        let (key, value) = (&request.key, &record.value);
        if record.key != *key {
            return Err(Refused::Malformed);
        }
        if !allowances.take(from.peer, self.shared.clock.monotonic()) {
            return Err(Refused::Full);
        }
        check_value(key, value, self.shared.clock.now()).map_err(|_| Refused::Value)?;
        self.keep_value(key, value).await?;
        Ok(request)
    }

    /// Keeps a checked value, unless there is a better one.
    pub(super) async fn keep_value(&self, key: &[u8], value: &[u8]) -> Result<(), Refused> {
        if let Some(own) = self.own_value(key).await
            && better_value(key, &own.value, value) == Ordering::Greater
        {
            return Err(Refused::Value);
        }
        let (place, expiry) = (Place::of_key(key), expiry_of_value(key, value));
        let put = self.shared.records.put_value(place, value.to_vec(), expiry);
        put.map_err(|_| Refused::Full)
    }
}

/// How much each peer may still store: a bucket of tokens that fills slowly.
#[derive(Debug, Default)]
pub(crate) struct Allowances {
    peers: Mutex<Tokens>,
}

/// What each peer has left, as of when.
#[derive(Debug, Default)]
struct Tokens {
    left: HashMap<PeerId, (f64, Instant)>,
    /// Longest known first.
    order: VecDeque<PeerId>,
}

impl Allowances {
    /// Takes one token; false if there is none.
    fn take(&self, peer: PeerId, now: Instant) -> bool {
        let mut tokens = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if !tokens.left.contains_key(&peer) {
            if tokens.order.len() >= ALLOWANCES_MAX
                && let Some(oldest) = tokens.order.pop_front()
            {
                tokens.left.remove(&oldest);
            }
            tokens.order.push_back(peer);
        }
        let (left, at) = tokens.left.entry(peer).or_insert((TOKENS_MAX, now));
        let passed = now.saturating_duration_since(*at).as_secs_f64();
        *left = (*left + passed * TOKENS_PER_SECOND).min(TOKENS_MAX);
        *at = now;
        let may = *left >= 1.0;
        if may {
            *left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests;
