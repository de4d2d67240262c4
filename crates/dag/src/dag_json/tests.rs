//! dag-json's rules one by one, and hostile blocks.

use super::{decode, decode_plain, encode, encode_plain};
use crate::{CodecError, NESTING_MAX, Node, codec::decode_canonical};
use bytes::Bytes;
use cairn_block::{Block, codec};

const CID: &str = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";

#[test]
fn refuses_with_the_place() {
    let rows: &[(&str, usize, &str)] = &[
        ("", 0, "ends too early"),
        (" [1,", 4, "ends too early"),
        ("1 2", 2, "behind"),
        ("[1 2]", 3, "neither , nor ]"),
        ("[1,]", 3, "not a value"),
        ("{\"a\" 1}", 5, "no :"),
        ("{\"a\":1 \"b\":2}", 7, "neither , nor }"),
        ("{1:2}", 1, "not text"),
        ("{\"foo\":1,\"foo\":2,\"bar\":3}", 0, "same name twice"),
        ("nul", 0, "not a value"),
        ("NaN", 0, "not a value"),
        ("01", 0, "not a number"),
        ("-", 0, "not a number"),
        ("1.", 0, "not a number"),
        ("1e", 0, "not a number"),
        (".5", 0, "not a value"),
        ("1e999", 0, "infinite"),
        ("18446744073709551616", 0, "64 bits"),
        ("-18446744073709551617", 0, "64 bits"),
        ("\"a", 0, "without end"),
        ("\"a\\", 2, "unknown escape"),
        ("\"\\x\"", 1, "unknown escape"),
        ("\"\\u12\"", 1, "unknown escape"),
        ("\"\\ud800\"", 1, "surrogate"),
        ("\"\\ud800\\u0041\"", 1, "surrogate"),
        ("\"\\udc00\"", 1, "surrogate"),
        ("\"\u{1}\"", 1, "control"),
    ];
    for (text, at, expected) in rows {
        match decode(text.as_bytes()) {
            Err(CodecError::Malformed { offset, reason, .. }) => {
                assert!(reason.contains(expected) && offset == *at, "{text}: {offset} {reason}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(decode(b"\"\xff\"").unwrap_err().to_string().contains("byte 1"));
}

/// dag-json spec, "The Reserved Namespace" and "Parse rejection modes".
#[test]
fn the_reserved_name_means_links_and_bytes() {
    let cid = CID.parse().unwrap();
    assert_eq!(decode(format!("{{\"/\":\"{CID}\"}}").as_bytes()), Ok(Node::link(cid)));
    assert_eq!(decode(br#"{"/":{"bytes":"AQID"}}"#), Ok(Node::Bytes(vec![1, 2, 3])));
    for text in [
        r#"{"/":"foo","bar":"baz"}"#,
        r#"{"/":"foo"}"#,
        r#"{"/":{"bytes":"foo","bar":"baz"}}"#,
        r#"{"/":{"bytes":"AQID"},"bar":"baz"}"#,
        r#"{"/":{"bytes":"AQ=="}}"#,
        r#"{"/":{"bytes":"mAQID"}}"#,
        r#"{"/":{"bytes":"A_-D"}}"#,
    ] {
        assert!(decode(text.as_bytes()).is_err(), "{text}");
    }
    for text in [
        r#"{"-a":"baz","/":"foo"}"#,
        r#"{"/":true,"bar":"baz"}"#,
        r#"{"/":{"abar":"baz","bytes":"foo"}}"#,
        r#"{"/":{"bytes":true},"bar":"baz"}"#,
        r#"{"-a":"baz","/":{"bytes":"foo"}}"#,
    ] {
        let node = decode(text.as_bytes()).unwrap();
        assert!(matches!(node, Node::Map(_)), "{text}");
        assert_eq!(encode(&node).unwrap(), text.as_bytes());
    }
    // Valid as it stands, but not once it is sorted.
    let node = decode(br#"{"0bar":"baz","/":"foo"}"#).unwrap();
    assert!(encode(&node).is_err());
    let node = decode(br#"{"/":{"cbar":"baz","bytes":"foo"}}"#).unwrap();
    assert!(encode(&node).is_err());
    assert_eq!(encode_plain(&node).unwrap(), br#"{"/":{"cbar":"baz","bytes":"foo"}}"#);
}

#[test]
fn reads_what_is_not_canonical() {
    let rows = [
        (" { \"b\" : 1 ,\t\"a\":\n[ ] }\r\n", r#"{"a":[],"b":1}"#),
        (r#""\u00e4\/\ud83d\ude00\u001F""#, "\"ä/😀\\u001f\""),
        ("\"\\b\\f\\n\\r\\t\\\"\\\\\\u0000\"", "\"\\b\\f\\n\\r\\t\\\"\\\\\\u0000\""),
        ("1e0", "1.0"),
        ("1E+2", "100.0"),
        ("-0.0", "-0.0"),
        ("-0", "0"),
        ("1e21", "1e+21"),
        ("0.0000001", "1e-7"),
        ("0.000001", "0.000001"),
        ("123456789012345680000.0", "123456789012345680000.0"),
    ];
    for (text, canonical) in rows {
        let node = decode(text.as_bytes()).unwrap();
        let encoded = encode(&node).unwrap();
        assert_eq!(String::from_utf8(encoded).unwrap(), canonical, "{text}");
        let is_canonical = decode_canonical(codec::DAG_JSON, &Bytes::from(text)).is_ok();
        assert_eq!(is_canonical, text == canonical, "{text}");
    }
}

#[test]
fn plain_json_keeps_its_order_and_has_no_links() {
    let text = format!("{{\"b\":1,\"a\":{{\"/\":\"{CID}\"}}}}");
    let node = decode_plain(text.as_bytes()).unwrap();
    assert_eq!(encode_plain(&node).unwrap(), text.as_bytes());
    assert!(node.links().is_empty());
    let link = Node::link(Block::sha2_256(codec::RAW, Bytes::new()).cid().clone());
    for node in [link, Node::Bytes(vec![]), Node::Float(f64::NAN)] {
        assert!(encode_plain(&node).is_err(), "{node:?}");
    }
}

#[test]
fn nests_are_bounded() {
    let nest = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat().into_bytes();
    let work = move || {
        let fits = nest(NESTING_MAX);
        assert_eq!(encode(&decode(&fits).unwrap()).unwrap(), fits);
        for depth in [NESTING_MAX + 1, 1_000_000] {
            let error = decode(&nest(depth)).unwrap_err();
            assert!(error.to_string().contains("nested too deeply"), "{error}");
            assert!(decode("{\"a\":".repeat(depth).as_bytes()).is_err());
        }
    };
    let thread = std::thread::Builder::new().stack_size(1024 * 1024).spawn(work).unwrap();
    thread.join().unwrap();
}
