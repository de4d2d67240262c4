//! What is refused, and what the sentence says.

use crate::{noise, site::Site};
use serde_json::json;

#[tokio::test]
async fn refusals_name_what_is_wrong() {
    let site = Site::start(json!({})).await;
    let file = site.file(b"x").await;
    let dir = site.directory(&[("there", &file)]).await;
    let absent = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4";
    let table = [
        ("/ipfs/not-a-cid".to_owned(), 400, "not-a-cid"),
        ("/ipfs/".to_owned(), 400, "/ipfs"),
        ("/ipfs/%ff".to_owned(), 400, "%ff"),
        (format!("/ipfs/{}/nowhere", dir.cid), 404, "\"nowhere\""),
        (format!("/ipfs/{}/there/below", dir.cid), 404, "\"below\""),
        (format!("/ipfs/{absent}"), 404, absent),
        ("/ipns/example.org/x".to_owned(), 501, "/ipns/"),
        ("/favicon.ico".to_owned(), 404, "/favicon.ico"),
        (format!("/ipfs/{}/../../x", dir.cid), 400, "leaves its root"),
    ];
    for (target, status, named) in table {
        let answer = site.get(&target).await;
        assert_eq!(answer.status, status, "{target}");
        assert!(answer.text().contains(named), "{target}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "no-store");
        let page = site.get_with(&target, &[("Accept", "text/html,*/*")]).await;
        assert_eq!(page.status, status);
        assert!(page.text().starts_with("<!DOCTYPE html>"), "{target}");
    }
    let plain = Site::start(json!({"DisableHTMLErrors": true})).await;
    let answer = plain.get_with("/ipfs/x", &[("Accept", "text/html")]).await;
    assert!(answer.header("content-type").starts_with("text/plain"));
}

#[tokio::test]
async fn an_error_page_escapes_the_path() {
    let site = Site::start(json!({})).await;
    let dir = site.directory(&[]).await;
    let target = format!("/ipfs/{}/%3Cscript%3Ealert(1)%3C%2Fscript%3E", dir.cid);
    let answer = site.get_with(&target, &[("Accept", "text/html")]).await;
    assert_eq!(answer.status, 404);
    assert!(!answer.text().contains("<script>"), "{}", answer.text());
}

#[tokio::test]
async fn only_if_cached_is_412_on_a_miss() {
    let site = Site::start(json!({})).await;
    let file = site.file(b"here").await;
    let cached = [("Cache-Control", "only-if-cached")];
    assert_eq!(site.get_with(&format!("/ipfs/{}", file.cid), &cached).await.status, 200);
    let absent = "/ipfs/bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4";
    assert_eq!(site.get_with(absent, &cached).await.status, 412);
}

#[tokio::test]
async fn a_missing_leaf_ends_the_connection_before_the_end() {
    let site = Site::start(json!({})).await;
    let file = site.file_without(&noise(50_000), 40).await;
    let answer = site.get(&format!("/ipfs/{}", file.cid)).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-length")), (200, "50000"));
    assert!(answer.body.is_none(), "a short file must not look whole");
}

#[tokio::test]
async fn requests_over_the_limit_are_told_when_to_come_back() {
    let site = Site::start(json!({"MaxConcurrentRequests": 1})).await;
    let file = site.file(&noise(20_000_000)).await;
    // A client that reads nothing keeps its answer, and so its place, under way.
    let mut slow = tokio::net::TcpStream::connect(site.address).await.expect("connect");
    let request = format!("GET /ipfs/{} HTTP/1.1\r\nHost: x\r\n\r\n", file.cid);
    tokio::io::AsyncWriteExt::write_all(&mut slow, request.as_bytes()).await.expect("send");
    slow.readable().await.expect("the answer has begun");
    let answer = site.get("/version").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "60"));
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn well_meant_addresses_are_led_to_the_right_one() {
    let site = Site::start(json!({})).await;
    let table = [
        ("/ipfs/ipfs/bafkqaaa/a%20b?c=d", "/ipfs/bafkqaaa/a%20b?c=d"),
        ("/ipfs/?uri=ipfs%3A%2F%2Fbafkqaaa%2Fwiki%3Fx%3Dy", "/ipfs/bafkqaaa/wiki?x=y"),
    ];
    for (target, expected) in table {
        let answer = site.get(target).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (301, expected));
    }
    let worker = [("Service-Worker", "script")];
    assert_eq!(site.get_with("/ipfs/bafkqaaa", &worker).await.status, 400);
    assert_eq!(site.get("/ipfs/?uri=https%3A%2F%2Fexample.org").await.status, 400);
}

#[tokio::test]
async fn large_files_can_be_kept_from_ranges() {
    let site = Site::start(json!({"MaxRangeRequestFileSize": 2000})).await;
    let (small, large) = (site.file(&noise(2000)).await, site.file(&noise(2001)).await);
    let range = [("Range", "bytes=0-9")];
    assert_eq!(site.get_with(&format!("/ipfs/{}", small.cid), &range).await.status, 206);
    assert_eq!(site.get_with(&format!("/ipfs/{}", large.cid), &range).await.status, 501);
}

#[tokio::test]
async fn what_nobody_has_is_given_up_after_the_retrieval_timeout() {
    let settings = json!({"RetrievalTimeout": "1s"});
    let site = Site::start_online(settings).await;
    let file = site.file(b"ours").await;
    assert_eq!(site.get(&format!("/ipfs/{}", file.cid)).await.text(), "ours");
    let absent = "/ipfs/bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4";
    let answer = site.get(absent).await;
    assert_eq!(answer.status, 504, "{}", answer.text());
    assert!(answer.text().contains(absent));
    let cached = site.get_with(absent, &[("Cache-Control", "only-if-cached")]).await;
    assert_eq!(cached.status, 412, "nobody is asked");

    let gap = site.file_without(&noise(50_000), 20).await;
    let answer = site.get(&format!("/ipfs/{}", gap.cid)).await;
    assert!(answer.status == 200 && answer.body.is_none(), "what stalls midway is cut off");
}

#[tokio::test]
async fn without_fetching_a_miss_is_told_at_once() {
    let site = Site::start_online(json!({"NoFetch": true})).await;
    let absent = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4";
    let answer = site.get(&format!("/ipfs/{absent}")).await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains(&format!("block {absent} was not found locally")));
}
