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
use cairn_unixfs::{Child, Entry, Options, UnixfsError};

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

    /// What stands at a path; `None` if nothing does.
    pub(super) fn find(&mut self, segments: &[String]) -> Result<Option<Block>, NodeError> {
        let mut cid = self.root.cid.clone();
        for (index, name) in segments.iter().enumerate() {
            let Some(mut folder) = self.open(&cid)? else {
                let path = segments[..=index].join("/");
                return Err(MfsError::Below { path }.into());
            };
            let found = folder.get(&self.local, name);
            self.folders.put(cid, folder);
            let Some(child) = found? else { return Ok(None) };
            cid = child;
        }
        self.block(&cid).map(Some)
    }

    /// Changes the directory at `segments`, and with it those above.
    pub(super) fn edit<T>(
        &mut self,
        segments: &[String],
        parents: Parents,
        change: impl FnOnce(&mut Self, &mut Folder) -> Result<T, NodeError>,
    ) -> Result<T, NodeError> {
        let mut above = Vec::with_capacity(segments.len());
        let changed = self.descend(segments, parents, &mut above).and_then(|mut folder| {
            let answer = change(self, &mut folder)?;
            Ok((folder, answer))
        });
        let (mut folder, answer) = match changed {
            Ok(changed) => changed,
            Err(error) => {
                self.put_back(above);
                return Err(error);
            }
        };
        let mut out = Vec::new();
        let mut done = Vec::with_capacity(above.len() + 1);
        let mut child = folder.finish(&self.local, &mut out)?;
        done.push((Some(child.cid.clone()), folder));
        for ((_, mut folder), name) in above.into_iter().zip(segments).rev() {
            folder.insert(&self.local, name, child)?;
            child = folder.finish(&self.local, &mut out)?;
            done.push((Some(child.cid.clone()), folder));
        }
        self.local.0.append(&out)?;
        self.put_back(done);
        self.changed |= self.root.cid != child.cid || self.root.block.is_some();
        self.root = Root { cid: child.cid, block: None };
        Ok(answer)
    }

    /// Opens the directory at `segments`; those above, none of them changed, go into `above`, with
    /// the names of those that are there.
    fn descend(
        &mut self,
        segments: &[String],
        parents: Parents,
        above: &mut Vec<(Option<Cid>, Folder)>,
    ) -> Result<Folder, NodeError> {
        let not_a_directory = |index: usize| {
            let path = format!("/{}", segments[..index].join("/"));
            NodeError::from(MfsError::NotADirectory { path })
        };
        let root = self.root.cid.clone();
        let mut folder = self.open(&root)?.ok_or_else(|| not_a_directory(0))?;
        let mut cid = Some(root);
        // The root's form follows the config, as there is nothing above it that could say.
        folder.set_options(&self.shape.options);
        for (index, name) in segments.iter().enumerate() {
            let found = folder.get(&self.local, name);
            above.push((cid, folder));
            (cid, folder) = match (found?, parents) {
                (Some(child), _) => {
                    let next = self.open(&child)?.ok_or_else(|| not_a_directory(index + 1))?;
                    (Some(child), next)
                }
                (None, Parents::Make(options)) => (None, Folder::new(&options)),
                (None, Parents::Fail) => return Err(MfsError::Missing.into()),
            };
        }
        Ok(folder)
    }

    fn put_back(&mut self, folders: Vec<(Option<Cid>, Folder)>) {
        for (cid, folder) in folders {
            if let Some(cid) = cid {
                self.folders.put(cid, folder);
            }
        }
    }

    /// A block, which may be that of a root that is not in the store.
    fn block(&self, cid: &Cid) -> Result<Block, NodeError> {
        match &self.root.block {
            Some(block) if block.cid() == cid => Ok(block.clone()),
            _ => Ok(self.local.get(cid)?),
        }
    }

    /// Opens a directory; `None` if it is none.
    fn open(&mut self, cid: &Cid) -> Result<Option<Folder>, NodeError> {
        if let Some(folder) = self.folders.take(cid, &self.shape.options) {
            return Ok(Some(folder));
        }
        match Folder::open(&self.block(cid)?, &self.shape.options) {
            Err(NodeError::Unixfs(UnixfsError::NotADirectory { .. })) => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Builds a directory anew in another form.
    pub(super) fn reform(
        &mut self,
        block: &Block,
        change: impl FnOnce(&mut Options),
    ) -> Result<Child, NodeError> {
        let mut folder = Folder::open(block, &self.shape.options)?;
        let mut options = self.like(block);
        change(&mut options);
        options.check()?;
        folder.rebuild(&self.local, &options)?;
        let mut out = Vec::new();
        let child = folder.finish(&self.local, &mut out)?;
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
