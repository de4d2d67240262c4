//! Blocks whose bytes lie elsewhere: right or refused, never in the way of real bytes.

use super::{assert_has, block, cids, get, listed, memory, names, open, pack, read, root, write};
use crate::store::{Location, Reference, SourceError, Sources, Store};
use bytes::Bytes;
use cairn_block::{Block, BlockError};
use cairn_runtime::{MemoryVfs, Vfs as _};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

/// Files that a test may change.
#[derive(Debug, Default)]
struct Files(Mutex<BTreeMap<String, Bytes>>);

impl Files {
    fn set(&self, path: &str, bytes: Option<Bytes>) {
        let mut files = self.0.lock().unwrap();
        files.remove(path);
        files.extend(bytes.map(|bytes| (path.to_owned(), bytes)));
    }
}

impl Sources for Files {
    fn read(&self, reference: &Reference, len: usize) -> Result<Bytes, SourceError> {
        let files = self.0.lock().unwrap();
        let bytes = files.get(reference.location.text()).ok_or(SourceError::Missing)?;
        let start = reference.offset as usize;
        let part = bytes.get(start..start + len).ok_or(SourceError::Changed)?;
        Ok(bytes.slice_ref(part))
    }
}

/// Blocks one after the other in one file, and the references to them.
fn file(path: &str, blocks: &[Block]) -> (Bytes, HashMap<usize, Reference>) {
    let (mut bytes, mut references) = (Vec::new(), HashMap::new());
    for (at, block) in blocks.iter().enumerate() {
        let (location, offset) = (Location::file(path).unwrap(), bytes.len() as u64);
        let (source_len, source_mtime) = (None, Some((1, 2)));
        references.insert(at, Reference { location, offset, source_len, source_mtime });
        bytes.extend_from_slice(block.data());
    }
    (bytes.into(), references)
}

fn open_over(vfs: &MemoryVfs, files: &Arc<Files>) -> Store {
    let store = open(vfs);
    store.set_sources(Arc::<Files>::clone(files));
    store
}

/// A store that refers to 30 blocks in the file `a`.
fn referring() -> (MemoryVfs, Arc<Files>, Store, Vec<Block>) {
    let (vfs, files) = (memory(), Arc::new(Files::default()));
    let store = open_over(&vfs, &files);
    let blocks: Vec<Block> = (0..30).map(|number| block(number, 5000)).collect();
    let (bytes, references) = file("a", &blocks);
    files.set("a", Some(bytes));
    store.append_referring(&blocks, &references, false).unwrap();
    (vfs, files, store, blocks)
}

fn text_of(answer: Result<Option<Block>, BlockError>) -> String {
    answer.unwrap_err().to_string()
}

#[test]
fn references_give_their_blocks_as_long_as_the_bytes_are_there() {
    let (vfs, files, store, blocks) = referring();
    assert!(vfs.len(&pack(1)).unwrap() < Some(30 * 100), "nothing is copied");
    assert_has(&store, &blocks);
    assert_eq!(listed(&store), names(&blocks));
    let all: Vec<_> = store.references().map(Result::unwrap).collect();
    assert_eq!(all.len(), 30);
    assert_eq!(store.reference(blocks[3].cid()).unwrap().as_ref(), Some(&all[3]));
    assert_eq!((all[3].reference.offset, all[3].len), (3 * 5008, 5008));
    drop(store);
    for lose_index in [false, true] {
        if lose_index {
            vfs.remove(&root().join("index")).unwrap();
        }
        let store = open_over(&vfs, &files);
        assert_has(&store, &blocks);
        assert_eq!(store.damage(), []);
    }
    let store = open_over(&vfs, &files);
    let mut changed = files.0.lock().unwrap()["a"].to_vec();
    changed[2 * 5008 + 7] ^= 1;
    changed.truncate(29 * 5008 + 1);
    files.set("a", Some(changed.into()));
    assert!(text_of(get(&store, &blocks[2])).contains("refers to a, which has changed"));
    assert!(text_of(get(&store, &blocks[29])).contains("which has changed"));
    assert!(matches!(store.check_reference(&all[2]), Err(SourceError::Changed)));
    assert_has(&store, &blocks[3..29]);
    files.set("a", None);
    assert!(text_of(get(&store, &blocks[3])).contains("refers to a, which is gone"));
    assert_eq!(store.corrupt_count(), 0, "the store itself is whole");
    let without = open(&vfs.snapshot());
    assert!(text_of(get(&without, &blocks[3])).contains("nothing outside"));
}

#[test]
fn bytes_are_better_than_references_and_new_ones_better_than_old() {
    let (_vfs, files, store, blocks) = referring();
    let (bytes, elsewhere) = file("b", &blocks);
    files.set("b", Some(bytes));
    let none = HashMap::new();
    store.append_referring(&blocks[..10], &none, true).unwrap();
    assert_eq!(store.references().count(), 30, "they are good enough, if that is asked");
    store.append_referring(&blocks, &elsewhere, false).unwrap();
    files.set("a", None);
    assert_has(&store, &blocks);
    store.append(&blocks[..10]).unwrap();
    files.set("b", None);
    assert_has(&store, &blocks[..10]);
    assert_eq!(store.references().count(), 20);
    store.append_referring(&blocks, &elsewhere, false).unwrap();
    assert_eq!(store.references().count(), 20, "bytes stay");
    store.append_referring(&blocks, &none, true).unwrap();
    assert_has(&store, &blocks);
    assert_eq!(store.references().count(), 0, "what cannot be read is not good enough");
}

#[test]
fn a_torn_or_damaged_description_is_noticed() {
    let (vfs, files, store, blocks) = referring();
    let crashed = vfs.snapshot();
    drop(store);
    let bytes = read(&crashed, &pack(1));
    let record_len = (bytes.len() - 64) / 30;
    for len in 64 + 28 * record_len..=bytes.len() {
        for zeros in [false, true] {
            let vfs = crashed.snapshot();
            let mut torn = bytes[..len].to_vec();
            if zeros {
                torn.resize(bytes.len(), 0);
            }
            write(&vfs, &pack(1), &torn);
            let store = open_over(&vfs, &files);
            let whole = (len - 64) / record_len;
            assert_has(&store, &blocks[..whole]);
            for torn in &blocks[whole..] {
                assert!(get(&store, torn).unwrap().is_none(), "{len} {zeros}");
            }
        }
    }
    for at in 64 + record_len..64 + 2 * record_len {
        let vfs = vfs.snapshot();
        let mut broken = bytes.clone();
        broken[at] ^= 0x20;
        write(&vfs, &pack(1), &broken);
        let store = open_over(&vfs, &files);
        assert!(matches!(get(&store, &blocks[1]), Err(BlockError::Corrupt { .. })), "{at}");
        let mut scrub = store.scrub(None);
        let mut corrupt = 0;
        while let Some(step) = scrub.step().unwrap() {
            corrupt += step.corrupt.len();
        }
        assert_eq!(corrupt, 1, "{at}");
        store.append(&blocks).unwrap();
        assert_has(&store, &blocks);
    }
}

#[test]
fn collections_keep_and_drop_references_like_blocks() {
    let (vfs, files, store, blocks) = referring();
    let dead: Vec<Block> = (100..400).map(|number| block(number, 5000)).collect();
    store.append(&dead).unwrap();
    let live = &blocks[..20];
    let collection = store.collect().unwrap();
    collection.mark(&cids(live)).unwrap();
    let swept = collection.sweep(&mut super::encoding::NoObserver).unwrap();
    assert_eq!(swept.block_count, 310);
    assert_eq!(listed(&store), names(live));
    assert_has(&store, live);
    assert_eq!(store.references().count(), 20);
    store.flush().unwrap();
    drop(store);
    vfs.remove(&root().join("index")).unwrap();
    assert_has(&open_over(&vfs, &files), live);
    assert!(files.0.lock().unwrap().contains_key("a"));
}
