//! The tree while somebody has the turn to change it.
//!
//! Invariant: nothing is waited for but the local disk; what is changed is appended to the store
//! before the next look, and the root moves only when every directory up to it is there.
//! Not here: who has the turn, and what becomes of the root (`mfs.rs`).

use super::{
    MfsError, Root,
    file::Shape,
    folder::{Folder, Folders, like},
    local::Local,
};
use crate::NodeError;
use cairn_block::{Block, Cid, codec};
use cairn_store::Store;
use cairn_unixfs::{Child, Entry, Options};

/// See the module.
pub(super) struct Tree<'a> {
    pub(super) local: Local,
    pub(super) shape: &'a Shape,
    root: Root,
    folders: &'a mut Folders,
    changed: bool,
}

/// Directories on the way that are not there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Parents {
    Fail,
    /// Made, in this form.
    Make(Options),
}

impl<'a> Tree<'a> {
    pub(super) fn new(
        store: &Store,
        root: Root,
        (folders, shape): (&'a mut Folders, &'a Shape),
    ) -> Self {
        Self { local: Local(store.clone()), shape, root, folders, changed: false }
    }

    pub(super) fn into_root(self) -> (Root, bool) {
        (self.root, self.changed)
    }

    fn root_block(&self) -> Result<Block, NodeError> {
        match &self.root.block {
            Some(block) => Ok(block.clone()),
            None => Ok(self.local.get(&self.root.cid)?),
        }
    }

    /// What stands at a path; `None` if nothing does.
    pub(super) fn find(&self, segments: &[String]) -> Result<Option<Block>, NodeError> {
        let mut block = self.root_block()?;
        for (index, name) in segments.iter().enumerate() {
            if !is_directory(&block)? {
                let path = segments[..=index].join("/");
                return Err(MfsError::Below { path }.into());
            }
            let found = self.local.wait(cairn_unixfs::find(&self.local, &block, name))?;
            let Some(entry) = found else { return Ok(None) };
            block = self.local.get(&entry.cid)?;
        }
        Ok(Some(block))
    }

    /// Changes the directory at `segments`, and with it those above.
    pub(super) fn edit<T>(
        &mut self,
        segments: &[String],
        parents: Parents,
        change: impl FnOnce(&mut Self, &mut Folder) -> Result<T, NodeError>,
    ) -> Result<T, NodeError> {
        let block = self.root_block()?;
        let mut folder = self.open(&block)?;
        // The root's form follows the config, as there is nothing above it that could say.
        folder.options = self.shape.options;
        let mut above: Vec<(Folder, &String)> = Vec::with_capacity(segments.len());
        for (index, name) in segments.iter().enumerate() {
            let next = match (folder.get(name), parents) {
                (Some(child), _) => {
                    let block = self.local.get(&child.cid)?;
                    if !is_directory(&block)? {
                        let path = format!("/{}", segments[..=index].join("/"));
                        return Err(MfsError::NotADirectory { path }.into());
                    }
                    self.open(&block)?
                }
                (None, Parents::Make(options)) => Folder::new(options),
                (None, Parents::Fail) => return Err(MfsError::Missing.into()),
            };
            above.push((std::mem::replace(&mut folder, next), name));
        }
        let answer = change(self, &mut folder)?;
        let mut out = Vec::new();
        let mut done = Vec::with_capacity(above.len() + 1);
        let mut child = folder.finish(&mut out)?;
        done.push((child.cid.clone(), folder));
        while let Some((mut folder, name)) = above.pop() {
            folder.insert(name, child);
            child = folder.finish(&mut out)?;
            done.push((child.cid.clone(), folder));
        }
        self.local.0.append(&out)?;
        for (cid, folder) in done {
            self.folders.put(cid, folder);
        }
        self.changed |= self.root.cid != child.cid || self.root.block.is_some();
        self.root = Root { cid: child.cid, block: None };
        Ok(answer)
    }

    fn open(&mut self, block: &Block) -> Result<Folder, NodeError> {
        match self.folders.take(block.cid()) {
            Some(folder) => Ok(folder),
            None => Folder::open(&self.local, block, &self.shape.options),
        }
    }

    /// Changes a directory's form.
    pub(super) fn reform(
        &mut self,
        block: &Block,
        change: impl FnOnce(&mut Options),
    ) -> Result<Child, NodeError> {
        let mut folder = Folder::open(&self.local, block, &self.shape.options)?;
        change(&mut folder.options);
        folder.options.check()?;
        let mut out = Vec::new();
        let child = folder.finish(&mut out)?;
        self.local.0.append(&out)?;
        Ok(child)
    }

    /// The form of what is made in place of `block`.
    pub(super) fn like(&self, block: &Block) -> Options {
        like(block.cid(), &self.shape.options)
    }
}

/// Whether a block is a directory; anything that is no UnixFS is an error.
pub(super) fn is_directory(block: &Block) -> Result<bool, NodeError> {
    Ok(Entry::of(block)?.is_directory())
}

/// How a directory links to a block.
pub(super) fn child_of(block: &Block) -> Result<Child, NodeError> {
    let entry = Entry::of(block)?;
    let cid = block.cid().clone();
    Ok(Child { cid, data_len: entry.len, total_len: entry.total_len })
}

/// Tells whether a CID can be the root.
pub(super) fn check_root(local: &Local, cid: &Cid) -> Result<(), NodeError> {
    let refuse = |reason: String| MfsError::NewRoot { cid: cid.clone(), reason };
    let found = local.0.read_many(std::slice::from_ref(cid)).pop().unwrap_or(Ok(None));
    let hint = "does not exist locally; fetch it first with 'cairn block get'";
    let block = found?.ok_or_else(|| refuse(hint.to_owned()))?;
    let entry = match cid.codec() {
        codec::DAG_PB => {
            Entry::of(&block).map_err(|error| refuse(format!("is unusable: {error}")))?
        }
        _ => return Err(refuse("must be a directory, got file".to_owned()).into()),
    };
    if entry.is_directory() {
        return Ok(());
    }
    Err(refuse(format!("must be a directory, got {}", entry.kind.name())).into())
}
