//! The gateway over a loopback connection, in front of a real node in a temporary repository.
//!
//! What the headers and statuses have to be comes from the path gateway specification and, where
//! that leaves a choice, from what Kubo's gateway answers.

mod archives;
mod client;
mod delegated;
mod directories;
mod errors;
mod files;
mod site;
mod trustless;
mod vectors;

use serde_json::json;
use site::Site;

/// Bytes that are no text and differ from place to place.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(2_654_435_761) >> 7) as u8).collect()
}

#[tokio::test]
async fn every_answer_carries_the_cors_and_configured_headers() {
    let settings = json!({"HTTPHeaders": {"X-Mine": ["yes"], "Cache-Control": ["private"]}});
    let site = Site::start(settings).await;
    let file = site.file(b"hello").await;
    for target in [format!("/ipfs/{}", file.cid), "/ipfs/nonsense".into(), "/".into()] {
        let answer = site.get(&target).await;
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{target}");
        assert_eq!(answer.header("access-control-allow-methods"), "GET, HEAD, OPTIONS");
        assert!(answer.header("access-control-allow-headers").contains("Range"));
        assert!(answer.header("access-control-expose-headers").contains("X-Ipfs-Roots"));
        assert_eq!(answer.header("x-mine"), "yes");
    }
    let answer = site.get(&format!("/ipfs/{}", file.cid)).await;
    assert!(answer.header("cache-control").contains("immutable"), "what the content says counts");
}

#[tokio::test]
async fn options_head_and_other_methods() {
    use hyper::Method;
    let site = Site::start(json!({})).await;
    let options = client::request(site.address, Method::OPTIONS, "/ipfs/x", &[]).await;
    assert_eq!((options.status.as_u16(), options.header("allow")), (200, "GET, HEAD, OPTIONS"));
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let answer = client::request(site.address, method.clone(), "/ipfs/x", &[]).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS");
    }
}

#[tokio::test]
async fn the_root_and_the_version_are_there() {
    let site = Site::start(json!({})).await;
    let root = site.get("/").await;
    assert_eq!(root.status, 200);
    assert!(root.text().contains("/ipfs/CID"));
    let version = site.get("/version").await;
    assert!(version.text().contains("Client Version: cairn/"), "{}", version.text());

    let led = Site::start(json!({"RootRedirect": "/ipfs/bafkqaaa"})).await;
    let answer = led.get("/").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (302, "/ipfs/bafkqaaa"));
}

#[tokio::test]
async fn a_request_head_is_bounded() {
    let site = Site::start(json!({})).await;
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "a".repeat(40_000));
    let answer = client::raw(site.address, long.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer:.60}");
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-A: b\r\n".repeat(200));
    let answer = client::raw(site.address, many.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer:.60}");
}

#[tokio::test]
async fn serving_ends_at_shutdown() {
    let mut site = Site::start(json!({})).await;
    let idle = tokio::net::TcpStream::connect(site.address).await.expect("connect");
    assert_eq!(site.get("/version").await.status, 200);
    site.shutdown.cancel();
    let ended = site.server.join_next().await.expect("a server").expect("no panic");
    assert!(ended.is_ok());
    assert!(tokio::net::TcpStream::connect(site.address).await.is_err(), "nobody listens");
    drop(idle);
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_at_start() {
    let mut site = Site::start(json!({"HTTPHeaders": {"not a name": ["x"]}})).await;
    let ended = site.server.join_next().await.expect("a server").expect("no panic");
    let error = ended.expect_err("refused").to_string();
    assert_eq!(error, "config key Gateway.HTTPHeaders must give each header name a list of values");
}
