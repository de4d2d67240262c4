//! Collections: what goes, what stays, what a crash in the middle leaves, and who may work
//! meanwhile.

use super::{Collection, Mark, SweepObserver, Swept};
use crate::{
    StoreError,
    store::{
        NotesKnown, SEGMENT_LEN_MAX, Settle, Store,
        record::SEGMENT_HEADER_LEN,
        tests::{assert_has, block, cids, get, listed, memory, names, open, pack, root},
    },
};
use cairn_block::{Block, Multihash};
use cairn_runtime::{MemoryVfs, Vfs as _};
use cairn_testkit::Random;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

/// Counts, and looks at the disk between the batches.
struct Watch<'a> {
    removed: BTreeSet<Multihash>,
    look: Box<dyn Fn() -> bool + 'a>,
}

impl<'a> Watch<'a> {
    fn new(look: impl Fn() -> bool + 'a) -> Self {
        Self { removed: BTreeSet::new(), look: Box::new(look) }
    }
}

impl SweepObserver for Watch<'_> {
    fn removed(&mut self, hash: &Multihash) {
        assert!(self.removed.insert(hash.clone()), "told twice");
    }

    fn goes_on(&self) -> bool {
        (self.look)()
    }
}

fn sweep(collection: Collection, live: &[Block]) -> (Swept, BTreeSet<Multihash>) {
    let marks = collection.mark(&cids(live)).unwrap();
    assert!(marks.iter().all(|mark| *mark == Mark::First));
    let mut watch = Watch::new(|| true);
    let swept = collection.sweep(&mut watch).unwrap();
    (swept, watch.removed)
}

fn collect(store: &Store, live: &[Block]) -> (Swept, BTreeSet<Multihash>) {
    sweep(store.collect().unwrap(), live)
}

fn hashes(blocks: &[Block]) -> BTreeSet<Multihash> {
    blocks.iter().map(|block| block.cid().multihash().clone()).collect()
}

fn blocks(numbers: std::ops::Range<u64>, len: usize) -> Vec<Block> {
    numbers.map(|number| block(number, len)).collect()
}

/// Every part-th block, from the first or from the second on, and the others.
fn split(all: &[Block], part: usize) -> (Vec<Block>, Vec<Block>) {
    let (mut some, mut others) = (Vec::new(), Vec::new());
    for (at, block) in all.iter().enumerate() {
        if at % part == 0 { &mut some } else { &mut others }.push(block.clone());
    }
    (some, others)
}

fn packs_len(vfs: &MemoryVfs) -> u64 {
    let len = |name: &String| vfs.len(&root().join("blocks").join(name)).unwrap().unwrap();
    vfs.list(&root().join("blocks")).unwrap().iter().map(len).sum()
}

/// Checks a store, then what a kill leaves of it, with its index and without.
#[track_caller]
fn assert_holds(vfs: &MemoryVfs, store: &Store, live: &[Block], dead: &[Block]) {
    let check = |store: &Store, how: &str| {
        assert_has(store, live);
        assert!(listed(store) == names(live), "{how}");
        assert_eq!(store.stat().unwrap().block_count, live.len() as u64, "{how}");
        for block in dead {
            assert_eq!(get(store, block).unwrap(), None, "{how}");
        }
        assert_eq!(store.damage(), [], "{how}");
    };
    check(store, "as it is");
    let killed = vfs.snapshot();
    check(&open(&killed), "after a kill");
    let closed = vfs.snapshot();
    drop(open(&closed));
    check(&open(&closed), "after a clean end");
    let bare = vfs.snapshot();
    bare.remove(&root().join("index")).unwrap();
    check(&open(&bare), "without its index");
}

#[test]
fn what_nobody_keeps_goes_and_gives_its_space_back() {
    for len in [10, 4096, 100_000, 1 << 20] {
        let vfs = memory();
        let store = open(&vfs);
        let dead = blocks(0..(12 << 20) / (len as u64 + 60), len);
        for batch in dead.chunks(700) {
            store.append(batch).unwrap();
        }
        store.flush().unwrap();
        let before = packs_len(&vfs);
        let (swept, removed) = collect(&store, &[]);
        assert_eq!(removed, hashes(&dead), "{len}");
        assert_eq!(swept.block_count, dead.len() as u64);
        assert!(!swept.short_of_space && !swept.stopped && swept.copied_len == 0);
        let after = packs_len(&vfs);
        assert!(after <= 10 * SEGMENT_HEADER_LEN as u64, "{after} bytes are left");
        assert!(before - after <= swept.freed_len + 10 * SEGMENT_HEADER_LEN as u64);
        assert_holds(&vfs, &store, &[], &dead);
        store.append(&dead).unwrap();
        store.flush().unwrap();
        assert_holds(&vfs, &store, &dead, &[]);
        assert_eq!(collect(&store, &dead).0, Swept::default());
    }
}

#[test]
fn what_is_live_is_copied_out_of_packs_that_are_mostly_garbage() {
    for (len, part) in [(10, 2), (4096, 2), (4096, 3), (100_000, 2), (500_000, 3)] {
        let vfs = memory();
        let store = open(&vfs);
        let all = blocks(0..(12 << 20) / (len as u64 + 60), len);
        store.append(&all).unwrap();
        store.flush().unwrap();
        let before = packs_len(&vfs);
        let (live, dead) = split(&all, part);
        let (swept, removed) = collect(&store, &live);
        assert_eq!(removed, hashes(&dead));
        assert!(swept.copied_len > 0);
        let after = packs_len(&vfs);
        assert!(after < before * 6 / (part as u64 * 5), "{len} {part}: {before} to {after}");
        assert_holds(&vfs, &store, &live, &dead);
        store.append(&dead).unwrap();
        store.flush().unwrap();
        assert_holds(&vfs, &store, &all, &[]);
    }
}

#[test]
fn scattered_garbage_goes_where_it_lies() {
    for len in [100, 4096, 100_000] {
        let vfs = memory();
        let store = open(&vfs);
        let all = blocks(0..(12 << 20) / (len as u64 + 60), len);
        store.append(&all).unwrap();
        store.flush().unwrap();
        let (dead, live) = split(&all, 10);
        // A second look at what was read before must not take zeros for it.
        assert_has(&store, &dead);
        let (swept, removed) = collect(&store, &live);
        assert_eq!(removed, hashes(&dead));
        assert_eq!(swept.copied_len, 0);
        assert_eq!(swept.freed_len > 0, len > 20_000, "{len}: {swept:?}");
        assert_holds(&vfs, &store, &live, &dead);
        // When more of it becomes garbage, the packs are worth copying from.
        let (kept, more) = split(&live, 2);
        assert_eq!(collect(&store, &kept).1, hashes(&more));
        let gone = [dead, more].concat();
        assert_holds(&vfs, &store, &kept, &gone);
        // Everything that a tombstone was for is gone, and so are the tombstones.
        assert_eq!(collect(&store, &[]).1, hashes(&kept));
        assert!(packs_len(&vfs) <= 20 * SEGMENT_HEADER_LEN as u64);
    }
}

#[test]
fn tombstones_outlive_what_they_delete() {
    let vfs = memory();
    let store = open(&vfs);
    // Pack 1 stays, with a deleted block in it; the tombstone is in pack 2, which goes.
    let first = blocks(0..39, 100_000);
    store.append(&first).unwrap();
    let others = blocks(100..138, 100_000);
    store.append(&others).unwrap();
    assert!(store.delete(first[3].cid()).unwrap());
    store.append(&blocks(200..210, 100_000)).unwrap();
    store.flush().unwrap();
    let live: Vec<Block> = first.iter().filter(|block| **block != first[3]).cloned().collect();
    let (_, removed) = collect(&store, &live);
    assert_eq!(removed.len(), 48);
    assert_eq!(vfs.len(&pack(2)).unwrap(), Some(SEGMENT_HEADER_LEN as u64));
    assert_holds(&vfs, &store, &live, &[others, vec![first[3].clone()]].concat());
    // Added again, it is there again, whatever the order in which packs are read.
    store.append(&first[3..4]).unwrap();
    store.flush().unwrap();
    assert_holds(&vfs, &store, &first, &[]);
    assert_eq!(collect(&store, &first).0.block_count, 0);
    assert_holds(&vfs, &store, &first, &[]);
}

#[test]
fn leases_keep_what_was_written_before_and_after_the_beginning() {
    let vfs = memory();
    let store = open(&vfs);
    let [old, before, during, found] = [0, 100, 200, 300].map(|from| blocks(from..from + 9, 99));
    store.append(&[old.clone(), found.clone()].concat()).unwrap();
    // What was written before anybody had a lease is held like what was written beside it; from
    // the next collection on it is told apart.
    drop(store.collect().unwrap());
    let lease = store.lease();
    store.append(&before).unwrap();
    store.append(&found[..3]).unwrap();
    assert_eq!(store.keep(&cids(&found[3..6])).unwrap(), [true; 3]);
    assert_eq!(store.keep(&[block(999, 9).cid().clone()]).unwrap(), [false]);
    let collection = store.collect().unwrap();
    assert!(store.collect().is_none(), "one at a time");
    store.append(&during).unwrap();
    assert_eq!(store.keep(&cids(&found[6..])).unwrap(), [true; 3]);
    assert_eq!(sweep(collection, &[]).1, hashes(&old));
    let live = [before.clone(), during.clone(), found.clone()].concat();
    assert_holds(&vfs, &store, &live, &old);
    // The lease still lasts, whoever else comes and goes.
    drop(store.lease());
    assert_eq!(collect(&store, &[]).0.block_count, 0);
    let late = store.lease();
    drop(lease);
    assert_eq!(collect(&store, &found).1, hashes(&[before, during].concat()));
    drop(late);
    assert_eq!(collect(&store, &[]).1, hashes(&found));
    assert_eq!(listed(&store).len(), 0);
}

#[test]
fn a_tombstone_is_kept_although_the_block_is_there_again() {
    let vfs = memory();
    let store = open(&vfs);
    let first = blocks(0..39, 100_000);
    store.append(&first).unwrap();
    store.append(&blocks(100..120, 100_000)).unwrap();
    assert!(store.delete(first[3].cid()).unwrap());
    store.append(&first[3..4]).unwrap();
    store.append(&blocks(200..210, 100_000)).unwrap();
    store.flush().unwrap();
    // The tombstone's pack goes, and the new record of the block moves.
    assert_eq!(collect(&store, &first).0.block_count, 30);
    assert_eq!(vfs.len(&pack(2)).unwrap(), Some(SEGMENT_HEADER_LEN as u64));
    assert_holds(&vfs, &store, &first, &[]);
    // Now that goes as well; what pack 1 still holds of it must not come back.
    store.append(&blocks(300..310, 100_000)).unwrap();
    store.flush().unwrap();
    let live: Vec<Block> = first.iter().filter(|block| **block != first[3]).cloned().collect();
    assert_eq!(collect(&store, &live).0.block_count, 11);
    assert_holds(&vfs, &store, &live, &first[3..4]);
}

#[test]
fn a_collection_that_is_dropped_or_stopped_loses_nothing() {
    let vfs = memory();
    let store = open(&vfs);
    let all = blocks(0..3000, 4096);
    store.append(&all).unwrap();
    store.flush().unwrap();
    drop(store.collect().unwrap());
    assert_holds(&vfs, &store, &all, &[]);
    let (live, dead) = split(&all, 2);
    for stop_after in 0..30 {
        let count = AtomicU64::new(0);
        let mut watch = Watch::new(|| count.fetch_add(1, Ordering::Relaxed) < stop_after);
        let collection = store.collect().unwrap();
        collection.mark(&cids(&live)).unwrap();
        let swept = collection.sweep(&mut watch).unwrap();
        assert_has(&store, &live);
        assert_has(&open(&vfs.snapshot()), &live);
        if !swept.stopped {
            assert!(stop_after > 2, "there is more than one batch");
            break;
        }
    }
    assert_holds(&vfs, &store, &live, &dead);
}

/// A kill between any two batches, and then the next collection.
#[test]
fn a_kill_in_the_middle_loses_nothing() {
    for (len, part) in [(4096, 2), (100_000, 3), (4096, 10)] {
        let vfs = memory();
        let store = open(&vfs);
        let all = blocks(0..(14 << 20) / (len as u64 + 60), len);
        store.append(&all).unwrap();
        store.flush().unwrap();
        let (live, dead) = split(&all, part);
        let killed = Mutex::new(Vec::new());
        let mut watch = Watch::new(|| {
            killed.lock().unwrap().push(vfs.snapshot());
            true
        });
        let collection = store.collect().unwrap();
        collection.mark(&cids(&live)).unwrap();
        collection.sweep(&mut watch).unwrap();
        drop(watch);
        let killed = killed.into_inner().unwrap();
        assert!(killed.len() > 3);
        for vfs in killed {
            let store = open(&vfs);
            assert_has(&store, &live);
            assert_eq!(store.damage(), []);
            let (_, removed) = collect(&store, &live);
            assert!(removed.is_subset(&hashes(&dead)));
            assert_holds(&vfs, &store, &live, &dead);
        }
    }
}

#[test]
fn a_full_disk_is_emptied() {
    let vfs = memory();
    let store = open(&vfs);
    let all = blocks(0..90, 100_000);
    store.append(&all).unwrap();
    store.flush().unwrap();
    vfs.set_room(10);
    assert!(store.append(&[block(1000, 100)]).unwrap_err().is_full());
    // Pack 1 has nothing live; the others would need room to be copied from.
    let live: Vec<Block> = all[41..].iter().step_by(2).cloned().collect();
    let (swept, _) = collect(&store, &live);
    assert!(swept.short_of_space, "{swept:?}");
    assert!(swept.freed_len > 3_800_000, "{swept:?}");
    assert_has(&store, &live);
    store.append(&[block(1000, 100)]).unwrap();
    store.flush().unwrap();
    // A single pack without anything live is emptied as it is.
    let vfs = memory();
    let store = open(&vfs);
    store.append(&all[..20]).unwrap();
    store.flush().unwrap();
    vfs.set_room(0);
    assert_eq!(collect(&store, &[]).0.block_count, 20);
    store.append(&all[20..39]).unwrap();
    store.flush().unwrap();
    assert_holds(&vfs, &store, &all[20..39], &all[..20]);
}

#[test]
fn what_is_corrupt_stays_known_as_such() {
    let vfs = memory();
    let store = open(&vfs);
    let all = blocks(0..20, 100_000);
    store.append(&all).unwrap();
    store.flush().unwrap();
    let file = vfs.open(&pack(1), cairn_runtime::Create::Never).unwrap();
    file.write_all_at(b"rot", 64 + 54 + 1000).unwrap();
    assert!(get(&store, &all[0]).is_err());
    let (live, dead) = split(&all, 2);
    assert_eq!(collect(&store, &live).1, hashes(&dead));
    assert!(get(&store, &all[0]).is_err(), "the copy is as corrupt as the record was");
    assert_has(&store, &live[1..]);
    store.append(&live[..1]).unwrap();
    store.flush().unwrap();
    assert_holds(&vfs, &store, &live, &dead);
}

/// Counts a writer out, however it ends.
struct Writing<'a>(&'a AtomicU64);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What is pinned: each pin by the number of who made it and when.
type Pinned = Mutex<BTreeMap<(u64, u64), Vec<Block>>>;

fn live(pinned: &Pinned) -> Vec<Block> {
    let pinned = pinned.lock().unwrap();
    let named = |block: &Block| (block.cid().multihash().clone(), block.clone());
    let unique: BTreeMap<_, _> = pinned.values().flatten().map(named).collect();
    unique.into_values().collect()
}

fn write_and_pin(store: &Store, pinned: &Pinned, (writer, round): (u64, u64)) {
    let mut random = Random::new(writer << 32 | round);
    // Some of it is what others write, or wrote and gave up.
    let batch: Vec<Block> = (0..60).map(|_| block(random.below(2000) as u64, 2000)).collect();
    let (written, wanted) = batch.split_at(40);
    let lease = store.lease();
    store.append(written).unwrap();
    let there = store.keep(&cids(wanted)).unwrap();
    let mut kept = written.to_vec();
    kept.extend(wanted.iter().zip(there).filter(|found| found.1).map(|found| found.0.clone()));
    store.flush().unwrap();
    pinned.lock().unwrap().insert((writer, round), kept.clone());
    drop(lease);
    assert_has(store, &kept);
    if round % 3 != 0 {
        pinned.lock().unwrap().remove(&(writer, round / 2));
    }
}

/// Writers, readers and collections at once: what is acknowledged and kept is never missing.
#[test]
fn eight_writers_and_a_collector() {
    const ROUNDS: u64 = 25;
    let vfs = memory();
    let store = open(&vfs);
    let pinned = Pinned::default();
    let writing = AtomicU64::new(8);
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let (store, pinned, writing) = (&store, &pinned, &writing);
            scope.spawn(move || {
                let _counted = Writing(writing);
                (1..=ROUNDS).for_each(|round| write_and_pin(store, pinned, (writer, round)));
            });
        }
        let mut count = 0;
        while writing.load(Ordering::SeqCst) > 0 {
            let collection = store.collect().unwrap();
            let marks = collection.mark(&cids(&live(&pinned))).unwrap();
            assert!(!marks.contains(&Mark::Absent));
            collection.sweep(&mut Watch::new(|| true)).unwrap();
            count += 1;
        }
        assert!(count > 0);
    });
    let live = live(&pinned);
    assert_has(&store, &live);
    collect(&store, &live);
    assert_eq!(listed(&store), names(&live));
    assert_has(&open(&vfs.snapshot()), &live);
}

/// Counts how often notes are settled.
#[derive(Debug, Default)]
struct Settler(AtomicU64);

impl Settle for Settler {
    fn settle(&self) -> Result<(), StoreError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn notes_are_settled_only_for_packs_that_they_rest_on() {
    for notes_come_first in [true, false] {
        let vfs = memory();
        let store = open(&vfs);
        let settler = Arc::new(Settler::default());
        let weak: Weak<Settler> = Arc::downgrade(&settler);
        store.set_settler(weak);
        store.notes_read(NotesKnown { from: None, last: Some(0) });
        let note = || {
            store.flush().unwrap();
            store.append_note(1, b"a change").unwrap();
            store.flush().unwrap();
        };
        if notes_come_first {
            note();
        }
        // Several packs of garbage, and more than one of what stays.
        let in_pack = SEGMENT_LEN_MAX >> 20;
        let (dead, live) = (blocks(0..3 * in_pack, 1 << 20), blocks(100..100 + in_pack, 1 << 20));
        store.append(&dead).unwrap();
        store.append(&live).unwrap();
        if !notes_come_first {
            note();
        }
        let (swept, _) = collect(&store, &live);
        assert!(swept.freed_len > SEGMENT_LEN_MAX);
        let count = settler.0.load(Ordering::Relaxed);
        assert_eq!(count > 0, notes_come_first, "settled {count} times");
    }
}
