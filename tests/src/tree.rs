//! Files to move about: made from a seed, compared entry by entry.
//!
//! Invariant: the same seed makes the same tree, so a failure can be made again.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::{Path, PathBuf},
};

/// Bytes in one leaf of a file, in what Kubo adds unless told otherwise.
pub const CHUNK_LEN: usize = 256 * 1024;
/// Leaves under one inner node of a file, likewise.
pub const LINKS_MAX: usize = 174;

/// A stream of numbers that looks random and is the same for the same seed (`SplitMix64`).
#[derive(Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Starts the stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }

    /// `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.number().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}

/// Names that trip programs: spaces, marks of shells and markup, scripts, a dot in front.
const NAMES: &[&str] = &[
    "a",
    "with space",
    "-dash",
    ".hidden",
    "ünïcödé",
    "日本語",
    "emoji 🪨",
    "e\u{301}",
    "quo\"te'",
    "per%20cent",
    "q?a&b=c#d",
    "<b>",
    "back\\slash",
    "tab\tin",
    "CON",
    "a.b.c.tar.gz",
];

/// Lengths at which something changes: nothing, one byte, one leaf, two leaves.
const LENS: &[usize] =
    &[0, 1, 2, 63, 4096, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1, 2 * CHUNK_LEN, 3 * CHUNK_LEN + 7];

/// Makes a tree with every kind of entry: about 60 files and 6 MB.
pub fn make(folder: &Path, seed: u64) {
    let mut random = Random::new(seed);
    fs::create_dir_all(folder).expect("a folder can be made");
    for (index, len) in LENS.iter().enumerate() {
        write(&folder.join(format!("len-{index}")), &random.bytes(*len));
    }
    let named = folder.join("names");
    for name in NAMES {
        let inside = named.join(name);
        let len = random.below(3000) as usize;
        write(&inside.join(name), &random.bytes(len));
    }
    let mut deep = folder.join("deep");
    for level in 0..30 {
        deep = deep.join(format!("level {level}"));
    }
    write(&deep.join("bottom"), &random.bytes(100));
    write(&folder.join("big"), &random.bytes(9 * CHUNK_LEN + 11));
    write(&folder.join("same-1"), b"twice");
    write(&folder.join("same-2"), b"twice");
    fs::create_dir(folder.join("empty")).expect("a folder can be made");
    for (target, name) in [
        ("len-1", "link"),
        ("empty", "link to a folder"),
        ("../../outside", "link out of the tree"),
        ("nowhere", "link to nothing"),
        ("/etc/hostname", "link to the root"),
        (".", "link to itself"),
    ] {
        symlink(target, folder.join(name)).expect("a symlink can be made");
    }
}

/// Writes a file and the folders above it.
pub fn write(path: &Path, bytes: &[u8]) {
    let parent = path.parent().expect("a file lies in a folder");
    fs::create_dir_all(parent).expect("a folder can be made");
    fs::write(path, bytes).expect("a file can be written");
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Folder,
    /// A file's bytes.
    File(Vec<u8>),
    /// A symlink's target.
    Symlink(PathBuf),
}

/// Everything under `folder`, by path relative to it.
pub fn read(folder: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut entries = BTreeMap::new();
    let mut open = vec![PathBuf::new()];
    while let Some(inside) = open.pop() {
        for item in fs::read_dir(folder.join(&inside)).expect("a folder can be read") {
            let item = item.expect("a folder can be read");
            let path = inside.join(item.file_name());
            let kind = item.file_type().expect("an entry has a type");
            let entry = if kind.is_dir() {
                open.push(path.clone());
                Entry::Folder
            } else if kind.is_symlink() {
                Entry::Symlink(fs::read_link(item.path()).expect("a symlink can be read"))
            } else {
                Entry::File(fs::read(item.path()).expect("a file can be read"))
            };
            entries.insert(path, entry);
        }
    }
    entries
}

/// Checks that two trees hold the same entries, byte for byte.
///
/// # Panics
///
/// Naming the first paths that differ, without their bytes.
pub fn assert_same(expected: &Path, actual: &Path) {
    assert_same_entries(&read(expected), &read(actual));
}

/// [`assert_same`] for trees that were read before.
///
/// # Panics
///
/// Naming the first paths that differ, without their bytes.
pub fn assert_same_entries(expected: &BTreeMap<PathBuf, Entry>, actual: &BTreeMap<PathBuf, Entry>) {
    let names = expected.keys().chain(actual.keys().filter(|path| !expected.contains_key(*path)));
    let differing: Vec<&PathBuf> =
        names.filter(|path| expected.get(*path) != actual.get(*path)).take(5).collect();
    assert!(differing.is_empty(), "these differ: {differing:?}");
}

/// Kubo's library writes a fetched symlink as a file that holds its target.
pub fn with_symlinks_as_files(mut tree: BTreeMap<PathBuf, Entry>) -> BTreeMap<PathBuf, Entry> {
    for entry in tree.values_mut() {
        if let Entry::Symlink(target) = entry {
            *entry = Entry::File(target.as_os_str().as_bytes().to_vec());
        }
    }
    tree
}

#[cfg(test)]
mod tests {
    use super::{Entry, make, read};

    #[test]
    fn the_same_seed_makes_the_same_tree() {
        let folder = tempfile::tempdir().unwrap();
        for (name, seed) in [("a", 1), ("b", 1), ("c", 2)] {
            make(&folder.path().join(name), seed);
        }
        let tree = |name: &str| read(&folder.path().join(name));
        assert_eq!(tree("a"), tree("b"));
        assert_ne!(tree("a"), tree("c"));
        let count =
            |fits: fn(&Entry) -> bool| tree("a").values().filter(|entry| fits(entry)).count();
        assert!(count(|entry| matches!(entry, Entry::File(_))) > 25);
        assert_eq!(count(|entry| matches!(entry, Entry::Symlink(_))), 6);
    }
}
