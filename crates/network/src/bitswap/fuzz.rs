//! What must hold of Bitswap messages whatever the bytes, for `cairn-fuzz`.
//!
//! Not here: streams and their lengths (`handler.rs`), keys and addresses, which are libp2p's.

use super::{
    limits::MESSAGE_ITEMS_MAX,
    protocol::Version,
    verify::name_blocks,
    wire::{Message, Outgoing, Prefix, WantEntry, WantKind},
};
use bytes::Bytes;
use cairn_block::{Block, Cid, Version as CidVersion, codec};
use cairn_hash::varint;

/// The message's bytes, without the length before them.
fn written(message: &Outgoing, version: Version) -> Bytes {
    let bytes = message.encode(version).concat();
    let (len, rest) = varint::decode(&bytes).expect("invariant: a message begins with its length");
    assert_eq!(len, rest.len() as u64, "the length is the rest's");
    Bytes::copy_from_slice(rest)
}

pub(crate) fn message(input: &[u8]) {
    let Ok(message) = Message::decode(Bytes::copy_from_slice(input)) else { return };
    let Message { wants, full, blocks, presences } = message;
    assert!(wants.len() + blocks.len() + presences.len() <= MESSAGE_ITEMS_MAX);
    let len: usize = blocks.iter().map(|(_, data)| data.len()).sum();
    assert!(len <= input.len(), "blocks are pieces of what came");
    let batch = blocks.into_iter().enumerate().map(|(at, (prefix, data))| (at, prefix, data));
    let mut named = name_blocks(batch.collect());
    named.sort_by_key(|(at, _)| *at);
    let blocks: Vec<Block> = named.into_iter().map(|(_, block)| block).collect();
    let outgoing = Outgoing { wants, full, blocks, presences, pending_len: 0 };
    let again =
        Message::decode(written(&outgoing, Version::V1_2)).expect("what is written is read");
    assert_eq!((&again.wants, again.full), (&outgoing.wants, outgoing.full));
    assert_eq!(again.presences, outgoing.presences);
    let data = outgoing.blocks.iter().map(|block| block.data().clone());
    assert!(again.blocks.iter().map(|(_, data)| data.clone()).eq(data), "blocks and their order");
    for version in [Version::V1_0, Version::V1_1] {
        let older = Message::decode(written(&outgoing, version)).expect("what is written is read");
        assert!(older.presences.is_empty() && older.wants.len() <= outgoing.wants.len());
    }
}

pub(crate) fn messages() -> Vec<Vec<u8>> {
    let blocks: Vec<Block> = [&b"one"[..], b"", b"two"]
        .iter()
        .map(|data| Block::sha2_256(codec::RAW, Bytes::from_static(data)))
        .collect();
    let v0 = Cid::v0(blocks[0].cid().multihash().clone()).expect("invariant: it is SHA-256");
    let want = |cid: &Cid, kind, cancel| WantEntry {
        cid: cid.clone(),
        priority: 7,
        cancel,
        kind,
        send_dont_have: !cancel,
    };
    let wants = vec![
        want(&v0, WantKind::Block, false),
        want(blocks[1].cid(), WantKind::Have, false),
        want(blocks[2].cid(), WantKind::Block, true),
    ];
    let presences = vec![(v0.clone(), true), (blocks[1].cid().clone(), false)];
    let all = Outgoing { wants, full: true, blocks, presences, pending_len: 300 };
    [Version::V1_0, Version::V1_1, Version::V1_2]
        .map(|version| written(&all, version).to_vec())
        .to_vec()
}

pub(crate) fn prefix(input: &[u8]) {
    if let Some(prefix) = Prefix::decode(input) {
        assert_eq!(prefix.encode(), input, "a prefix has one form");
    }
}

pub(crate) fn prefixes() -> Vec<Vec<u8>> {
    let identity = Prefix { version: CidVersion::V1, codec: codec::RAW, hash_code: 0, hash_len: 3 };
    vec![Prefix::V0.encode(), identity.encode()]
}
