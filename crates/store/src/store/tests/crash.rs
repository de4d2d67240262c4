//! What is left after a kill or a power cut, at every point.

use super::{assert_has, block, get, listed, memory, names, open, pack, read, root, write};
use crate::store::index::{Position, State};
use cairn_block::Block;
use cairn_runtime::{Create, MemoryVfs, Vfs as _};

const INDEX: &str = "index";

/// Every end of a small pack, with each state that the index may be in.
#[test]
fn a_torn_end_costs_only_what_is_torn() {
    let vfs = memory();
    let store = open(&vfs);
    let blocks: Vec<Block> = (0..4).map(|number| block(number, 60)).collect();
    let early = vfs.snapshot();
    store.append(&blocks).unwrap();
    let crashed = vfs.snapshot();
    let bytes = read(&crashed, &pack(1));
    let ends: Vec<usize> = (1..=4).map(|count| 64 + count * (68 + 54)).collect();
    assert_eq!(bytes.len(), ends[3]);
    let indexes = [
        ("ahead", Some(read(&crashed, &root().join(INDEX)))),
        ("behind", Some(read(&early, &root().join(INDEX)))),
        ("lost", None),
    ];
    for len in 0..=bytes.len() {
        for (name, index) in &indexes {
            let vfs = memory();
            vfs.create_dir(&root().join("blocks"), false).unwrap();
            write(&vfs, &pack(1), &bytes[..len]);
            if let Some(index) = index {
                write(&vfs, &root().join(INDEX), index);
            }
            let whole = ends.iter().filter(|end| **end <= len).count();
            let store = open(&vfs);
            assert_eq!(listed(&store), names(&blocks[..whole]), "{len} {name}");
            assert_has(&store, &blocks[..whole]);
            for torn in &blocks[whole..] {
                assert!(matches!(get(&store, torn), Ok(None)), "{len} {name}");
            }
            assert_eq!(store.damage(), [], "{len} {name}");
            store.append(&blocks).unwrap();
            store.flush().unwrap();
            let again = open(&vfs.snapshot());
            assert_eq!(listed(&again), names(&blocks), "{len} {name}");
            assert_has(&again, &blocks);
        }
    }
}

/// Replaces what lies after `from` in pack 1 by what a power cut may leave of it.
fn spoil(vfs: &MemoryVfs, from: usize, how: &str) {
    let mut bytes = read(vfs, &pack(1));
    match how {
        "zeros" => bytes[from..].fill(0),
        "data lost" => {
            let data = from + 54;
            bytes[data..data + 10].fill(0);
        }
        "header lost" => bytes[from..from + 54].fill(0),
        "garbage" => {
            let mut random = cairn_testkit::Random::new(3);
            let len = bytes.len() - from;
            bytes[from..].copy_from_slice(&random.bytes(len));
        }
        _ => bytes.truncate(from),
    }
    write(vfs, &pack(1), &bytes);
}

#[test]
fn a_power_cut_loses_nothing_that_was_flushed() {
    let flushed: Vec<Block> = (0..20).map(|number| block(number, 300)).collect();
    let later: Vec<Block> = (20..40).map(|number| block(number, 300)).collect();
    for how in ["zeros", "data lost", "header lost", "garbage", "cut"] {
        for index in ["as written", "as flushed", "from the start", "lost"] {
            let vfs = memory();
            let store = open(&vfs);
            let start = vfs.snapshot();
            store.append(&flushed).unwrap();
            store.flush().unwrap();
            let at_flush = vfs.snapshot();
            let from = read(&at_flush, &pack(1)).len();
            store.append(&later).unwrap();
            let vfs = vfs.snapshot();
            spoil(&vfs, from, how);
            let path = root().join(INDEX);
            match index {
                "as flushed" => write(&vfs, &path, &read(&at_flush, &path)),
                "from the start" => write(&vfs, &path, &read(&start, &path)),
                "lost" => vfs.remove(&path).unwrap(),
                _ => {}
            }
            let store = open(&vfs);
            assert_has(&store, &flushed);
            for block in &later {
                let answer = get(&store, block).unwrap();
                assert!(answer.is_none_or(|answer| answer == *block), "{how} {index}");
            }
            // The torn ones are not taken for present, so an acknowledged put really is one.
            store.append(&later).unwrap();
            store.flush().unwrap();
            let again = open(&vfs.snapshot());
            assert_has(&again, &flushed);
            assert_has(&again, &later);
        }
    }
}

/// A block that a power cut tore stays absent when later ones were synced after it; else a put
/// would take it for present, and be acknowledged without a copy.
#[test]
fn a_torn_block_is_not_vouched_for_by_what_follows() {
    let blocks: Vec<Block> = (0..12).map(|number| block(number, 300)).collect();
    for lose_index in [false, true] {
        let vfs = memory();
        let store = open(&vfs);
        store.append(&blocks[..4]).unwrap();
        store.flush().unwrap();
        let from = read(&vfs, &pack(1)).len();
        store.append(&blocks[4..8]).unwrap();
        let vfs = vfs.snapshot();
        spoil(&vfs, from, "data lost");
        let store = open(&vfs);
        assert!(matches!(get(&store, &blocks[4]), Ok(None)));
        store.append(&blocks[8..]).unwrap();
        store.flush().unwrap();
        let vfs = vfs.snapshot();
        if lose_index {
            vfs.remove(&root().join(INDEX)).unwrap();
        }
        let store = open(&vfs);
        assert!(matches!(get(&store, &blocks[4]), Ok(None)), "{lose_index}");
        assert_eq!(store.damage(), []);
        store.append(&blocks).unwrap();
        store.flush().unwrap();
        assert_has(&store, &blocks);
        assert_has(&open(&vfs.snapshot()), &blocks);
    }
}

/// The index file is a mix of old and new pages after a power cut.
#[test]
fn a_mix_of_old_and_new_index_pages_is_repaired() {
    let vfs = memory();
    let store = open(&vfs);
    let blocks: Vec<Block> = (0..3000).map(|number| block(number, 10)).collect();
    store.append(&blocks[..1500]).unwrap();
    store.close().unwrap();
    store.append(&blocks[1500..1501]).unwrap();
    let old = read(&vfs, &root().join(INDEX));
    for block in &blocks[..300] {
        assert!(store.delete(block.cid()).unwrap());
    }
    store.append(&blocks[1500..]).unwrap();
    store.append(&blocks[..100]).unwrap();
    store.flush().unwrap();
    let crashed = vfs.snapshot();
    let new = read(&crashed, &root().join(INDEX));
    assert_eq!(old.len(), new.len());
    for seed in 0..20 {
        let mut random = cairn_testkit::Random::new(seed);
        let mut mixed = new.clone();
        // The header's page says that the store was being written to in either version.
        for (page, old) in mixed.chunks_exact_mut(4096).zip(old.chunks_exact(4096)) {
            if random.below(2) == 0 {
                page.copy_from_slice(old);
            }
        }
        let vfs = crashed.snapshot();
        write(&vfs, &root().join(INDEX), &mixed);
        let store = open(&vfs);
        assert_eq!(listed(&store).len(), 2800);
        assert_eq!(store.stat().unwrap().block_count, 2800);
        assert_has(&store, &blocks[300..]);
        assert_has(&store, &blocks[..100]);
        // Nothing deleted comes back when its neighbours go.
        for block in &blocks[300..] {
            assert!(store.delete(block.cid()).unwrap());
        }
        assert_eq!(listed(&store), names(&blocks[..100]));
        assert_eq!(store.stat().unwrap().block_count, 100);
    }
}

#[test]
fn a_pack_that_was_just_begun_is_begun_again() {
    for len in [0, 1, 31, 32, 63, 64] {
        let vfs = memory();
        let store = open(&vfs);
        let blocks: Vec<Block> = (0..2).map(|number| block(number, 60)).collect();
        store.append(&blocks[..1]).unwrap();
        store.flush().unwrap();
        let vfs = vfs.snapshot();
        let header = vec![0; len];
        write(&vfs, &pack(2), &header);
        let store = open(&vfs);
        assert_eq!(store.damage(), [], "{len}");
        store.append(&blocks).unwrap();
        store.flush().unwrap();
        assert_has(&open(&vfs.snapshot()), &blocks);
    }
}

#[test]
fn checkpoints_follow_the_packs_and_a_clean_end_needs_no_reading() {
    let vfs = memory();
    let store = open(&vfs);
    let blocks: Vec<Block> = (0..60).map(|number| block(number, 300_000)).collect();
    let mut last = Position::START;
    for batch in blocks.chunks(5) {
        store.append(batch).unwrap();
        store.flush().unwrap();
        let (checkpoint, _) = store.inner.index().checkpoint();
        assert!(checkpoint >= last && checkpoint <= store.inner.index().durable());
        last = checkpoint;
        assert_has(&open(&vfs.snapshot()), &blocks[..5]);
    }
    assert!(last.segment() > 2, "{last:?}");
    store.close().unwrap();
    assert_eq!(store.inner.index().state(), State::Clean);
    let (checkpoint, _) = store.inner.index().checkpoint();
    assert_eq!(checkpoint.offset(), vfs.len(&pack(checkpoint.segment())).unwrap().unwrap());
    drop(store);
    let store = open(&vfs);
    assert_eq!(store.inner.index().state(), State::Clean, "only reading changes nothing");
    assert_has(&store, &blocks);
    store.append(&[block(99, 10)]).unwrap();
    assert_eq!(store.inner.index().state(), State::Dirty);
    let store = open(&vfs.snapshot());
    assert_has(&store, &blocks);
    assert_has(&store, &[block(99, 10)]);
}

#[test]
fn what_a_killed_process_left_unsynced_is_synced_by_the_next_flush() {
    let vfs = memory();
    let store = open(&vfs);
    let one = block(1, 100);
    store.append(std::slice::from_ref(&one)).unwrap();
    let vfs = vfs.snapshot();
    let store = open(&vfs);
    // Already there, so nothing is written; the flush must still reach the disk.
    store.append(std::slice::from_ref(&one)).unwrap();
    vfs.set_syncs_fail(true);
    assert!(store.flush().is_err());
}

#[test]
fn a_segment_that_lost_its_end_is_named() {
    let vfs = memory();
    let store = open(&vfs);
    let blocks: Vec<Block> = (0..10).map(|number| block(number, 100)).collect();
    store.append(&blocks).unwrap();
    drop(store);
    let file = vfs.open(&pack(1), Create::Never).unwrap();
    file.set_len(file.len().unwrap() - 200).unwrap();
    let store = open(&vfs);
    assert_eq!(store.damage().len(), 1, "{:?}", store.damage());
    assert!(store.damage()[0].to_string().contains("shorter than"), "{:?}", store.damage());
    assert_has(&store, &blocks[..8]);
    store.append(&blocks).unwrap();
    assert_has(&store, &blocks);
}

/// After a failed sync and a restart, what is acknowledged behind the cut stays: the index that
/// says where to cut must not come back with the next power cut.
#[test]
fn a_cut_is_made_once() {
    let vfs = memory();
    let store = open(&vfs);
    let blocks: Vec<Block> = (0..6).map(|number| block(number, 300)).collect();
    store.append(&blocks[..2]).unwrap();
    store.flush().unwrap();
    store.append(&blocks[2..4]).unwrap();
    vfs.set_syncs_fail(true);
    assert!(store.flush().is_err());
    vfs.set_syncs_fail(false);
    let vfs = vfs.snapshot();
    let failed = read(&vfs, &root().join(INDEX));
    let store = open(&vfs);
    assert!(matches!(get(&store, &blocks[2]), Ok(None)), "never acknowledged, and not vouched for");
    assert_ne!(read(&vfs, &root().join(INDEX)), failed, "the old index is gone");
    store.append(&blocks[4..]).unwrap();
    store.flush().unwrap();
    let store = open(&vfs.snapshot());
    assert_has(&store, &blocks[..2]);
    assert_has(&store, &blocks[4..]);
}

/// A table whose sync failed once is never said to be whole: the system takes its pages for
/// written. The next start makes another.
#[test]
fn an_index_whose_sync_failed_is_made_again() {
    let vfs = memory();
    let store = open(&vfs);
    let blocks: Vec<Block> = (0..6).map(|number| block(number, 300)).collect();
    store.append(&blocks[..3]).unwrap();
    store.flush().unwrap();
    vfs.set_syncs_fail(true);
    assert!(store.close().is_err());
    vfs.set_syncs_fail(false);
    assert!(store.inner.index().sync().is_err(), "a later success would say nothing");
    store.append(&blocks[3..]).unwrap();
    store.close().unwrap();
    assert_eq!(store.inner.index().state(), State::Dirty);
    let store = open(&vfs.snapshot());
    assert!(!store.inner.index().is_distrusted());
    assert_has(&store, &blocks);
    store.close().unwrap();
    assert_eq!(store.inner.index().state(), State::Clean);
}
