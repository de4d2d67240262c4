//! One function for each decoder, and seeds that it accepts.
//!
//! Not here: how inputs are made (`mutate.rs`).

use bytes::Bytes;
use cairn_block::{Base, Block, Cid, codec};
use cairn_chunk::{ChunkSpec, Cutter};
use cairn_dag::{
    CarDecoder, IpfsPath, Node, car, codec as codecs, dag_cbor, dag_jose, dag_json, dag_pb,
    git_raw, pb::Fields,
};
use cairn_hash::{Multihash, varint};
use cairn_unixfs::{Data, DataType};

/// A decoder with its properties.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// How it is called in messages.
    pub name: &'static str,
    /// Panics if a property does not hold of these bytes.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "varint", run: varint_target, seeds: binary },
    Target { name: "multihash", run: multihash, seeds: binary },
    Target { name: "cid", run: cid, seeds: binary },
    Target { name: "cid_text", run: cid_text, seeds: text },
    Target { name: "path", run: path, seeds: text },
    Target { name: "chunk_spec", run: chunk_spec, seeds: text },
    Target { name: "cutter", run: cutter, seeds: binary },
    Target { name: "pb", run: pb, seeds: binary },
    Target { name: "dag_pb", run: dag_pb_target, seeds: binary },
    Target { name: "unixfs_data", run: unixfs_data, seeds: binary },
    Target { name: "dag_cbor", run: dag_cbor_target, seeds: binary },
    Target { name: "cbor", run: cbor, seeds: binary },
    Target { name: "dag_json", run: dag_json_target, seeds: text },
    Target { name: "json", run: json, seeds: text },
    Target { name: "dag_jose", run: dag_jose_target, seeds: binary },
    Target { name: "git_raw", run: git_raw_target, seeds: text },
    Target { name: "car", run: car_target, seeds: binary },
];

fn some_cid() -> Cid {
    Block::sha2_256(codec::DAG_PB, Bytes::from_static(b"seed")).cid().clone()
}

fn binary() -> Vec<Vec<u8>> {
    let cid = some_cid();
    let mut data = Data::new(DataType::File);
    data.data = Some(Bytes::from_static(b"content"));
    data.filesize = Some(7);
    data.blocksizes = vec![3, 4];
    data.mode = Some(0o644);
    let link = dag_pb::PbLink::new("name", cid.clone(), 300);
    let node = dag_pb::PbNode { links: vec![link], data: Some(data.encode().into()) };
    let map = Node::Map(vec![
        ("l".to_owned(), Node::link(cid.clone())),
        ("list".to_owned(), Node::List(vec![Node::Float(1.5), Node::Integer(-300), Node::Null])),
    ]);
    let signed = Node::Map(vec![
        ("payload".to_owned(), Node::Bytes(cid.to_bytes())),
        ("signatures".to_owned(), Node::List(Vec::new())),
    ]);
    let mut file = car::header(std::slice::from_ref(&cid));
    file.extend(car::section_head(&cid, 4));
    file.extend_from_slice(b"seed");
    let encoded = [map, signed].map(|node| dag_cbor::encode(&node).unwrap_or_default());
    let mut seeds = vec![vec![0xac, 2], cid.to_bytes(), cid.multihash().to_bytes(), file];
    seeds.extend([data.encode(), dag_pb::encode(&node)]);
    seeds.extend(encoded);
    seeds
}

fn text() -> Vec<Vec<u8>> {
    let cid = some_cid();
    let v1 = Cid::v1(codec::RAW, cid.multihash().clone());
    let sha1 = "0123456789012345678901234567890123456789";
    let content = format!("tree {sha1}\nparent {sha1}\nauthor A <a@b> 1 +0000\n\nmessage\n");
    vec![
        v1.to_string().into_bytes(),
        cid.to_string().into_bytes(),
        format!("/ipfs/{cid}/a/../b/").into_bytes(),
        b"rabin-min:16-avg:32-max:64".to_vec(),
        b"size-262144".to_vec(),
        format!(r#"{{"a":{{"/":"{v1}"}},"b":[1.5,-2e9,"\u00e4"]}}"#).into_bytes(),
        br#"{"/":{"bytes":"AQID"}}"#.to_vec(),
        format!("commit {}\0{content}", content.len()).into_bytes(),
        b"blob 2\0ab".to_vec(),
    ]
}

fn varint_target(input: &[u8]) {
    let Ok((value, rest)) = varint::decode(input) else { return };
    let mut out = Vec::new();
    varint::encode(value, &mut out);
    assert_eq!(out.len(), varint::encoded_len(value), "its length is known before");
    out.extend_from_slice(rest);
    assert_eq!(out, input, "a number has one encoding");
}

fn multihash(input: &[u8]) {
    let Ok((hash, rest)) = Multihash::decode(input) else { return };
    assert_eq!([&hash.to_bytes(), rest].concat(), input, "a multihash has one encoding");
}

fn cid(input: &[u8]) {
    let Ok((cid, rest)) = Cid::decode(input) else { return };
    assert_eq!([&cid.to_bytes(), rest].concat(), input, "a CID has one encoding");
    for base in [Base::Base32Lower, Base::Base58Btc, Base::Base36Lower, Base::Base64Url] {
        let parsed = Cid::parse_with_base(&cid.to_text(base));
        assert_eq!(parsed.as_ref().map(|(parsed, _)| parsed), Ok(&cid), "{base:?}");
    }
}

fn cid_text(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok((cid, base)) = Cid::parse_with_base(text) else { return };
    assert_eq!(cid.to_text(base).parse(), Ok(cid), "{text:?}");
}

fn path(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(path) = IpfsPath::parse(text) else { return };
    assert!(path.segments().iter().all(|segment| !matches!(segment.as_str(), "" | "." | "..")));
    assert_eq!(IpfsPath::parse(&path.to_string()), Ok(path), "{text:?}");
}

fn chunk_spec(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(spec) = ChunkSpec::parse(text) else { return };
    assert_eq!(ChunkSpec::parse(&spec.to_string()), Ok(spec), "{text:?}");
}

fn cutter(input: &[u8]) {
    for value in ["size-7", "rabin-16-32-64", "fastcdc-64-65-128", "buzhash"] {
        let Ok(spec) = ChunkSpec::parse(value) else { continue };
        let (mut cutter, mut rest) = (Cutter::new(&spec), input);
        while let Some(len) = cutter.next(rest, true) {
            assert!(len > 0 && len <= rest.len() && len <= spec.len_max(), "{value}: {len}");
            rest = &rest[len..];
        }
        assert!(rest.is_empty(), "{value}: everything is in a chunk");
    }
}

fn pb(input: &[u8]) {
    let mut fields = Fields::new(input);
    let mut count = 0;
    while let Ok(Some(_)) = fields.field() {
        count += 1;
        assert!(count * 2 <= input.len(), "a field takes two bytes at least");
    }
}

fn dag_pb_target(input: &[u8]) {
    let block = Bytes::copy_from_slice(input);
    if let Ok(node) = dag_pb::decode(&block) {
        let encoded = dag_pb::encode(&node);
        assert!(encoded.len() <= input.len(), "the canonical form is the shortest");
        assert_eq!(dag_pb::decode(&encoded.into()), Ok(node));
    }
    canonical(codec::DAG_PB, &block);
}

fn unixfs_data(input: &[u8]) {
    let Ok(data) = Data::decode(&Bytes::copy_from_slice(input)) else { return };
    assert_eq!(Data::decode(&data.encode().into()), Ok(data));
}

/// Reads, writes and reads again: the second writing is the first.
fn canonical(code: u64, block: &Bytes) {
    let Ok(node) = codecs::decode(code, block) else { return };
    let Ok(encoded) = codecs::encode(code, &node).map(Bytes::from) else { return };
    let again = codecs::decode_canonical(code, &encoded);
    assert!(again.is_ok(), "what is written is canonical: {again:?}");
}

fn dag_cbor_target(input: &[u8]) {
    let block = Bytes::copy_from_slice(input);
    canonical(codec::DAG_CBOR, &block);
    let Ok(node) = dag_cbor::decode(&block) else { return };
    assert_eq!(dag_cbor::links(&block), Ok(node.links()), "links hang on no strictness");
    let encoded = dag_cbor::encode(&node);
    assert!(encoded.is_ok(), "what was read has a form: {encoded:?}");
    let Ok(json) = dag_json::encode(&node) else { return };
    let back = dag_json::decode(&json).and_then(|node| dag_cbor::encode(&node));
    assert_eq!(back, encoded, "dag-json holds the same data");
}

fn cbor(input: &[u8]) {
    let Ok(node) = dag_cbor::decode_plain(input) else { return };
    let encoded = dag_cbor::encode_plain(&node);
    assert_eq!(encoded.and_then(|bytes| dag_cbor::decode_plain(&bytes)), Ok(node));
}

fn dag_json_target(input: &[u8]) {
    canonical(codec::DAG_JSON, &Bytes::copy_from_slice(input));
}

fn json(input: &[u8]) {
    let Ok(node) = dag_json::decode_plain(input) else { return };
    let encoded = dag_json::encode_plain(&node);
    assert_eq!(encoded.and_then(|bytes| dag_json::decode_plain(&bytes)), Ok(node));
}

fn dag_jose_target(input: &[u8]) {
    let Ok(node) = dag_jose::decode(input) else { return };
    let encoded = dag_jose::encode(&node);
    let again = encoded.clone().and_then(|bytes| dag_jose::decode(&bytes));
    assert_eq!(again.and_then(|node| dag_jose::encode(&node)), encoded);
    assert!(encoded.is_ok(), "what was read has a form: {encoded:?}");
}

fn git_raw_target(input: &[u8]) {
    let Ok(node) = git_raw::decode(input) else { return };
    let links = git_raw::links(input).expect("what is read can be followed");
    assert!(node.links().iter().all(|link| links.contains(link)), "no link is overlooked");
}

fn car_target(input: &[u8]) {
    let run = |piece_len: usize| {
        let (mut decoder, mut blocks) = (CarDecoder::new(), Vec::new());
        for piece in input.chunks(piece_len) {
            decoder.feed(piece);
            loop {
                match decoder.next_block() {
                    Ok(Some(block)) => blocks.push(block),
                    Ok(None) => break,
                    Err(_) => return (blocks, false),
                }
            }
        }
        (blocks, decoder.finish().is_ok())
    };
    assert_eq!(run(input.len().max(1)), run(1), "pieces make no difference");
}
