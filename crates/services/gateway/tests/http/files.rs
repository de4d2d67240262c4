//! Files, single blocks, and documents of other codecs.

use crate::{noise, site::Site};
use cairn_block::codec;
use cairn_unixfs::{Metadata, Mtime};
use serde_json::json;

#[tokio::test]
async fn a_file_comes_whole_with_its_headers() {
    let site = Site::start(json!({})).await;
    let bytes = noise(12_345);
    let file = site.file(&bytes).await;
    let dir = site.directory(&[("data.bin", &file)]).await;

    let answer = site.get(&format!("/ipfs/{}/data.bin", dir.cid)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.bytes(), &bytes);
    assert_eq!(answer.header("content-length"), "12345");
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("etag"), format!("\"{}\"", file.cid));
    assert_eq!(answer.header("cache-control"), "public, max-age=29030400, immutable");
    assert_eq!(answer.header("accept-ranges"), "bytes");
    assert_eq!(answer.header("x-ipfs-path"), format!("/ipfs/{}/data.bin", dir.cid));
    assert_eq!(answer.header("x-ipfs-roots"), format!("{},{}", dir.cid, file.cid));
    assert_eq!(answer.header("last-modified"), "");
    assert_eq!(answer.header("content-disposition"), "");
}

#[tokio::test]
async fn an_empty_file_is_empty() {
    let site = Site::start(json!({})).await;
    let file = site.file(b"").await;
    for headers in [&[][..], &[("Range", "bytes=0-10")][..]] {
        let answer = site.get_with(&format!("/ipfs/{}", file.cid), headers).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-length")), (200, "0"));
        assert!(answer.bytes().is_empty());
    }
    assert_eq!(site.get("/ipfs/bafkqaaa?format=raw").await.status, 200, "the probe of clients");
}

#[tokio::test]
async fn ranges_give_their_bytes() {
    let site = Site::start(json!({})).await;
    let bytes = noise(10_500);
    let target = format!("/ipfs/{}", site.file(&bytes).await.cid);
    let table = [
        ("bytes=0-0", 0..1),
        ("bytes=0-999", 0..1000),
        ("bytes=999-1000", 999..1001),
        ("bytes=2500-7499", 2500..7500),
        ("bytes=10499-", 10_499..10_500),
        ("bytes=10000-99999", 10_000..10_500),
        ("bytes=-1", 10_499..10_500),
        ("bytes=-3000", 7500..10_500),
        ("bytes=-99999", 0..10_500),
        ("bytes=5-9,20-29", 5..10),
    ];
    for (range, expected) in table {
        let answer = site.get_with(&target, &[("Range", range)]).await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.bytes(), &bytes[expected.clone()], "{range}");
        let part = format!("bytes {}-{}/10500", expected.start, expected.end - 1);
        assert_eq!(answer.header("content-range"), part);
        assert_eq!(answer.header("content-length"), expected.len().to_string());
        let head = site.head(&target, &[("Range", range)]).await;
        assert_eq!((head.status.as_u16(), head.header("content-range")), (206, part.as_str()));
    }
    let beyond = site.get_with(&target, &[("Range", "bytes=10500-")]).await;
    assert_eq!((beyond.status.as_u16(), beyond.header("content-range")), (416, "bytes */10500"));
    assert_eq!(site.get_with(&target, &[("Range", "bytes=9-1")]).await.status, 400);
    assert_eq!(site.get_with(&target, &[("Range", "lines=1-2")]).await.status, 200);
}

#[tokio::test]
async fn if_range_decides_whether_a_range_counts() {
    let site = Site::start(json!({})).await;
    let file = site.file(&noise(3000)).await;
    let target = format!("/ipfs/{}", file.cid);
    let same = format!("\"{}\"", file.cid);
    for (tag, status) in [(same.as_str(), 206), ("\"other\"", 200), ("W/\"x\"", 200)] {
        let headers = [("Range", "bytes=0-9"), ("If-Range", tag)];
        assert_eq!(site.get_with(&target, &headers).await.status, status, "{tag}");
    }
}

#[tokio::test]
async fn a_client_that_has_it_gets_304_and_one_that_wants_another_412() {
    let site = Site::start(json!({})).await;
    let file = site.file(&noise(3000)).await;
    let target = format!("/ipfs/{}", file.cid);
    let tag = format!("\"{}\"", file.cid);
    for tag in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let answer = site.get_with(&target, &[("If-None-Match", &tag)]).await;
        assert_eq!(answer.status, 304, "{tag}");
        assert_eq!(answer.header("etag"), format!("\"{}\"", file.cid));
        assert_eq!(answer.header("cache-control"), "public, max-age=29030400, immutable");
        assert!(answer.bytes().is_empty());
    }
    assert_eq!(site.get_with(&target, &[("If-None-Match", "\"x\"")]).await.status, 200);
    assert_eq!(site.get_with(&target, &[("If-Match", "\"x\"")]).await.status, 412);
}

#[tokio::test]
async fn a_recorded_time_is_last_modified() {
    let site = Site::start(json!({})).await;
    let mtime = Some(Mtime { secs: 784_111_777, nanos: 5 });
    let file = site.dated_file(b"old news", &Metadata { mode: None, mtime }).await;
    let target = format!("/ipfs/{}", file.cid);
    let answer = site.get(&target).await;
    assert_eq!(answer.header("last-modified"), "Sun, 06 Nov 1994 08:49:37 GMT");
    let since = [("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")];
    assert_eq!(site.get_with(&target, &since).await.status, 304);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let site = Site::start(json!({})).await;
    let text = "words and more words\n".repeat(500);
    let file = site.file(text.as_bytes()).await;
    let dir = site.directory(&[("a.txt", &file), ("noname", &file)]).await;
    for target in [
        format!("/ipfs/{}", file.cid),
        format!("/ipfs/{}/a.txt", dir.cid),
        format!("/ipfs/{}/noname?filename=x.css", dir.cid),
        format!("/ipfs/{}?format=raw", file.cid),
        "/ipfs/bad".to_owned(),
    ] {
        let get = site.get(&target).await;
        let head = site.head(&target, &[]).await;
        assert_eq!(get.status, head.status, "{target}");
        assert!(head.bytes().is_empty());
        let (mut left, mut right) = (get.headers.clone(), head.headers.clone());
        left.remove("date");
        right.remove("date");
        assert_eq!(left, right, "{target}");
    }
}

#[tokio::test]
async fn head_of_a_named_file_and_ranges_read_no_other_leaves() {
    let site = Site::start(json!({})).await;
    let bytes = noise(5000);
    let broken = site.file_without(&bytes, 0).await;
    let dir = site.directory(&[("film.mp4", &broken)]).await;
    let target = format!("/ipfs/{}/film.mp4", dir.cid);
    assert_eq!(site.head(&target, &[]).await.status, 200, "the first leaf is not there");
    let answer = site.get_with(&target, &[("Range", "bytes=1000-4999")]).await;
    assert_eq!(answer.bytes(), &bytes[1000..], "nor is it read for what follows");
    let tag = format!("\"{}\"", broken.cid);
    assert_eq!(site.get_with(&target, &[("If-None-Match", &tag)]).await.status, 304);
    assert_eq!(site.get(&target).await.status, 404, "but it is missed where it is needed");
}

#[tokio::test]
async fn types_come_from_names_and_first_bytes() {
    let site = Site::start(json!({})).await;
    let page = site.file(b"<!DOCTYPE html><p>hi").await;
    let text = site.file("grüße\n".repeat(1000).as_bytes()).await;
    let json = site.file(b"{\"a\": 1}").await;
    let png = site.file(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").await;
    let table = [
        (format!("/ipfs/{}", page.cid), "text/html"),
        (format!("/ipfs/{}", text.cid), "text/plain; charset=utf-8"),
        (format!("/ipfs/{}", json.cid), "application/json"),
        (format!("/ipfs/{}", png.cid), "image/png"),
        (format!("/ipfs/{}?filename=x.css", text.cid), "text/css; charset=utf-8"),
        (format!("/ipfs/{}?filename=x.unknown", png.cid), "image/png"),
    ];
    for (target, expected) in table {
        assert_eq!(site.get(&target).await.header("content-type"), expected, "{target}");
        let start = site.get_with(&target, &[("Range", "bytes=0-1")]).await;
        assert_eq!(start.header("content-type"), expected, "the same for a part of {target}");
    }
}

#[tokio::test]
async fn filename_and_download_name_what_is_saved() {
    let site = Site::start(json!({})).await;
    let file = site.file(b"meow").await;
    let dir = site.directory(&[("cat.txt", &file)]).await;
    let path = format!("/ipfs/{}/cat.txt", dir.cid);
    let table = [
        ("", ""),
        ("?filename=a%20b.txt", "inline; filename=\"a%20b.txt\"; filename*=UTF-8''a%20b.txt"),
        ("?filename=x.y&download=true", "attachment; filename=\"x.y\"; filename*=UTF-8''x.y"),
        ("?download=true", "attachment; filename=\"cat.txt\"; filename*=UTF-8''cat.txt"),
        (
            "?filename=%22%0D%0AX:1",
            "inline; filename=\"%22%0D%0AX%3A1\"; filename*=UTF-8''%22%0D%0AX%3A1",
        ),
    ];
    for (query, expected) in table {
        let answer = site.get(&format!("{path}{query}")).await;
        assert_eq!(answer.header("content-disposition"), expected, "{query}");
        assert_eq!(answer.text(), "meow");
    }
}

#[tokio::test]
async fn a_block_is_given_as_it_is() {
    let site = Site::start(json!({})).await;
    let file = site.file(&noise(2500)).await;
    let target = format!("/ipfs/{}", file.cid);
    let accept = [("Accept", "application/vnd.ipld.raw")];
    let by_query = site.get(&format!("{target}?format=raw")).await;
    let by_accept = site.get_with(&target, &accept).await;
    for answer in [&by_query, &by_accept] {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "application/vnd.ipld.raw");
        assert_eq!(answer.header("etag"), format!("\"{}.raw\"", file.cid));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(answer.header("content-disposition").starts_with("attachment; filename=\"bafy"));
        cairn_block::Block::verify(file.cid.clone(), answer.bytes().clone()).expect("verifies");
    }
    assert_eq!(by_query.header("content-location"), "");
    assert_eq!(by_accept.header("content-location"), format!("{target}?format=raw"));
    let part = site.get_with(&format!("{target}?format=raw"), &[("Range", "bytes=1-4")]).await;
    assert_eq!(part.bytes(), &by_query.bytes()[1..5]);
    assert_eq!(site.get(&format!("{target}?format=tar")).await.status, 406);
}

#[tokio::test]
async fn documents_of_other_codecs_have_their_own_type() {
    let site = Site::start(json!({})).await;
    let json = site.block(codec::DAG_JSON, b"{\"hello\":\"world\"}").await;
    let answer = site.get(&format!("/ipfs/{json}")).await;
    assert_eq!(answer.header("content-type"), "application/vnd.ipld.dag-json");
    assert_eq!(answer.header("etag"), format!("\"{json}.dag-json\""));
    assert!(answer.header("content-disposition").starts_with("inline; "));
    assert_eq!(answer.text(), "{\"hello\":\"world\"}");
    let cbor = site.block(codec::DAG_CBOR, &[0xa0]).await;
    let answer = site.get(&format!("/ipfs/{cbor}?format=dag-cbor")).await;
    assert_eq!(answer.header("content-type"), "application/vnd.ipld.dag-cbor");
    assert!(answer.header("content-disposition").starts_with("attachment; "));
    assert_eq!(site.get(&format!("/ipfs/{cbor}?format=dag-json")).await.status, 406);
    assert_eq!(site.get(&format!("/ipfs/{cbor}/inside/it")).await.status, 404);
    // {"inside": {"it": 1}}
    let cbor = site.block(codec::DAG_CBOR, b"\xa1\x66inside\xa1\x62it\x01").await;
    assert_eq!(site.get(&format!("/ipfs/{cbor}/inside/it")).await.status, 501);
}

#[tokio::test]
async fn a_symlink_is_shown_and_not_followed() {
    let site = Site::start(json!({})).await;
    let link = site.symlink("../../etc/passwd").await;
    let dir = site.directory(&[("link", &link)]).await;
    let answer = site.get(&format!("/ipfs/{}/link", dir.cid)).await;
    assert_eq!(answer.header("content-type"), "inode/symlink");
    assert_eq!(answer.text(), "../../etc/passwd");
}
