//! One request in, one answer out: methods, limits, headers that every answer has.
//!
//! Invariants: at most `MaxConcurrentRequests` answers are under way, counted until their last
//! byte; every wait has an end (`RetrievalTimeout`, `MaxRequestDuration`).
//! Not here: what a path leads to (`content.rs`), connections (`server.rs`).

use crate::{
    GatewayError,
    body::Body,
    content::{self, Ask},
    delegated::{self, SEARCHES_MAX},
    page,
    refusal::Refusal,
    request::{Format, Query, Target, contains, wants_html},
    settings::{RETRY_AFTER, Settings, WINDOW_MAX, WINDOW_MIN},
};
use cairn_dag::{IpfsPath, ahead::Window};
use cairn_node::{Fetch, Node};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
        HeaderValue, LOCATION, RETRY_AFTER as RETRY_AFTER_NAME,
    },
    http::request::Parts,
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

/// The methods of a service that only reads.
const METHODS: &str = "GET, HEAD, OPTIONS";

/// What answers requests.
#[derive(Debug)]
pub(crate) struct Gateway {
    node: Node,
    settings: Settings,
    /// One permit for each request that may be under way; `None` is no limit.
    places: Option<Arc<Semaphore>>,
    /// One permit for each search of the routing API that may be under way.
    searches: Arc<Semaphore>,
    /// What all answers together may have read ahead of their clients, in bytes.
    window_total: usize,
}

impl Gateway {
    /// A gateway to a node, as its configuration says.
    pub(crate) fn new(node: Node) -> Result<Self, GatewayError> {
        let settings = Settings::from_config(&node.config().raw())?;
        let places = settings
            .requests_max
            .map(|max| Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))));
        let window_total = node.budget().gateway();
        let searches = Arc::new(Semaphore::new(SEARCHES_MAX));
        Ok(Self { node, settings, places, searches, window_total })
    }

    /// Answers one request. Cancel-safe: a dropped answer leaves nothing behind.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let (head, body) = request.into_parts();
        let as_page = !self.settings.plain_errors && wants_html(&head.headers);
        let is_routing = self.settings.routing && delegated::is_path(head.uri.path());
        let outcome = match self.place() {
            Ok(permit) if is_routing => self.delegated(&head, body, permit).await,
            Ok(permit) => self.limited(&head, permit).await,
            Err(refusal) => Err(refusal),
        };
        let mut response = outcome.unwrap_or_else(|refusal| {
            tracing::debug!(status = refusal.status().as_u16(), "gateway.refuse");
            refusal.into_response(as_page)
        });
        if head.method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        add_missing(response.headers_mut(), &self.settings.headers);
        Ok(response)
    }

    /// Takes a place among the concurrent requests.
    fn place(&self) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
        let Some(places) = &self.places else {
            return Ok(None);
        };
        Arc::clone(places).try_acquire_owned().map(Some).map_err(|_| full())
    }

    /// Answers a question about routing, which has limits of its own.
    async fn delegated(
        &self,
        head: &Parts,
        body: Incoming,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Response<Body>, Refusal> {
        let search = Arc::clone(&self.searches).try_acquire_owned().map_err(|_| full())?;
        let mut response = delegated::answer(&self.node, head, body).await?;
        response.body_mut().hold(permit);
        response.body_mut().hold_search(search);
        Ok(response)
    }

    /// Answers within the time limits.
    async fn limited(
        &self,
        head: &Parts,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Response<Body>, Refusal> {
        let deadline = self.settings.request_timeout.map(|limit| Instant::now() + limit);
        let limit = self.settings.retrieval_timeout;
        let first = match (limit, self.settings.request_timeout) {
            (Some(stall), Some(whole)) => Some(stall.min(whole)),
            (stall, whole) => stall.or(whole),
        };
        let mut response = match first {
            None => self.route(head).await?,
            Some(first) => {
                let routed = timeout(first, Box::pin(self.route(head))).await;
                routed.map_err(|_elapsed| overdue(head, first))??
            }
        };
        response.body_mut().limit(limit, deadline);
        response.body_mut().hold(permit);
        Ok(response)
    }

    async fn route(&self, head: &Parts) -> Result<Response<Body>, Refusal> {
        match head.method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => return Ok(allowed_methods()),
            _ => {
                return Err(Refusal::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    format!("method {} is not allowed: this gateway only reads", head.method),
                )
                .with(ALLOW, HeaderValue::from_static(METHODS)));
            }
        }
        let query = Query::parse(&head.uri);
        let target = Target::parse(&head.uri);
        let is_content = matches!(target, Target::Content { .. } | Target::Name);
        if let (true, Some(location)) = (is_content, query.handler_location()) {
            let bad = |sentence| Refusal::new(StatusCode::BAD_REQUEST, sentence);
            return redirect(StatusCode::MOVED_PERMANENTLY, &location.map_err(bad)?);
        }
        match target {
            Target::Content { path, trailing_slash } => {
                self.content(head, query, &path, trailing_slash).await
            }
            Target::Superfluous { location } => {
                let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
                redirect(StatusCode::MOVED_PERMANENTLY, &format!("{location}{query}"))
            }
            Target::Root => Ok(self.root()),
            Target::Version => Ok(version()),
            Target::Name => Err(Refusal::new(
                StatusCode::NOT_IMPLEMENTED,
                "names under /ipns/ cannot be resolved by this gateway yet: ask for /ipfs/CID",
            )),
            Target::Malformed => Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                format!("the path {} is not percent-encoded UTF-8", head.uri.path()),
            )),
            Target::Unknown => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                format!("there is nothing at {}: content is under /ipfs/CID", head.uri.path()),
            )),
        }
    }

    /// Answers for a path under `/ipfs/`.
    async fn content(
        &self,
        head: &Parts,
        query: Query,
        decoded: &str,
        trailing_slash: bool,
    ) -> Result<Response<Body>, Refusal> {
        let path = IpfsPath::parse(decoded)
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
        if path.segments().is_empty() && contains(&head.headers, &SERVICE_WORKER, "script") {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "a service worker cannot be registered for all of a gateway",
            ));
        }
        let cached_only = contains(&head.headers, &CACHE_CONTROL, "only-if-cached");
        let local = self.settings.no_fetch || cached_only;
        let fetch = if local { Fetch::Local } else { Fetch::Network };
        let format = Format::of(&query, &head.headers);
        let ask = Ask {
            head,
            query,
            format,
            shown: if trailing_slash { format!("{path}/") } else { path.to_string() },
            path,
            trailing_slash,
            cached_only,
            window: self.window(),
            range_file_len_max: self.settings.range_file_len_max,
        };
        content::answer(self.node.blocks(fetch), &ask).await
    }

    /// An equal share of the budget among the answers under way: slow clients, which keep theirs
    /// for as long as they read, cannot fill the memory however many they are.
    fn window(&self) -> Window {
        let places = self.places.as_ref().zip(self.settings.requests_max);
        let bytes = match places {
            Some((places, max)) => {
                let under_way = max.saturating_sub(places.available_permits()).max(1);
                (self.window_total / under_way).clamp(WINDOW_MIN, WINDOW_MAX)
            }
            None => WINDOW_MIN,
        };
        Window { bytes, ..Window::default() }
    }

    fn root(&self) -> Response<Body> {
        if let Some(location) = &self.settings.root_redirect {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert(LOCATION, location.clone());
            return response;
        }
        let text = page::notice("Cairn gateway", "Content is under /ipfs/CID and /ipfs/CID/path.");
        let mut response = plain("text/html; charset=utf-8", text);
        let policy = HeaderValue::from_static(page::POLICY);
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        response
    }
}

/// What a browser sends when a page wants to register a service worker.
static SERVICE_WORKER: HeaderName = HeaderName::from_static("service-worker");

fn full() -> Refusal {
    Refusal::new(
        StatusCode::TOO_MANY_REQUESTS,
        format!("too many requests at once, try again in {RETRY_AFTER} seconds"),
    )
    .with(RETRY_AFTER_NAME, HeaderValue::from_static(RETRY_AFTER))
}

fn overdue(head: &Parts, limit: Duration) -> Refusal {
    Refusal::new(
        StatusCode::GATEWAY_TIMEOUT,
        format!("{} could not be retrieved within {} seconds", head.uri.path(), limit.as_secs()),
    )
}

fn allowed_methods() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
    response
}

fn version() -> Response<Body> {
    let text = format!("Commit: \nClient Version: cairn/{}\n", env!("CARGO_PKG_VERSION"));
    plain("text/plain; charset=utf-8", text)
}

fn plain(kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    *response.body_mut() = Body::full(text);
    response
}

/// An answer that leads elsewhere; `location` must be escaped already.
pub(crate) fn redirect(status: StatusCode, location: &str) -> Result<Response<Body>, Refusal> {
    let location = HeaderValue::from_str(location)
        .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the address cannot be redirected"))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(LOCATION, location);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    Ok(response)
}

/// Adds headers that the answer does not have; what the answer says about itself counts.
fn add_missing(headers: &mut HeaderMap, more: &HeaderMap) {
    for name in more.keys() {
        if !headers.contains_key(name) {
            for value in more.get_all(name) {
                headers.append(name.clone(), value.clone());
            }
        }
    }
}
