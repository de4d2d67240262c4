//! Every codec against the specification's vectors, each other, and anything else.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use bytes::Bytes;
use cairn_block::{Block, Cid, codec};
use cairn_dag::{
    INTEGER_MAX, INTEGER_MIN, Node,
    codec::{decode, decode_canonical, encode},
    dag_cbor, dag_jose, dag_json, git_raw, links,
};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use std::{fs, path::Path};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/ipld");

/// Codecs that every value of the data model has a form in, but for the reserved names of JSON.
const GENERAL: [u64; 2] = [codec::DAG_CBOR, codec::DAG_JSON];

/// ipld/codec-fixtures: a folder is one value in several codecs, and all agree.
#[test]
fn fixtures_are_the_same_in_every_codec() {
    let (mut values, mut files) = (0, 0);
    for folder in fs::read_dir(Path::new(VECTORS).join("valid")).unwrap() {
        values += 1;
        let mut forms: Vec<(u64, Bytes, Node)> = Vec::new();
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            files += 1;
            let path = file.unwrap().path();
            let name = |part: Option<&std::ffi::OsStr>| part.unwrap().to_str().unwrap().to_owned();
            let code = codec::code_of(&name(path.extension())).unwrap();
            let data = Bytes::from(fs::read(&path).unwrap());
            let block = Block::verify(name(path.file_stem()).parse().unwrap(), data.clone());
            assert_eq!(block.as_ref().unwrap().cid().codec(), code);
            let node =
                decode_canonical(code, &data).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            assert_eq!(links(&block.unwrap()).unwrap(), node.links(), "{path:?}");
            forms.push((code, data, node));
        }
        for (_, _, node) in &forms {
            for (code, data, _) in &forms {
                assert_eq!(&encode(*code, node).unwrap(), data, "{code:#x} {node:?}");
            }
        }
    }
    assert_eq!((values, files), (128, 273));
}

fn text<'a>(row: &'a Node, name: &str) -> &'a str {
    match row.get(name) {
        Some(Node::String(text)) => text,
        other => panic!("{name}: {other:?}"),
    }
}

fn rows(path: &str) -> Vec<Node> {
    let data = fs::read(Path::new(VECTORS).join("rejected").join(path)).unwrap();
    // The rows hold dag-json, some of it with maps that plain JSON reads the same.
    match dag_json::decode(&data) {
        Ok(Node::List(rows)) => rows,
        other => panic!("{path}: {other:?}"),
    }
}

/// ipld/codec-fixtures, `negative-fixtures`.
#[test]
fn rejected_fixtures_are_rejected() {
    for (path, code) in [
        ("dag-cbor/decode/duplicate-keys.json", codec::DAG_CBOR),
        ("dag-json/decode/duplicate-keys.json", codec::DAG_JSON),
    ] {
        for row in rows(path) {
            let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
            let hex = text(&row, "hex").as_bytes();
            let data: Bytes =
                hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
            assert!(decode(code, &data).is_err(), "{}", text(&row, "name"));
        }
    }
    let mut seen = 0;
    for path in ["dag-pb/encode/basic-datamodel-kinds.json", "dag-pb/encode/invalid-forms.json"] {
        for row in rows(path) {
            seen += 1;
            let node = row.get("dag-json").unwrap();
            let encoded = encode(codec::DAG_PB, node);
            if text(&row, "name").starts_with("bad sort") {
                // Sorting is the encoder's to do (dag-pb spec, "Link Sorting"), so it cannot be bad.
                decode_canonical(codec::DAG_PB, &encoded.unwrap().into()).unwrap();
            } else {
                assert!(encoded.is_err(), "{}", text(&row, "name"));
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn other_codecs_hold_what_they_can() {
    let bytes = Node::Bytes(b"abc".to_vec());
    for code in [codec::RAW, codec::LIBP2P_KEY] {
        assert_eq!(decode(code, &Bytes::from_static(b"abc")), Ok(bytes.clone()));
        assert_eq!(encode(code, &bytes).unwrap(), b"abc");
        assert!(encode(code, &Node::Null).is_err());
    }
    for code in [0x90, 0x7b, 0xffff] {
        let error = decode(code, &Bytes::new()).unwrap_err().to_string();
        assert!(error.contains("not supported"), "{error}");
        assert!(encode(code, &Node::Null).is_err());
    }
    assert!(encode(codec::GIT_RAW, &bytes).is_err());
}

fn nodes() -> impl Strategy<Value = Node> {
    let cid = any::<[u8; 4]>().prop_map(|seed| {
        let codec = [codec::RAW, codec::DAG_CBOR, codec::DAG_PB][usize::from(seed[0] % 3)];
        Node::link(Block::sha2_256(codec, Bytes::copy_from_slice(&seed)).cid().clone())
    });
    let leaf = prop_oneof![
        Just(Node::Null),
        any::<bool>().prop_map(Node::Bool),
        (INTEGER_MIN..=INTEGER_MAX).prop_map(Node::Integer),
        (-100_i128..100).prop_map(Node::Integer),
        prop::num::f64::NORMAL.prop_map(Node::Float),
        prop::num::f64::SUBNORMAL.prop_map(Node::Float),
        any::<String>().prop_map(Node::String),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Node::Bytes),
        cid,
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        let names = "[a-z/\"\\\\\u{1}ä]{0,6}";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Node::List),
            prop::collection::btree_map(names, inner, 0..8)
                .prop_map(|map| Node::Map(map.into_iter().collect())),
        ]
    })
}

/// Brings all maps into one order, since each codec has its own.
fn in_order(node: Node) -> Node {
    match node {
        Node::List(items) => Node::List(items.into_iter().map(in_order).collect()),
        Node::Map(entries) => {
            let mut entries: Vec<_> =
                entries.into_iter().map(|(name, node)| (name, in_order(node))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Node::Map(entries)
        }
        other => other,
    }
}

fn sorted(mut cids: Vec<Cid>) -> Vec<Vec<u8>> {
    cids.sort_by_key(Cid::to_bytes);
    cids.iter().map(Cid::to_bytes).collect()
}

proptest! {
    #[test]
    fn what_is_written_is_read(node in nodes()) {
        for code in GENERAL {
            // Names that dag-json reserves have no form there.
            let Ok(data) = encode(code, &node) else {
                assert_eq!(code, codec::DAG_JSON);
                continue;
            };
            let data = Bytes::from(data);
            let read = decode_canonical(code, &data).unwrap();
            assert_eq!(in_order(read.clone()), in_order(node.clone()));
            let block = Block::sha2_256(code, data);
            assert_eq!(sorted(links(&block).unwrap()), sorted(read.links()));
        }
    }

    /// Whatever comes: no panic, and what is read can be written and read again.
    #[test]
    fn anything_is_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..200)) {
        every_codec(&data);
    }

    /// Damage to what was well formed gets further than noise does.
    #[test]
    fn damage_is_read_or_refused(
        node in nodes(),
        at: prop::sample::Index,
        byte: u8,
        cut: prop::sample::Index,
    ) {
        for code in GENERAL {
            let Ok(mut data) = encode(code, &node) else { continue };
            let len = data.len();
            data[at.index(len)] = byte;
            every_codec(&data);
            every_codec(&data[..cut.index(len + 1)]);
        }
    }

    #[test]
    fn json_like_text_is_read_or_refused(text in "[\\[\\]{}\",:/bytes0-9.eE+\\- \\\\un]{0,60}") {
        every_codec(text.as_bytes());
    }
}

fn every_codec(data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    for code in
        [codec::CBOR, codec::JSON, codec::DAG_CBOR, codec::DAG_JSON, codec::DAG_PB, codec::DAG_JOSE]
    {
        let Ok(node) = decode(code, &data) else { continue };
        // A map of dag-json may be read in an order in which its reserved names mean nothing.
        let Ok(again) = encode(code, &node) else { continue };
        let again = Bytes::from(again);
        let twice = decode_canonical(code, &again).unwrap();
        if code != codec::DAG_PB {
            assert_eq!(in_order(twice), in_order(node), "{code:#x}");
        }
    }
    if let Ok(node) = dag_cbor::decode(&data) {
        assert_eq!(dag_cbor::links(&data), Ok(node.links()));
    }
    drop((dag_cbor::links(&data), dag_jose::links(&data)));
    if let Ok(node) = git_raw::decode(&data) {
        assert_eq!(git_raw::links(&data).map(sorted), Ok(sorted(node.links())));
    }
}

/// Reliability: nothing takes more memory than a few times its block, or longer than a moment.
#[test]
fn wide_blocks_are_read() {
    let len = 2 * 1024 * 1024 - 5;
    let wide = [&[0x9a][..], &(len as u32).to_be_bytes(), &vec![0; len]].concat();
    let Ok(Node::List(items)) = dag_cbor::decode(&wide) else { panic!("no list") };
    assert_eq!(items.len(), len);
    assert_eq!(dag_cbor::links(&wide), Ok(vec![]));
    // Names out of order, all alike but for the last: no quadratic search for repetitions.
    let names: Vec<(String, Node)> =
        (0..100_000).rev().map(|index| (format!("{index:06}"), Node::Null)).collect();
    let plain = dag_cbor::encode_plain(&Node::Map(names)).unwrap();
    assert!(dag_cbor::decode(&plain).is_ok());
}
