//! A block in hand is verified: every way of making one refuses bytes that do not fit.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use bytes::Bytes;
use cairn_block::{BLOCK_LEN_MAX, Block, BlockError, Cid, Multihash, Version, codec};
use cairn_hash::code;
use cairn_testkit::Random;

fn cid(code: u64, digest: &[u8]) -> Cid {
    Cid::v1(codec::RAW, Multihash::wrap(code, digest).unwrap())
}

/// Bytes under their own name, then under a wrong one, too long, and by an unknown function.
fn cases() -> Vec<(&'static str, Cid, Bytes, bool)> {
    let data = Random::new(1).bytes(1000);
    let digest = cairn_hash::sha256(&data);
    let long = Bytes::from(vec![0; BLOCK_LEN_MAX + 1]);
    let longest = long.slice(1..);
    vec![
        ("sha2-256", cid(code::SHA2_256, &digest), data.clone(), true),
        ("cut to 20 bytes", cid(code::SHA2_256, &digest[..20]), data.clone(), true),
        ("cut to 19 bytes", cid(code::SHA2_256, &digest[..19]), data.clone(), false),
        ("cut to nothing", cid(code::SHA2_256, &[]), data.clone(), false),
        ("a byte more", cid(code::SHA2_256, &[&digest[..], &[0]].concat()), data.clone(), false),
        ("other bytes", cid(code::SHA2_256, &digest), data.slice(1..), false),
        ("no bytes", cid(code::SHA2_256, &digest), Bytes::new(), false),
        ("identity", cid(code::IDENTITY, b"abc"), Bytes::from_static(b"abc"), true),
        ("identity, other bytes", cid(code::IDENTITY, b"abc"), Bytes::from_static(b"abd"), false),
        ("identity, cut", cid(code::IDENTITY, &data[..20]), data.slice(..40), false),
        ("unknown function", cid(0x7777, &digest), data, false),
        ("longest", cid(code::SHA2_256, &cairn_hash::sha256(&longest)), longest, true),
        ("too long", cid(code::SHA2_256, &cairn_hash::sha256(&long)), long, false),
    ]
}

#[test]
fn one_by_one_and_in_lanes_agree() {
    for (name, cid, data, good) in cases() {
        assert_eq!(Block::verify(cid, data).is_ok(), good, "{name}");
    }
    let batch = cases().into_iter().map(|(_, cid, data, _)| (cid, data)).collect();
    for (result, (name, cid, data, good)) in Block::verify_many(batch).into_iter().zip(cases()) {
        assert_eq!(result.is_ok(), good, "{name}");
        if let Ok(block) = result {
            assert_eq!(block.into_parts(), (cid, data), "{name}: answers are in order");
        }
    }
}

#[test]
fn refusals_say_which_block_and_why() {
    let data = Bytes::from_static(b"data");
    let wrong = cid(code::SHA2_256, &[0; 32]);
    let corrupt = Block::verify(wrong.clone(), data.clone()).unwrap_err();
    assert!(matches!(&corrupt, BlockError::Corrupt { cid } if *cid == wrong), "{corrupt}");
    let unknown = Block::verify(cid(0x7777, &[0; 32]), data).unwrap_err();
    assert!(matches!(unknown, BlockError::Unsupported { .. }), "{unknown}");
    assert!(!corrupt.is_transient() && !corrupt.is_not_found());
    let io = BlockError::io("read", std::io::Error::other("disk on fire"));
    assert!(io.is_transient());
    assert_eq!(io.to_string(), "could not read blocks: disk on fire");
}

#[test]
fn hashing_one_by_one_and_in_lanes_agree() {
    let mut random = Random::new(2);
    let data: Vec<Bytes> = (0..40).map(|len| random.bytes(len * 37)).collect();
    let many = Block::hash_many(codec::RAW, code::SHA2_256, data.clone()).unwrap();
    for (block, data) in many.iter().zip(data) {
        assert_eq!(block, &Block::sha2_256(codec::RAW, data.clone()));
        assert_eq!(block, &Block::hash(codec::RAW, code::SHA2_256, data).unwrap());
    }
    assert!(Block::hash(codec::RAW, 0x7777, Bytes::new()).is_err());
}

#[test]
fn a_block_can_be_renamed_to_the_same_bytes_only() {
    let block = Block::sha2_256(codec::DAG_PB, Bytes::from_static(b"\x0a\x02\x08\x01"));
    let v0 = block.cid().with_version(Version::V0).unwrap();
    assert_eq!(v0.to_string(), "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn");
    assert_eq!(block.clone().rename(v0.clone()).unwrap().cid(), &v0);
    let other = Block::sha2_256(codec::RAW, Bytes::new()).cid().clone();
    assert!(matches!(block.rename(other), Err(BlockError::Corrupt { .. })));
}

#[test]
fn codecs_have_names_and_codes() {
    for (code, name) in codec::TABLE {
        assert_eq!(codec::name_of(*code), Some(*name));
        assert_eq!(codec::code_of(name), Some(*code));
    }
    assert_eq!((codec::name_of(0x1234_5678), codec::code_of("no-such-codec")), (None, None));
}
