//! What a scrub finds, and what it does not take for damage.

use super::{assert_has, block, get, memory, open, pack, read, root, write};
use crate::store::{Corrupt, CorruptKind, ScrubPosition, Store};
use cairn_block::{Block, Multihash};
use cairn_runtime::{MemoryVfs, Vfs as _};
use cairn_testkit::Random;
use std::collections::BTreeSet;

/// Bytes of a record around a block of sha2-256.
const AROUND: usize = 54;

/// Runs a scrub to its end; returns how many blocks it looked at, and the corrupt ones.
fn scrub(store: &Store, from: Option<ScrubPosition>) -> (u64, Vec<Corrupt>) {
    let mut scrub = store.scrub(from);
    let (mut count, mut corrupt) = (0, Vec::new());
    while let Some(mut step) = scrub.step().unwrap() {
        count += step.block_count;
        corrupt.append(&mut step.corrupt);
    }
    assert_eq!((scrub.done_len(), scrub.position()), (scrub.total_len(), None));
    (count, corrupt)
}

fn hashes(corrupt: &[Corrupt]) -> BTreeSet<Multihash> {
    corrupt.iter().filter_map(|corrupt| corrupt.hash.clone()).collect()
}

fn closed(blocks: &[Block]) -> MemoryVfs {
    let vfs = memory();
    let store = open(&vfs);
    store.append(blocks).unwrap();
    drop(store);
    vfs
}

#[test]
fn a_whole_store_is_found_whole() {
    let vfs = memory();
    let store = open(&vfs);
    assert_eq!(scrub(&store, None).0, 0);
    let mut random = Random::new(5);
    let blocks: Vec<Block> = (0..2000).map(|number| block(number, random.below(9000))).collect();
    store.append(&blocks).unwrap();
    for gone in &blocks[..300] {
        assert!(store.delete(gone.cid()).unwrap());
    }
    assert!(vfs.len(&pack(3)).unwrap().is_some(), "several packs");
    let (count, corrupt) = scrub(&store, None);
    assert_eq!((count, corrupt.len()), (1700, 0));
    drop(store);
    assert_eq!(scrub(&open(&vfs), None).0, 1700);
}

#[test]
fn what_rots_is_found_dropped_and_healed() {
    let blocks: Vec<Block> = (0..1200).map(|number| block(number, 5000)).collect();
    let vfs = closed(&blocks);
    let record_len = 5008 + AROUND;
    let mut bytes = read(&vfs, &pack(1));
    let mut random = Random::new(9);
    let hit: BTreeSet<usize> = (0..50).map(|_| random.below(700)).collect();
    for number in &hit {
        bytes[64 + number * record_len + AROUND + random.below(5008)] ^= 0x20;
    }
    write(&vfs, &pack(1), &bytes);
    let expected: BTreeSet<Multihash> =
        hit.iter().map(|number| blocks[*number].cid().multihash().clone()).collect();

    let store = open(&vfs);
    let (count, corrupt) = scrub(&store, None);
    assert_eq!(count, 1200);
    assert_eq!(hashes(&corrupt), expected);
    assert!(corrupt.iter().all(|corrupt| corrupt.kind == CorruptKind::Bytes));
    assert_eq!(store.corrupt_count(), hit.len() as u64);
    assert_eq!(store.corrupt(10).len(), 10);

    let first = *hit.iter().next().unwrap();
    store.append(&blocks[first..=first]).unwrap();
    let dropped = store.drop_corrupt(&corrupt).unwrap();
    assert_eq!(dropped.iter().filter(|dropped| !**dropped).count(), 1, "one was replaced");
    assert_eq!(store.corrupt_count(), 0);
    assert_has(&store, &blocks[first..=first]);
    let last = *hit.iter().next_back().unwrap();
    assert!(matches!(get(&store, &blocks[last]), Ok(None)));
    let (count, corrupt) = scrub(&store, None);
    assert_eq!((count, corrupt.len()), (1201 - hit.len() as u64, 0));

    drop(store);
    vfs.remove(&root().join("index")).unwrap();
    let store = open(&vfs);
    assert!(matches!(get(&store, &blocks[last]), Ok(None)), "not back after a rebuild");
    store.append(&blocks).unwrap();
    assert_has(&store, &blocks);
}

/// Every byte of a record, headers too: the block is found by name, and its data is saved where
/// the header alone was hit.
#[test]
fn a_damaged_header_hides_nothing() {
    let blocks: Vec<Block> = (0..3).map(|number| block(number, 40)).collect();
    let whole = closed(&blocks);
    let bytes = read(&whole, &pack(1));
    let record_len = 48 + AROUND;
    for at in 64..64 + 3 * record_len {
        let vfs = whole.snapshot();
        let mut broken = bytes.clone();
        broken[at] ^= 0x81;
        write(&vfs, &pack(1), &broken);
        let store = open(&vfs);
        let (count, corrupt) = scrub(&store, None);
        let (number, within) = ((at - 64) / record_len, (at - 64) % record_len);
        assert_eq!(count, 3, "{at}");
        assert_eq!(corrupt.len(), 1, "{at}");
        let hit = &blocks[number];
        assert_eq!(corrupt[0].hash.as_ref(), Some(hit.cid().multihash()), "{at}");
        let salvaged = corrupt[0].salvaged.as_ref().map(Block::data);
        assert_eq!(salvaged, (within < AROUND).then_some(hit.data()), "{at}");
        store.append(&blocks).unwrap();
        assert_has(&store, &blocks);
        assert_eq!(scrub(&store, None).1.len(), 0, "{at}");
    }
}

#[test]
fn a_pack_without_its_header_gives_its_blocks_back() {
    let blocks: Vec<Block> = (0..1500).map(|number| block(number, 5000)).collect();
    let vfs = closed(&blocks);
    let mut bytes = read(&vfs, &pack(1));
    bytes[..64].fill(0);
    write(&vfs, &pack(1), &bytes);
    let store = open(&vfs);
    let (count, corrupt) = scrub(&store, None);
    assert_eq!(count, 1500);
    assert!(corrupt.len() > 700, "{}", corrupt.len());
    let salvaged: Vec<Block> = corrupt.into_iter().filter_map(|corrupt| corrupt.salvaged).collect();
    assert!(salvaged.len() > 700, "{}", salvaged.len());
    store.append(&salvaged).unwrap();
    assert_has(&store, &blocks);
}

#[test]
fn what_is_missing_or_cut_short_is_counted() {
    let blocks: Vec<Block> = (0..2000).map(|number| block(number, 5000)).collect();
    let whole = closed(&blocks);
    let is_there = |store: &Store| {
        blocks.iter().filter(|block| matches!(get(store, block), Ok(Some(_)))).count()
    };
    let vfs = whole.snapshot();
    vfs.remove(&pack(2)).unwrap();
    let store = open(&vfs);
    let (count, corrupt) = scrub(&store, None);
    assert_eq!((count, corrupt.len()), (2000, 2000 - is_there(&store)));
    assert!(corrupt.iter().all(|corrupt| corrupt.kind == CorruptKind::Missing));
    assert!(store.drop_corrupt(&corrupt).unwrap().iter().all(|dropped| *dropped));
    assert_eq!(scrub(&store, None).1.len(), 0);
    assert_eq!(store.stat().unwrap().block_count, is_there(&store) as u64);

    let vfs = whole.snapshot();
    let bytes = read(&vfs, &pack(1));
    write(&vfs, &pack(1), &bytes[..bytes.len() / 2 + 3]);
    let store = open(&vfs);
    let (count, corrupt) = scrub(&store, None);
    assert_eq!((count, corrupt.len()), (2000, 2000 - is_there(&store)));
    assert!(corrupt.iter().all(|corrupt| corrupt.kind == CorruptKind::Missing));
}

#[test]
fn a_bad_sector_costs_what_lies_on_it() {
    let blocks: Vec<Block> = (0..600).map(|number| block(number, 5000)).collect();
    let vfs = closed(&blocks);
    let record_len = 5008 + AROUND as u64;
    let store = open(&vfs);
    vfs.set_unreadable(&pack(1), 64 + 100 * record_len + 4000..64 + 100 * record_len + 4010);
    let (count, corrupt) = scrub(&store, None);
    assert_eq!(count, 600);
    assert!((1..=40).contains(&corrupt.len()), "{}", corrupt.len());
    let hit = corrupt.iter().find(|corrupt| corrupt.offset == 64 + 100 * record_len);
    assert_eq!(hit.unwrap().kind, CorruptKind::Unreadable);
    vfs.set_unreadable(&pack(1), 0..0);
    let (_, corrupt) = scrub(&store, None);
    assert_eq!((corrupt.len(), store.corrupt_count()), (0, 0), "the disk has recovered");
    assert_has(&store, &blocks);
}

#[test]
fn a_scrub_goes_on_where_another_stopped() {
    let blocks: Vec<Block> = (0..1500).map(|number| block(number, 9000)).collect();
    let vfs = closed(&blocks);
    let mut bytes = read(&vfs, &pack(3));
    bytes[64 + 54 + 10] ^= 1;
    write(&vfs, &pack(3), &bytes);
    let (mut count, mut found, mut position) = (0, Vec::new(), None);
    let mut steps = 0;
    loop {
        let store = open(&vfs);
        let mut scrub = store.scrub(position);
        let Some(mut step) = scrub.step().unwrap() else { break };
        count += step.block_count;
        found.append(&mut step.corrupt);
        steps += 1;
        position = scrub.position();
        if position.is_none() {
            break;
        }
    }
    assert_eq!((count, found.len()), (1500, 1));
    assert!(steps > 3, "{steps}");
}

#[test]
fn blocks_that_come_and_go_meanwhile_are_no_damage() {
    let vfs = memory();
    let store = open(&vfs);
    let blocks: Vec<Block> = (0..1000).map(|number| block(number, 4000)).collect();
    store.append(&blocks[..500]).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for pair in blocks.chunks(10) {
                store.append(pair).unwrap();
                store.delete(pair[3].cid()).unwrap();
                store.flush().unwrap();
            }
        });
        while !writer.is_finished() {
            assert_eq!(scrub(&store, None).1.len(), 0);
        }
        writer.join().unwrap();
    });
    assert_eq!(scrub(&store, None).0, 900);
}
