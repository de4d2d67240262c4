//! The store as its callers see it; crashes and damage are in the modules below.

mod crash;
mod damage;
mod encoding;
mod footer;
mod reference;
mod scrub;

use super::Store;
use crate::StoreError;
use bytes::Bytes;
use cairn_block::{Block, BlockError, Cid, Multihash, codec};
use cairn_runtime::{Create, MemoryVfs, RealVfs, Vfs as _};
use cairn_testkit::{Random, blockstore_contract};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

pub(super) fn root() -> &'static Path {
    Path::new("/r")
}

pub(super) fn memory() -> MemoryVfs {
    let vfs = MemoryVfs::default();
    vfs.create_dir(root(), true).unwrap();
    vfs
}

pub(super) fn open(vfs: &MemoryVfs) -> Store {
    Store::open(Arc::new(vfs.clone()), root()).unwrap()
}

/// A block that only this number makes, of `len` bytes and eight more.
pub(super) fn block(number: u64, len: usize) -> Block {
    let mut data = number.to_le_bytes().to_vec();
    data.extend_from_slice(&Random::new(number).bytes(len));
    Block::sha2_256(codec::RAW, data.into())
}

pub(super) fn cids(blocks: &[Block]) -> Vec<Cid> {
    blocks.iter().map(|block| block.cid().clone()).collect()
}

/// The block's answer, alone: `None` if absent.
pub(super) fn get(store: &Store, block: &Block) -> Result<Option<Block>, BlockError> {
    store.read_many(&[block.cid().clone()]).remove(0)
}

#[track_caller]
pub(super) fn assert_has(store: &Store, blocks: &[Block]) {
    for (answer, block) in store.read_many(&cids(blocks)).into_iter().zip(blocks) {
        // The bytes themselves would fill the report.
        assert!(answer.unwrap().as_ref() == Some(block), "{}", block.cid());
    }
    let lens: Vec<_> = blocks.iter().map(|block| Some(block.data().len() as u64)).collect();
    assert_eq!(store.lens(&cids(blocks)).unwrap(), lens);
}

pub(super) fn listed(store: &Store) -> BTreeMap<Multihash, u64> {
    let mut all = BTreeMap::new();
    for entry in store.list() {
        let (hash, len) = entry.unwrap();
        assert_eq!(all.insert(hash, len), None, "listed twice");
    }
    all
}

pub(super) fn names(blocks: &[Block]) -> BTreeMap<Multihash, u64> {
    let name = |block: &Block| (block.cid().multihash().clone(), block.data().len() as u64);
    blocks.iter().map(name).collect()
}

pub(super) fn pack(number: u32) -> std::path::PathBuf {
    root().join(format!("blocks/{number:06}.pack"))
}

fn read(vfs: &MemoryVfs, path: &Path) -> Vec<u8> {
    let file = vfs.open(path, Create::ReadOnly).unwrap();
    file.read_to_vec(0, usize::MAX).unwrap()
}

fn write(vfs: &MemoryVfs, path: &Path, bytes: &[u8]) {
    vfs.remove(path).unwrap();
    vfs.open(path, Create::New).unwrap().write_all_at(bytes, 0).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract() {
    blockstore_contract(&open(&memory())).await;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(Arc::new(RealVfs), dir.path()).unwrap();
    blockstore_contract(&store).await;
    let before = listed(&store);
    drop(store);
    let store = Store::open(Arc::new(RealVfs), dir.path()).unwrap();
    assert_eq!(listed(&store), before);
    assert_eq!(store.damage(), []);
}

#[test]
fn blocks_of_all_sizes_survive_a_reopening() {
    let vfs = memory();
    let mut random = Random::new(1);
    let mut blocks: Vec<Block> =
        (0..3000).map(|number| block(number, random.below(6000))).collect();
    blocks.extend((3000..3010).map(|number| block(number, (2 << 20) - 8)));
    let store = open(&vfs);
    for batch in blocks.chunks(777) {
        store.append(batch).unwrap();
    }
    store.append(&blocks[..100]).unwrap();
    assert_has(&store, &blocks);
    assert_has(&store, &blocks);
    assert_eq!(store.stat().unwrap().block_count, 3010);
    assert_eq!(listed(&store), names(&blocks));
    let len = store.stat().unwrap().disk_len;
    drop(store);
    assert!(vfs.len(&pack(4)).unwrap().is_some(), "several packs");
    let store = open(&vfs);
    assert_eq!((store.stat().unwrap().block_count, store.stat().unwrap().disk_len), (3010, len));
    let mut backwards = blocks.clone();
    backwards.reverse();
    assert_has(&store, &backwards);
    assert_eq!(listed(&store), names(&blocks));
    assert!(matches!(get(&store, &block(9999, 1)), Ok(None)));
}

#[test]
fn equal_blocks_in_a_batch_are_kept_once() {
    let vfs = memory();
    let store = open(&vfs);
    let one = block(1, 100);
    let same = one.clone().rename(Cid::v1(codec::DAG_CBOR, one.cid().multihash().clone())).unwrap();
    store.append(&[one.clone(), same.clone(), one.clone()]).unwrap();
    assert_has(&store, &[one, same]);
    assert_eq!(listed(&store).len(), 1);
}

#[test]
fn a_block_over_the_limit_is_refused() {
    let store = open(&memory());
    let large = block(1, (2 << 20) - 7);
    let error = store.append(&[block(2, 1), large]).unwrap_err();
    assert!(matches!(error, StoreError::Block(BlockError::TooLarge { .. })), "{error}");
    assert_eq!(listed(&store).len(), 0);
}

#[test]
fn deleted_blocks_stay_deleted_and_can_come_back() {
    let vfs = memory();
    let store = open(&vfs);
    let blocks: Vec<Block> = (0..10).map(|number| block(number, 50)).collect();
    store.append(&blocks).unwrap();
    assert!(store.delete(blocks[3].cid()).unwrap());
    assert!(!store.delete(blocks[3].cid()).unwrap());
    assert!(!store.delete(block(99, 1).cid()).unwrap());
    assert!(store.delete(blocks[4].cid()).unwrap());
    store.append(&blocks[4..5]).unwrap();
    let check = |store: &Store| {
        assert!(matches!(get(store, &blocks[3]), Ok(None)));
        assert_eq!(store.lens(&cids(&blocks[3..4])).unwrap(), [None]);
        assert_has(store, &blocks[4..]);
        assert_eq!(store.stat().unwrap().block_count, 9);
        assert_eq!(listed(store).len(), 9);
    };
    check(&store);
    drop(store);
    check(&open(&vfs));
    vfs.remove(&root().join("index")).unwrap();
    check(&open(&vfs));
}

#[test]
fn a_full_disk_stops_writes_until_there_is_room() {
    let vfs = memory();
    let store = open(&vfs);
    let [one, two, three] = [1, 2, 3].map(|number| block(number, 5000));
    store.append(std::slice::from_ref(&one)).unwrap();
    store.flush().unwrap();
    for room in [0, 1, 30, 60, 3000] {
        vfs.set_room(room);
        let error = store.append(&[two.clone(), three.clone()]).unwrap_err();
        assert!(error.is_full() && error.is_transient(), "{error}");
        assert_has(&store, std::slice::from_ref(&one));
        assert!(matches!(get(&store, &two), Ok(None)));
        store.flush().unwrap();
    }
    vfs.set_room(u64::MAX);
    store.append(&[two.clone(), three.clone()]).unwrap();
    assert_has(&store, &[one.clone(), two.clone(), three.clone()]);
    drop(store);
    assert_has(&open(&vfs), &[one, two, three]);
}

#[test]
fn a_disk_too_full_for_a_larger_index_still_takes_blocks() {
    let vfs = memory();
    let store = open(&vfs);
    let blocks: Vec<Block> = (0..3400).map(|number| block(number, 1)).collect();
    store.append(&blocks[..3200]).unwrap();
    // Enough for the records, not for a table four times the size.
    vfs.set_room(40_000);
    store.append(&blocks[3200..]).unwrap();
    assert_has(&store, &blocks);
    vfs.set_room(100);
    let error = store.append(&[block(9999, 5000)]).unwrap_err();
    assert!(error.is_full(), "{error}");
    drop(store);
    vfs.set_room(u64::MAX);
    assert_has(&open(&vfs), &blocks);
}

#[test]
fn a_failed_sync_ends_writing_and_what_it_lost_is_not_believed() {
    let vfs = memory();
    let store = open(&vfs);
    let [one, two, three] = [1, 2, 3].map(|number| block(number, 500));
    store.append(std::slice::from_ref(&one)).unwrap();
    store.flush().unwrap();
    store.append(std::slice::from_ref(&two)).unwrap();
    vfs.set_syncs_fail(true);
    assert!(matches!(store.flush(), Err(StoreError::SyncFailed { .. })));
    vfs.set_syncs_fail(false);
    assert!(matches!(store.flush(), Err(StoreError::SyncFailed { .. })), "no second chance");
    assert!(matches!(store.append(&[three]), Err(StoreError::SyncFailed { .. })));
    assert!(matches!(store.delete(one.cid()), Err(StoreError::SyncFailed { .. })));
    assert_has(&store, &[one.clone(), two.clone()]);
    drop(store);
    let store = open(&vfs);
    assert_has(&store, std::slice::from_ref(&one));
    assert!(matches!(get(&store, &two), Ok(None)), "its bytes may never have reached the disk");
    store.append(std::slice::from_ref(&two)).unwrap();
    store.flush().unwrap();
    assert_has(&store, &[one, two]);
}

#[test]
fn a_failed_sync_costs_nothing_that_was_there_before() {
    let before: Vec<Block> = (0..30).map(|number| block(number, 300_000)).collect();
    let new = block(99, 10);
    for lose_index in [false, true] {
        let vfs = memory();
        let store = open(&vfs);
        store.append(&before).unwrap();
        store.flush().unwrap();
        let vfs = vfs.snapshot();
        if lose_index {
            vfs.remove(&root().join("index")).unwrap();
        }
        let store = open(&vfs);
        store.append(std::slice::from_ref(&new)).unwrap();
        vfs.set_syncs_fail(true);
        assert!(store.flush().is_err());
        drop(store);
        vfs.set_syncs_fail(false);
        let store = open(&vfs);
        assert_has(&store, &before);
        assert!(matches!(get(&store, &new), Ok(None)));
    }
}

#[test]
fn concurrent_writers_and_readers_agree() {
    let vfs = memory();
    let store = open(&vfs);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let store = &store;
            let vfs = &vfs;
            scope.spawn(move || {
                for round in 0..20 {
                    let first = thread * 10_000 + round * 100;
                    // The last block of a batch is also the next thread's.
                    let mut blocks: Vec<Block> =
                        (first..first + 30).map(|number| block(number, 900)).collect();
                    blocks.push(block(1_000_000 + round, 900));
                    store.append(&blocks).unwrap();
                    assert_has(store, &blocks);
                    store.flush().unwrap();
                    if round % 10 == 9 {
                        assert_has(&open(&vfs.snapshot()), &blocks);
                    }
                }
            });
        }
    });
    assert_eq!(listed(&store).len(), 4 * 20 * 30 + 20);
}

#[derive(Debug, Clone)]
enum Step {
    Put(Vec<u64>),
    Delete(u64),
    Flush,
    Reopen,
    Crash,
    LoseIndex,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(0..60_u64, 1..12).prop_map(Step::Put),
        4 => (0..60_u64).prop_map(Step::Delete),
        2 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
        1 => Just(Step::LoseIndex),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn behaves_like_a_set(steps in prop::collection::vec(step(), 1..60)) {
        let universe: Vec<Block> =
            (0..60).map(|number| block(number, [3, 700, 70_000][number as usize % 3])).collect();
        let mut vfs = memory();
        let mut store = Some(open(&vfs));
        let mut model = BTreeSet::new();
        for step in steps {
            let open_store = store.as_ref().unwrap();
            match step {
                Step::Put(numbers) => {
                    let blocks: Vec<Block> =
                        numbers.iter().map(|&number| universe[number as usize].clone()).collect();
                    open_store.append(&blocks).unwrap();
                    model.extend(numbers);
                }
                Step::Delete(number) => {
                    let was_there = open_store.delete(universe[number as usize].cid()).unwrap();
                    prop_assert_eq!(was_there, model.remove(&number));
                }
                Step::Flush => open_store.flush().unwrap(),
                Step::Reopen => {
                    drop(store.take());
                    store = Some(open(&vfs));
                }
                // What was written but not synced survives the end of the process.
                Step::Crash => {
                    vfs = vfs.snapshot();
                    store = Some(open(&vfs));
                }
                Step::LoseIndex => {
                    vfs = vfs.snapshot();
                    vfs.remove(&root().join("index")).unwrap();
                    store = Some(open(&vfs));
                }
            }
            let store = store.as_ref().unwrap();
            for (number, answer) in store.read_many(&cids(&universe)).into_iter().enumerate() {
                let expected = model.contains(&(number as u64)).then(|| universe[number].clone());
                prop_assert_eq!(answer.unwrap(), expected, "{}", number);
            }
            prop_assert_eq!(store.stat().unwrap().block_count, model.len() as u64);
        }
        let store = store.unwrap();
        prop_assert_eq!(listed(&store).len(), model.len());
        prop_assert_eq!(store.damage(), vec![]);
    }
}

#[test]
fn neighbours_share_one_buffer_and_a_single_block_has_its_own() {
    let store = open(&memory());
    let blocks: Vec<Block> = (0..20).map(|number| block(number, 1000)).collect();
    store.append(&blocks).unwrap();
    let answers = store.read_many(&cids(&blocks));
    let data: Vec<Bytes> =
        answers.into_iter().map(|answer| answer.unwrap().unwrap().into_parts().1).collect();
    let (first, last) = (data[0].as_ptr() as usize, data[19].as_ptr() as usize);
    assert_eq!(last - first, 19 * (1008 + 54), "as they lie in the pack");
}
