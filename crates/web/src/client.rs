//! Requests, and the connections that they share.
//!
//! Invariants: at most [`IDLE_MAX`] unused connections a host are kept, for [`IDLE_TIMEOUT`]; an
//! answer's head is bounded in bytes and fields before anything looks at it.
//! Not here: making connections (`connect.rs`), bodies (`body.rs`).

use crate::{
    Answer, WebError,
    connect::Connector,
    redirect::{is_redirection, resolve},
};
use bytes::Bytes;
use cairn_runtime::Tasks;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, Uri,
    body::Incoming,
    header::{ACCEPT_ENCODING, HeaderValue, LOCATION, USER_AGENT},
    rt::Executor,
};
use hyper_util::{
    client::legacy::{self, Error as PoolError},
    rt::TokioTimer,
};
use std::{error::Error as _, fmt, time::Duration};
use tokio::time::timeout;

/// Unused connections of one host that are kept.
const IDLE_MAX: usize = 8;

/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// Longest wait for the head of an answer, unless the caller waits less.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of an answer's head.
const HEAD_LEN_MAX: usize = 64 * 1024;

/// Fields of an answer's head.
const FIELDS_MAX: usize = 128;

/// Bytes of one stream, and of all of one connection, that may be on their way unread (HTTP/2).
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// Whose certificates count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Trust {
    /// Those signed by whom the system trusts.
    #[default]
    System,
    /// Any: only for what is checked by its hash.
    Anybody,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What is to be done; GET unless told.
    pub method: Method,
    /// With what.
    pub url: String,
    /// What else is said.
    pub headers: HeaderMap,
    /// What is sent along.
    pub body: Bytes,
    /// How many redirections are followed; none unless told. A request with a body should not
    /// follow any.
    pub redirect_count_max: usize,
    /// Longest wait for the head of the answer, and for each piece of its body.
    pub patience: Duration,
}

impl Ask {
    /// A GET that waits as long as is usual and follows nothing.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            redirect_count_max: 0,
            patience: HEAD_PATIENCE,
        }
    }
}

/// Asks web servers; cheap to clone, clones share their connections.
#[derive(Clone)]
pub struct Client {
    pool: legacy::Client<Connector, Full<Bytes>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// A client whose connections end with `tasks`.
    pub fn new(tasks: &Tasks, trust: Trust) -> Self {
        // A group of its own: its connections hold a handle on it.
        let pool = legacy::Client::builder(OnTasks(tasks.child()))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http1_max_buf_size(HEAD_LEN_MAX)
            .http1_max_headers(FIELDS_MAX)
            .http2_max_header_list_size(HEAD_LEN_MAX as u32)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .build(Connector::new(trust));
        Self { pool }
    }

    /// Sends a request, and again to wherever the answer points; returns when the head of the
    /// answer is there.
    ///
    /// Dropping the future, or the answer before its end, ends the request.
    ///
    /// # Errors
    ///
    /// Any [`WebError`] but those of the body.
    pub async fn send(&self, ask: Ask) -> Result<Answer, WebError> {
        let wrong = |reason: String| WebError::Url { reason };
        let mut url: Uri = ask.url.parse().map_err(|error| wrong(format!("{error}")))?;
        for _ in 0..=ask.redirect_count_max {
            let response = self.once(&url, &ask).await?;
            if !is_redirection(response.status()) || ask.redirect_count_max == 0 {
                return Ok(Answer::new(response, ask.patience));
            }
            url = next(&url, response.headers())?;
        }
        let place = format!("more than {} times", ask.redirect_count_max);
        Err(WebError::Redirect { place })
    }

    async fn once(&self, url: &Uri, ask: &Ask) -> Result<Response<Incoming>, WebError> {
        let wrong = |reason: &str| WebError::Url { reason: reason.to_owned() };
        if !matches!(url.scheme_str(), Some("http" | "https")) {
            return Err(wrong("it is neither http nor https"));
        }
        let authority = url.authority().ok_or_else(|| wrong("it names no server"))?.as_str();
        // A name and a password in the URL are not sent.
        let host = authority.rsplit('@').next().unwrap_or_default();
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let bare = Uri::builder()
            .scheme(url.scheme_str().unwrap_or_default())
            .authority(host)
            .path_and_query(path)
            .build()
            .map_err(|error| wrong(&error.to_string()))?;
        let mut request = Request::new(Full::new(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = bare;
        let headers = request.headers_mut();
        *headers = ask.headers.clone();
        let agent = HeaderValue::from_static(concat!("cairn/", env!("CARGO_PKG_VERSION")));
        headers.insert(USER_AGENT, agent);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let asked = timeout(ask.patience, self.pool.request(request)).await;
        let asked = asked.map_err(|_| WebError::Silent { waited: ask.patience })?;
        asked.map_err(|error| told(&error))
    }
}

/// What went wrong, in our own words where they were said below the pool.
fn told(error: &PoolError) -> WebError {
    let mut source = error.source();
    let mut reason = error.to_string();
    while let Some(cause) = source {
        if let Some(own) = cause.downcast_ref::<WebError>() {
            return own.clone();
        }
        reason = cause.to_string();
        source = cause.source();
    }
    WebError::Broken { reason }
}

/// Where an answer points.
fn next(from: &Uri, headers: &HeaderMap) -> Result<Uri, WebError> {
    let refused = |place: &str| WebError::Redirect { place: place.to_owned() };
    let location = headers.get(LOCATION).and_then(|text| text.to_str().ok());
    let location = location.ok_or_else(|| refused("to nowhere"))?;
    let next = resolve(from, location).ok_or_else(|| refused("to what is no web page"))?;
    if from.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
        return Err(refused("from https to http"));
    }
    Ok(next)
}

/// Runs the pool's work on tasks that have an owner.
#[derive(Debug, Clone)]
struct OnTasks(Tasks);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for OnTasks {
    fn execute(&self, work: F) {
        self.0.spawn("web connection", work);
    }
}
