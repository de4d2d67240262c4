//! One directory while it is changed: all its entries, and what it becomes.
//!
//! Invariant: what [`Folder::finish`] puts out is the whole directory, also those nodes that were
//! there before, so that a collection under way finds them written again.
//! Not here: which form a directory takes (`cairn-unixfs`), paths (`tree.rs`).

use super::{MfsError, local::Local};
use crate::NodeError;
use cairn_block::{Block, Cid, Version};
use cairn_dag::dag_pb;
use cairn_hash::code;
use cairn_unixfs::{Child, Data, DataType, DirectoryBuilder, Entry, Metadata, Options};
use futures::TryStreamExt as _;
use std::collections::{BTreeMap, HashMap};

/// Directories that are kept in memory for the next change.
const CACHED_COUNT_MAX: usize = 64;

/// Entries of directories that are kept in memory, about 150 bytes each.
const CACHED_ENTRIES_MAX: usize = 1024 * 1024;

/// A directory's entries.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) options: Options,
    metadata: Metadata,
    entries: BTreeMap<String, Child>,
}

impl Folder {
    pub(super) fn new(options: Options) -> Self {
        Self { options, metadata: Metadata::default(), entries: BTreeMap::new() }
    }

    /// Reads the directory whose root is `block`; its CIDs stay of the version and hash that they
    /// have, and a trie of its width.
    pub(super) fn open(local: &Local, block: &Block, options: &Options) -> Result<Self, NodeError> {
        let entry = Entry::of(block)?;
        let metadata = Metadata { mode: entry.mode, mtime: entry.mtime };
        let listing = cairn_unixfs::list(local.clone(), block);
        let mut entries = BTreeMap::new();
        let refuse = |reason| MfsError::Names { cid: block.cid().clone(), reason };
        for entry in local.wait(listing.try_collect::<Vec<_>>())? {
            if entry.name.contains(char::REPLACEMENT_CHARACTER) {
                return Err(refuse("it has names that are not UTF-8").into());
            }
            let child = Child { cid: entry.cid, data_len: 0, total_len: entry.total_len };
            if entries.insert(entry.name, child).is_some() {
                return Err(refuse("it has a name twice").into());
            }
        }
        let mut options = like(block.cid(), options);
        options.hamt_fanout = fanout(block).unwrap_or(options.hamt_fanout);
        Ok(Self { options, metadata, entries })
    }

    /// Changes what the directory says about itself.
    pub(super) fn describe(&mut self, change: impl FnOnce(&mut Metadata)) {
        change(&mut self.metadata);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Child> {
        self.entries.get(name)
    }

    pub(super) fn insert(&mut self, name: &str, child: Child) {
        self.entries.insert(name.to_owned(), child);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Child> {
        self.entries.remove(name)
    }

    /// Names the directory as it is now; its nodes go into `out`.
    pub(super) fn finish(&self, out: &mut Vec<Block>) -> Result<Child, NodeError> {
        let mut builder = DirectoryBuilder::with_metadata(&self.options, &self.metadata);
        for (name, child) in &self.entries {
            builder.insert(name.clone(), child.clone())?;
        }
        Ok(builder.finish(out)?)
    }
}

/// The width of a trie's nodes, if `block` is the root of one.
fn fanout(block: &Block) -> Option<usize> {
    let data = Data::decode(&dag_pb::decode(block.data()).ok()?.data?).ok()?;
    let fanout = data.fanout.filter(|_| data.kind == DataType::HamtShard)?;
    usize::try_from(fanout).ok()
}

/// `options` with the CID version and hash function that `cid` has.
pub(super) fn like(cid: &Cid, options: &Options) -> Options {
    let hash_code = match cid.multihash().code() {
        code::IDENTITY => options.hash_code,
        hash_code => hash_code,
    };
    let cid_version = match hash_code {
        code::SHA2_256 => cid.version(),
        _ => Version::V1,
    };
    Options { cid_version, hash_code, ..*options }
}

/// Directories as they were left, by their CID.
#[derive(Debug, Default)]
pub(super) struct Folders {
    folders: HashMap<Cid, Folder>,
    entry_count: usize,
}

impl Folders {
    pub(super) fn take(&mut self, cid: &Cid) -> Option<Folder> {
        let folder = self.folders.remove(cid)?;
        self.entry_count -= folder.entries.len();
        Some(folder)
    }

    pub(super) fn put(&mut self, cid: Cid, folder: Folder) {
        let len = folder.entries.len();
        let full =
            self.folders.len() >= CACHED_COUNT_MAX || self.entry_count + len > CACHED_ENTRIES_MAX;
        if full {
            self.folders.clear();
            self.entry_count = 0;
        }
        if len > CACHED_ENTRIES_MAX {
            return;
        }
        self.entry_count += len;
        if let Some(old) = self.folders.insert(cid, folder) {
            self.entry_count -= old.entries.len();
        }
    }
}
