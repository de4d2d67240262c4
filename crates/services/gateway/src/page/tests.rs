//! Pages with names that strangers chose.

use super::*;

fn listing(path: &str) -> Listing<'_> {
    Listing { path, cid: "bafybeidir", size: 3 * 1024 * 1024 }
}

fn entry(name: &str, size: Option<u64>) -> Row<'_> {
    Row { name, cid: "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy", size }
}

#[test]
fn the_head_shows_the_path_as_links() {
    let head = listing("/ipfs/bafyroot/a b/c").head();
    assert!(head.starts_with("<!DOCTYPE html>"));
    assert!(head.contains("<title>Index of /ipfs/bafyroot/a b/c</title>"));
    assert!(head.contains("<span>/ipfs</span>"));
    assert!(head.contains("<a href=\"/ipfs/bafyroot/\">/bafyroot</a>"));
    assert!(head.contains("<a href=\"/ipfs/bafyroot/a%20b/\">/a b</a>"));
    assert!(head.contains("<b>/c</b>"));
    assert!(head.contains("<a href=\"..\">..</a>"));
    assert!(head.contains("3.0 MiB") && head.contains("bafybeidir"));
    assert!(!listing("/ipfs/bafyroot").head().contains("href=\"..\""), "no way above the root");
}

#[test]
fn rows_escape_hostile_names() {
    let hostile = entry("<img src=x onerror=alert(1)>\"'&.txt", Some(1));
    let html = row(&hostile);
    assert!(!html.contains("<img"), "{html}");
    assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;.txt</a>"));
    assert!(html.contains("href=\"./%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E%22%27%26.txt\""));

    let scheme = row(&entry("javascript:alert(1)", None));
    assert!(scheme.contains("href=\"./javascript%3Aalert%281%29\""), "{scheme}");
    for name in [".", "..", "", "a/b"] {
        let html = row(&entry(name, None));
        assert!(!html.contains("href=\"./"), "{name:?} has no link of its own: {html}");
        assert!(html.contains("href=\"/ipfs/bafkrei"), "but its CID has: {html}");
    }
    let head = listing("/ipfs/x/<b>\"").head();
    assert!(!head.contains("<b>\""), "{head}");
    assert!(!head.contains("<script") && !head.contains("http"), "nothing from elsewhere");
}

#[test]
fn sizes_are_short() {
    let table = [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (10 * 1024, "10 KiB"),
        (1024 * 1024 - 1, "1023 KiB"),
        (1024 * 1024, "1.0 MiB"),
        (u64::MAX, "15 EiB"),
    ];
    for (len, expected) in table {
        assert_eq!(human(len), expected);
    }
}

#[test]
fn notices_escape_their_sentence() {
    let page = error(StatusCode::NOT_FOUND, "no link named \"<x>\"");
    assert!(page.contains("<h1>404 Not Found</h1><p>no link named &quot;&lt;x&gt;&quot;</p>"));
}

#[test]
fn the_look_depends_on_what_is_shown() {
    assert_ne!(fingerprint(&["a", "b"]), fingerprint(&["a", "c"]));
    assert_eq!(LOOK, fingerprint(&[STYLE, env!("CARGO_PKG_VERSION"), "rows 1"]));
}
