//! Routers that are asked over HTTP, beside the DHT or in its place.
//!
//! A router is a service that the operator names. It answers who has a block, where a peer is,
//! and with IPNS records; what it says is believed as little as what a DHT peer says.
//!
//! Spec: Delegated Routing V1 HTTP API with IPIP-484, pinned in `spec/PINS.toml`.
//! Invariants: a request ends after [`TIMEOUT`] with what came until then; a router that fails is
//! left alone for a while that doubles; one that is slow or broken never ends a search that others
//! answer; addresses of the local network are taken only from a router that is in it.
//! Not here: reading answers (`answer.rs`), several sources as one (`routing.rs`), answering
//! others (`services/gateway`).

pub(crate) mod answer;
mod endpoint;
#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;
pub(crate) mod rest;

use super::RoutingError;
use crate::{
    Multiaddr, PeerId,
    dht::{
        scope::{Contact, Scope},
        streamed,
    },
};
use answer::{FOUND_MAX, Heard, Records};
use bytes::Bytes;
use cairn_block::{Base, Cid, Version};
use cairn_names::{Name, RECORD_LEN_MAX};
use cairn_runtime::Clock;
use cairn_web::{Ask, Client, WebError};
pub use endpoint::{Endpoint, ROUTERS_MAX};
use futures::stream::BoxStream;
use hyper::{
    Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
};
use rest::Rest;
use std::{sync::Arc, time::Duration};
use thiserror::Error;
use tokio::{sync::Semaphore, time::timeout};
use tracing::debug;

/// How long one request may take. Source: Kubo's default.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Requests that one router is sent at once; more wait for their turn.
const ASKS_MAX: usize = 16;

/// Redirections that are followed.
const REDIRECT_COUNT_MAX: usize = 3;

/// The media type of IPNS records.
const RECORD: &str = "application/vnd.ipfs.ipns-record";

/// What this node can do with a provider, as routers are told.
const PROTOCOLS: &str = "unknown,transport-bitswap,transport-ipfs-gateway-http";

/// Which routers there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoutersConfig {
    /// Who is asked.
    pub routers: Vec<Endpoint>,
    /// Who is given IPNS records.
    pub publishers: Vec<Endpoint>,
    /// Providers that are nobody's answer, wherever it comes from.
    pub ignored: Vec<PeerId>,
}

/// Why a router gave no answer.
#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Web(#[from] WebError),
    #[error("the router answered {status}")]
    Status { status: StatusCode, retry_after: Option<Duration> },
    #[error("the router answered with what is neither JSON nor lines of it")]
    Kind,
    #[error(transparent)]
    Answer(#[from] answer::AnswerError),
    #[error("the router is left alone after failures")]
    Resting,
    #[error("the router took too long")]
    Slow,
}

impl Failure {
    /// Whether the router is to be left alone for a while, and for how long at least.
    fn is_fault(&self) -> Option<Duration> {
        match self {
            // What it does not have or does not take is no fault of its own.
            Self::Status { status, .. }
                if status.is_client_error() && *status != StatusCode::TOO_MANY_REQUESTS =>
            {
                None
            }
            Self::Resting | Self::Status { status: StatusCode::NOT_IMPLEMENTED, .. } => None,
            Self::Status { retry_after, .. } => Some(retry_after.unwrap_or_default()),
            _ => Some(Duration::ZERO),
        }
    }
}

/// One router; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Router {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    endpoint: Endpoint,
    web: Client,
    clock: Clock,
    turns: Semaphore,
    rest: Rest,
}

impl Router {
    pub(crate) fn new(endpoint: Endpoint, web: Client, clock: Clock) -> Self {
        let (turns, rest) = (Semaphore::new(ASKS_MAX), Rest::default());
        Self { shared: Arc::new(Shared { endpoint, web, clock, turns, rest }) }
    }

    /// Searches for peers that have a block.
    pub(crate) fn find_providers(&self, cid: &Cid) -> BoxStream<'static, Contact> {
        let router = self.clone();
        let path = format!("providers/{}?filter-protocols={PROTOCOLS}", text(cid));
        streamed(FOUND_MAX, move |found| async move {
            if router.shared.endpoint.parts.providers {
                let hear = |heard| {
                    if let Some(contact) = router.contact(heard) {
                        // There is room for all that an answer may hold.
                        drop(found.try_send(contact));
                    }
                };
                router.list("providers", &path, hear).await;
            }
        })
    }

    /// Searches for the addresses of a peer.
    pub(crate) async fn find_peer(&self, peer: PeerId) -> Result<Contact, RoutingError> {
        let mut addrs: Vec<Multiaddr> = Vec::new();
        if self.shared.endpoint.parts.peers {
            let path = format!("peers/{}", Name::of_peer(peer));
            let hear = |heard: Heard| {
                if heard.peer == peer {
                    let told = self.contact(heard).map(|contact| contact.addrs);
                    addrs.extend(told.unwrap_or_default());
                }
            };
            self.list("peers", &path, hear).await;
        }
        addrs.truncate(crate::dht::scope::CONTACT_ADDRS_MAX);
        if addrs.is_empty() { Err(RoutingError::NotFound) } else { Ok(Contact { peer, addrs }) }
    }

    /// Asks for a record; the caller checks it.
    pub(crate) async fn get_value(&self, key: &[u8]) -> Result<Vec<u8>, RoutingError> {
        let name = Name::from_routing_key(key).ok().filter(|_| self.shared.endpoint.parts.ipns);
        let name = name.ok_or(RoutingError::NotFound)?;
        let mut ask = Ask::get(self.url(&format!("ipns/{name}")));
        ask.headers.insert(ACCEPT, HeaderValue::from_static(RECORD));
        let record = async {
            let answer = self.send(ask).await?;
            let is_record = is_kind(answer.headers(), RECORD);
            let is_there = answer.status() == StatusCode::OK && is_record;
            let whole = answer.whole(RECORD_LEN_MAX).await?;
            Ok(is_there.then_some(whole))
        };
        match self.within_limits("ipns", record).await {
            Some(Some(record)) => Ok(record.to_vec()),
            _ => Err(RoutingError::NotFound),
        }
    }

    /// Hands over a record that was checked.
    pub(crate) async fn put_value(&self, key: &[u8], value: &[u8]) -> Result<usize, RoutingError> {
        let name = Name::from_routing_key(key).map_err(|_| RoutingError::NotStored)?;
        let mut ask = Ask::get(self.url(&format!("ipns/{name}")));
        ask.method = Method::PUT;
        ask.headers.insert(CONTENT_TYPE, HeaderValue::from_static(RECORD));
        ask.body = Bytes::copy_from_slice(value);
        let put = async { self.send(ask).await.map(|answer| answer.status().is_success()) };
        match self.within_limits("put ipns", put).await {
            Some(true) => Ok(1),
            _ => Err(RoutingError::NotStored),
        }
    }

    /// Asks for peers and tells each as it comes.
    async fn list(&self, what: &'static str, path: &str, mut hear: impl FnMut(Heard)) {
        let mut ask = Ask::get(self.url(path));
        ask.redirect_count_max = REDIRECT_COUNT_MAX;
        let forms = HeaderValue::from_static("application/x-ndjson, application/json;q=0.9");
        ask.headers.insert(ACCEPT, forms);
        let listed = async {
            let mut answer = self.send(ask).await?;
            if answer.status() == StatusCode::NOT_FOUND {
                return Ok(());
            }
            let mut records = if is_kind(answer.headers(), "application/x-ndjson") {
                Records::lines()
            } else if is_kind(answer.headers(), "application/json") {
                Records::document()
            } else {
                return Err(Failure::Kind);
            };
            while let Some(piece) = answer.piece().await? {
                records.push(&piece)?.into_iter().for_each(&mut hear);
                if records.is_full() {
                    return Ok(());
                }
            }
            records.finish()?.into_iter().for_each(&mut hear);
            Ok(())
        };
        self.within_limits(what, listed).await;
    }

    /// Waits for its turn and for the answer, and remembers how it went.
    async fn within_limits<T>(
        &self,
        what: &'static str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Option<T> {
        let shared = &self.shared;
        let asked = async {
            let Ok(_turn) = shared.turns.acquire().await else { return Err(Failure::Resting) };
            if shared.rest.is_resting(shared.clock.monotonic()) {
                return Err(Failure::Resting);
            }
            work.await
        };
        let answer = timeout(TIMEOUT, Box::pin(asked)).await.unwrap_or(Err(Failure::Slow));
        match answer {
            Ok(answer) => {
                shared.rest.succeeded();
                Some(answer)
            }
            Err(failure) => {
                debug!(router = shared.endpoint.base(), what, %failure, "routing.delegated");
                match failure.is_fault() {
                    Some(at_least) => shared.rest.failed(shared.clock.monotonic(), at_least),
                    None if matches!(failure, Failure::Resting) => {}
                    None => shared.rest.succeeded(),
                }
                None
            }
        }
    }

    /// Sends a request; answers that are failures become such, but "not found".
    async fn send(&self, mut ask: Ask) -> Result<cairn_web::Answer, Failure> {
        ask.patience = TIMEOUT;
        let answer = self.shared.web.send(ask).await?;
        match answer.status() {
            status if status.is_success() || status == StatusCode::NOT_FOUND => Ok(answer),
            status => {
                let retry_after = retry_after(answer.headers());
                Err(Failure::Status { status, retry_after })
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/routing/v1/{path}", self.shared.endpoint.base())
    }

    /// What a router said of a peer, if this node can do anything with it.
    fn contact(&self, heard: Heard) -> Option<Contact> {
        let is_ours = |name: &String| PROTOCOLS.split(',').any(|own| own == name);
        if !heard.protocols.is_empty() && !heard.protocols.iter().any(is_ours) {
            return None;
        }
        let mut addrs = Scope::Wan.filter(heard.addrs.iter().cloned());
        if self.shared.endpoint.is_local() {
            addrs.extend(Scope::Lan { loopback: true }.filter(heard.addrs));
        }
        addrs.truncate(crate::dht::scope::CONTACT_ADDRS_MAX);
        Some(Contact { peer: heard.peer, addrs })
    }
}

/// A CID as routers know it best: version 1 in base 32.
fn text(cid: &Cid) -> String {
    let cid = cid.with_version(Version::V1).unwrap_or_else(|_| cid.clone());
    cid.to_text(Base::Base32Lower)
}

fn is_kind(headers: &HeaderMap, kind: &str) -> bool {
    let said = headers.get(CONTENT_TYPE).and_then(|said| said.to_str().ok()).unwrap_or_default();
    said.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(kind)
}

/// For how long a server wants to be left alone, if it says so in seconds.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}
