//! Files and directories whose CIDs are compared with other implementations.
//!
//! `cargo run -p cairn-testkit --example samples -- DIR` writes them to disk, to be added by a
//! real Kubo; the CIDs that came out stand in the tests of `cairn-unixfs`.

use crate::{Random, TreeEntry, TreeShape, tree};
use bytes::Bytes;

/// A directory whose CID is known.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What it shows.
    pub name: String,
    /// What is in it.
    pub entries: Vec<TreeEntry>,
}

/// Length of a chunk, in bytes.
const CHUNK: usize = 262_144;

/// Links of a full inner node.
const LINKS: usize = 174;

/// Every sample, in a fixed order.
///
/// The files alone take some 330 MB: take one after the other.
pub fn samples() -> impl Iterator<Item = Sample> {
    let lens = [
        0,
        1,
        2,
        255,
        256,
        1000,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        2 * CHUNK,
        2 * CHUNK + 17,
        10 * CHUNK,
        LINKS * CHUNK - 1,
        LINKS * CHUNK,
        LINKS * CHUNK + 1,
        (LINKS + 1) * CHUNK,
        2 * LINKS * CHUNK + 1,
    ];
    let files = lens.into_iter().map(|len| {
        let data = Random::new(len as u64).bytes(len);
        Sample { name: format!("file-{len}"), entries: vec![TreeEntry::file("data", data)] }
    });
    let trees = (0..8).map(|seed| Sample {
        name: format!("tree-{seed}"),
        entries: tree(seed, &TreeShape::default()),
    });
    files.chain(directories()).chain(trees)
}

fn directories() -> impl Iterator<Item = Sample> {
    let sample = |name: &str, entries: Vec<TreeEntry>| Sample { name: name.to_owned(), entries };
    let hello = || Bytes::from_static(b"hello\n");
    let order = ["b", "a", "B", "A", "aa", "a.txt", "a-b", "ä", "z", "é", "~", "_"];
    let zeros = Bytes::from(vec![0; 3 * CHUNK + 5]);
    let fixed = [
        sample("empty", Vec::new()),
        sample("empty-in-empty", vec![TreeEntry::directory("a"), TreeEntry::directory("a/b")]),
        sample("order", order.iter().map(|name| TreeEntry::file(name, hello())).collect()),
        sample(
            "symlinks",
            vec![
                TreeEntry::file("file", hello()),
                TreeEntry::symlink("link", "file"),
                TreeEntry::symlink("dangling", "/no/such/ö"),
            ],
        ),
        sample("zeros", vec![TreeEntry::file("data", zeros)]),
        sample("unicode", vec![TreeEntry::file("文件夹 🗿.txt", hello())]),
    ];
    // A name of 30 bytes and a CID of 34: 64 bytes an entry, 4096 entries at the limit.
    let wides = [1000, 4095, 4097, 5000, 20_000]
        .into_iter()
        .map(|count| Sample { name: format!("wide-{count}"), entries: wide("", count) });
    let nested = std::iter::once_with(|| {
        let mut entries = vec![TreeEntry::directory("a"), TreeEntry::directory("a/b")];
        entries.extend(wide("a/b/", 6000));
        entries.push(TreeEntry::file("c", Bytes::from_static(b"after")));
        Sample { name: "nested-wide".to_owned(), entries }
    });
    fixed.into_iter().chain(wides).chain(nested)
}

fn wide(prefix: &str, count: usize) -> Vec<TreeEntry> {
    let entry = |index: usize| {
        let data = format!("{}", index % 7).into_bytes();
        TreeEntry::file(&format!("{prefix}entry-{index:024}"), data)
    };
    (0..count).map(entry).collect()
}
