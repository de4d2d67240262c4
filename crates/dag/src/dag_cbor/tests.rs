//! dag-cbor's rules one by one, and hostile blocks.

use super::{decode, decode_plain, encode, encode_plain, links};
use crate::{CodecError, INTEGER_MAX, INTEGER_MIN, NESTING_MAX, Node, codec::decode_canonical};
use bytes::Bytes;
use cairn_block::{Block, codec};

fn bytes_of(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// dag-cbor spec, "Strictness".
#[test]
fn refuses_what_the_spec_forbids() {
    let rows: &[(&str, usize, &str)] = &[
        ("", 0, "ends too early"),
        ("19", 1, "ends too early"),
        ("0000", 1, "behind"),
        ("1817", 0, "longer than needed"),
        ("1900ff", 0, "longer than needed"),
        ("1a0000ffff", 0, "longer than needed"),
        ("1b00000000ffffffff", 0, "longer than needed"),
        ("580161", 0, "longer than needed"),
        ("780161", 0, "longer than needed"),
        ("980100", 0, "longer than needed"),
        ("a1780161f6", 1, "longer than needed"),
        ("1c", 0, "reserved"),
        ("9f00ff", 0, "indefinite"),
        ("5f4100ff", 0, "indefinite"),
        ("ff", 0, "indefinite"),
        ("a10000", 1, "name that is not text"),
        ("a1410000", 1, "name that is not text"),
        ("61ff", 0, "UTF-8"),
        ("a3636261720363666f6f0163666f6f02", 0, "same name twice"),
        ("f97e00", 0, "not a number"),
        ("f97c00", 0, "not a number, or infinite"),
        ("f9fc00", 0, "not a number, or infinite"),
        ("fa7f800000", 0, "not a number, or infinite"),
        // A NaN with a payload in 32 bits, which some decoders take and cannot write again.
        ("faff830100", 0, "not a number"),
        ("fb7ff8000000000000", 0, "not a number"),
        ("fb7ff0000000000000", 0, "infinite"),
        ("f8ff", 0, "unknown simple"),
        ("e0", 0, "unknown simple"),
        ("c000", 0, "unknown tag"),
        ("d9002a4100", 0, "longer than needed"),
        ("d82a00", 2, "not bytes"),
        ("d82a40", 2, "leading zero"),
        ("d82a420155", 2, "leading zero"),
        ("d82a4100", 2, "not a CID"),
        ("9b7fffffffffffffff", 0, "more entries"),
        ("bbffffffffffffffff", 0, "more entries"),
        ("8200", 0, "more entries"),
        ("5b7fffffffffffffff00", 10, "ends too early"),
    ];
    for (hex, at, text) in rows {
        match decode(&bytes_of(hex)) {
            Err(CodecError::Malformed { offset, reason, .. }) => {
                assert!(reason.contains(text) && offset == *at, "{hex}: {offset} {reason}");
            }
            other => panic!("{hex}: {other:?}"),
        }
    }
}

/// dag-cbor spec, "Decode strictness": what old encoders wrote is read, and written anew.
#[test]
fn reads_what_is_not_canonical() {
    let rows = [
        ("a2626161016162 02", "a261620262616101"),
        ("f93c00", "fb3ff0000000000000"),
        ("f90001", "fb3e70000000000000"),
        ("f98000", "fb8000000000000000"),
        ("f93e00", "fb3ff8000000000000"),
        ("fa3fc00000", "fb3ff8000000000000"),
        ("f7", "f6"),
    ];
    for (hex, canonical) in rows {
        let data = bytes_of(&hex.replace(' ', ""));
        let node = decode(&data).unwrap();
        assert_eq!(encode(&node).unwrap(), bytes_of(canonical), "{hex}");
        let error = decode_canonical(codec::DAG_CBOR, &data.into()).unwrap_err();
        assert!(error.to_string().contains("not in canonical form"), "{hex}: {error}");
    }
}

#[test]
fn integers_are_as_large_as_the_format_allows() {
    for number in
        [INTEGER_MAX, INTEGER_MIN, -1, 0, 23, 24, 255, 256, 65_535, 65_536, -4_294_967_297]
    {
        let data = encode(&Node::Integer(number)).unwrap();
        assert_eq!(decode(&data), Ok(Node::Integer(number)));
    }
    for number in [INTEGER_MAX + 1, INTEGER_MIN - 1] {
        assert!(encode(&Node::Integer(number)).is_err(), "{number}");
    }
}

#[test]
fn what_only_a_program_can_make_is_refused() {
    let twice = Node::Map(vec![("a".to_owned(), Node::Null), ("a".to_owned(), Node::Null)]);
    for node in [Node::Float(f64::NAN), Node::Float(f64::INFINITY), twice.clone()] {
        assert!(encode(&node).is_err(), "{node:?}");
        assert!(encode_plain(&node).is_err(), "{node:?}");
    }
}

#[test]
fn plain_cbor_keeps_its_order_and_has_no_links() {
    let data = bytes_of("a262616101616202");
    let node = decode_plain(&data).unwrap();
    assert_eq!(encode_plain(&node).unwrap(), data);
    let link = Node::link(Block::sha2_256(codec::RAW, Bytes::new()).cid().clone());
    let data = encode(&link).unwrap();
    assert!(decode_plain(&data).is_err());
    assert!(encode_plain(&link).is_err());
}

/// The links are found in what the decoder refuses, too.
#[test]
fn links_do_not_hang_on_strictness() {
    let cids: Vec<_> = [b"a", b"b"]
        .map(|data| Block::sha2_256(codec::RAW, Bytes::copy_from_slice(data)).cid().clone())
        .into();
    let link = |index: usize| encode(&Node::link(cids[index].clone())).unwrap();
    let [first, second] = [link(0), link(1)];
    let wrap = |before: &str, after: &str| {
        [&bytes_of(before)[..], &first, &second, &bytes_of(after)].concat()
    };
    let rows = [
        ("82", ""),
        ("9f", "ff"),
        ("bf", "ff"),
        ("9a00000002", ""),
        ("c182", ""),
        ("a20061ff01", ""),
        ("83f97e00", ""),
        ("845f41004100ff1817", ""),
        ("8182", ""),
    ];
    for (before, after) in rows {
        let data = if before == "a20061ff01" {
            // Names that are no text: a number, and text that is not UTF-8.
            [&bytes_of("a200")[..], &first, &bytes_of("61ff"), &second].concat()
        } else {
            wrap(before, after)
        };
        assert_eq!(links(&data).as_ref(), Ok(&cids), "{before}");
    }
    for hex in [
        "",
        "ff",
        "81ff",
        "9f81ff",
        "8200",
        "0000",
        "1f",
        "d82a4100",
        "d82a5f",
        "9f",
        "bbffffffffffffffff",
    ] {
        assert!(links(&bytes_of(hex)).is_err(), "{hex}");
    }
}

/// Reliability: depth is bounded where there is recursion, and free where there is none.
#[test]
fn nests_are_bounded() {
    let nest = |depth: usize| [vec![0x81; depth], vec![0x80]].concat();
    let fits = nest(NESTING_MAX - 1);
    let work = move || {
        let node = decode(&fits).unwrap();
        assert_eq!(encode(&node).unwrap(), fits);
        let error = decode(&nest(NESTING_MAX)).unwrap_err();
        assert!(error.to_string().contains("nested too deeply"), "{error}");
        assert!(encode(&Node::List(vec![Node::List(vec![node])])).is_err());
        for deep in [nest(1_000_000), [[0xa1, 0x60].repeat(1_000_000), vec![0]].concat()] {
            assert!(decode(&deep).is_err());
            assert_eq!(links(&deep), Ok(vec![]));
        }
        assert!(links(&vec![0x9f; 2_000_000]).is_err());
    };
    // Half of what the smallest thread has that runs this.
    let thread = std::thread::Builder::new().stack_size(1024 * 1024).spawn(work).unwrap();
    thread.join().unwrap();
}
