//! The API on loopback, asked by a plain HTTP client.

use crate::support::{A, Fixture, TREE};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

struct Server {
    fixture: Fixture,
    address: std::net::SocketAddr,
    stop: CancellationToken,
    work: JoinHandle<()>,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Result<Vec<u8>, hyper::Error>,
    trailers: HeaderMap,
}

impl Reply {
    fn text(&self) -> &str {
        std::str::from_utf8(self.body.as_ref().unwrap()).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Server {
    async fn start() -> Self {
        let fixture = Fixture::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = cairn_rpc::http::serve(listener, fixture.node.clone(), stop.clone());
        #[expect(clippy::disallowed_methods, reason = "a test owns the task by its handle")]
        let work = tokio::spawn(async move { serving.await.unwrap() });
        Self { fixture, address, stop, work }
    }

    async fn post(&self, target: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        self.send("POST", target, headers, body.into()).await
    }

    async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Reply {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        #[expect(clippy::disallowed_methods, reason = "ends with its connection")]
        drop(tokio::spawn(connection));
        let mut request = Request::builder().method(method).uri(format!("/api/v0/{target}"));
        if !headers.iter().any(|header| header.0 == "host") {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = sender.send_request(request.body(Full::new(body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let (body, trailers) = read(body).await;
        Reply { status: parts.status, headers: parts.headers, body, trailers }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.work.await.unwrap();
    }
}

async fn read(mut body: Incoming) -> (Result<Vec<u8>, hyper::Error>, HeaderMap) {
    let (mut out, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) => out.extend_from_slice(&data),
            Ok(Err(frame)) => trailers = frame.into_trailers().unwrap_or_default(),
            Err(error) => return (Err(error), trailers),
        }
    }
    (Ok(out), trailers)
}

const MULTIPART: (&str, &str) = ("content-type", "multipart/form-data; boundary=XX");

/// The tree of the other tests, in the form that browsers and libraries send.
fn tree() -> String {
    let part = |name: &str, kind: &str, content: &str| {
        format!(
            "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: {kind}\r\nAbspath: /home/me/{name}\r\n\r\n{content}\r\n"
        )
    };
    [
        part("d", "application/x-directory", ""),
        part("d%2Fa", "application/octet-stream", "a\n"),
        part("d%2Fl", "application/symlink", "a"),
        part("d%2Fsub%2Fb", "application/octet-stream", "b\n"),
        "--XX--\r\n".to_owned(),
    ]
    .concat()
}

#[tokio::test]
async fn adds_and_reads() {
    let server = Server::start().await;
    let added = server.post("add?progress=false", &[MULTIPART], tree()).await;
    assert_eq!(added.status, StatusCode::OK);
    assert_eq!(added.headers["x-chunked-output"], "1");
    assert_eq!(added.headers["content-type"], "application/json");
    let last = added.lines().pop().unwrap();
    assert_eq!((&last["Name"], &last["Hash"]), (&"d".into(), &TREE.into()));
    let cat = server.post(&format!("cat?arg=/ipfs/{TREE}/a"), &[], "").await;
    assert_eq!((cat.text(), &cat.headers["x-content-length"]), ("a\n", &"2".parse().unwrap()));
    assert_eq!(cat.headers["x-stream-output"], "1");
    let text = server.post(&format!("ls?arg={TREE}&encoding=text"), &[], "").await;
    assert!(text.text().starts_with(&format!("{A} 2 a\n")), "{}", text.text());
    let pins = server.post("pin/ls?type=recursive", &[], "").await;
    assert_eq!(pins.lines()[0]["Keys"][TREE]["Type"], "recursive");
    let block = server.post(&format!("block/get/{A}"), &[], "").await;
    assert_eq!(block.headers["content-type"], "application/vnd.ipld.raw");
    let put = "--XX\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\nraw\n\r\n--XX--\r\n";
    let put = server.post("block/put?cid-codec=raw", &[MULTIPART], put).await;
    assert_eq!(put.lines()[0]["Size"], 4);
    server.stop().await;
}

#[tokio::test]
async fn refuses_by_status() {
    type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], u16);
    let rows: &[Row<'_>] = &[
        ("GET", "version", &[], 405),
        ("PUT", "version", &[], 405),
        ("POST", "version", &[], 200),
        ("POST", "nope", &[], 404),
        ("POST", "daemon", &[], 404),
        ("POST", "cat", &[], 400),
        ("POST", "cat?arg=x&offset=y", &[], 400),
        ("POST", "cat?arg=garbage", &[], 400),
        ("POST", "id?encoding=xml", &[], 400),
        ("POST", "add", &[], 400),
        ("POST", "version", &[("origin", "http://evil.example")], 403),
        ("POST", "version", &[("host", "evil.example")], 403),
        ("POST", "version", &[("user-agent", "Mozilla/5.0")], 403),
        ("OPTIONS", "version", &[], 204),
    ];
    let server = Server::start().await;
    for (method, target, headers, status) in rows {
        let reply = server.send(method, target, headers, Bytes::new()).await;
        assert_eq!(reply.status.as_u16(), *status, "{method} {target} {headers:?}");
        if *status == 400 {
            assert_eq!(reply.lines()[0]["Type"], "error", "{target}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn lets_own_pages_in() {
    let server = Server::start().await;
    let own = format!("http://127.0.0.1:{}", server.address.port());
    let headers = [("origin", own.as_str()), ("access-control-request-method", "POST")];
    let preflight = server.send("OPTIONS", "add", &headers, Bytes::new()).await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert_eq!(preflight.headers["access-control-allow-origin"], own.as_str());
    assert!(preflight.headers.contains_key("access-control-allow-methods"));
    let call = server.post("version", &[("origin", &own)], "").await;
    assert_eq!(call.headers["access-control-allow-origin"], own.as_str());
    assert!(call.headers["server"].to_str().unwrap().starts_with("cairn/"));
    server.stop().await;
}

#[tokio::test]
async fn late_errors_are_never_lost() {
    let server = Server::start().await;
    let root = server.fixture.add_tree().await;
    // The second file is not there: the answer has begun by then.
    let sub = format!("refs?arg={root}&recursive=true");
    let block = "QmR9pC5uCF3UExca8RSrCVL8eKv7nHMpATzbEQkAHpXmVM";
    server.fixture.call("pin rm", &root).await.unwrap();
    server.fixture.call("block rm", block).await.unwrap();
    let refs = server.post(&sub, &[], "").await;
    assert!(refs.lines().last().unwrap()["Err"].as_str().unwrap().contains(block));
    let get = format!("get?arg={root}");
    let told = server.post(&get, &[("te", "trailers")], "").await;
    assert!(told.body.is_ok());
    assert!(told.trailers["x-stream-error"].to_str().unwrap().contains(block));
    // Every time: the head must not be thrown away with the connection.
    for _ in 0..50 {
        let cut = server.post(&get, &[], "").await;
        assert_eq!(cut.status, StatusCode::OK);
        assert!(cut.body.is_err(), "without trailers the connection breaks off");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_broken_upload_adds_nothing() {
    let server = Server::start().await;
    let whole = tree();
    let cut = whole[..whole.len() - 30].to_owned();
    let reply = server.post("add", &[MULTIPART], cut).await;
    let body = reply.body.as_deref().unwrap_or_default();
    assert!(!String::from_utf8_lossy(body).contains(TREE), "the root is not acknowledged");
    assert!(reply.status != StatusCode::OK || reply.body.is_err(), "the caller is told");
    let pins = server.post("pin/ls?type=recursive&stream=true", &[], "").await;
    assert_eq!(pins.text(), "", "nothing is pinned");
    server.stop().await;
}

#[tokio::test]
async fn shutdown_is_answered_before_the_end() {
    let server = Server::start().await;
    let reply = server.post("shutdown", &[], "").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(server.fixture.node.shutdown_requested().is_cancelled());
    server.stop().await;
}
