//! dag-pb against the specification's vectors, its rejections, and itself.

use super::{DagPbError, LINKS_MAX, PbLink, PbNode, decode, encode};
use crate::pb::PbError;
use bytes::Bytes;
use cairn_block::{Block, Cid, codec};
use proptest::prelude::{Strategy, any, prop, proptest};
use std::{fs, path::Path};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/dag-pb");

fn cid(text: &str) -> Cid {
    Block::sha2_256(codec::RAW, Bytes::copy_from_slice(text.as_bytes())).cid().clone()
}

/// dag-pb spec, "Format" and "Canonical DAG-PB": every fixture encodes back to its own bytes.
#[test]
fn fixtures_round_trip_to_the_byte() {
    let mut seen = 0;
    for folder in fs::read_dir(Path::new(VECTORS).join("valid")).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let data = Bytes::from(fs::read(&path).unwrap());
            let name = path.file_stem().unwrap().to_str().unwrap();
            Block::verify(name.parse().unwrap(), data.clone()).unwrap();
            let node = decode(&data).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            assert_eq!(encode(&node), data, "{path:?}");
            seen += 1;
        }
    }
    assert_eq!(seen, 17);
}

/// dag-pb spec, "Format": what a decoder must not accept.
#[test]
fn rejected_fixtures_are_rejected() {
    let text = fs::read_to_string(Path::new(VECTORS).join("rejected/edges.json")).unwrap();
    let rows: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("\"hex\": \"")).collect();
    assert_eq!(rows.len(), 9);
    for row in rows {
        let data = bytes_of(row.trim_end_matches("\","));
        assert!(decode(&data).is_err(), "{row}");
    }
}

fn bytes_of(hex: &str) -> Bytes {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[test]
fn refuses_with_the_reason() {
    let order = |number, message| DagPbError::Order { number, message };
    let field = |number, message| DagPbError::Field { number, message };
    let rows = [
        ("data twice", "0a000a00", order(1, "PBNode")),
        ("unknown field", "1a00", field(3, "PBNode")),
        ("data as a number", "0800", field(1, "PBNode")),
        ("links as a number", "1001", field(2, "PBNode")),
        ("group", "0b", PbError::WireType { wire_type: 3 }.into()),
        ("data longer than the block", "0a05ff", PbError::Truncated.into()),
        ("length of 2^63", "0a80808080808080808001", PbError::Truncated.into()),
        ("link longer than the block", "12ff0100", PbError::Truncated.into()),
        ("hash longer than the link", "12030a0501", PbError::Truncated.into()),
        ("name before hash", "120b12000a0701550004010203", order(1, "PBLink")),
        ("unknown field in a link", "12022200", field(4, "PBLink")),
        ("size as bytes", "12021a00", field(3, "PBLink")),
        ("no hash", "12021200", DagPbError::NoHash { index: 0 }),
        ("trailing byte", "0a0101ff", PbError::Truncated.into()),
    ];
    for (name, hex, expected) in rows {
        assert_eq!(decode(&bytes_of(hex)), Err(expected), "{name}");
    }
    let broken = decode(&bytes_of("12040a020155")).unwrap_err();
    assert!(matches!(broken, DagPbError::Hash { index: 0, .. }), "{broken}");
}

#[test]
fn data_may_stand_before_links_but_not_between() {
    let link = PbNode { links: vec![PbLink::new("a", cid("a"), 1)], data: None };
    let link = encode(&link);
    let data = encode(&PbNode { links: Vec::new(), data: Some(Bytes::from_static(b"x")) });
    let before = decode(&[&data[..], &link, &link].concat().into()).unwrap();
    let after = decode(&[&link[..], &link, &data].concat().into()).unwrap();
    assert_eq!(before, after);
    assert_eq!(before.links.len(), 2);
    let between = decode(&[&link[..], &data, &link].concat().into());
    assert_eq!(between, Err(DagPbError::Order { number: 2, message: "PBNode" }));
}

#[test]
fn too_many_links_are_refused_before_they_take_memory() {
    let link = bytes_of("12060a0401550000");
    let many = |count: usize| Bytes::from(link.repeat(count));
    assert_eq!(decode(&many(LINKS_MAX)).unwrap().links.len(), LINKS_MAX);
    assert_eq!(decode(&many(LINKS_MAX + 1)), Err(DagPbError::TooManyLinks));
}

#[test]
fn decoding_copies_nothing() {
    let node = PbNode {
        links: vec![PbLink::new("name", cid("a"), 1)],
        data: Some(Bytes::from(vec![7; 1000])),
    };
    let block = Bytes::from(encode(&node));
    let decoded = decode(&block).unwrap();
    let inside = |part: &Bytes| block.as_ptr_range().contains(&part.as_ptr());
    assert!(inside(decoded.data.as_ref().unwrap()));
    assert!(inside(decoded.links[0].name.as_ref().unwrap()));
}

#[test]
fn total_len_does_not_overflow() {
    let link = |size| PbLink::new("", cid("a"), size);
    let node = PbNode { links: vec![link(u64::MAX), link(5)], data: None };
    assert_eq!(node.total_len(100), u64::MAX);
}

fn nodes() -> impl Strategy<Value = PbNode> {
    let name = prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
    let link =
        (any::<u64>(), name, prop::option::of(any::<u64>())).prop_map(|(seed, name, size)| {
            PbLink { cid: cid(&seed.to_string()), name: name.map(Bytes::from), size }
        });
    let data = prop::option::of(prop::collection::vec(any::<u8>(), 0..300));
    (prop::collection::vec(link, 0..8), data)
        .prop_map(|(links, data)| PbNode { links, data: data.map(Bytes::from) })
}

proptest! {
    #[test]
    fn round_trips(node in nodes()) {
        assert_eq!(decode(&encode(&node).into()), Ok(node));
    }

    #[test]
    fn never_panics(bytes: Vec<u8>) {
        drop(decode(&bytes.into()));
    }

    #[test]
    fn a_cut_block_is_refused_or_another_node(node in nodes(), at in any::<prop::sample::Index>()) {
        let whole = encode(&node);
        if !whole.is_empty() {
            let cut = Bytes::copy_from_slice(&whole[..at.index(whole.len())]);
            assert_ne!(decode(&cut), Ok(node));
        }
    }
}
