//! DAGs that other implementations made: read whole, and built again to the same CID.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use bytes::Bytes;
use cairn_block::{Block, BlockStore as _, Cid, MemoryStore, Version, codec};
use cairn_chunk::ChunkSpec;
use cairn_dag::{IpfsPath, links};
use cairn_testkit::{block_on, car_blocks, gather, import_file};
use cairn_unixfs::{
    Child, Data, DataType, DirectoryBuilder, Entry, EntryKind, Metadata, Mtime, Options,
    UnixfsError, list, read, resolve,
};
use futures::TryStreamExt as _;
use std::{collections::HashSet, fs, path::Path};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/unixfs");

fn car(path: &str) -> (MemoryStore, Vec<Block>) {
    let blocks = car_blocks(&fs::read(Path::new(VECTORS).join(path)).unwrap()).unwrap();
    let store = MemoryStore::default();
    block_on(store.put_many(blocks.clone())).unwrap();
    (store, blocks)
}

/// Blocks that no other block links to.
fn roots(blocks: &[Block]) -> Vec<&Block> {
    let linked: HashSet<Cid> = blocks.iter().flat_map(|block| links(block).unwrap()).collect();
    blocks.iter().filter(|block| !linked.contains(block.cid())).collect()
}

/// go-unixfsnode, `data/fixtures`: messages encode back to the same bytes.
#[test]
fn data_messages_round_trip() {
    let rows = [
        ("directory", DataType::Directory),
        ("file.txt", DataType::File),
        ("raw", DataType::File),
        ("symlink.txt", DataType::Symlink),
    ];
    for (name, kind) in rows {
        let path = Path::new(VECTORS).join(format!("data/{name}.unixfs"));
        let bytes = Bytes::from(fs::read(path).unwrap());
        let data = Data::decode(&bytes).unwrap();
        assert_eq!((data.kind, data.encode()), (kind, bytes.to_vec()), "{name}");
    }
}

/// Every file and directory of the gateways' fixtures reads whole; one-node directories are
/// built again from their entries.
#[test]
fn gateway_fixtures_are_read_and_built_again() {
    let cars = [
        "gateway/fixtures.car",
        "gateway/dir-special-chars.car",
        "gateway/unixfs-dir-with-mode-mtime.car",
        "conformance/dir-with-files.car",
        "conformance/dir-with-percent-encoded-filename.car",
        "conformance/symlink.car",
    ];
    for name in cars {
        let (store, blocks) = car(name);
        let mut built = 0;
        for block in blocks.iter().filter(|block| block.cid().codec() == codec::DAG_PB) {
            let entry = Entry::of(block).unwrap();
            if !entry.is_directory() {
                continue;
            }
            let entries: Vec<_> = block_on(list(&store, block).try_collect()).unwrap();
            let metadata = Metadata { mode: entry.mode, mtime: entry.mtime };
            let options = Options { cid_version: block.cid().version(), ..Options::default() };
            let mut builder = DirectoryBuilder::with_metadata(&options, &metadata);
            for entry in entries {
                let child = Child { cid: entry.cid, data_len: 0, total_len: entry.total_len };
                builder.insert(entry.name, child).unwrap();
            }
            let again = builder.finish(&mut Vec::new()).unwrap();
            assert_eq!(&again.cid, block.cid(), "{name}");
            built += 1;
        }
        assert!(built > 0, "{name}");
    }
}

/// The UnixFS specification, "Symbolic Links" and "Simple Directory".
#[test]
fn symlinks_and_files_resolve() {
    let (store, blocks) = car("conformance/symlink.car");
    let root = roots(&blocks)[0].cid().clone();
    assert_eq!(root.to_string(), "QmWvY6FaqFMS89YAQ9NAPjVP4WZKA1qbHbicc9HeSKQTgt");
    let bar = block_on(resolve(&store, &IpfsPath::of(root.clone()).join("bar"))).unwrap();
    let kind = Entry::of(&bar.block).unwrap().kind;
    assert_eq!(kind, EntryKind::Symlink { target: "foo".to_owned() });

    let (store, _) = car("conformance/dir-with-files.car");
    let root = "bafybeihchr7vmgjaasntayyatmp5sv6xza57iy2h4xj7g46bpjij6yhrmy";
    let file = |name: &str| {
        let path = IpfsPath::parse(&format!("{root}/{name}")).unwrap();
        let found = block_on(resolve(&store, &path)).unwrap();
        gather(read(&store, &found.block, 0..u64::MAX)).unwrap()
    };
    assert_eq!(file("hello.txt"), b"hello world\n");
    let text = Bytes::from(file("multiblock.txt"));
    let options = Options { cid_version: Version::V1, raw_leaves: true, ..Options::default() };
    let again = import_file(&text, ChunkSpec::Fixed { len: 256 }, &options).unwrap();
    let expected = "bafybeigcisqd7m5nf3qmuvjdbakl5bdnh4ocrmacaqkpuh77qjvggmt2sa";
    assert_eq!(again.root.cid.to_string(), expected);
}

/// The UnixFS specification, "HAMT-Sharded Directory": a thousand numbered files.
#[test]
fn a_sharded_directory_is_listed_found_and_built_again() {
    let (store, blocks) = car("conformance/single-layer-hamt-with-multi-block-files.car");
    let root = "bafybeidbclfqleg2uojchspzd4bob56dqetqjsj27gy2cq3klkkgxtpn4i";
    let root = blocks.iter().find(|block| block.cid().to_string() == root).unwrap();
    let entries: Vec<_> = block_on(list(&store, root).try_collect()).unwrap();
    assert_eq!(entries.len(), 1000);
    let options =
        Options { cid_version: Version::V1, max_directory_links: 1, ..Options::default() };
    let mut builder = DirectoryBuilder::new(&options);
    for entry in entries {
        let path = IpfsPath::of(root.cid().clone()).join(&entry.name);
        let found = block_on(resolve(&store, &path));
        assert!(
            found.as_ref().map_or_else(UnixfsError::is_not_found, |found| found.cid == entry.cid),
            "{}: {found:?}",
            entry.name
        );
        let child = Child { cid: entry.cid, data_len: 0, total_len: entry.total_len };
        builder.insert(entry.name, child).unwrap();
    }
    assert_eq!(&builder.finish(&mut Vec::new()).unwrap().cid, root.cid());
}

/// go-unixfsnode, `hamt/fixtures`: an article of a large encyclopedia's shard is found through
/// several levels.
#[test]
fn names_are_found_in_incomplete_tries() {
    let (store, blocks) = car("car/wikipedia-cryptographic-hash-function.car");
    let mut shards = 0;
    for block in &blocks {
        match Entry::of(block).map(|entry| entry.kind) {
            Ok(EntryKind::Directory { sharded: true }) => shards += 1,
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(shards > 1);
    for root in roots(&blocks) {
        let path = IpfsPath::of(root.cid().clone()).join("wiki/Cryptographic_hash_function");
        let found = block_on(resolve(&store, &path)).unwrap();
        let bytes = gather(read(&store, &found.block, 0..u64::MAX)).unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains("hash function"));
    }
}

/// boxo, `gateway/testdata`: tries of several levels, and files of several blocks.
#[test]
fn a_trie_of_many_levels_is_searched() {
    let (store, blocks) = car("gateway/directory-with-multilayer-hamt-and-multiblock-files.car");
    let mut files = 0;
    for block in &blocks {
        let Ok(entry) = Entry::of(block) else { panic!("{}", block.cid()) };
        if entry.kind == EntryKind::File && block_on(is_complete(&store, block)) {
            let bytes = gather(read(&store, block, 0..u64::MAX)).unwrap();
            assert_eq!(bytes.len() as u64, entry.len, "{}", block.cid());
            files += 1;
        }
    }
    assert!(files > 0);
}

async fn is_complete(store: &MemoryStore, block: &Block) -> bool {
    let below = links(block).unwrap();
    store.stat_many(&below).await.unwrap().iter().all(Option::is_some)
}

#[test]
fn mode_and_mtime_of_other_makers_are_read() {
    let (store, blocks) = car("gateway/unixfs-dir-with-mode-mtime.car");
    let mut seen = Vec::new();
    for block in &blocks {
        let entry = Entry::of(block).unwrap();
        seen.push((entry.mode, entry.mtime));
    }
    assert!(seen.iter().any(|(mode, mtime)| mode.is_some() && mtime.is_some()), "{seen:?}");
    let valid = |mtime: &Mtime| mtime.secs > 0 && mtime.nanos < 1_000_000_000;
    assert!(seen.iter().filter_map(|(_, mtime)| mtime.as_ref()).all(valid), "{seen:?}");
    assert!(!store.is_empty());
}
