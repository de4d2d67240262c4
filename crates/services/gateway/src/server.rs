//! Connections: accepted, limited, served, and let go at shutdown.
//!
//! The one place of the gateway where things run at the same time.
//!
//! Invariants: no more than [`CONNECTIONS_MAX`] connections; none outlives [`serve`]; a request
//! head is bounded in bytes, fields and time before anything looks at it.
//! Not here: what is answered (`handler.rs`).

use crate::{
    GatewayError,
    handler::Gateway,
    settings::{CONNECTIONS_MAX, HEAD_LEN_MAX, HEAD_TIMEOUT, HEADERS_MAX},
    stall::StallGuard,
};
use cairn_node::Node;
use cairn_runtime::open_files_max;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long answers under way may take to finish once the gateway stops.
///
/// Source: own choice; a service manager waits about ten seconds before it kills.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// How long to wait after the system refused a connection, as when files run out.
///
/// Source: own choice; long enough not to spin, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the gateway on `listener` until `shutdown` is cancelled.
///
/// Answers under way then get a few seconds; after that their connections are closed.
/// Dropping the future closes all connections at once.
///
/// # Errors
///
/// [`GatewayError::Setting`] before the first connection, if the configuration makes no sense.
/// Later failures concern single connections and end only those.
pub async fn serve(
    listener: TcpListener,
    node: Node,
    shutdown: CancellationToken,
) -> Result<(), GatewayError> {
    let gateway = Arc::new(Gateway::new(node)?);
    let files = usize::try_from(open_files_max() / 2).unwrap_or(usize::MAX);
    let connections_max = CONNECTIONS_MAX.min(files);
    let mut connections = JoinSet::new();
    loop {
        let has_room = connections.len() < connections_max;
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_ended) = connections.join_next() => {}
            stream = accept(&listener), if has_room => {
                connections.spawn(connection(stream, Arc::clone(&gateway), shutdown.clone()));
            }
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(SHUTDOWN_GRACE, all_ended).await.is_err() {
        tracing::debug!(left = connections.len(), "gateway.shutdown closes connections");
    }
    Ok(())
}

/// Accepts one connection, however long the system refuses.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => return stream,
            Err(error) => {
                tracing::debug!(%error, "gateway.accept");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until it ends or, after `shutdown`, until its answer under way ends.
async fn connection(stream: TcpStream, gateway: Arc<Gateway>, shutdown: CancellationToken) {
    // Small answers should leave at once; a failure only costs that.
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request| Arc::clone(&gateway).answer(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_LEN_MAX)
        .serve_connection(TokioIo::new(StallGuard::new(stream)), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "gateway.connection");
    }
}
