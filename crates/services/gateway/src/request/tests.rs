//! Tables of request lines.

use super::*;
use hyper::header::HeaderValue;

fn uri(text: &str) -> Uri {
    text.parse().expect("a valid request target")
}

fn content(path: &str, trailing_slash: bool) -> Target {
    Target::Content { path: path.to_owned(), trailing_slash }
}

#[test]
fn paths_name_their_targets() {
    let table = [
        ("/", Target::Root),
        ("/?uri=x", Target::Root),
        ("/version", Target::Version),
        ("/ipfs/bafy", content("/ipfs/bafy", false)),
        ("/ipfs/bafy/", content("/ipfs/bafy", true)),
        ("/ipfs/bafy/a%20b/%C3%BC?x=y", content("/ipfs/bafy/a b/ü", false)),
        ("/ipfs/bafy/a%2Fb", content("/ipfs/bafy/a/b", false)),
        ("/ipfs/bafy/a+b", content("/ipfs/bafy/a+b", false)),
        ("/ipfs/bafy/%3Cscript%3E", content("/ipfs/bafy/<script>", false)),
        ("/ipfs/", content("/ipfs/", false)),
        ("/ipfs/bafy/%zz", Target::Malformed),
        ("/ipfs/bafy/%ff", Target::Malformed),
        ("/ipfs/ipfs/bafy/a%20b", Target::Superfluous { location: "/ipfs/bafy/a%20b".into() }),
        ("/ipfs/ipns/name", Target::Superfluous { location: "/ipns/name".into() }),
        ("/ipns/example.org", Target::Name),
        ("/ipfs", Target::Unknown),
        ("/favicon.ico", Target::Unknown),
        ("/api/v0/id", Target::Unknown),
    ];
    for (text, expected) in table {
        let parsed = Target::parse(&uri(text));
        assert_eq!(parsed, expected, "{text}");
    }
}

#[test]
fn queries_give_what_the_gateway_knows() {
    let query = Query::parse(&uri("/ipfs/x?filename=a+b%2Fc.txt&download=true&format=raw&z=1"));
    assert_eq!(query.filename.as_deref(), Some("a b/c.txt"));
    assert!(query.download);
    assert_eq!(query.format.as_deref(), Some("raw"));
    assert!(!query.go_get);

    assert_eq!(Query::parse(&uri("/ipfs/x?download=1&filename=&go-get=0")), Query::default());
    let twice = Query::parse(&uri("/ipfs/x?filename=one&filename=two&filename=%zz"));
    assert_eq!(twice.filename.as_deref(), Some("one"));
    let many = format!("/ipfs/x?{}filename=late", "a=b&".repeat(PARAMETERS_MAX));
    assert_eq!(Query::parse(&uri(&many)), Query::default());
}

#[test]
fn formats_come_from_the_query_first() {
    let table = [
        ("", "", Format::Web),
        ("", "text/html,*/*;q=0.8", Format::Web),
        ("", "application/json", Format::Web),
        ("", "application/vnd.ipld.raw", Format::Raw),
        ("", "text/html, application/vnd.ipld.raw;q=0.5", Format::Raw),
        ("?format=raw", "application/vnd.ipld.car", Format::Raw),
        ("?format=unknown", "application/vnd.ipld.raw", Format::Raw),
        ("?format=unknown", "", Format::Web),
        ("?format=json", "application/vnd.ipld.raw", Format::Web),
        ("?format=car", "", Format::Other("application/vnd.ipld.car".into())),
        (
            "",
            "application/vnd.ipld.car;version=1",
            Format::Other("application/vnd.ipld.car".into()),
        ),
        ("", "application/x-tar", Format::Other("application/x-tar".into())),
    ];
    for (query, accept, expected) in table {
        let query = Query::parse(&uri(&format!("/ipfs/x{query}")));
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        assert_eq!(Format::of(&query, &headers), expected, "{query:?} {accept}");
    }
}

#[test]
fn protocol_handler_links_are_led_to_their_path() {
    let table = [
        ("ipfs%3A%2F%2Fbafy%2Fa%20b", Some(Ok("/ipfs/bafy/a%20b"))),
        ("ipfs://bafy/dir/", Some(Ok("/ipfs/bafy/dir/"))),
        ("ipns://example.org%3Fa%3Db", Some(Ok("/ipns/example.org?a=b"))),
        ("ipfs:////evil.example/", Some(Ok("/ipfs/evil.example/"))),
        ("https://example.org", Some(Err("uri query parameter scheme must be ipfs or ipns"))),
        ("bafy", Some(Err("failed to parse uri query parameter"))),
        ("", None),
    ];
    for (value, expected) in table {
        let query = Query::parse(&uri(&format!("/ipfs/?uri={value}")));
        let location = query.handler_location();
        let expected = expected.map(|result| result.map(str::to_owned));
        assert_eq!(location, expected, "{value}");
    }
}
