//! Directories: redirects, index pages, listings.

use crate::site::Site;
use cairn_block::codec;
use cairn_dag::dag_pb::{self, PbLink, PbNode};
use cairn_unixfs::{Data, DataType, Options};
use serde_json::json;

#[tokio::test]
async fn a_directory_without_a_slash_is_redirected_with_its_query() {
    let site = Site::start(json!({})).await;
    let file = site.file(b"x").await;
    let inner = site.directory(&[("f", &file)]).await;
    let dir = site.directory(&[("a b", &inner)]).await;
    let table = [
        (format!("/ipfs/{}", dir.cid), format!("/ipfs/{}/", dir.cid)),
        (format!("/ipfs/{}?a=b&c=%2F", dir.cid), format!("/ipfs/{}/?a=b&c=%2F", dir.cid)),
        (format!("/ipfs/{}/a%20b", dir.cid), format!("/ipfs/{}/a%20b/", dir.cid)),
    ];
    for (target, expected) in table {
        let answer = site.get(&target).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (301, expected.as_str()));
    }
    assert_eq!(site.get(&format!("/ipfs/{}?go-get=1", dir.cid)).await.status, 200);
}

#[tokio::test]
async fn an_index_page_stands_for_its_directory() {
    let site = Site::start(json!({})).await;
    let page = site.file(b"<h1>home</h1>").await;
    let dir = site.directory(&[("index.html", &page), ("other", &page)]).await;
    let answer = site.get(&format!("/ipfs/{}/", dir.cid)).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "<h1>home</h1>"));
    assert_eq!(answer.header("content-type"), "text/html");
    assert_eq!(answer.header("etag"), format!("\"{}\"", dir.cid));
    assert_eq!(answer.header("cache-control"), "public, max-age=29030400, immutable");
    assert_eq!(answer.header("x-ipfs-path"), format!("/ipfs/{}/", dir.cid));
    assert_eq!(answer.header("x-ipfs-roots"), dir.cid.to_string());
    let part = site.get_with(&format!("/ipfs/{}/", dir.cid), &[("Range", "bytes=1-2")]).await;
    assert_eq!(part.text(), "h1");

    let twisted = site.directory(&[("index.html", &dir)]).await;
    assert_eq!(site.get(&format!("/ipfs/{}/", twisted.cid)).await.status, 422);
}

#[tokio::test]
async fn a_listing_shows_its_entries() {
    let site = Site::start(json!({})).await;
    let file = site.file(&[0; 2048]).await;
    let empty = site.directory(&[]).await;
    let dir = site.directory(&[("big.bin", &file), ("sub dir", &empty)]).await;
    let target = format!("/ipfs/{}/", dir.cid);
    let answer = site.get(&target).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let cache = "public, max-age=604800, stale-while-revalidate=2678400";
    assert_eq!(answer.header("cache-control"), cache);
    let tag = answer.header("etag").to_owned();
    assert!(tag.starts_with("\"DirIndex-") && tag.ends_with(&format!("_CID-{}\"", dir.cid)));
    let page = answer.text();
    assert!(page.contains("<a href=\"./big.bin\">big.bin</a>"), "{page}");
    assert!(page.contains("<a href=\"./sub%20dir\">sub dir</a>"));
    assert!(page.contains(&format!("/ipfs/{}?filename=big.bin", file.cid)));
    assert!(page.ends_with("</html>\n"));

    let again = site.get_with(&target, &[("If-None-Match", &tag)]).await;
    assert_eq!((again.status.as_u16(), again.header("etag")), (304, tag.as_str()));
    assert_eq!(again.header("cache-control"), cache);
    let head = site.head(&target, &[]).await;
    assert_eq!((head.status.as_u16(), head.header("etag")), (200, tag.as_str()));
    assert_eq!(head.header("content-length"), "", "its length is not known");
    let empty = site.get(&format!("/ipfs/{}/", empty.cid)).await;
    assert!(empty.status == 200 && empty.text().ends_with("</html>\n"));
}

#[tokio::test]
async fn hostile_names_stay_names() {
    let site = Site::start(json!({})).await;
    let file = site.file(b"payload").await;
    let names = [
        "<script>alert(1)<script>",
        "\" onmouseover=\"alert(1)",
        "javascript:alert(1)",
        "a?b#c%41",
        "line\nbreak\r\nSet-Cookie: x",
        "\u{202e}gpj.exe",
        "ünïcödé 🐚",
        "CON",
        "...",
    ];
    let entries: Vec<_> = names.iter().map(|name| (*name, &file)).collect();
    let dir = site.directory(&entries).await;
    let page = site.get(&format!("/ipfs/{}/", dir.cid)).await;
    let html = page.text();
    assert!(!html.contains("<script") && !html.contains("\" onmouseover"), "{html}");
    assert!(!html.contains('\u{202e}') && !html.contains("href=\"javascript"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));

    let links: Vec<&str> = html
        .split("<a href=\"./")
        .skip(1)
        .map(|rest| rest.split('"').next().expect("a quoted address"))
        .collect();
    assert_eq!(links.len(), names.len());
    for link in links {
        let answer = site.get(&format!("/ipfs/{}/{link}", dir.cid)).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, "payload"), "{link}");
        assert!(answer.header("x-ipfs-path").starts_with(&format!("/ipfs/{}/", dir.cid)));
        assert_eq!(answer.header("set-cookie"), "");
    }
}

#[tokio::test]
async fn names_that_no_builder_writes_are_shown_without_a_link() {
    let site = Site::start(json!({})).await;
    let file = site.file(b"payload").await;
    let names = ["", ".", "..", "a/b", "</a></table><script>"];
    let link = |name: &str| PbLink::new(name.to_owned(), file.cid.clone(), 7);
    let data = Data::new(DataType::Directory).encode();
    let node = PbNode { links: names.map(link).into(), data: Some(data.into()) };
    let dir = site.block(codec::DAG_PB, &dag_pb::encode(&node)).await;
    let page = site.get(&format!("/ipfs/{dir}/")).await;
    assert_eq!(page.status, 200);
    assert!(!page.text().contains("href=\"./") && !page.text().contains("<script"));
    let by_cid = format!("<a href=\"/ipfs/{}\">", file.cid);
    assert_eq!(page.text().matches(&by_cid).count(), names.len(), "{}", page.text());
}

#[tokio::test]
async fn a_sharded_directory_is_listed_and_found_in() {
    let site = Site::start(json!({})).await;
    let file = site.file(b"one of many").await;
    let names: Vec<String> = (0..3000).map(|number| format!("file-{number:05}.txt")).collect();
    let entries: Vec<_> = names.iter().map(|name| (name.as_str(), &file)).collect();
    let options = Options { max_directory_links: 100, ..Options::v1() };
    let dir = site.directory_of(&entries, &options).await;
    let page = site.get(&format!("/ipfs/{}/", dir.cid)).await;
    assert_eq!(page.header("transfer-encoding"), "chunked");
    for name in &names {
        assert!(page.text().contains(&format!(">{name}</a>")), "{name}");
    }
    let answer = site.get(&format!("/ipfs/{}/file-02999.txt", dir.cid)).await;
    assert_eq!(answer.text(), "one of many");
    assert_eq!(answer.header("x-ipfs-roots"), format!("{},{}", dir.cid, file.cid));
}
