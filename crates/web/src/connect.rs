//! One connection to a web server, encrypted for `https`.
//!
//! Invariant: a server is who its certificate says, by the authorities that the system trusts,
//! unless the client was made to trust anybody.
//! Not here: what is asked for (`client.rs`).

use crate::{Trust, WebError};
use cairn_runtime::blocking;
use futures::{FutureExt as _, future::BoxFuture};
use hyper::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OnceCell,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};
use tower_service::Service;
use tracing::debug;

/// Longest wait for a connection and its encryption.
const CONNECT_PATIENCE: Duration = Duration::from_secs(15);

/// What is offered to a server that encrypts, the better first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Makes connections.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    trust: Trust,
}

impl Connector {
    pub(crate) fn new(trust: Trust) -> Self {
        Self { trust }
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<Wire>, WebError> {
        let is_encrypted = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = uri.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 });
        let unreachable = |reason: String| WebError::Unreachable { reason };
        let stream = TcpStream::connect((host, port)).await;
        let stream = stream
            .map_err(|error| unreachable(format!("cannot connect to {host}:{port}: {error}")))?;
        // Requests are small and should leave at once; a failure only costs that.
        drop(stream.set_nodelay(true));
        if !is_encrypted {
            return Ok(TokioIo::new(Wire::Plain(stream)));
        }
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| unreachable(format!("{host} is not the name of a server")))?;
        let tls = settings(self.trust).await?;
        let stream = TlsConnector::from(tls).connect(name, stream).await;
        let stream =
            stream.map_err(|error| unreachable(format!("cannot trust {host}: {error}")))?;
        Ok(TokioIo::new(Wire::Encrypted(Box::new(stream))))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = WebError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), WebError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = timeout(CONNECT_PATIENCE, self.clone().connect(uri));
        connecting
            .map(|connected| {
                connected.map_err(|_| WebError::Silent { waited: CONNECT_PATIENCE })?
            })
            .boxed()
    }
}

/// A connection, encrypted or not.
#[derive(Debug)]
pub(crate) enum Wire {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        match self {
            Self::Encrypted(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                Connected::new().negotiated_h2()
            }
            _ => Connected::new(),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Encrypted(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Encrypted(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Encrypted(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Encrypted(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// The settings of encryption, made at the first use.
async fn settings(trust: Trust) -> Result<Arc<ClientConfig>, WebError> {
    static SYSTEM: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();
    static ANYBODY: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();
    let cell = match trust {
        Trust::System => &SYSTEM,
        Trust::Anybody => &ANYBODY,
    };
    cell.get_or_try_init(|| config(trust)).await.map(Arc::clone)
}

async fn config(trust: Trust) -> Result<Arc<ClientConfig>, WebError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder
        .map_err(|error| WebError::Unreachable { reason: format!("no encryption: {error}") })?;
    let mut config = match trust {
        Trust::System => {
            builder.with_root_certificates(blocking(roots).await).with_no_client_auth()
        }
        Trust::Anybody => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth(),
    };
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
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

/// Takes any certificate, whoever signed it: for blocks, which are checked by their hash.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
