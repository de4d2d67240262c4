//! What must hold of requests and of what they put into answers, whatever the bytes, for
//! `cairn-fuzz`.
//!
//! Not here: hyper's part of HTTP, archives and pages as a whole.

use crate::{
    date, disposition,
    disposition::Disposition,
    media::{SNIFF_LEN, by_name, sniff},
    range::{Selection, select},
    request::{Format, Query, Target},
    settings::Settings,
    text,
    validators::{Condition, Validators},
};
use hyper::{
    HeaderMap, Uri,
    header::{
        ACCEPT, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
        IF_UNMODIFIED_SINCE,
    },
};

/// Name, properties and seeds of each target.
#[expect(clippy::type_complexity, reason = "the type is cairn-fuzz's, which nobody here may use")]
pub const TARGETS: &[(&str, fn(&[u8]), fn() -> Vec<Vec<u8>>)] = &[
    ("gateway_request", request, requests),
    ("gateway_range", range, ranges),
    ("gateway_date", date_target, dates),
    ("gateway_conditions", conditions, tags),
    ("gateway_escape", escape, names),
    ("gateway_settings", settings, configs),
    ("media_type", media_type, files),
];

fn bytes_of<const COUNT: usize>(texts: [&str; COUNT]) -> Vec<Vec<u8>> {
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// Whether a text can be a header's value as it is.
fn is_value(text: &str) -> bool {
    HeaderValue::from_str(text).is_ok()
}

fn request(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (uri, accept) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(uri) = uri.parse::<Uri>() else { return };
    match Target::parse(&uri) {
        Target::Content { path, trailing_slash } => {
            assert!(path.starts_with("/ipfs/"), "{path:?}");
            assert!(path == "/ipfs/" || !path.ends_with('/'), "{path:?} {trailing_slash}");
            let again =
                format!("{}{}", text::percent_path(&path), ["", "/"][usize::from(trailing_slash)]);
            let Ok(again) = again.parse::<Uri>() else { return };
            if !path.starts_with("/ipfs/ipfs/") && !path.starts_with("/ipfs/ipns/") {
                let content = Target::Content { path, trailing_slash };
                assert_eq!(Target::parse(&again), content, "an escaped path is the same path");
            }
        }
        Target::Superfluous { location } => {
            assert!(is_value(&location) && location.len() < uri.path().len());
            assert!(location.starts_with("/ipfs/") || location.starts_with("/ipns/"));
        }
        _ => {}
    }
    let query = Query::parse(&uri);
    if let Some(Ok(location)) = query.handler_location() {
        assert!(is_value(&location), "{location:?}");
        assert!(location.starts_with("/ipfs/") || location.starts_with("/ipns/"), "{location:?}");
    }
    let mut headers = HeaderMap::new();
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(ACCEPT, accept);
    }
    if let Format::Other(kind) = Format::of(&query, &headers) {
        assert!(kind.len() <= 40 + accept.len());
    }
}

fn requests() -> Vec<Vec<u8>> {
    bytes_of([
        "/ipfs/bafkqaaa/a%20b/?filename=c&download=true&format=raw&uri=ipfs%3A%2F%2Fx%2Fy%3Fq\n*/*",
        "/ipfs/ipns/x?go-get=1&dag-scope=entity&entity-bytes=0:*&car-order=dfs&car-dups=y\n\
         application/vnd.ipld.car;version=1;order=dfs;dups=y, text/html",
        "http://h:80/ipfs//a//?uri=ipns://%2e%2e/&car-version=1\napplication/x-tar",
        "/version",
        "/ipns/name",
    ])
}

fn range(input: &[u8]) {
    let Some((len, header)) = input.split_first_chunk() else { return };
    let (len, header) = (u64::from_le_bytes(*len), std::str::from_utf8(header).ok());
    if let Selection::Part(range) = select(header, len) {
        assert!(range.start < range.end && range.end <= len, "{range:?} of {len}");
    }
}

fn ranges() -> Vec<Vec<u8>> {
    let headers = ["bytes=0-499", "bytes= 5 - , -7", "bytes=-18446744073709551615", "items=1-2"];
    let len = 1000_u64.to_le_bytes();
    headers.map(|header| [&len, header.as_bytes()].concat()).to_vec()
}

fn date_target(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input)
        && let Some(seconds) = date::parse(text)
    {
        let again = date::format(seconds).and_then(|text| date::parse(&text));
        assert_eq!(again, Some(seconds), "{text:?}");
    }
    if let Some(seconds) = input.first_chunk().map(|bytes| i64::from_le_bytes(*bytes))
        && let Some(text) = date::format(seconds)
    {
        assert_eq!((text.len(), date::parse(&text)), (29, Some(seconds)));
    }
}

fn dates() -> Vec<Vec<u8>> {
    let mut seeds = bytes_of(["Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 29 Feb 0000 23:59:60 GMT"]);
    seeds.push(1_700_000_000_i64.to_le_bytes().to_vec());
    seeds
}

fn conditions(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in [IF_MATCH, IF_NONE_MATCH, IF_RANGE, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE] {
        let value = HeaderValue::from_bytes(lines.next().unwrap_or_default());
        if let Some(value) = value.ok().filter(|value| !value.is_empty()) {
            headers.insert(name, value);
        }
    }
    let validators = Validators { etag: "\"bafy\"".to_owned(), modified: Some(784_111_777) };
    let given = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match validators.evaluate(&headers) {
        Condition::NotModified => {
            let same = |list: &str| list.contains("\"bafy\"") || list.contains('*');
            let since = given(IF_MODIFIED_SINCE).is_some();
            assert!(given(IF_NONE_MATCH).map_or(since, same), "{headers:?}");
        }
        Condition::Failed => {
            assert!(given(IF_MATCH).or(given(IF_UNMODIFIED_SINCE)).is_some(), "{headers:?}");
        }
        Condition::Proceed => {}
    }
    let is_dated = |text: &str| date::parse(text) == validators.modified;
    let may = given(IF_RANGE).is_none_or(|text| text.trim() == validators.etag || is_dated(text));
    assert!(may || !validators.allow_range(&headers), "{headers:?}");
}

fn tags() -> Vec<Vec<u8>> {
    bytes_of([
        "\"bafy\"\n*\n\"bafy\"\nSun, 06 Nov 1994 08:49:37 GMT\nSun, 06 Nov 1994 08:49:37 GMT",
        "\nW/\"x\" , \"bafy\"\nSun, 06 Nov 1994 08:49:37 GMT\n\n",
    ])
}

fn escape(input: &[u8]) {
    let Ok(name) = std::str::from_utf8(input) else { return };
    let html = text::html(name);
    assert!(!html.contains(['<', '>', '"', '\'']) && !html.chars().any(char::is_control));
    let percent = text::percent(name);
    assert!(percent.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"/<>?#&".contains(&byte)));
    assert_eq!(text::unpercent(&percent, true).as_deref(), Some(name));
    assert!(!text::header(name).chars().any(char::is_control), "one line");
    assert!(is_value(&text::query(name)), "{name:?}");
    for kind in [Disposition::Inline, Disposition::Attachment] {
        let value = disposition::value(kind, name);
        assert!(is_value(&value) && value.matches('"').count() == 2, "{value:?}");
    }
    assert!(by_name(name).is_none_or(|kind| is_value(&kind)), "{name:?}");
}

fn names() -> Vec<Vec<u8>> {
    bytes_of([
        "a b/\u{e4}.html",
        "<script src='\"&",
        "x\r\nSet-Cookie: a=%ff",
        "\u{202e}\u{85}.m3u8",
    ])
}

fn settings(input: &[u8]) {
    let Ok(config) = serde_json::from_slice(input) else { return };
    let Ok(settings) = Settings::from_config(&config) else { return };
    assert!(settings.retrieval_timeout.is_none_or(|time| !time.is_zero()));
    assert!(settings.headers.values().all(|value| !value.as_bytes().contains(&b'\n')));
}

fn configs() -> Vec<Vec<u8>> {
    bytes_of([
        r#"{"Gateway":{"NoFetch":true,"DisableHTMLErrors":false,"RetrievalTimeout":"1m.5s","MaxRequestDuration":"0","MaxConcurrentRequests":9,"MaxRangeRequestFileSize":0,"RootRedirect":"/x","HTTPHeaders":{"Access-Control-Allow-Origin":["*"],"X-A":["b","c"],"Access-Control-Expose-Headers":["D, e"]}}}"#,
        r#"{"Gateway":{"RetrievalTimeout":"default","NoFetch":null}}"#,
    ])
}

fn media_type(input: &[u8]) {
    let kind = sniff(&input[..input.len().min(SNIFF_LEN)]);
    assert!(is_value(kind) && kind.contains('/'), "{kind}");
}

fn files() -> Vec<Vec<u8>> {
    let mut seeds = bytes_of([
        "  <!-- c --><!DOCTYPE html>",
        "<?xml version=\"1.0\"?><svg",
        "{\"a\": [1]}",
        "\u{feff}text",
        "RIFF\0\0\0\0WEBPVP8 ",
        "\0\0\0\u{18}ftypmp42",
    ]);
    seeds.push(vec![0xff, 0xfe, b'a', 0]);
    seeds
}
