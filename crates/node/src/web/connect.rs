//! One connection to a web server, encrypted for `https`.
//!
//! Invariant: a server is who its certificate says, by the authorities that the system trusts.
//! Not here: what is asked for (`web.rs`).

use super::Refusal;
use bytes::Bytes;
use cairn_runtime::{Tasks, blocking};
use http_body_util::Empty;
use hyper::{
    Uri,
    client::conn::http1::{SendRequest, handshake},
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};
use tracing::debug;

/// Connects to the server of a URL; the connection lasts as long as its answer is read.
pub(super) async fn connect(
    tasks: &Tasks,
    uri: &Uri,
) -> Result<SendRequest<Empty<Bytes>>, Refusal> {
    let is_encrypted = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err("the URL is neither http nor https".to_owned()),
    };
    let host = uri.host().ok_or("the URL names no server")?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = uri.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await;
    let stream = stream.map_err(|error| format!("cannot connect to {host}:{port}: {error}"))?;
    if !is_encrypted {
        return speak(tasks, TokioIo::new(stream)).await;
    }
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| format!("{host} is not the name of a server"))?;
    let connector = TlsConnector::from(tls().await?);
    let stream = connector.connect(name, stream).await;
    let stream = stream.map_err(|error| format!("cannot trust {host}: {error}"))?;
    speak(tasks, TokioIo::new(stream)).await
}

async fn speak(
    tasks: &Tasks,
    io: impl Read + Write + Send + Unpin + 'static,
) -> Result<SendRequest<Empty<Bytes>>, Refusal> {
    let shaken = handshake(io).await;
    let (sender, connection) = shaken.map_err(|error| format!("no HTTP is spoken: {error}"))?;
    tasks.spawn("web connection", async move {
        // What breaks the connection is told by the answer.
        drop(connection.await);
    });
    Ok(sender)
}

/// The settings of encryption, made at the first use.
async fn tls() -> Result<Arc<ClientConfig>, Refusal> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("no encryption: {error}"))?;
    let config =
        Arc::new(builder.with_root_certificates(blocking(roots).await).with_no_client_auth());
    Ok(Arc::clone(CONFIG.get_or_init(|| config)))
}

/// Whom to trust: the system's authorities, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name;
/// where there are none, those that browsers trust.
fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (count, refused) = roots.add_parsable_certificates(found.certs);
    debug!(count, refused, errors = ?found.errors, "read the system's certificates");
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
