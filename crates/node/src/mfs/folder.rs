//! The directories that changes have in hand, kept for the next change.
//!
//! Not here: directories themselves (`cairn-unixfs`), paths (`tree.rs`).

use super::local::Local;
use crate::NodeError;
use cairn_block::{Block, Cid, Version};
use cairn_hash::code;
use cairn_unixfs::{Child, DirectoryEditor, Metadata, Options};
use std::collections::HashMap;

/// Directories that are kept.
const CACHED_COUNT_MAX: usize = 64;

/// Entries of directories that are kept, and links to nodes of tries; about 150 bytes each.
const CACHED_ENTRIES_MAX: usize = 1024 * 1024;

/// Of one directory: over that the nodes of a trie are let go, and read again when needed.
const HELD_MAX: usize = CACHED_ENTRIES_MAX / 4;

/// A directory while it is changed; reads what it needs from the local store.
#[derive(Debug)]
pub(super) struct Folder {
    editor: DirectoryEditor,
}

impl Folder {
    pub(super) fn new(options: &Options) -> Self {
        Self { editor: DirectoryEditor::new(options, &Metadata::default()) }
    }

    /// Opens the directory whose root is `block`; its CIDs stay of the version and hash that they
    /// have, and a trie of its width.
    pub(super) fn open(block: &Block, options: &Options) -> Result<Self, NodeError> {
        Ok(Self { editor: DirectoryEditor::open(block, &like(block.cid(), options))? })
    }

    /// Says how nodes that change are built.
    pub(super) fn set_options(&mut self, options: &Options) {
        self.editor.set_options(options);
    }

    /// Builds every node anew.
    pub(super) fn rebuild(&mut self, local: &Local, options: &Options) -> Result<(), NodeError> {
        Ok(local.wait(self.editor.rebuild(local, options))?)
    }

    /// Changes what the directory says about itself.
    pub(super) fn describe(&mut self, change: impl FnOnce(&mut Metadata)) {
        let mut metadata = self.editor.metadata();
        change(&mut metadata);
        self.editor.set_metadata(metadata);
    }

    pub(super) fn get(&mut self, local: &Local, name: &str) -> Result<Option<Cid>, NodeError> {
        Ok(local.wait(self.editor.find(local, name))?.map(|entry| entry.cid))
    }

    pub(super) fn insert(
        &mut self,
        local: &Local,
        name: &str,
        child: Child,
    ) -> Result<(), NodeError> {
        local.wait(self.editor.insert(local, name.to_owned(), child))?;
        Ok(())
    }

    pub(super) fn remove(&mut self, local: &Local, name: &str) -> Result<Option<Cid>, NodeError> {
        Ok(local.wait(self.editor.remove(local, name))?.map(|child| child.cid))
    }

    /// Names the directory as it is now; those of its nodes that changed go into `out`.
    pub(super) fn finish(
        &mut self,
        local: &Local,
        out: &mut Vec<Block>,
    ) -> Result<Child, NodeError> {
        Ok(local.wait(self.editor.finish(local, out))?)
    }
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
    held: usize,
}

impl Folders {
    /// Takes the directory called `cid` out, to be changed with these options.
    pub(super) fn take(&mut self, cid: &Cid, options: &Options) -> Option<Folder> {
        let mut folder = self.folders.remove(cid)?;
        self.held -= folder.editor.held();
        folder.set_options(&like(cid, options));
        Some(folder)
    }

    /// Keeps a directory; all of its nodes must be in the store.
    pub(super) fn put(&mut self, cid: Cid, mut folder: Folder) {
        if folder.editor.held() > HELD_MAX {
            folder.editor.unload();
        }
        let held = folder.editor.held();
        if self.folders.len() >= CACHED_COUNT_MAX || self.held + held > CACHED_ENTRIES_MAX {
            self.folders.clear();
            self.held = 0;
        }
        self.held += held;
        if let Some(old) = self.folders.insert(cid, folder) {
            self.held -= old.editor.held();
        }
    }
}
