//! A directory that is changed has the CID of one that is made anew from the same entries, and
//! little of it is read.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use bytes::Bytes;
use cairn_block::{Block, BlockStore as _, BlockStoreExt as _, MemoryStore, Version, codec};
use cairn_dag::dag_pb::{PbLink, PbNode, encode};
use cairn_testkit::{SlowStore, block_on};
use cairn_unixfs::{
    Child, Data, DataType, DirectoryBuilder, DirectoryEditor, DirectoryEstimate, Entry, Metadata,
    Mtime, Options, UnixfsError, list,
};
use futures::TryStreamExt as _;
use proptest::prelude::{any, prop, proptest};
use std::collections::BTreeMap;

fn child(text: &str) -> Child {
    let block = Block::sha2_256(codec::RAW, Bytes::copy_from_slice(text.as_bytes()));
    Child { cid: block.cid().clone(), data_len: 0, total_len: text.len() as u64 }
}

fn built(
    entries: &BTreeMap<String, Child>,
    metadata: &Metadata,
    options: &Options,
) -> (Child, MemoryStore) {
    let mut builder = DirectoryBuilder::with_metadata(options, metadata);
    for (name, child) in entries {
        builder.insert(name.clone(), child.clone()).unwrap();
    }
    let mut out = Vec::new();
    let root = builder.finish(&mut out).unwrap();
    let store = MemoryStore::default();
    block_on(store.put_many(out)).unwrap();
    (root, store)
}

fn reopen(store: &MemoryStore, root: &Child, options: &Options) -> DirectoryEditor {
    let block = block_on(store.require(&root.cid)).unwrap();
    DirectoryEditor::open(&block, options).unwrap()
}

proptest! {
    #[test]
    fn changes_give_the_cids_that_building_gives(
        changes in prop::collection::vec((0_u8..4, "[a-d]{1,3}", any::<u8>()), 1..250),
        wide: bool,
        limit in 200_usize..3000,
        max_directory_links in prop::sample::select(vec![0_usize, 12, 30]),
        estimate in 0_u8..3,
        dated: bool,
    ) {
        let directory_estimate = match estimate {
            0 => DirectoryEstimate::Links,
            1 => DirectoryEstimate::Block,
            _ => DirectoryEstimate::Disabled,
        };
        let options = Options {
            hamt_fanout: if wide { 256 } else { 8 },
            directory_len_max: limit,
            max_directory_links,
            directory_estimate,
            ..Options::default()
        };
        let mtime = Some(Mtime { secs: 5, nanos: 6 });
        let metadata = if dated { Metadata { mode: Some(0o750), mtime } } else {
            Metadata::default()
        };
        let store = MemoryStore::default();
        let mut entries = BTreeMap::new();
        let mut editor = DirectoryEditor::new(&options, &metadata);
        for (what, name, number) in changes {
            let new = child(&"x".repeat(usize::from(number)));
            if what == 0 {
                let old = block_on(editor.remove(&store, &name)).unwrap();
                assert_eq!(old, entries.remove(&name));
            } else {
                let old = block_on(editor.insert(&store, name.clone(), new.clone())).unwrap();
                assert_eq!(old, entries.insert(name.clone(), new));
            }
            let found = block_on(editor.find(&store, &name)).unwrap();
            assert_eq!(found.map(|entry| entry.cid), entries.get(&name).map(|c| c.cid.clone()));
            if number % 3 > 0 {
                continue;
            }
            let mut out = Vec::new();
            let root = block_on(editor.finish(&store, &mut out)).unwrap();
            block_on(store.put_many(out)).unwrap();
            assert_eq!(root, built(&entries, &metadata, &options).0);
            match number % 4 {
                0 => editor.unload(),
                1 => editor = reopen(&store, &root, &options),
                _ => {}
            }
            let block = block_on(store.require(&root.cid)).unwrap();
            let listed: Vec<_> = block_on(list(&store, &block).try_collect()).unwrap();
            let listed: BTreeMap<String, u64> =
                listed.into_iter().map(|entry| (entry.name, entry.total_len)).collect();
            let expected: BTreeMap<String, u64> =
                entries.iter().map(|(name, child)| (name.clone(), child.total_len)).collect();
            assert_eq!(listed, expected);
            assert_eq!(editor.metadata(), metadata);
        }
    }
}

#[test]
fn one_change_among_a_hundred_thousand_reads_little_and_writes_the_path() {
    let options = Options::default();
    let entries: BTreeMap<String, Child> =
        (0..100_000).map(|index| (format!("entry {index:020}"), child("x"))).collect();
    let (root, store) = built(&entries, &Metadata::default(), &options);
    let block = block_on(store.require(&root.cid)).unwrap();
    let slow = SlowStore::new(&store, 1);
    let mut editor = DirectoryEditor::open(&block, &options).unwrap();
    let name = "entry 00000000000000012345";
    block_on(editor.insert(&slow, name.to_owned(), child("y"))).unwrap();
    assert!(slow.blocks() <= 2, "{} blocks on the path", slow.blocks());
    let mut out = Vec::new();
    let changed = block_on(editor.finish(&slow, &mut out)).unwrap();
    assert!(out.len() <= 3, "{} nodes named", out.len());
    assert!(slow.blocks() <= 100, "{} blocks in all, of {}", slow.blocks(), store.len());
    let before = slow.blocks();
    block_on(editor.remove(&slow, name)).unwrap();
    block_on(editor.insert(&slow, name.to_owned(), child("x"))).unwrap();
    let again = block_on(editor.finish(&slow, &mut out)).unwrap();
    // What was counted before is known to be enough, or nearly so.
    assert!(slow.blocks() - before <= 100, "{} blocks for the second", slow.blocks() - before);
    assert_ne!(changed, again);
    assert_eq!(again, root);
}

#[test]
fn what_is_not_changed_is_not_named_again() {
    let entries: BTreeMap<String, Child> =
        (0..50).map(|index| (format!("{index}"), child("x"))).collect();
    for max_directory_links in [0, 10] {
        let options = Options { max_directory_links, ..Options::default() };
        let (root, store) = built(&entries, &Metadata::default(), &options);
        let mut editor = reopen(&store, &root, &options);
        let mut out = Vec::new();
        assert_eq!(block_on(editor.remove(&store, "not there")).unwrap(), None);
        assert_eq!(block_on(editor.finish(&store, &mut out)).unwrap(), root);
        assert!(out.is_empty());
        let metadata = Metadata { mode: Some(0o700), mtime: None };
        editor.set_metadata(metadata);
        let described = block_on(editor.finish(&store, &mut out)).unwrap();
        assert_eq!(out.len(), 1, "only the root says it");
        assert_eq!(described, built(&entries, &metadata, &options).0);
        assert_eq!(Entry::of(&out[0]).unwrap().mode, Some(0o700));
    }
}

#[test]
fn broken_directories_and_names_are_refused() {
    let options = Options::default();
    let node = |data: Data, names: &[&str]| {
        let link = |name: &&str| PbLink::new((*name).to_owned(), child("x").cid, 1);
        let links = names.iter().map(link).collect();
        let encoded = encode(&PbNode { links, data: Some(data.encode().into()) });
        Block::sha2_256(codec::DAG_PB, encoded.into())
    };
    let shard = |field: u8| {
        let mut data = Data::new(DataType::HamtShard);
        data.data = Some(vec![field].into());
        (data.hash_type, data.fanout) = (Some(0x22), Some(8));
        data
    };
    let rows = [
        (node(Data::new(DataType::Directory), &["a", "a"]), "a name twice"),
        (node(shard(3), &["0a", "0b"]), "two links at one index"),
        (node(shard(1), &["Xa"]), "an invalid prefix"),
        (node(shard(1), &["8a"]), "an invalid prefix"),
        (node(shard(3), &["0a"]), "bit field"),
        (node(Data::new(DataType::File), &[]), "not a directory"),
    ];
    for (block, expected) in rows {
        let error = DirectoryEditor::open(&block, &options).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    // A shard whose child is a leaf.
    let store = MemoryStore::default();
    let leaf = Block::sha2_256(codec::RAW, Bytes::from_static(b"x"));
    block_on(store.put_many(vec![leaf])).unwrap();
    let every: Vec<String> = (0..8).map(|index| index.to_string()).collect();
    let names: Vec<&str> = every.iter().map(String::as_str).collect();
    let mut editor = DirectoryEditor::open(&node(shard(255), &names), &options).unwrap();
    let error = block_on(editor.insert(&store, "a".to_owned(), child("a"))).unwrap_err();
    assert!(matches!(error, UnixfsError::NotADirectory { .. }), "{error}");
    for name in ["", ".", "..", "a/b"] {
        let error = block_on(editor.insert(&store, name.to_owned(), child("a"))).unwrap_err();
        assert!(matches!(error, UnixfsError::EntryName { .. }), "{error}");
    }
}

#[test]
fn another_form_takes_hold_where_something_changes_or_everywhere() {
    let entries: BTreeMap<String, Child> =
        (0..500).map(|index| (format!("{index}"), child("x"))).collect();
    for max_directory_links in [0, 10] {
        let old = Options { max_directory_links, ..Options::default() };
        let new = Options { cid_version: Version::V1, ..old };
        let (root, store) = built(&entries, &Metadata::default(), &old);
        let (expected, _) = built(&entries, &Metadata::default(), &new);
        let mut editor = reopen(&store, &root, &old);
        editor.set_options(&new);
        let mut out = Vec::new();
        assert_eq!(block_on(editor.finish(&store, &mut out)).unwrap(), root, "nothing changed");
        block_on(editor.rebuild(&store, &new)).unwrap();
        assert_eq!(block_on(editor.finish(&store, &mut out)).unwrap(), expected);
        assert!(editor.held() >= entries.len(), "{} of it in memory", editor.held());
        block_on(store.put_many(out)).unwrap();
        editor.unload();
        if max_directory_links > 0 {
            assert!(editor.held() <= 256, "{} left in memory", editor.held());
        }
        block_on(editor.insert(&store, "0".to_owned(), child("y"))).unwrap();
        let mut out = Vec::new();
        let changed = block_on(editor.finish(&store, &mut out)).unwrap();
        assert_eq!(changed.cid.version(), Version::V1);
        assert!(out.len() <= 3, "{} nodes named", out.len());
    }
}

#[test]
fn names_that_are_no_text_stay_as_they_are() {
    let options = Options::default();
    let name = Bytes::from_static(&[b'n', 0xff]);
    let links = vec![PbLink::new(name.clone(), child("x").cid, 1)];
    let data = Data::new(DataType::Directory).encode().into();
    let node = PbNode { links, data: Some(data) };
    let root = Block::sha2_256(codec::DAG_PB, encode(&node).into());
    for max_directory_links in [0, 1] {
        let options = Options { max_directory_links, ..options };
        let store = MemoryStore::default();
        let mut editor = DirectoryEditor::open(&root, &options).unwrap();
        block_on(editor.insert(&store, "a".to_owned(), child("a"))).unwrap();
        let mut out = Vec::new();
        block_on(editor.finish(&store, &mut out)).unwrap();
        let nodes = out.iter().map(|block| cairn_dag::dag_pb::decode(block.data()).unwrap());
        let mut names = nodes.flat_map(|node| node.links).map(|link| link.name.unwrap());
        assert!(names.any(|found| found.ends_with(&name)), "in one node or as a trie");
    }
}
