//! CIDs: vectors of the specification, every base, what is refused, and round trips.

use cairn_block::{Base, Cid, CidError, Multihash, Version, codec};
use cairn_hash::code;
use proptest::prelude::{any, prop, proptest};
use std::{fs, path::Path};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/multibase");

/// The empty UnixFS directory.
const V0: &str = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";
const V1: &str = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354";

#[test]
fn a_cid_has_one_binary_form_and_many_texts() {
    let v0: Cid = V0.parse().unwrap();
    assert_eq!((v0.version(), v0.codec()), (Version::V0, codec::DAG_PB));
    assert_eq!(v0.multihash().code(), code::SHA2_256);
    assert_eq!(v0.encoded_len(), 34);
    let v1 = v0.with_version(Version::V1).unwrap();
    assert_eq!(v1.to_string(), V1);
    assert_eq!(v1.encoded_len(), 36);
    assert_eq!(v1.with_version(Version::V0).unwrap(), v0);
    assert_ne!(v0, v1, "the same block, but not the same name");
    assert_eq!(v0.multihash(), v1.multihash());
}

#[test]
fn every_base_is_read_back() {
    let cid: Cid = V1.parse().unwrap();
    let bases = [
        Base::Base2,
        Base::Base8,
        Base::Base10,
        Base::Base16Lower,
        Base::Base16Upper,
        Base::Base32Lower,
        Base::Base32Upper,
        Base::Base32HexLower,
        Base::Base36Lower,
        Base::Base36Upper,
        Base::Base58Btc,
        Base::Base58Flickr,
        Base::Base64,
        Base::Base64Pad,
        Base::Base64Url,
        Base::Base64UrlPad,
        Base::Base256Emoji,
    ];
    for base in bases {
        let text = cid.to_text(base);
        assert_eq!(Cid::parse_with_base(&text), Ok((cid.clone(), base)), "{text}");
    }
}

/// The multiformats CID specification, "Decoding Algorithm".
#[test]
fn broken_cids_are_refused() {
    let multibase_v0 = format!("z{V0}");
    let long = "b".repeat(2000);
    let texts: &[&str] = &[
        "",
        "b",
        "Qm",
        "nonsense",
        "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3N0",
        "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3N",
        &multibase_v0,
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf35",
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354aaaa",
        "BAFYbeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf3!4",
        &long,
    ];
    for text in texts {
        assert!(text.parse::<Cid>().is_err(), "{text:?}");
    }
    let rows: &[(&str, &[u8])] = &[
        ("empty", &[]),
        ("version 2", &[2, 0x55, 0, 0]),
        ("version 0 with a codec", &[0, 0x55, 0, 0]),
        ("no codec", &[1]),
        ("codec cut off", &[1, 0x80]),
        ("no hash", &[1, 0x55]),
        ("digest cut off", &[1, 0x55, 0x12, 3, 1, 2]),
        ("digest of 129 bytes", &[1, 0x55, 0, 0x81, 1]),
        ("version not minimal", &[0x81, 0, 0x55, 0, 0]),
        ("version 0 of 31 bytes", &[0x12, 0x20, 1, 2, 3]),
    ];
    for (name, bytes) in rows {
        assert!(Cid::from_bytes(bytes).is_err(), "{name}");
    }
    let trailing = Cid::from_bytes(&[1, 0x55, 0, 1, 9, 9, 9]);
    assert_eq!(trailing, Err(CidError::Trailing { len: 2 }));
}

#[test]
fn only_dag_pb_with_sha2_256_has_a_version_0() {
    let hash = |code, len| Multihash::wrap(code, &vec![7; len]).unwrap();
    assert!(Cid::v0(hash(code::SHA2_256, 32)).is_ok());
    for hash in [hash(code::SHA2_256, 20), hash(code::BLAKE3, 32), hash(code::IDENTITY, 32)] {
        assert_eq!(Cid::v0(hash.clone()), Err(CidError::NotV0), "{hash:?}");
    }
    let raw = Cid::v1(codec::RAW, hash(code::SHA2_256, 32));
    assert_eq!(raw.with_version(Version::V0), Err(CidError::NotV0));
}

/// multiformats/multibase, `tests/*.csv`: every text decodes to the bytes named in the header,
/// and encodes back (but for the table of mixed case).
#[test]
fn multibase_agrees_with_its_vectors() {
    let bytes_of = |quoted: &str| -> Vec<u8> {
        let text = quoted.trim().trim_matches('"');
        let text = text.replace("\\x00", "\0");
        text.into_bytes()
    };
    let mut rows = 0;
    for file in ["basic", "leading_zero", "two_leading_zeros", "case_insensitivity"] {
        let table = fs::read_to_string(Path::new(VECTORS).join(format!("{file}.csv"))).unwrap();
        let mut lines = table.lines();
        let expected = bytes_of(lines.next().unwrap().split_once(',').unwrap().1);
        for line in lines {
            let (name, text) = line.split_once(',').unwrap();
            let text = text.trim().trim_matches('"');
            // The two bases of the table that no CID is written in.
            if matches!(name, "proquint" | "base45") {
                continue;
            }
            let (base, bytes) =
                multibase::decode(text).unwrap_or_else(|error| panic!("{file} {name}: {error}"));
            assert_eq!(bytes, expected, "{file} {name}");
            if file != "case_insensitivity" {
                assert_eq!(multibase::encode(base, &bytes), text, "{file} {name}");
            }
            rows += 1;
        }
    }
    assert!(rows > 70, "{rows} rows");
}

proptest! {
    #[test]
    fn binary_and_text_round_trip(
        codec in 0..1_u64 << 40,
        code in 0..1_u64 << 40,
        digest in prop::collection::vec(any::<u8>(), 0..=128),
    ) {
        let cid = Cid::v1(codec, Multihash::wrap(code, &digest).unwrap());
        let bytes = cid.to_bytes();
        assert_eq!(bytes.len(), cid.encoded_len());
        assert_eq!(Cid::from_bytes(&bytes), Ok(cid.clone()));
        assert_eq!(cid.to_string().parse(), Ok(cid));
    }

    #[test]
    fn never_panics(bytes: Vec<u8>, text: String) {
        drop(Cid::decode(&bytes));
        drop(text.parse::<Cid>());
    }
}
