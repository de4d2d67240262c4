//! The listener: connections, refusals, and one call for each request.
//!
//! Source: Kubo's rules: only POST, 403 for foreign pages, 404 as text, `Server`, CORS.
//! Invariants: at most [`CONNECTIONS_MAX`] connections; a connection that stops sending its head
//! is closed; everything ends within [`GRACE`] of the shutdown.
//! Not here: who may call (`guard`), responses (`reply`), URLs (`query`).

use super::{
    body,
    guard::Guard,
    metrics::{self, Requests},
    multipart::boundary_of,
    query,
    reply::{ReplyBody, failure, reply},
};
use crate::{Host, Request as Call, RpcError, VERSION, answer};
use cairn_node::Node;
use cairn_runtime::open_files_max;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_REQUEST_METHOD, ALLOW, CONTENT_TYPE, HeaderValue, ORIGIN, SERVER,
    },
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Most connections at a time, as far as the process may have eight times as many files open; more
/// wait in the system's queue.
pub(super) const CONNECTIONS_MAX: u32 = 1024;
/// Longest head of a request, in bytes: arguments stand in the URL.
pub(super) const HEAD_LEN_MAX: usize = 1024 * 1024;
/// Longest time a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time that calls may go on after the shutdown.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// The wait after an accept that failed, for want of descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The headers that web pages may read.
const SHOWN: HeaderValue =
    HeaderValue::from_static("X-Stream-Output, X-Chunked-Output, X-Content-Length");

/// Why the API could not be served.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The system would not say where the listener is.
    #[error("could not serve the RPC API")]
    Listener(#[from] std::io::Error),
    /// The section `API` of the config cannot be understood.
    #[error(transparent)]
    Config(#[from] cairn_node::ConfigError),
}

/// Serves the API on `listener` until `shutdown`, then lets running calls end.
///
/// # Errors
///
/// [`ServeError::Listener`] if the listener is broken from the start, [`ServeError::Config`] if
/// the section `API` cannot be read.
pub async fn serve(
    listener: TcpListener,
    node: Node,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    let read =
        node.config().read(|settings| Ok((settings.api_headers()?, settings.authorizations()?)));
    let (headers, users) = read?;
    if !address.ip().is_loopback() && users.is_empty() {
        warn!(%address, "the RPC API is open to other machines without API.Authorizations");
    }
    let tasks = node.tasks().child();
    let files = u32::try_from(open_files_max() / 8).unwrap_or(u32::MAX);
    let connections_max = CONNECTIONS_MAX.min(files);
    let slots = Arc::new(Semaphore::new(connections_max as usize));
    let server = Arc::new(Server {
        guard: Guard::new(&headers, &users, address.port()),
        host: Host { node: Some(node), is_daemon: true },
        requests: Requests::default(),
    });
    info!(%address, "serving the RPC API");
    loop {
        let slot = Arc::clone(&slots).acquire_owned();
        let accept = async {
            let slot = slot.await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            pair = accept => pair,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let work = connection(stream, Arc::clone(&server), shutdown.clone());
                tasks.spawn("rpc connection", async move {
                    work.await;
                    drop(slot);
                });
            }
            Err(error) => {
                debug!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // All slots are free when all connections have ended.
    drop(timeout(GRACE, slots.acquire_many(connections_max)).await);
    tasks.stop(Duration::ZERO).await;
    Ok(())
}

#[derive(Debug)]
struct Server {
    guard: Guard,
    host: Host,
    requests: Requests,
}

async fn connection(stream: TcpStream, server: Arc<Server>, shutdown: CancellationToken) {
    stream.set_nodelay(true).unwrap_or(());
    let service = service_fn(move |request| {
        let server = Arc::clone(&server);
        async move { Ok::<_, Infallible>(server.respond(request).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_LEN_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        debug!(%error, "connection ended");
    }
}

impl Server {
    async fn respond(&self, request: Request<Incoming>) -> Response<ReplyBody> {
        let origin = request.headers().get(ORIGIN).cloned();
        let mut response = self.route(request).await;
        self.requests.count(response.status().as_u16());
        let headers = response.headers_mut();
        let name = HeaderValue::from_str(&format!("cairn/{VERSION}"));
        headers.insert(SERVER, name.unwrap_or(HeaderValue::from_static("cairn")));
        headers.entry(ACCESS_CONTROL_ALLOW_HEADERS).or_insert(SHOWN);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN);
        self.guard.decorate(origin.as_ref(), headers);
        response
    }

    async fn route(&self, request: Request<Incoming>) -> Response<ReplyBody> {
        let is_preflight = request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if request.method() == Method::OPTIONS {
            return self.options(request.headers(), request.uri(), is_preflight);
        }
        if request.method() == Method::GET && request.uri().path() == metrics::PATH {
            return self.metrics(&request).await;
        }
        if request.method() != Method::POST {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "405 - Method Not Allowed\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("OPTIONS, POST"));
            return response;
        }
        let path = request.uri().path().to_owned();
        if !self.guard.admits(request.headers(), request.uri()) {
            debug!("refused a call that a foreign web page seems to have made");
            return plain(StatusCode::FORBIDDEN, "403 - Forbidden\n");
        }
        if !self.guard.authorizes(request.headers(), &path) {
            return plain(StatusCode::FORBIDDEN, "403 - Forbidden: API.Authorizations is set\n");
        }
        match self.call(request, &path).await {
            Ok((call, headers, answer)) => reply(&call, &headers, answer).await,
            Err(error) => failure(&error),
        }
    }

    async fn metrics(&self, request: &Request<Incoming>) -> Response<ReplyBody> {
        if !self.guard.admits(request.headers(), request.uri()) {
            return plain(StatusCode::FORBIDDEN, "403 - Forbidden\n");
        }
        if !self.guard.authorizes(request.headers(), metrics::PATH) {
            let text = "403 - Forbidden: API.Authorizations is set\n";
            return plain(StatusCode::FORBIDDEN, text);
        }
        let page = match &self.host.node {
            Some(node) => metrics::page(node, &self.requests).await,
            None => String::new(),
        };
        let mut response = Response::new(ReplyBody::whole(page));
        let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    async fn call(
        &self,
        request: Request<Incoming>,
        path: &str,
    ) -> Result<(Call, HeaderMap, answer::Answer), RpcError> {
        let call = query::parse(path, request.uri().query().unwrap_or(""))?;
        let (parts, incoming) = request.into_parts();
        let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let (feed, files) = match content_type.and_then(boundary_of) {
            None => (None, None),
            Some(boundary) => {
                let split = body::files(incoming, &boundary).await;
                let (feed, files) = split.map_err(|error| RpcError::request(error.to_string()))?;
                (feed, Some(files))
            }
        };
        let answer = answer::start(call.clone(), files, self.host.clone())?;
        let answer = match feed {
            Some(feed) => answer.with_feed(feed),
            None => answer,
        };
        Ok((call, parts.headers, answer))
    }

    fn options(
        &self,
        headers: &HeaderMap,
        uri: &hyper::Uri,
        preflight: bool,
    ) -> Response<ReplyBody> {
        if preflight && !self.guard.admits(headers, uri) {
            return plain(StatusCode::FORBIDDEN, "403 - Forbidden\n");
        }
        let mut response = plain(StatusCode::NO_CONTENT, "");
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static("OPTIONS, POST"));
        if preflight {
            let methods = HeaderValue::from_str(self.guard.methods());
            headers.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                methods.unwrap_or(HeaderValue::from_static("POST")),
            );
            headers.insert(
                ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static(
                    "Accept, Authorization, Content-Type, Origin, X-Requested-With",
                ),
            );
        }
        response
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::whole(text));
    *response.status_mut() = status;
    if !text.is_empty() {
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}
