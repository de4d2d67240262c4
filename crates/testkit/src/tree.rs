//! Random trees of files, directories and symlinks.

use crate::Random;
use bytes::Bytes;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeKind {
    /// A directory; also listed if it is not empty.
    Directory,
    /// A file's bytes.
    File(Bytes),
    /// A symlink's target.
    Symlink(String),
}

/// One place in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// The path below the root, `a/b/c`; every directory stands before what is in it.
    pub path: String,
    /// What is there.
    pub kind: TreeKind,
}

impl TreeEntry {
    /// A directory.
    pub fn directory(path: &str) -> Self {
        Self { path: path.to_owned(), kind: TreeKind::Directory }
    }

    /// A file.
    pub fn file(path: &str, data: impl Into<Bytes>) -> Self {
        Self { path: path.to_owned(), kind: TreeKind::File(data.into()) }
    }

    /// A symlink.
    pub fn symlink(path: &str, target: &str) -> Self {
        Self { path: path.to_owned(), kind: TreeKind::Symlink(target.to_owned()) }
    }
}

/// How large a random tree may be.
#[derive(Debug, Clone, Copy)]
pub struct TreeShape {
    /// Directories within directories.
    pub depth: usize,
    /// Most entries of one directory.
    pub width: usize,
    /// Longest file, in bytes.
    pub file_len: usize,
}

impl Default for TreeShape {
    fn default() -> Self {
        Self { depth: 3, width: 6, file_len: 3000 }
    }
}

/// Names that have broken something somewhere before.
const NAMES: &[&str] = &[
    "a",
    "B",
    "README.md",
    "with space",
    "ä-umlaut",
    "日本語",
    "emoji-🗿",
    "%41",
    "q?#&",
    "-dash",
    ".hidden",
    "UPPER",
    "tab\there",
    "quote'\"",
    "back\\slash",
    "0",
    "00",
    "FF",
];

/// Makes a tree; equal seeds give equal trees.
pub fn tree(seed: u64, shape: &TreeShape) -> Vec<TreeEntry> {
    let mut entries = Vec::new();
    grow(&mut Random::new(seed), shape, "", shape.depth, &mut entries);
    entries
}

fn grow(
    random: &mut Random,
    shape: &TreeShape,
    parent: &str,
    depth: usize,
    entries: &mut Vec<TreeEntry>,
) {
    for index in 0..random.below(shape.width + 1) {
        let name = NAMES[random.below(NAMES.len())];
        let path = format!("{parent}{name}-{index}");
        match random.below(8) {
            0 => entries.push(TreeEntry::symlink(&path, &format!("../{name}"))),
            1..=3 if depth > 0 => {
                entries.push(TreeEntry::directory(&path));
                grow(random, shape, &format!("{path}/"), depth - 1, entries);
            }
            _ => {
                let len = random.below(shape.file_len + 1);
                let data = random.bytes(len);
                entries.push(TreeEntry::file(&path, data));
            }
        }
    }
}
