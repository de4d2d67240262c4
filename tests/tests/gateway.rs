//! The gateway as browsers and caches use it: bytes, ranges, conditions, folders, failures.

use cairn_tests::{
    Daemon, Home,
    http::{self, Answer, Request},
    tree,
};
use std::fs;

struct Site {
    _home: Home,
    daemon: Daemon,
    root: String,
    big: Vec<u8>,
}

impl Site {
    fn new() -> Self {
        let home = Home::new();
        let folder = home.path("site");
        let big = tree::Random::new(71).bytes(10 * tree::CHUNK_LEN + 5);
        tree::write(&folder.join("hello.txt"), b"hello world\n");
        tree::write(&folder.join("page.html"), b"<!doctype html><title>page</title>");
        tree::write(&folder.join("big.bin"), &big);
        tree::write(&folder.join("with index/index.html"), b"<!doctype html><p>index");
        tree::write(&folder.join("<script>alert(1)</script>"), b"hostile");
        tree::write(&folder.join("ünï 日本.txt"), b"names");
        tree::write(&folder.join("sub/deep/file.json"), b"{\"a\":1}");
        fs::create_dir(folder.join("nothing")).expect("a folder can be made");
        let root = home.add(&folder);
        let daemon = home.daemon_with(&["--offline"]);
        Self { _home: home, daemon, root, big }
    }

    fn path(&self, path: &str) -> String {
        format!("/ipfs/{}{path}", self.root)
    }

    fn get(&self, path: &str) -> Answer {
        http::get(self.daemon.gateway, &self.path(path))
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let target = self.path(path);
        http::send(self.daemon.gateway, &Request { method, target: &target, headers, body: b"" })
    }
}

#[test]
fn files_come_with_their_type_and_forever() {
    let site = Site::new();
    for (path, kind, body) in [
        ("/hello.txt", "text/plain", &b"hello world\n"[..]),
        ("/page.html", "text/html", b"<!doctype html><title>page</title>"),
        ("/sub/deep/file.json", "application/json", b"{\"a\":1}"),
        ("/%C3%BCn%C3%AF%20%E6%97%A5%E6%9C%AC.txt", "text/plain", b"names"),
    ] {
        let answer = site.get(path);
        assert_eq!((answer.status, &answer.body[..]), (200, body), "{path}");
        let content_type = answer.header("content-type").expect("a type");
        assert!(content_type.starts_with(kind), "{path}: {content_type}");
        let cache = answer.header("cache-control").expect("a lifetime");
        assert!(cache.contains("immutable"), "{path}: {cache}");
        assert_eq!(answer.header("content-length"), Some(&*body.len().to_string()), "{path}");
        assert!(answer.header("x-ipfs-path").is_some() && answer.header("x-ipfs-roots").is_some());
    }
    let big = site.get("/big.bin");
    assert!(big.whole && big.body == site.big);
}

#[test]
fn ranges_are_exact() {
    let site = Site::new();
    let len = site.big.len();
    let edge = tree::CHUNK_LEN;
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=5-", 5, len),
        ("bytes=-7", len - 7, len),
        (&format!("bytes={}-{}", edge - 2, edge + 1) as &str, edge - 2, edge + 2),
        (&format!("bytes={}-{}", len - 1, len + 100), len - 1, len),
    ] {
        let answer = site.send("GET", "/big.bin", &[("Range", range)]);
        assert_eq!(answer.status, 206, "{range}");
        assert!(answer.body == site.big[from..to], "{range}: {} bytes", answer.body.len());
        let expected = format!("bytes {from}-{}/{len}", to - 1);
        assert_eq!(answer.header("content-range"), Some(&*expected), "{range}");
    }
    let beyond = site.send("GET", "/big.bin", &[("Range", &format!("bytes={len}-"))]);
    assert_eq!(beyond.status, 416);
}

#[test]
fn caches_can_ask_again() {
    let site = Site::new();
    for path in ["/hello.txt", "/sub/"] {
        let etag = site.get(path).header("etag").expect("an etag").to_owned();
        let again = site.send("GET", path, &[("If-None-Match", &etag)]);
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), Some(&*etag), "{path}");
        let other = site.send("GET", path, &[("If-None-Match", "\"other\"")]);
        assert_eq!(other.status, 200, "{path}");
    }
}

#[test]
fn head_is_get_without_the_body() {
    let site = Site::new();
    for path in ["/hello.txt", "/big.bin", "/sub/"] {
        let (get, head) = (site.get(path), site.send("HEAD", path, &[]));
        assert_eq!(head.status, 200, "{path}");
        assert!(head.body.is_empty(), "{path}");
        for name in ["content-type", "etag", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
    }
}

#[test]
fn folders_are_pages() {
    let site = Site::new();
    let bare = site.get("");
    assert!((301..=308).contains(&bare.status), "{}", bare.status);
    assert_eq!(bare.header("location"), Some(&*site.path("/")));
    let page = site.get("/");
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    let text = page.text();
    assert!(text.contains("hello.txt") && text.contains("ünï 日本.txt"), "{text}");
    assert!(!text.contains("<script>alert"), "hostile names are escaped");
    assert!(
        !text.contains("http://") || !text.contains("<img"),
        "nothing is loaded from elsewhere"
    );
    assert_eq!(site.get("/nothing/").status, 200);
    assert_eq!(site.get("/with%20index/").body, b"<!doctype html><p>index");
}

#[test]
fn failures_say_what_is_wrong() {
    let site = Site::new();
    let missing = "/ipfs/bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
    for (target, statuses, part) in [
        (site.path("/nowhere.txt"), &[404][..], "nowhere.txt"),
        ("/ipfs/garbage".to_owned(), &[400], "garbage"),
        (missing.to_owned(), &[404, 500, 504], "bafkreigh2"),
        (site.path("/hello.txt/below"), &[404, 400], "below"),
        ("/nosuchroot".to_owned(), &[404], ""),
    ] {
        let answer = http::get(site.daemon.gateway, &target);
        assert!(statuses.contains(&answer.status), "{target}: {}", answer.status);
        assert!(answer.text().contains(part), "{target}: {}", answer.text());
    }
    assert_eq!(site.send("POST", "/hello.txt", &[]).status, 405);
    assert_eq!(site.send("DELETE", "/hello.txt", &[]).status, 405);
    assert_eq!(http::post(site.daemon.gateway, "/api/v0/id").status / 100, 4, "no RPC here");
}

#[test]
fn single_blocks_can_be_had() {
    let site = Site::new();
    let raw = site.send("GET", "/", &[("Accept", "application/vnd.ipld.raw")]);
    assert_eq!(raw.status, 200);
    assert_eq!(raw.header("content-type"), Some("application/vnd.ipld.raw"));
    let by_query = site.get("/?format=raw");
    assert_eq!(by_query.body, raw.body);
    let put = http::post_file(
        site.daemon.api,
        "/api/v0/block/put?cid-codec=dag-pb&mhtype=sha2-256",
        "block",
        &raw.body,
    );
    let value: serde_json::Value = serde_json::from_slice(&put.body).expect("JSON");
    let key = value["Key"].as_str().expect("a CID");
    let same = http::get(site.daemon.gateway, &format!("/ipfs/{key}/hello.txt"));
    assert_eq!(same.body, b"hello world\n", "the block is the root's own");
}
