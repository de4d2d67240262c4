//! Blocks that are kept compressed: they are what they were, through everything.

use super::{assert_has, block, cids, get, listed, memory, names, open, pack, read, root, write};
use crate::store::{Compression, Store, record::Record, record::SegmentId};
use cairn_block::{Block, BlockError, codec};
use cairn_runtime::{MemoryVfs, Vfs as _};

const ON: Compression = Compression::Zstd { level: 3 };

/// A block of `len` bytes that shrinks to some tens of bytes.
fn smooth(number: u64, len: usize) -> Block {
    let mut data = format!("block {number} ").repeat(len / 8 + 1).into_bytes();
    data.truncate(len);
    Block::sha2_256(codec::RAW, data.into())
}

fn open_on(vfs: &MemoryVfs) -> Store {
    let store = open(vfs);
    store.set_compression(ON);
    store
}

/// The header of the record at `offset` of the first pack.
fn record(bytes: &[u8], offset: usize) -> Record {
    let (id, _) = SegmentId::decode(&bytes[..64], 1).unwrap();
    Record::decode(id, offset as u64, &bytes[offset..]).unwrap()
}

#[test]
fn compressed_blocks_are_read_whatever_the_setting_is_now() {
    let vfs = memory();
    let store = open_on(&vfs);
    let lens = [0, 1, 255, 256, 1000, 4096, 70_000, 300_000, 2 << 20];
    let mut blocks: Vec<Block> =
        lens.iter().enumerate().map(|(number, len)| smooth(number as u64, *len)).collect();
    blocks.extend((20..40).map(|number| block(number, 5000)));
    store.append(&blocks).unwrap();
    assert_has(&store, &blocks);
    assert_has(&store, &blocks);
    assert_eq!(listed(&store), names(&blocks));
    let len = vfs.len(&pack(1)).unwrap().unwrap();
    assert!(len < 130_000, "{len}: noise stays, the rest shrinks");
    assert_eq!(vfs.len(&pack(2)).unwrap(), None);
    store.append(&blocks).unwrap();
    assert_eq!(vfs.len(&pack(1)).unwrap(), Some(len), "nothing twice");
    drop(store);
    let store = open(&vfs);
    assert_has(&store, &blocks);
    drop(store);
    let store = open(&vfs);
    store.append(&blocks).unwrap();
    assert_eq!(vfs.len(&pack(1)).unwrap(), Some(len), "nor when only comparing tells");
    drop(store);
    vfs.remove(&root().join("index")).unwrap();
    let store = open(&vfs);
    assert_has(&store, &blocks);
    assert_eq!(listed(&store), names(&blocks));
    assert_eq!(store.damage(), []);
}

/// Every bit of a compressed record: the block is right, absent or refused, and mended by a put.
#[test]
fn a_flipped_bit_in_a_compressed_record_is_noticed_and_mended() {
    let blocks: Vec<Block> = (0..3).map(|number| smooth(number, 400)).collect();
    let whole = memory();
    let store = open_on(&whole);
    store.append(&blocks).unwrap();
    drop(store);
    let bytes = read(&whole, &pack(1));
    let (start, middle) = (64, record(&bytes, 64).len() as usize);
    assert_eq!(record(&bytes, start + middle).flags, 1);
    let end = start + middle + record(&bytes, start + middle).len() as usize;
    for at in start + middle..end {
        for bit in 0..8 {
            let vfs = whole.snapshot();
            let mut broken = bytes.clone();
            broken[at] ^= 1 << bit;
            write(&vfs, &pack(1), &broken);
            let store = open_on(&vfs);
            for (number, block) in blocks.iter().enumerate() {
                match get(&store, block) {
                    Ok(answer) => assert_eq!(answer.as_ref(), Some(block), "{at} {bit}"),
                    Err(BlockError::Corrupt { .. }) => assert_eq!(number, 1, "{at} {bit}"),
                    Err(error) => panic!("{at} {bit}: {error}"),
                }
            }
            store.append(&blocks).unwrap();
            assert_has(&store, &blocks);
        }
    }
}

/// A kill at every byte, without and with an index that is ahead.
#[test]
fn a_torn_compressed_record_is_dropped() {
    let vfs = memory();
    let store = open_on(&vfs);
    let blocks: Vec<Block> = (0..3).map(|number| smooth(number, 3000)).collect();
    store.append(&blocks).unwrap();
    let crashed = vfs.snapshot();
    let bytes = read(&crashed, &pack(1));
    let mut ends = vec![64];
    for _ in &blocks {
        let end = ends[ends.len() - 1];
        ends.push(end + record(&bytes, end).len() as usize);
    }
    for len in 64..=bytes.len() {
        for zeros in [false, true] {
            let vfs = crashed.snapshot();
            let mut torn = bytes[..len].to_vec();
            if zeros {
                torn.resize(bytes.len(), 0);
            }
            write(&vfs, &pack(1), &torn);
            let whole = ends[1..].iter().filter(|end| **end <= len).count();
            let store = open(&vfs);
            assert_has(&store, &blocks[..whole]);
            for torn in &blocks[whole..] {
                // Zeros may be what the data was.
                let answer = get(&store, torn).unwrap();
                assert!(answer.is_none_or(|answer| answer == *torn), "{len}");
            }
            assert_eq!(store.damage(), [], "{len}");
        }
    }
}

#[test]
fn a_scrub_knows_whole_compressed_blocks_from_broken_ones() {
    let vfs = memory();
    let store = open_on(&vfs);
    let blocks: Vec<Block> = (0..50).map(|number| smooth(number, 1 << 20)).collect();
    store.append(&blocks).unwrap();
    let scrub = |store: &Store| {
        let (mut scrub, mut count, mut corrupt) = (store.scrub(None), 0, Vec::new());
        while let Some(step) = scrub.step().unwrap() {
            count += step.block_count;
            corrupt.extend(step.corrupt);
        }
        (count, corrupt)
    };
    let (count, corrupt) = scrub(&store);
    assert_eq!((count, corrupt.len()), (50, 0));
    drop(store);
    let mut bytes = read(&vfs, &pack(1));
    let first = record(&bytes, 64);
    let (second, data) = (64 + first.len() as usize, 64 + first.header_len as usize);
    // The first block's data and the second one's header.
    bytes[data + 8] ^= 0xff;
    bytes[second + 17] ^= 0xff;
    write(&vfs, &pack(1), &bytes);
    let store = open(&vfs);
    let (count, corrupt) = scrub(&store);
    assert_eq!((count, corrupt.len()), (50, 2));
    let salvaged: Vec<_> = corrupt.iter().filter_map(|corrupt| corrupt.salvaged.clone()).collect();
    assert_eq!(salvaged.len(), 1, "the bytes behind the broken header are whole");
    assert_eq!(salvaged[0].data(), blocks[1].data());
    assert!(
        corrupt.iter().any(|corrupt| corrupt.hash.as_ref() == Some(blocks[0].cid().multihash()))
    );
}

/// A collection copies records as they are, compressed or in a way that is not known here.
#[test]
fn a_collection_copies_any_encoding() {
    let vfs = memory();
    let store = open_on(&vfs);
    let live: Vec<Block> = (0..30).map(|number| smooth(number, 9000)).collect();
    let dead: Vec<Block> = (100..700).map(|number| block(number, 5000)).collect();
    for (live, dead) in live.chunks(1).zip(dead.chunks(20)) {
        store.append(live).unwrap();
        store.append(dead).unwrap();
    }
    store.set_compression(Compression::None);
    let collection = store.collect().unwrap();
    collection.mark(&cids(&live)).unwrap();
    let swept = collection.sweep(&mut NoObserver).unwrap();
    assert_eq!(swept.block_count, 600);
    assert!(swept.copied_len > 0 && swept.copied_len < 30 * 500, "{}", swept.copied_len);
    assert_has(&store, &live);
    assert_eq!(listed(&store), names(&live));
    store.flush().unwrap();
    drop(store);
    vfs.remove(&root().join("index")).unwrap();
    assert_has(&open(&vfs), &live);
}

pub(super) struct NoObserver;

impl crate::SweepObserver for NoObserver {
    fn removed(&mut self, _hash: &cairn_block::Multihash) {}

    fn goes_on(&self) -> bool {
        true
    }
}
