//! Records of others, broken ones, and our own, against the specification's rules.
//!
//! The files in `spec/vectors/ipns` are named after the name that they belong to.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use cairn_names::{
    Keypair, Name, RECORD_LEN_MAX, Record, RecordContent, RecordError, ValueError, better_value,
    check_value, expiry_of_value,
};
use std::{
    cmp::Ordering,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

fn vector(file: &str) -> (Name, Vec<u8>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/ipns");
    let name = file.split(['_', '.']).next().unwrap().parse().unwrap();
    (name, fs::read(folder.join(file)).unwrap())
}

/// Long before every vector ends.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000)
}

fn in_days(days: u64) -> SystemTime {
    now() + Duration::from_hours(24 * days)
}

fn content(value: &str, end: SystemTime, sequence: u64) -> RecordContent {
    RecordContent::new(value.into(), end.into(), sequence, Duration::from_mins(5))
}

#[test]
fn records_of_others_are_judged_as_the_specification_says() {
    let rows = [
        ("k51qzi5uqu5dit2ku9mutlfgwyz8u730on38kd10m97m36bjt66my99hb6103f_v2.ipns-record", None),
        ("k51qzi5uqu5dlkw8pxuw9qmqayfdeh4kfebhmreauqdc6a7c3y7d5i9fi8mk9w_v1-v2.ipns-record", None),
        (
            "k51qzi5uqu5dm4tm0wt8srkg9h9suud4wuiwjimndrkydqm81cqtlb5ak6p7ku_v1.ipns-record",
            Some("missing"),
        ),
        (
            "k51qzi5uqu5dlmit2tuwdvnx4sbnyqgmvbxftl0eo3f33wwtb9gr7yozae9kpw_v1-v2-broken-v1-value.ipns-record",
            Some("differs"),
        ),
        (
            "k51qzi5uqu5diamp7qnnvs1p1gzmku3eijkeijs3418j23j077zrkok63xdm8c_v1-v2-broken-signature-v2.ipns-record",
            Some("signature"),
        ),
        // The first signature is not looked at.
        (
            "k51qzi5uqu5dilgf7gorsh9vcqqq4myo6jd4zmqkuy9pxyxi5fua3uf7axph4y_v1-v2-broken-signature-v1.ipns-record",
            None,
        ),
    ];
    for (file, problem) in rows {
        let (name, bytes) = vector(file);
        let record = Record::decode(&bytes).unwrap();
        let verified = record.verify(&name);
        match problem {
            None => {
                let value = verified.unwrap().value;
                assert!(value.starts_with(b"/ipfs/"), "{file}: {value:?}");
                assert_eq!(check_value(&name.routing_key(), &bytes, now()), Ok(()), "{file}");
                assert_eq!(Record::decode(&record.encode()), Ok(record), "{file}");
            }
            Some(problem) => {
                let error = verified.unwrap_err().to_string();
                assert!(error.contains(problem), "{file}: {error}");
                assert!(check_value(&name.routing_key(), &bytes, now()).is_err(), "{file}");
            }
        }
    }
}

#[test]
fn every_changed_byte_of_a_signed_record_is_noticed() {
    let key = Keypair::generate_ed25519();
    let name = Name::of_key(&key.public());
    let record = Record::create(&key, &content("/ipfs/bafkqaaa", in_days(1), 7), false).unwrap();
    let bytes = record.encode();
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 0x55;
        assert!(check_value(&name.routing_key(), &changed, now()).is_err(), "byte {place}");
    }
    for len in 0..bytes.len() {
        assert!(check_value(&name.routing_key(), &bytes[..len], now()).is_err(), "length {len}");
    }
}

#[test]
fn our_records_are_believed_under_their_own_name_alone_and_for_their_time() {
    for key in
        [Keypair::generate_ed25519(), Keypair::generate_secp256k1(), Keypair::generate_ecdsa()]
    {
        let name = Name::of_key(&key.public());
        for with_v1 in [false, true] {
            let written = content("/ipfs/bafkqaaa", in_days(2), 3);
            let record = Record::create(&key, &written, with_v1).unwrap();
            let bytes = record.encode();
            assert_eq!(record.verify(&name), Ok(written));
            assert_eq!(check_value(&name.routing_key(), &bytes, now()), Ok(()));
            assert_eq!(expiry_of_value(&name.routing_key(), &bytes), Some(in_days(2)));
            let late = check_value(&name.routing_key(), &bytes, in_days(2));
            assert!(matches!(late, Err(ValueError::Record(RecordError::Expired { .. }))));
            let other = Name::of_key(&Keypair::generate_ed25519().public());
            assert!(record.verify(&other).is_err());
        }
    }
}

#[test]
fn the_later_record_counts() {
    let key = Keypair::generate_ed25519();
    let name = Name::of_key(&key.public()).routing_key();
    let make = |sequence, days| {
        let content = content("/ipfs/bafkqaaa", in_days(days), sequence);
        Record::create(&key, &content, true).unwrap().encode()
    };
    let rows = [((2, 1), (1, 9)), ((1, 2), (1, 1))];
    for (better, worse) in rows {
        let (better, worse) = (make(better.0, better.1), make(worse.0, worse.1));
        assert_eq!(better_value(&name, &better, &worse), Ordering::Greater);
        assert_eq!(better_value(&name, &worse, &better), Ordering::Less);
        assert_eq!(better_value(&name, &better, &better), Ordering::Equal);
    }
}

#[test]
fn only_two_namespaces_exist_and_lengths_are_bounded() {
    let key = Keypair::generate_ecdsa().public();
    let hash = key.to_peer_id().to_bytes();
    let (under, value) = ([b"/pk/", &hash[..]].concat(), key.encode_protobuf());
    assert_eq!(check_value(&under, &value, now()), Ok(()));
    assert_eq!(expiry_of_value(&under, &value), None);
    let other = Keypair::generate_ecdsa().public().encode_protobuf();
    assert_eq!(check_value(&under, &other, now()), Err(ValueError::PublicKey));
    assert_eq!(check_value(&under, &vec![0; 1 << 20], now()), Err(ValueError::PublicKey));
    for key in [&b""[..], b"/", b"/x/abc", b"/pk/abc", b"/ipns/", b"ipns"] {
        assert_eq!(check_value(key, &value, now()), Err(ValueError::Key), "{key:?}");
    }
    let name = Name::of_key(&Keypair::generate_ed25519().public());
    let long = check_value(&name.routing_key(), &vec![0; RECORD_LEN_MAX + 1], now());
    assert!(matches!(long, Err(ValueError::Record(RecordError::TooLong { .. }))));
    let key = Keypair::generate_ed25519();
    let long = content(&"x".repeat(RECORD_LEN_MAX), in_days(1), 0);
    assert!(matches!(Record::create(&key, &long, true), Err(RecordError::TooLong { .. })));
}
