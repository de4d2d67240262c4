//! The routing API: who has what, where peers are, and IPNS records, for those who cannot ask
//! the DHT themselves.
//!
//! A browser speaks HTTP only; it asks here, and the node searches for it. Answers that come bit
//! by bit are streamed as lines of JSON to whoever asks for that.
//!
//! Spec: Delegated Routing V1 HTTP API with IPIP-476, 484 and 513, pinned in `spec/PINS.toml`;
//! limits of results and caching times as Kubo has them.
//! Invariants: a search ends after [`SEARCH_TIMEOUT`], when enough is found, or when the client
//! goes; at most [`SEARCHES_MAX`] are under way; what was found by then is a whole answer.
//! Not here: searching (`cairn-network`), asking others by this API (there, too).

mod filter;
mod peers;
mod record;
mod target;

use crate::{body::Body, date, refusal::Refusal};
use cairn_network::{Network, Routing, RoutingError};
use cairn_node::Node;
use hyper::{
    Method, Response, StatusCode,
    body::Incoming,
    header::{
        ACCESS_CONTROL_ALLOW_METHODS, ALLOW, CACHE_CONTROL, HeaderMap, HeaderValue, LAST_MODIFIED,
        RETRY_AFTER, VARY,
    },
    http::request::Parts,
};
use peers::{Kind, Peers};
use std::time::{Duration, SystemTime};
use target::Target;

/// Searches under way at once; more are refused until one ends.
///
/// Source: own choice: some times as many as one DHT has turns for lookups.
pub(crate) const SEARCHES_MAX: usize = 128;

/// How long one search may take. Source: Kubo's default.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(30);

/// What all paths here begin with.
const PREFIX: &str = "/routing/v1/";

/// How long an answer with something in it may be kept, in seconds. Source: the specification.
const FOUND_AGE_SECS: u64 = 5 * 60;

/// How long an empty answer may be kept, in seconds. Source: the specification.
const EMPTY_AGE_SECS: u64 = 15;

/// How long an answer may be used while a newer one is fetched, in seconds: as long as the DHT
/// keeps what is announced.
const STALE_SECS: u64 = 48 * 60 * 60;

/// What a client is told to wait while the node knows nobody, in seconds.
const NOBODY_RETRY: &str = "15";

/// The methods of some path here.
const METHODS: &str = "GET, HEAD, PUT, OPTIONS";

/// Whether a path is the routing API's.
pub(crate) fn is_path(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Answers one request.
pub(crate) async fn answer(
    node: &Node,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Refusal> {
    let mut outcome = route(node, head, body).await;
    // Pages of other origins may ask, and publish records that are signed anyway.
    let methods = HeaderValue::from_static(METHODS);
    match &mut outcome {
        Ok(response) => {
            response.headers_mut().insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
        Err(refusal) => {
            *refusal = refusal.clone().with(ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
    }
    outcome
}

async fn route(node: &Node, head: &Parts, body: Incoming) -> Result<Response<Body>, Refusal> {
    if head.method == Method::OPTIONS {
        let mut response = Response::new(Body::empty());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
        return Ok(response);
    }
    let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let target =
        Target::parse(path).map_err(|sentence| Refusal::new(StatusCode::BAD_REQUEST, sentence))?;
    let routing = node.network().map(Network::routing).filter(|routing| routing.is_on());
    let routing = routing.ok_or_else(|| refused(&RoutingError::Off))?;
    let now = node.clock().now();
    match (&head.method, target) {
        (&Method::GET | &Method::HEAD, target) => get(routing, head, target, now).await,
        (&Method::PUT, Target::Record(name)) => record::put(routing, head, &name, body).await,
        (method, _) => Err(Refusal::new(
            StatusCode::NOT_IMPLEMENTED,
            format!("method {method} is not implemented at {}", head.uri.path()),
        )
        .with(ALLOW, HeaderValue::from_static(METHODS))),
    }
}

async fn get(
    routing: &Routing,
    head: &Parts,
    target: Target,
    now: SystemTime,
) -> Result<Response<Body>, Refusal> {
    match target {
        Target::Providers(cid) => {
            let found = routing.find_providers(&cid, None);
            Peers::new(Kind::Providers, head, now)?.stream(found, routing.can_ask()).await
        }
        Target::Peer(peer) => {
            let peers = Peers::new(Kind::Peers, head, now)?;
            let found = limited(routing.find_peer(peer, None)).await?;
            Ok(peers.list(found.into_iter().collect()))
        }
        Target::Closest(key) => {
            let peers = Peers::new(Kind::Closest, head, now)?;
            let found = limited(routing.closest(&key)).await?;
            Ok(peers.list(found.unwrap_or_default()))
        }
        Target::Record(name) => record::get(routing, head, &name, now).await,
    }
}

/// Waits for a search; what is not there, or not found in time, is `None`.
async fn limited<T>(
    search: impl Future<Output = Result<T, RoutingError>>,
) -> Result<Option<T>, Refusal> {
    match tokio::time::timeout(SEARCH_TIMEOUT, Box::pin(search)).await {
        Ok(Ok(found)) => Ok(Some(found)),
        Ok(Err(RoutingError::NotFound)) | Err(_) => Ok(None),
        Ok(Err(error)) => Err(refused(&error)),
    }
}

/// What a client is told when nobody could be asked.
fn refused(error: &RoutingError) -> Refusal {
    let status = match error {
        RoutingError::Off => StatusCode::NOT_IMPLEMENTED,
        RoutingError::NoPeers => StatusCode::SERVICE_UNAVAILABLE,
        RoutingError::Value { .. } => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let refusal = Refusal::new(status, error.to_string());
    match error {
        RoutingError::NoPeers => refusal.with(RETRY_AFTER, HeaderValue::from_static(NOBODY_RETRY)),
        _ => refusal,
    }
}

/// Says for how long the answer may be kept, and used while a newer one is fetched.
fn cache(headers: &mut HeaderMap, now: SystemTime, age_secs: u64, stale_secs: u64) {
    let text = format!(
        "public, max-age={age_secs}, stale-while-revalidate={stale_secs}, \
         stale-if-error={stale_secs}"
    );
    let value = HeaderValue::from_str(&text).expect("invariant: numbers are plain text");
    headers.insert(CACHE_CONTROL, value);
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    if let Some(now) = seconds(now).and_then(date::format)
        && let Ok(now) = HeaderValue::from_str(&now)
    {
        headers.insert(LAST_MODIFIED, now);
    }
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> Option<i64> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}
