//! dag-jose against the specification's fixtures, and what is no JOSE.

use super::{decode, encode, links};
use crate::{Node, dag_cbor, dag_json};
use cairn_block::Block;

const VECTORS: &str = include_str!("../../../../spec/vectors/ipld/dag-jose.json");

fn text<'a>(row: &'a Node, name: &str) -> &'a str {
    match row.get(name) {
        Some(Node::String(text)) => text,
        other => panic!("{name}: {other:?}"),
    }
}

/// A block of the fixtures, by its name.
pub(super) fn fixture(name: &str) -> Vec<u8> {
    let Ok(Node::List(rows)) = dag_json::decode(VECTORS.as_bytes()) else { panic!("no list") };
    let row = rows.iter().find(|row| text(row, "name") == name).unwrap();
    encode(row.get("dag-json").unwrap()).unwrap()
}

/// dag-jose spec, "Encoded JOSE" and "Decoded JOSE".
#[test]
fn fixtures_decode_and_encode_to_the_byte() {
    let Ok(Node::List(rows)) = dag_json::decode(VECTORS.as_bytes()) else { panic!("no list") };
    assert!(rows.len() >= 5);
    for row in &rows {
        let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
        let hex = text(row, "hex").as_bytes();
        let data: Vec<u8> =
            hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
        let name = text(row, "name");
        Block::verify(text(row, "cid").parse().unwrap(), data.clone().into()).unwrap();
        let node = decode(&data).unwrap();
        let expected = dag_json::encode(row.get("dag-json").unwrap()).unwrap();
        assert_eq!(dag_json::encode(&node).unwrap(), expected, "{name}");
        assert_eq!(encode(&node).unwrap(), data, "{name}");
        assert_eq!(links(&data).unwrap(), node.links(), "{name}");
    }
}

#[test]
fn what_is_no_jose_is_refused() {
    let rows = [
        "{}",
        "1",
        r#"{"signatures":[],"ciphertext":{"/":{"bytes":"AQ"}}}"#,
        r#"{"signatures":[],"extra":1}"#,
        r#"{"signatures":[{"signature":1}]}"#,
        r#"{"signatures":[1]}"#,
        r#"{"signatures":[{"header":[]}]}"#,
        r#"{"payload":"a","signatures":[]}"#,
    ];
    for text in rows {
        let node = dag_json::decode(text.as_bytes()).unwrap();
        assert!(encode(&node).is_err(), "{text}");
        let block = dag_cbor::encode(&node).unwrap();
        assert!(decode(&block).is_err(), "{text}");
    }
    assert!(decode(b"\xff").is_err());
}

#[test]
fn an_encrypted_object_has_no_links() {
    let text = r#"{"ciphertext":"AQID","recipients":[{"encrypted_key":"BA","header":{"alg":"x"}}],"tag":"BQ","unprotected":{}}"#;
    let node = dag_json::decode(text.as_bytes()).unwrap();
    let block = encode(&node).unwrap();
    assert_eq!(dag_json::encode(&decode(&block).unwrap()).unwrap(), text.as_bytes());
    assert_eq!(links(&block), Ok(vec![]));
}

#[test]
fn a_payload_that_is_no_cid_is_no_link() {
    let node = dag_json::decode(br#"{"payload":"aGVsbG8","signatures":[]}"#).unwrap();
    let block = encode(&node).unwrap();
    assert_eq!(links(&block), Ok(vec![]));
    assert_eq!(decode(&block).unwrap().get("link"), None);
}
