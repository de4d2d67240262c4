//! Adding: CIDs, order, metadata, durability, errors.

use crate::{Home, file};
use cairn_block::{Cid, codec};
use cairn_chunk::ChunkSpec;
use cairn_hash::code;
use cairn_node::{
    AddEntries, AddEntry, AddEntryError, AddEvent, AddKind, AddOptions, Fetch, Layout,
    LocalWalkOptions, Mtime, NodeError, local_entries,
};
use cairn_testkit::{Random, TreeEntry, TreeKind, TreeShape, import, import_file, tree};
use cairn_unixfs::{Child, Entry, FileBuilder, Metadata, Options, leaf_of};
use std::{
    fs,
    io::{self, Read},
};
use tokio::sync::mpsc;

const EMPTY_DIRECTORY: &str = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";

fn options(change: impl FnOnce(&mut AddOptions)) -> AddOptions {
    let mut options = AddOptions::default();
    change(&mut options);
    options
}

#[tokio::test]
async fn well_known_files_have_their_cids() {
    let v0 = AddOptions::default();
    let v1 = options(|o| o.cid_version = Some(1));
    let inline = options(|o| o.inline_limit = Some(32));
    let rows: &[(&[u8], &AddOptions, &str)] = &[
        (b"", &v0, "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"),
        (b"hello world\n", &v0, "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"),
        (b"hello world", &v0, "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD"),
        (b"", &v1, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
        (b"hello world", &v1, "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"),
        (b"hello world\n", &v1, "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"),
    ];
    let home = Home::new(false).await;
    for (data, options, cid) in rows {
        assert_eq!(home.add_bytes(data, options).await.to_string(), *cid);
        assert_eq!(home.cat(cid, Fetch::Local).await.unwrap(), *data);
    }
    let inlined = home.add_bytes(b"tiny", &inline).await;
    assert!(inlined.inlined().is_some(), "{inlined}");
    assert_eq!(home.cat(&inlined.to_string(), Fetch::Local).await.unwrap(), b"tiny");
}

#[tokio::test]
async fn directories_have_their_cids() {
    let home = Home::new(false).await;
    let empty = home.add(vec![AddEntry::directory("d")], &AddOptions::default()).await.unwrap();
    assert_eq!(empty.lines(), [format!("d {EMPTY_DIRECTORY}")]);
    let v1 = options(|o| o.cid_version = Some(1));
    let empty = home.add(vec![AddEntry::directory("d")], &v1).await.unwrap();
    let expected = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354";
    assert_eq!(empty.root().to_string(), expected);
}

/// Files around the edges of chunks, buffers and inner nodes, against the plain builder.
#[tokio::test]
async fn big_files_are_what_the_plain_builder_makes() {
    let home = Home::new(false).await;
    let cut = 1024;
    let rows = [
        (options(|o| o.chunker = ChunkSpec::Fixed { len: cut }), Options::default()),
        (
            options(|o| {
                o.chunker = ChunkSpec::Fixed { len: cut };
                o.cid_version = Some(1);
                o.hash_code = code::BLAKE3;
            }),
            Options { hash_code: code::BLAKE3, ..Options::v1() },
        ),
    ];
    let lens = [0, 1, cut - 1, cut, cut + 1, 174 * cut, 174 * cut + 1, 5_000_000, 30_000_001];
    for (add, build) in &rows {
        for len in lens {
            let data = Random::new(len as u64).bytes(len);
            let expected = import_file(&data, ChunkSpec::Fixed { len: cut }, build).unwrap();
            let cid = home.add_bytes(&data, add).await;
            assert_eq!(cid, expected.root.cid, "{len}");
            assert!(home.cat(&cid.to_string(), Fetch::Local).await.unwrap() == data, "{len}");
        }
    }
}

#[tokio::test]
async fn the_default_chunks_cross_buffers() {
    let home = Home::new(false).await;
    for options in [AddOptions::default(), options(|o| o.raw_leaves = Some(true))] {
        let raw_leaves = options.raw_leaves == Some(true);
        let build = Options { raw_leaves, ..Options::default() };
        for len in [4 << 20, (4 << 20) + 1, 50_000_000] {
            let data = Random::new(7).bytes(len);
            let expected = import_file(&data, ChunkSpec::default(), &build).unwrap();
            assert_eq!(home.add_bytes(&data, &options).await, expected.root.cid, "{len}");
        }
    }
}

/// What a chunk leaves over is the next one's beginning, in the same buffer or the one after.
#[tokio::test]
async fn cuts_by_content_are_those_of_the_plain_builder() {
    let home = Home::new(false).await;
    let names = ["buzhash", "rabin-1000-5000-20000", "fastcdc", "fastcdc-300-1000-5000"];
    for (index, name) in names.into_iter().enumerate() {
        let chunker = ChunkSpec::parse(name).unwrap();
        for (raw_leaves, layout) in [(false, Layout::Balanced), (true, Layout::Trickle)] {
            let add = options(|o| {
                o.chunker = chunker;
                o.raw_leaves = Some(raw_leaves);
                o.layout = layout;
            });
            let build = Options { raw_leaves, layout, ..Options::default() };
            for len in [0, 1, 299, 300, 200_000, 9_000_001, 17_000_000 + index] {
                let data = Random::new(len as u64).bytes(len);
                let expected = import_file(&data, chunker, &build).unwrap();
                let cid = home.add_bytes(&data, &add).await;
                assert_eq!(cid, expected.root.cid, "{name} {len}");
                assert!(home.cat(&cid.to_string(), Fetch::Local).await.unwrap() == data, "{len}");
            }
        }
    }
}

/// The root of a trickle is a node of its own, above however few leaves, and has the metadata.
#[tokio::test]
async fn a_trickles_root_has_the_metadata() {
    let home = Home::new(false).await;
    for len in [0_usize, 1, 600_000] {
        let data = Random::new(3).bytes(len);
        let add = options(|o| {
            o.layout = Layout::Trickle;
            o.mtime = Some(Mtime { secs: 7, nanos: 0 });
        });
        let build = Options { layout: Layout::Trickle, ..Options::default() };
        let mut builder = FileBuilder::with_metadata(
            &build,
            &Metadata { mode: None, mtime: Some(Mtime { secs: 7, nanos: 0 }) },
        );
        let mut blocks = Vec::new();
        for piece in data.chunks(262_144) {
            let leaf = leaf_of(data.slice_ref(piece), &build);
            let block = build.block(codec::DAG_PB, leaf).unwrap();
            let child = Child::leaf(block.cid().clone(), piece.len(), block.data().len());
            builder.push(child, &mut blocks).unwrap();
        }
        let expected = builder.finish(&mut blocks).unwrap();
        assert_eq!(home.add_bytes(&data, &add).await, expected.cid, "{len}");
    }
}

fn entries(tree: &[TreeEntry], prefix: &str) -> Vec<AddEntry> {
    let entry = |entry: &TreeEntry| {
        let path = format!("{prefix}{}", entry.path);
        match &entry.kind {
            TreeKind::Directory => AddEntry::directory(path),
            TreeKind::File(data) => file(&path, data.to_vec()),
            TreeKind::Symlink(target) => AddEntry::symlink(path, target.clone()),
        }
    };
    tree.iter().map(entry).collect()
}

#[tokio::test]
async fn random_trees_in_any_order_are_what_the_plain_builder_makes() {
    let home = Home::new(false).await;
    for seed in 0..20 {
        let tree = tree(seed, &TreeShape::default());
        let expected = import(&tree, ChunkSpec::default(), &Options::default()).unwrap();
        let mut random = Random::new(seed);
        for shuffled in [false, true] {
            let mut entries = entries(&tree, "top/");
            entries.insert(0, AddEntry::directory("top"));
            if shuffled {
                for index in (1..entries.len()).rev() {
                    entries.swap(index, random.below(index + 1));
                }
            }
            let added = home.add(entries, &AddOptions::default()).await.unwrap();
            assert_eq!(added.root(), expected.root.cid, "seed {seed}, shuffled {shuffled}");
            assert_eq!(added.lines().last().unwrap(), &format!("top {}", expected.root.cid));
            assert_eq!(added.lines().len(), tree.len() + 1, "an event for every entry");
        }
    }
}

#[tokio::test]
async fn a_large_directory_becomes_a_trie() {
    let home = Home::new(false).await;
    let files: Vec<TreeEntry> =
        (0..6000).map(|n| TreeEntry::file(&format!("file-{n:06}"), format!("{n}"))).collect();
    let expected = import(&files, ChunkSpec::default(), &Options::default()).unwrap();
    let added = home.add(entries(&files, "d/"), &AddOptions::default()).await.unwrap();
    assert_eq!(added.root(), expected.root.cid);
    let path = format!("/ipfs/{}/file-005999", added.root());
    assert_eq!(home.cat(&path, Fetch::Local).await.unwrap(), b"5999");
}

#[tokio::test]
async fn events_come_as_in_kubo() {
    let home = Home::new(false).await;
    let entries = || {
        vec![
            AddEntry::directory("d"),
            file("d/b", "b"),
            AddEntry::directory("d/sub"),
            file("d/sub/c", "c"),
            file("top", "t"),
        ]
    };
    let added = home.add(entries(), &AddOptions::default()).await.unwrap();
    assert_eq!(added.names(), ["d/b", "d/sub/c", "d/sub", "d", "top"]);
    assert_eq!(added.summary.roots.len(), 2);
    let wrap = options(|o| o.wrap = true);
    let added = home.add(entries(), &wrap).await.unwrap();
    assert_eq!(added.names(), ["d/b", "d/sub/c", "top", "d/sub", "d", ""]);
    let path = format!("/ipfs/{}/d/sub/c", added.root());
    assert_eq!(home.cat(&path, Fetch::Local).await.unwrap(), b"c");

    let nameless = home.add(vec![file("", "x")], &wrap).await.unwrap();
    let cid = Cid::clone(match &nameless.events[0] {
        AddEvent::Added { cid, .. } => cid,
        other => panic!("{other:?}"),
    });
    assert_eq!(nameless.names(), [cid.to_string(), String::new()]);
}

#[tokio::test]
async fn progress_counts_up_to_the_whole_file() {
    let home = Home::new(false).await;
    let with = options(|o| o.progress = true);
    let added = home.add(vec![file("f", vec![7; 9_000_000])], &with).await.unwrap();
    let bytes: Vec<u64> = added
        .events
        .iter()
        .filter_map(|event| match event {
            AddEvent::Progress { name, bytes } if name == "f" => Some(*bytes),
            _ => None,
        })
        .collect();
    assert!(bytes.len() > 1 && bytes.is_sorted(), "{bytes:?}");
    assert_eq!(bytes.last(), Some(&9_000_000));
    assert_eq!((added.summary.files, added.summary.bytes), (1, 9_000_000));
}

#[tokio::test]
async fn only_hash_writes_nothing() {
    let home = Home::new(false).await;
    let before = home.block_count().await;
    let only = options(|o| o.only_hash = true);
    let tree = [TreeEntry::file("a", vec![1; 700_000]), TreeEntry::file("b", "b")];
    let hashed = home.add(entries(&tree, "d/"), &only).await.unwrap();
    assert_eq!(home.block_count().await, before);
    assert!(home.node.pin_get(&hashed.root()).await.unwrap().is_none());
    let added = home.add(entries(&tree, "d/"), &AddOptions::default()).await.unwrap();
    assert_eq!(added.root(), hashed.root());
    assert!(home.block_count().await > before);
}

#[tokio::test]
async fn an_add_survives_a_restart_with_its_pin() {
    let home = Home::new(false).await;
    let named = options(|o| o.pin_name = "mine".to_owned());
    let kept = home.add_bytes(&vec![9; 1_000_000], &named).await;
    let unpinned = home.add_bytes(b"garbage", &options(|o| o.pin = false)).await;
    let home = home.reopen().await;
    assert_eq!(home.cat(&kept.to_string(), Fetch::Local).await.unwrap(), vec![9; 1_000_000]);
    assert_eq!(home.node.pin_get(&kept).await.unwrap().unwrap().name, "mine");
    assert!(home.node.pin_get(&unpinned).await.unwrap().is_none());
}

#[tokio::test]
async fn modes_and_times_are_kept() {
    let home = Home::new(false).await;
    let keep = options(|o| {
        o.preserve_mode = true;
        o.preserve_mtime = true;
    });
    let mtime = Some(Mtime { secs: -5, nanos: 7 });
    for len in [0, 10, 600_000] {
        let mut entry = file("f", vec![3; len]);
        (entry.mode, entry.mtime) = (Some(0o640), mtime);
        let added = home.add(vec![entry], &keep).await.unwrap();
        let root = home.block(&added.root()).await;
        let kept = Entry::of(&root).unwrap();
        assert_eq!((kept.mode, kept.mtime, kept.len), (Some(0o640), mtime, len as u64));
        let text = added.root().to_string();
        assert_eq!(home.cat(&text, Fetch::Local).await.unwrap(), vec![3; len]);
        assert!(matches!(
            &added.events[0],
            AddEvent::Added { mode: Some(0o640), mtime: Some(_), .. }
        ));
    }
    let for_all = options(|o| o.mode = Some(0o755));
    let added = home.add(vec![AddEntry::directory("d"), file("d/f", "x")], &for_all).await.unwrap();
    let root = home.block(&added.root()).await;
    assert_eq!(Entry::of(&root).unwrap().mode, Some(0o755));
}

#[tokio::test]
async fn empty_directories_are_left_out_on_demand() {
    let home = Home::new(false).await;
    let without = options(|o| o.empty_dirs = false);
    let entries = || vec![AddEntry::directory("d"), AddEntry::directory("d/e"), file("d/f", "x")];
    let with = home.add(entries(), &AddOptions::default()).await.unwrap();
    assert_eq!(with.names(), ["d/f", "d/e", "d"]);
    let added = home.add(entries(), &without).await.unwrap();
    assert_eq!(added.names(), ["d/f", "d"]);
    let root = home.add(vec![AddEntry::directory("d")], &without).await.unwrap();
    assert_eq!(root.root().to_string(), EMPTY_DIRECTORY, "a root stays");
}

#[tokio::test]
async fn bad_entries_end_the_add_and_are_named() {
    let home = Home::new(false).await;
    let rows: Vec<(&str, Vec<AddEntry>)> = vec![
        ("a/../b", vec![file("a/../b", "x")]),
        ("\"/etc\"", vec![file("/etc", "x")]),
        ("d/f was given twice", vec![file("d/f", "1"), file("d/f", "2")]),
        ("d/f/g was given twice", vec![file("d/f", "1"), file("d/f/g", "2")]),
        ("d/f was given twice", vec![file("d/f", "1"), AddEntry::directory("d/f")]),
    ];
    for (text, entries) in rows {
        let error = home.add(entries, &AddOptions::default()).await.err().unwrap();
        assert!(matches!(error, NodeError::Entry(_)), "{error}");
        assert!(error.to_string().contains(text), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_file_cut_short_is_noticed() {
    let home = Home::new(false).await;
    let mut entry = file("f", "four");
    entry.len = Some(5);
    let error = home.add(vec![file("before", "x"), entry], &AddOptions::default()).await;
    let error = error.err().unwrap();
    assert!(
        matches!(&error, NodeError::Entry(AddEntryError::Changed { expected: 5, actual: 4, .. })),
        "{error}"
    );
    let mut longer = file("f", "four");
    longer.len = Some(3);
    assert!(home.add(vec![longer], &AddOptions::default()).await.is_ok());
}

/// Fails after some bytes.
struct Broken(usize);

impl Read for Broken {
    fn read(&mut self, slot: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("the disk is on fire"));
        }
        let len = slot.len().min(self.0);
        self.0 -= len;
        Ok(len)
    }
}

#[tokio::test]
async fn a_failing_read_is_told_and_pins_nothing() {
    let home = Home::new(false).await;
    let entries = vec![file("d/a", "a"), AddEntry::file("d/bad", Broken(10_000_000))];
    let error = home.add(entries, &AddOptions::default()).await.err().unwrap().to_string();
    assert!(error.contains("d/bad") && error.contains("on fire"), "{error}");
    let missing: AddEntries = local_entries(vec!["/no/such".into()], LocalWalkOptions::default());
    let error = home.add_entries(missing, &AddOptions::default()).await.err().unwrap();
    assert!(error.to_string().contains("/no/such"), "{error}");
    let pins = home.node.pin_ls(cairn_node::PinFilter::All);
    assert_eq!(futures::StreamExt::count(pins).await, 0);
}

/// Gives zeros for ever.
struct Endless;

impl Read for Endless {
    fn read(&mut self, slot: &mut [u8]) -> io::Result<usize> {
        slot.fill(0);
        Ok(slot.len())
    }
}

#[tokio::test]
async fn dropping_the_receiver_stops_an_endless_add() {
    let home = Home::new(false).await;
    let (sender, receiver) = mpsc::channel(1);
    drop(receiver);
    let entries: AddEntries = Box::new(std::iter::once(Ok(AddEntry::file("f", Endless))));
    let error = home.node.add(entries, AddOptions::default(), sender).await.unwrap_err();
    assert!(matches!(error, NodeError::Cancelled), "{error}");
}

#[tokio::test]
async fn a_local_tree_comes_back_as_it_was() {
    let home = Home::new(false).await;
    let source = home.dir.path().join("source");
    fs::create_dir_all(source.join("sub")).unwrap();
    fs::write(source.join("a"), "one").unwrap();
    fs::write(source.join("sub/big"), vec![5; 3_000_000]).unwrap();
    fs::write(source.join(".hidden"), "no").unwrap();
    std::os::unix::fs::symlink("a", source.join("link")).unwrap();
    let walk = LocalWalkOptions { recursive: true, ..LocalWalkOptions::default() };
    let entries = local_entries(vec![source], walk);
    let added = home.add_entries(entries, &AddOptions::default()).await.unwrap();
    assert_eq!(
        added.names(),
        ["source/a", "source/link", "source/sub/big", "source/sub", "source"]
    );
    let big = format!("{}/sub/big", added.root());
    assert_eq!(home.cat(&big, Fetch::Local).await.unwrap(), vec![5; 3_000_000]);
    assert!(home.cat(&format!("{}/.hidden", added.root()), Fetch::Local).await.is_err());
}

#[tokio::test]
async fn many_adds_at_once_do_not_wait_for_each_other_for_ever() {
    let home = Home::new(false).await;
    let add = |seed: u64| {
        let home = &home;
        async move {
            let data = Random::new(seed).bytes(300_000);
            let cid = home.add_bytes(&data, &AddOptions::default()).await;
            assert!(home.cat(&cid.to_string(), Fetch::Local).await.unwrap() == data);
        }
    };
    futures::future::join_all((0..40).map(add)).await;
    let kinds: Vec<AddKind> = vec![AddKind::Directory];
    assert_eq!(format!("{kinds:?}"), "[Directory]");
}
