//! The client against servers on loopback: both versions of HTTP, certificates, redirections,
//! connections that are kept.
//!
//! Not here: what a redirection's address means (`src/redirect.rs`).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use bytes::Bytes;
use cairn_runtime::Tasks;
use cairn_web::{Ask, Client, Trust, WebError};
use http_body_util::Full;
use hyper::{Request, Response, Version, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

/// What a server did.
#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

struct Server {
    url: String,
    seen: Arc<Seen>,
    _serving: JoinSet<Infallible>,
}

/// A server that offers these protocols under TLS, or none without it.
async fn server(protocols: Option<&[&str]>) -> Server {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let scheme = if protocols.is_some() { "https" } else { "http" };
    let tls = protocols.map(acceptor);
    let seen = Arc::new(Seen::default());
    let told = Arc::clone(&seen);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (tls, seen) = (tls.clone(), Arc::clone(&told));
            connections.spawn(async move {
                seen.connections.fetch_add(1, Ordering::Relaxed);
                match tls {
                    None => speak(stream, seen, false).await,
                    Some(tls) => {
                        // Who does not trust the certificate hangs up here.
                        let Ok(stream) = tls.accept(stream).await else { return };
                        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        speak(stream, seen, is_h2).await;
                    }
                }
            });
        }
    });
    Server { url: format!("{scheme}://{address}"), seen, _serving: serving }
}

fn acceptor(protocols: &[&str]) -> TlsAcceptor {
    let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signed.key_pair.serialize_der()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    seen: Arc<Seen>,
    is_h2: bool,
) {
    let service =
        service_fn(move |request| std::future::ready(Ok::<_, Infallible>(answer(&request, &seen))));
    let stream = TokioIo::new(stream);
    // A connection that breaks is the client's to notice.
    if is_h2 {
        let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        drop(served.serve_connection(stream, service).await);
    } else {
        let served = hyper::server::conn::http1::Builder::new();
        drop(served.serve_connection(stream, service).await);
    }
}

/// Answers with the version and the path; `/to/x` redirects to `x`.
fn answer(request: &Request<Incoming>, seen: &Seen) -> Response<Full<Bytes>> {
    seen.requests.fetch_add(1, Ordering::Relaxed);
    let path = request.uri().path();
    let redirect = path.strip_prefix("/to/").map(str::to_owned);
    let secrets = request.headers().contains_key("authorization");
    let text = format!("{:?} {path} {secrets}", request.version());
    let mut response = Response::new(Full::from(text));
    if let Some(place) = redirect {
        *response.status_mut() = hyper::StatusCode::FOUND;
        response.headers_mut().insert("location", place.replace('!', "://").parse().unwrap());
    }
    response
}

async fn read(client: &Client, url: String, redirect_count_max: usize) -> Result<String, WebError> {
    let answer = client.send(Ask { redirect_count_max, ..Ask::get(url) }).await?;
    let whole = answer.whole(1000).await?;
    Ok(String::from_utf8(whole.to_vec()).unwrap())
}

fn client(trust: Trust) -> (Client, Tasks) {
    let tasks = Tasks::default();
    (Client::new(&tasks, trust), tasks)
}

#[tokio::test]
async fn the_version_is_what_the_server_speaks_and_connections_are_kept() {
    for (protocols, version) in [
        (None, Version::HTTP_11),
        (Some(&["http/1.1"][..]), Version::HTTP_11),
        (Some(&[][..]), Version::HTTP_11),
        (Some(&["h2", "http/1.1"][..]), Version::HTTP_2),
    ] {
        let server = server(protocols).await;
        let (client, _tasks) = client(Trust::Anybody);
        for _ in 0..3 {
            let text = read(&client, format!("{}/a", server.url), 0).await.unwrap();
            assert_eq!(text, format!("{version:?} /a false"), "{protocols:?}");
        }
        assert_eq!(server.seen.connections.load(Ordering::Relaxed), 1, "{protocols:?}");
    }
}

#[tokio::test]
async fn requests_at_once_share_a_connection_of_version_2() {
    let server = server(Some(&["h2"])).await;
    let (client, _tasks) = client(Trust::Anybody);
    read(&client, format!("{}/a", server.url), 0).await.unwrap();
    let many = (0..50).map(|number| read(&client, format!("{}/{number}", server.url), 0));
    let answers = futures::future::join_all(many).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(server.seen.connections.load(Ordering::Relaxed), 1);
    assert_eq!(server.seen.requests.load(Ordering::Relaxed), 51);
}

#[tokio::test]
async fn a_certificate_that_nobody_signed_is_not_trusted() {
    let server = server(Some(&["h2"])).await;
    let (client, _tasks) = client(Trust::System);
    let refused = read(&client, server.url.clone(), 0).await.unwrap_err();
    assert!(
        matches!(&refused, WebError::Unreachable { reason } if reason.contains("cannot trust"))
    );
    assert_eq!(server.seen.requests.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn redirections_are_followed_as_far_as_they_may() {
    let (plain, encrypted) = (server(None).await, server(Some(&["http/1.1"])).await);
    let (client, _tasks) = client(Trust::Anybody);
    let to = |place: &str| format!("{}/to//{place}", plain.url);
    assert!(read(&client, to("end"), 1).await.unwrap().contains("/end"));
    let circle = read(&client, to("to//to//to//to//end"), 3).await.unwrap_err();
    assert_eq!(circle, WebError::Redirect { place: "more than 3 times".to_owned() });
    let answer = client.send(Ask::get(to("end"))).await.unwrap();
    assert_eq!(answer.status(), 302, "unless told, none is followed");
    let down = format!("{}/to/{}", encrypted.url, plain.url.replace("://", "!"));
    let refused = read(&client, down, 3).await.unwrap_err();
    assert_eq!(refused, WebError::Redirect { place: "from https to http".to_owned() });
    let file = read(&client, format!("{}/to/file!x", plain.url), 3).await.unwrap_err();
    assert!(matches!(file, WebError::Redirect { .. }));
}

#[tokio::test]
async fn secrets_in_a_url_are_not_sent_and_what_is_no_url_is_refused() {
    let server = server(None).await;
    let (client, _tasks) = client(Trust::System);
    let url = server.url.replace("://", "://user:secret@");
    assert!(read(&client, url, 0).await.unwrap().ends_with("false"));
    for url in ["", "x", "ftp://127.0.0.1/", "/path", "http://"] {
        let refused = client.send(Ask::get(url)).await.unwrap_err();
        assert!(matches!(refused, WebError::Url { .. }), "{url:?}: {refused}");
    }
}

#[tokio::test]
async fn what_is_silent_too_long_or_broken_off_has_an_end() {
    let patience = Duration::from_millis(200);
    let (client, _tasks) = client(Trust::System);
    let replies = [
        ("", "says nothing"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234567890123456789", "longer than 10"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n0123", "broke off"),
        ("HTTP/1.1 200 OK\r\n\r\n0123", "says nothing"),
    ];
    for (reply, expected) in replies {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serving = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                connection.read_buf(&mut request).await.unwrap();
            }
            connection.write_all(reply.as_bytes()).await.unwrap();
            if expected == "broke off" {
                connection.shutdown().await.unwrap();
            }
            connection
        };
        let asking = async {
            let answer = client.send(Ask { patience, ..Ask::get(url) }).await?;
            answer.whole(10).await
        };
        let (_connection, answer) = tokio::join!(serving, asking);
        let refused = answer.unwrap_err().to_string();
        assert!(refused.contains(expected), "{reply:?}: {refused}");
    }
}
