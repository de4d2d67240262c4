//! Vectors, round trips and hostile bytes.

use super::{Message, Outgoing, Prefix, WantEntry, WantKind, WireError};
use crate::bitswap::{
    limits::{CID_LEN_MAX, MESSAGE_ITEMS_MAX},
    protocol::Version,
};
use bytes::Bytes;
use cairn_block::{BLOCK_LEN_MAX, Block, Cid, Version as CidVersion, codec};
use cairn_hash::{Multihash, varint};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

fn cid(seed: u8) -> Cid {
    Cid::v1(codec::RAW, Multihash::sha2_256([seed; 32]))
}

fn want(cid: Cid, kind: WantKind) -> WantEntry {
    WantEntry { cid, priority: 7, cancel: false, kind, send_dont_have: true }
}

/// Joins the chunks and takes the length off the front.
fn body(message: &Outgoing, version: Version) -> Bytes {
    let joined = message.encode(version).concat();
    let (len, rest) = varint::decode(&joined).unwrap();
    assert_eq!(len as usize, rest.len(), "the length in front");
    Bytes::copy_from_slice(rest)
}

/// Written by hand from the spec's protobuf definition.
#[test]
fn reads_and_writes_the_schema_as_specified() {
    let id = cid(9).to_bytes();
    let mut entry = vec![0x0a, 36];
    entry.extend(&id);
    entry.extend([0x10, 7, 0x20, 1, 0x28, 1]);
    let mut bytes = vec![0x0a, 2 + entry.len() as u8 + 2, 0x0a, entry.len() as u8];
    bytes.extend(&entry);
    bytes.extend([0x10, 1]);
    bytes.extend([0x1a, 4 + 2 + 5, 0x0a, 4, 1, 0x55, 0x12, 0x20, 0x12, 3]);
    bytes.extend(b"abc");
    bytes.extend([0x22, 40, 0x0a, 36]);
    bytes.extend(&id);
    bytes.extend([0x10, 1, 0x28, 5]);

    let block = Block::sha2_256(codec::RAW, Bytes::from_static(b"abc"));
    let message = Outgoing {
        wants: vec![want(cid(9), WantKind::Have)],
        full: true,
        blocks: vec![block],
        presences: vec![(cid(9), false)],
        pending_len: 5,
    };
    assert_eq!(body(&message, Version::V1_2), bytes);
    let prefix =
        Prefix { version: CidVersion::V1, codec: codec::RAW, hash_code: 0x12, hash_len: 32 };
    let read = Message {
        wants: message.wants.clone(),
        full: true,
        blocks: vec![(prefix, Bytes::from_static(b"abc"))],
        presences: message.presences.clone(),
    };
    assert_eq!(Message::decode(bytes.into()), Ok(read));
}

#[test]
fn older_versions_are_told_only_what_they_understand() {
    let data = Bytes::from(vec![5; 10_000]);
    let message = Outgoing {
        wants: vec![want(cid(1), WantKind::Block), want(cid(2), WantKind::Have)],
        full: false,
        blocks: vec![Block::sha2_256(codec::RAW, data.clone())],
        presences: vec![(cid(3), true)],
        pending_len: 1,
    };
    for (version, is_bare) in [(Version::V1_1, false), (Version::V1_0, true)] {
        let read = Message::decode(body(&message, version)).unwrap();
        let asked = WantEntry { send_dont_have: false, ..want(cid(1), WantKind::Block) };
        assert_eq!(read.wants, [asked], "{version:?}");
        assert_eq!(read.presences, [], "{version:?}");
        assert_eq!(read.blocks[0].1, data, "{version:?}");
        assert_eq!(read.blocks[0].0 == Prefix::V0, is_bare, "{version:?}");
    }
}

#[test]
fn blocks_are_neither_copied_in_nor_out() {
    let data = Bytes::from(vec![1; 100_000]);
    let block = Block::sha2_256(codec::RAW, data.clone());
    let message = Outgoing { blocks: vec![block], ..Outgoing::default() };
    let chunks = message.encode(Version::V1_2);
    assert!(chunks.iter().any(|chunk| chunk.as_ptr() == data.as_ptr()), "written as they lie");
    let bytes = body(&message, Version::V1_2);
    let read = Message::decode(bytes.clone()).unwrap();
    assert!(bytes.as_ptr_range().contains(&read.blocks[0].1.as_ptr()), "read as they lie");
}

#[test]
fn an_item_that_cannot_be_is_left_out_and_the_rest_counts() {
    let identity = Cid::v1(codec::RAW, Multihash::wrap(0, b"inline").unwrap());
    let wide = Multihash::wrap(0x13, &[1; 64]).unwrap();
    let message = Outgoing {
        wants: vec![
            want(identity.clone(), WantKind::Block),
            want(Cid::v1(codec::RAW, wide), WantKind::Block),
        ],
        presences: vec![(identity, true), (cid(4), true)],
        ..Outgoing::default()
    };
    let read = Message::decode(body(&message, Version::V1_2)).unwrap();
    assert_eq!((read.wants.len(), read.presences.len()), (1, 1));
    let mut long = vec![0x0a, 0, 0x0a, 0, 0x0a, 0];
    let junk = vec![1; CID_LEN_MAX + 1];
    prost::encoding::bytes::encode(1, &junk, &mut long);
    assert_eq!(Message::decode(Bytes::from_static(&[0x0a, 0])), Ok(Message::default()));
}

#[test]
fn refuses_what_is_too_much() {
    let mut block = Vec::new();
    prost::encoding::bytes::encode(2, &vec![0; BLOCK_LEN_MAX + 1], &mut block);
    let len = BLOCK_LEN_MAX + 1;
    assert_eq!(Message::decode(block.into()), Err(WireError::BlockTooLarge { len }));

    let many = [0x12, 0].repeat(MESSAGE_ITEMS_MAX + 1);
    assert_eq!(Message::decode(many.into()), Err(WireError::TooManyItems));

    let mut list = Vec::new();
    prost::encoding::bytes::encode(1, &[0x0a, 0].repeat(MESSAGE_ITEMS_MAX + 1), &mut list);
    assert_eq!(Message::decode(list.into()), Err(WireError::TooManyItems));

    let broken: &[(&str, &[u8])] = &[
        ("cut off", &[0x0a, 5, 1]),
        ("a length of 2^63", &[0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ("a block that is a number", &[0x10, 1]),
        ("a wire type that is none", &[0x0f]),
        ("field zero", &[0x00, 0x00]),
    ];
    for (name, bytes) in broken {
        let read = Message::decode(Bytes::from_static(bytes));
        assert!(matches!(read, Err(WireError::Protobuf(_))), "{name}: {read:?}");
    }
    let nested_groups = Bytes::from(vec![0x3b; 1_000_000]);
    assert!(Message::decode(nested_groups).is_err(), "groups do not recurse without end");
}

fn any_cid() -> impl Strategy<Value = Cid> {
    (any::<[u8; 32]>(), any::<bool>()).prop_map(|(digest, old)| {
        let hash = Multihash::sha2_256(digest);
        if old { Cid::v0(hash).unwrap() } else { Cid::v1(codec::DAG_CBOR, hash) }
    })
}

fn any_want() -> impl Strategy<Value = WantEntry> {
    (any_cid(), any::<i32>(), any::<[bool; 3]>()).prop_map(|(cid, priority, flags)| WantEntry {
        cid,
        priority,
        cancel: flags[0],
        kind: if flags[1] { WantKind::Have } else { WantKind::Block },
        send_dont_have: flags[2],
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        wants in prop::collection::vec(any_want(), 0..20),
        full in any::<bool>(),
        lens in prop::collection::vec(0usize..9000, 0..5),
        presences in prop::collection::vec((any_cid(), any::<bool>()), 0..20),
    ) {
        let blocks = lens.iter().map(|len| Block::sha2_256(codec::RAW, vec![3; *len].into()));
        let message =
            Outgoing { wants, full, blocks: blocks.collect(), presences, pending_len: 0 };
        let read = Message::decode(body(&message, Version::V1_2)).unwrap();
        prop_assert_eq!(read.wants, message.wants);
        prop_assert_eq!(read.full, message.full);
        prop_assert_eq!(read.presences, message.presences);
        let data: Vec<&Bytes> = read.blocks.iter().map(|(_, data)| data).collect();
        let sent: Vec<&Bytes> = message.blocks.iter().map(Block::data).collect();
        prop_assert_eq!(data, sent);
    }

    #[test]
    fn hostile_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        if let Ok(message) = Message::decode(bytes.clone().into()) {
            let items = message.wants.len() + message.blocks.len() + message.presences.len();
            prop_assert!(items <= bytes.len());
        }
    }

    #[test]
    fn damaged_messages_are_read_or_refused(
        wants in prop::collection::vec(any_want(), 1..5),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let presences = vec![(wants[0].cid.clone(), true)];
        let block = Block::sha2_256(codec::RAW, Bytes::from_static(b"some data"));
        let message = Outgoing {
            wants, presences, blocks: vec![block], full: true, pending_len: 3,
        };
        let mut bytes = body(&message, Version::V1_2).to_vec();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        let read = Message::decode(bytes.into());
        prop_assert!(read.is_err() || read.is_ok_and(|read| read.blocks.len() <= 2));
    }
}
