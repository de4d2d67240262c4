//! Directories of every size: each entry is listed once and found by its path.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use bytes::Bytes;
use cairn_block::{Block, BlockStoreExt as _, Cid, MemoryStore, codec};
use cairn_chunk::ChunkSpec;
use cairn_dag::{DagError, IpfsPath};
use cairn_testkit::{
    Imported, Random, SlowStore, TreeEntry, TreeKind, TreeShape, block_on, gather, import, tree,
};
use cairn_unixfs::{
    Child, DirEntry, DirectoryBuilder, Entry, EntryKind, Metadata, Mtime, Options, UnixfsError,
    find, list, read, resolve,
};
use futures::{StreamExt as _, TryStreamExt as _};
use proptest::prelude::{prop, proptest};
use std::collections::{BTreeMap, BTreeSet};

fn child(text: &str) -> Child {
    let block = Block::sha2_256(codec::RAW, Bytes::copy_from_slice(text.as_bytes()));
    Child::leaf(block.cid().clone(), text.len(), text.len())
}

fn directory(names: &BTreeSet<String>, options: &Options) -> (Block, MemoryStore) {
    let mut builder = DirectoryBuilder::new(options);
    for name in names {
        builder.insert(name.clone(), child(name)).unwrap();
    }
    let mut blocks = Vec::new();
    let root = builder.finish(&mut blocks).unwrap();
    let imported = Imported { root, blocks };
    (imported.root_block().clone(), imported.into_store())
}

fn listed(store: &MemoryStore, root: &Block) -> Vec<DirEntry> {
    block_on(list(store, root).try_collect()).unwrap()
}

proptest! {
    #[test]
    fn every_name_is_listed_once_and_found(
        names in prop::collection::btree_set("[a-zäß🗿0-9 ]{1,12}", 0..300),
        bits in 3_u32..=10,
        max_directory_links in 0_usize..40,
    ) {
        let options = Options { hamt_fanout: 1 << bits, max_directory_links, ..Options::default() };
        let (root, store) = directory(&names, &options);
        let entry = Entry::of(&root).unwrap();
        let sharded = max_directory_links > 0 && names.len() > max_directory_links;
        assert_eq!(entry.kind, EntryKind::Directory { sharded });
        let entries = listed(&store, &root);
        assert_eq!(entries.len(), names.len());
        let found: BTreeSet<String> = entries.iter().map(|entry| entry.name.clone()).collect();
        assert_eq!(found, names);
        for entry in entries {
            assert_eq!(entry.cid, child(&entry.name).cid);
            assert_eq!(entry.total_len, entry.name.len() as u64);
            assert_eq!(block_on(find(&store, &root, &entry.name)).unwrap(), Some(entry));
        }
        assert_eq!(block_on(find(&store, &root, "not there")).unwrap(), None);
    }

    #[test]
    fn a_tree_comes_back_whole(seed: u64, max_directory_links in 0_usize..4) {
        let entries = tree(seed, &TreeShape::default());
        let options = Options { max_directory_links, hamt_fanout: 8, ..Options::default() };
        let imported = import(&entries, ChunkSpec::Fixed { len: 500 }, &options).unwrap();
        let root = imported.root.cid.clone();
        let store = imported.into_store();
        for TreeEntry { path, kind } in entries {
            let full = IpfsPath::of(root.clone()).join(&path);
            let found = block_on(resolve(&store, &full)).unwrap();
            let entry = Entry::of(&found.block).unwrap();
            assert_eq!(found.roots.len(), path.split('/').count() + 1);
            match kind {
                TreeKind::Directory => assert!(entry.is_directory(), "{path}"),
                TreeKind::Symlink(target) => {
                    assert_eq!(entry.kind, EntryKind::Symlink { target }, "{path}");
                }
                TreeKind::File(data) => {
                    let bytes = gather(read(&store, &found.block, 0..u64::MAX));
                    assert_eq!(bytes.unwrap(), data, "{path}");
                }
            }
        }
    }
}

#[test]
fn the_order_of_insertion_does_not_matter() {
    let options = Options { max_directory_links: 10, ..Options::default() };
    let names: Vec<String> = (0..500).map(|index| format!("name {index}")).collect();
    let mut roots = BTreeSet::new();
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let mut shuffled: BTreeMap<u64, &String> =
            names.iter().map(|name| (random.number(), name)).collect();
        let mut builder = DirectoryBuilder::new(&options);
        while let Some((_, name)) = shuffled.pop_first() {
            assert_eq!(builder.insert(name.clone(), child("other")).unwrap(), None);
            assert_eq!(builder.insert(name.clone(), child(name)).unwrap(), Some(child("other")));
        }
        assert_eq!(builder.len(), 500);
        roots.insert(builder.finish(&mut Vec::new()).unwrap().cid);
    }
    assert_eq!(roots.len(), 1);
}

#[test]
fn names_that_no_path_reaches_are_refused() {
    let mut builder = DirectoryBuilder::new(&Options::default());
    for name in ["", ".", "..", "a/b", "/"] {
        let error = builder.insert(name.to_owned(), child("x")).unwrap_err();
        assert!(matches!(error, UnixfsError::EntryName { .. }), "{error}");
    }
    assert!(builder.is_empty());
}

#[test]
fn replaced_entries_do_not_count_towards_the_threshold() {
    let options = Options::default();
    let mut builder = DirectoryBuilder::new(&options);
    for _ in 0..10_000 {
        builder.insert("a name of thirty bytes or so..".to_owned(), child("x")).unwrap();
    }
    let mut blocks = Vec::new();
    builder.finish(&mut blocks).unwrap();
    let entry = Entry::of(&blocks[0]).unwrap();
    assert_eq!(entry.kind, EntryKind::Directory { sharded: false });
}

#[test]
fn metadata_of_directories_is_kept() {
    let metadata =
        Metadata { mode: Some(0o755), mtime: Some(Mtime { secs: 1, nanos: 500_000_000 }) };
    for max_directory_links in [0, 1] {
        let options = Options { max_directory_links, ..Options::default() };
        let mut builder = DirectoryBuilder::with_metadata(&options, &metadata);
        for name in ["a", "b", "c"] {
            builder.insert(name.to_owned(), child(name)).unwrap();
        }
        let mut blocks = Vec::new();
        builder.finish(&mut blocks).unwrap();
        let entry = Entry::of(blocks.last().unwrap()).unwrap();
        assert_eq!((entry.mode, entry.mtime), (metadata.mode, metadata.mtime));
    }
}

#[test]
fn a_large_directory_is_listed_in_few_batches() {
    let names: BTreeSet<String> = (0..20_000).map(|index| format!("entry {index:020}")).collect();
    let (root, store) = directory(&names, &Options::default());
    let slow = SlowStore::new(&store, 30);
    let count = block_on(
        list(slow.clone(), &root)
            .map_ok(|_| 1)
            .try_fold(0, |sum, one| async move { Ok(sum + one) }),
    );
    assert_eq!(count.unwrap(), 20_000);
    assert_eq!(slow.blocks() + 1, store.len());
    assert!(slow.in_flight_max() >= 4, "{} batches in flight", slow.in_flight_max());
    assert!(slow.batches() < slow.blocks() / 20, "{} batches", slow.batches());
    let slow = SlowStore::new(&store, 1);
    let found = block_on(find(&slow, &root, "entry 00000000000000012345")).unwrap();
    assert!(found.is_some() && slow.blocks() <= 2, "{} blocks", slow.blocks());
}

#[test]
fn paths_that_lead_nowhere_say_where_they_end() {
    let entries = [
        TreeEntry::directory("a"),
        TreeEntry::file("a/file", &b"text"[..]),
        TreeEntry::symlink("a/link", "file"),
    ];
    let imported = import(&entries, ChunkSpec::default(), &Options::v1()).unwrap();
    let root = IpfsPath::of(imported.root.cid.clone());
    let store = imported.into_store();
    let at = |path: &str| block_on(resolve(&store, &root.clone().join(path)));
    let parent = at("a").unwrap();
    let error = at("a/no/b").unwrap_err();
    let expected = format!("no link named \"no\" under {}", parent.cid);
    assert_eq!(error.to_string(), expected);
    for path in ["a/file/below", "a/link/below", "b"] {
        let error = at(path).unwrap_err();
        assert!(matches!(error, UnixfsError::NoLink { .. }), "{path}: {error}");
        assert!(error.is_not_found());
    }
    let name = IpfsPath::parse("/ipns/example.com").unwrap();
    let error = block_on(resolve(&store, &name)).unwrap_err();
    assert!(matches!(error, UnixfsError::Name { .. }), "{error}");
    store.remove(&parent.cid);
    assert!(at("a/file").unwrap_err().is_not_found());
}

/// A path goes through maps and lists of any codec, over links to blocks of any other, and what is
/// left of it in the end is told.
#[test]
fn paths_cross_codecs() {
    use cairn_dag::{Node, codec as codecs};
    let encode =
        |code: u64, node: &Node| Block::sha2_256(code, codecs::encode(code, node).unwrap().into());
    let map = |name: &str, node: Node| Node::Map(vec![(name.to_owned(), node)]);
    let leaf = Block::sha2_256(codec::RAW, Bytes::from_static(b"leaf"));
    let json = encode(codec::DAG_JSON, &map("leaf", Node::link(leaf.cid().clone())));
    let list = Node::List(vec![Node::Integer(7), Node::link(json.cid().clone())]);
    let cbor = encode(codec::DAG_CBOR, &map("x", map("y", list)));
    let mut builder = DirectoryBuilder::new(&Options::default());
    builder.insert("data".to_owned(), Child::leaf(cbor.cid().clone(), 0, 1)).unwrap();
    let mut blocks = vec![cbor.clone(), json.clone(), leaf.clone()];
    let root = builder.finish(&mut blocks).unwrap();
    let store = Imported { root: root.clone(), blocks }.into_store();
    let at = |path: &str| block_on(resolve(&store, &IpfsPath::of(root.cid.clone()).join(path)));
    let rows: [(&str, &Block, &[&str]); 5] = [
        ("data", &cbor, &[]),
        ("data/x/y", &cbor, &["x", "y"]),
        ("data/x/y/0", &cbor, &["x", "y", "0"]),
        ("data/x/y/1", &json, &[]),
        ("data/x/y/1/leaf", &leaf, &[]),
    ];
    for (path, block, remaining) in rows {
        let found = at(path).unwrap();
        assert_eq!(
            (found.cid, &found.remaining[..]),
            (
                block.cid().clone(),
                &remaining.iter().map(ToString::to_string).collect::<Vec<_>>()[..]
            ),
            "{path}"
        );
    }
    assert_eq!(at("data/x/y/1/leaf").unwrap().roots.len(), 4);
    for path in ["data/z", "data/x/y/2", "data/x/y/01", "data/x/y/0/below", "data/x/y/1/leaf/below"]
    {
        let error = at(path).unwrap_err();
        assert!(matches!(error, UnixfsError::NoLink { .. }), "{path}: {error}");
    }
    let error = Entry::of(&cbor).unwrap_err();
    assert!(matches!(error, UnixfsError::Dag(DagError::Unsupported { .. })), "{error}");
}

#[test]
fn a_path_into_what_cannot_be_read_says_why() {
    let broken = Block::sha2_256(codec::DAG_CBOR, Bytes::from_static(b"\xa1"));
    let unknown = Block::sha2_256(0x90, Bytes::from_static(b"x"));
    for (block, expected) in
        [(broken, "is malformed: invalid dag-cbor"), (unknown, "not supported")]
    {
        let path = IpfsPath::of(block.cid().clone()).join("a");
        let root = Child::leaf(block.cid().clone(), 0, 0);
        let store = Imported { root, blocks: vec![block] }.into_store();
        let error = block_on(resolve(&store, &path)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn plain_dag_pb_links_are_followed_by_name() {
    use cairn_dag::dag_pb::{PbLink, PbNode, encode};
    let leaf = Block::sha2_256(codec::RAW, Bytes::from_static(b"leaf"));
    let links = vec![PbLink::new("there", leaf.cid().clone(), 4)];
    let node = encode(&PbNode { links, data: None });
    let node = Block::sha2_256(codec::DAG_PB, node.into());
    let path = IpfsPath::of(node.cid().clone()).join("there");
    let root = Child::leaf(node.cid().clone(), 0, 0);
    let store = Imported { root, blocks: vec![leaf.clone(), node] }.into_store();
    assert_eq!(block_on(resolve(&store, &path)).unwrap().block, leaf);
}

#[test]
fn what_is_not_a_directory_is_not_listed() {
    let entries = [TreeEntry::file("file", &b"text"[..]), TreeEntry::symlink("link", "file")];
    let imported = import(&entries, ChunkSpec::default(), &Options::default()).unwrap();
    let cids: Vec<Cid> = imported.blocks.iter().map(|block| block.cid().clone()).collect();
    let store = imported.into_store();
    for (cid, kind) in cids.iter().zip(["file", "symlink"]) {
        let block = block_on(store.require(cid)).unwrap();
        let items: Vec<_> = block_on(list(&store, &block).collect());
        assert_eq!(items.len(), 1);
        let text = items[0].as_ref().unwrap_err().to_string();
        assert_eq!(text, format!("{cid} is a {kind}, not a directory"));
    }
    let block = block_on(store.require(&cids[1])).unwrap();
    let items: Vec<_> = block_on(read(&store, &block, 0..9).collect());
    assert_eq!(
        items[0].as_ref().unwrap_err().to_string(),
        format!("{} is a symlink, not a file", cids[1])
    );
}
