//! The formats of content: names, paths, codecs, archives; and texts that the runtime reads.
//!
//! Not here: what blocks mean together (`dag.rs`).

use super::Told;
use bytes::Bytes;
use cairn_block::{Base, Block, Cid, codec};
use cairn_chunk::{ChunkSpec, Cutter};
use cairn_dag::{
    CarDecoder, IpfsPath, Node, car, codec as codecs, dag_cbor, dag_jose, dag_json, dag_pb,
    git_raw, pb::Fields,
};
use cairn_hash::{Multihash, varint};
use cairn_network::{Multiaddr, decode_private_key};
use cairn_runtime::{duration_of, nanoseconds_of};
use cairn_unixfs::{ByteSpan, Data, DataType, Scope};
use std::time::Duration;

/// Those of the pure crates.
pub(super) const TARGETS: &[Told] = &[
    ("varint", varint_target, binary),
    ("multihash", multihash, binary),
    ("cid", cid, binary),
    ("cid_text", cid_text, text),
    ("path", path, text),
    ("chunk_spec", chunk_spec, text),
    ("cutter", cutter, binary),
    ("pb", pb, binary),
    ("dag_pb", dag_pb_target, binary),
    ("unixfs_data", unixfs_data, binary),
    ("dag_cbor", dag_cbor_target, binary),
    ("cbor", cbor, binary),
    ("dag_json", dag_json_target, text),
    ("json", json, text),
    ("dag_jose", dag_jose_target, binary),
    ("git_raw", git_raw_target, text),
    ("car", car_target, binary),
    ("byte_span", byte_span, text),
    ("duration", duration, text),
    ("private_key", private_key, keys),
    ("multiaddr", multiaddr, addresses),
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
        b"1h30m0.5s".to_vec(),
        b"-2ns3us4\xc2\xb5s5\xce\xbcs6ms.7s".to_vec(),
        b"-5:*".to_vec(),
        b"0:17".to_vec(),
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

fn byte_span(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Some(span) = ByteSpan::parse(text) {
        let to = span.to.map_or_else(|| "*".to_owned(), |to| to.to_string());
        assert_eq!(ByteSpan::parse(&format!("{}:{to}", span.from)), Some(span), "{text:?}");
    }
    assert!(Scope::parse(text).is_none_or(|scope| scope.name() == text));
}

fn duration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some(nanos) = nanoseconds_of(text) else { return };
    assert_eq!(nanoseconds_of(&format!("{nanos}ns")), Some(nanos), "{text:?}");
    let read = u64::try_from(nanos).ok().map(Duration::from_nanos);
    assert_eq!(duration_of(text), read, "{text:?}");
    if !text.starts_with(['-', '+']) {
        let turned = nanoseconds_of(&format!("-{text}"));
        assert_eq!(turned, Some(-nanos), "{text:?}");
    }
}

fn private_key(input: &[u8]) {
    let Ok(key) = decode_private_key(input) else { return };
    let encoded = key.to_protobuf_encoding().expect("a key that was read has a form");
    let again = decode_private_key(&encoded).map(|key| key.public());
    assert_eq!(again.ok(), Some(key.public()));
}

fn keys() -> Vec<Vec<u8>> {
    // The public key follows from the secret; these are RFC 8032's first vector.
    let secret = b"\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\
        \x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60";
    let public = b"\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b\xfe\xd3\xc9\x64\x07\x3a\
        \x0e\xe1\x72\xf3\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a";
    let ed25519 = [&[8, 1, 18, 64][..], secret, public].concat();
    let secp256k1 = [&[8, 2, 18, 32][..], secret].concat();
    vec![ed25519, secp256k1]
}

fn multiaddr(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(address) = text.parse::<Multiaddr>() else { return };
    assert_eq!(Multiaddr::try_from(address.to_vec()).ok(), Some(address), "{text:?}");
}

fn addresses() -> Vec<Vec<u8>> {
    let peer = "12D3KooWEhPBRVZcTyfQ4Xdpfe3jM1nVdZ8iTs8dP4CqHg4CQ9dS";
    [
        format!("/ip4/127.0.0.1/tcp/4001/p2p/{peer}"),
        "/ip6/::1/udp/4001/quic-v1".to_owned(),
        "/dns4/example.com/tcp/443/tls/sni/example.com/ws".to_owned(),
        format!("/dnsaddr/bootstrap.example/p2p/{peer}/p2p-circuit"),
    ]
    .map(String::into_bytes)
    .to_vec()
}
