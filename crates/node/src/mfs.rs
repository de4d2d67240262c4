//! MFS: one tree of files and directories that has a name, and can be changed.
//!
//! The tree is immutable blocks below one root. A change makes the directories on its path anew,
//! appends them to the store and moves the *head*; a flush writes the head's CID into the metadata,
//! behind those blocks, so that one `fdatasync` makes all of it durable. Readers take the head and
//! work on what is below it, whatever happens meanwhile.
//!
//! Changes take turns. While one has its turn it reads the local store and nothing else; a block
//! that it misses ends it, is fetched without the turn, and then it tries again. The turn ends
//! before the flush, so that those who flush at the same time share it: whoever comes to the commit
//! writes the newest head there is, for everybody who waits.
//!
//! Invariants, against collections (`gc.rs`): every block of the tree that a change makes is below
//! the tree that it began with, or was appended by it, also if it had been there before; what does
//! not change is linked to, and neither read nor written again. A change holds a lease from before
//! its first look until its head is committed, and the head keeps one as long as it is not. A
//! collection marks the root that it finds committed after it began. So, from one tree to the
//! next, all of a later one stays: what it took over was below the one before, and what was
//! appended for it was appended after the collection began, or under a lease that was held then;
//! had that been let go, its head or a later one was committed, and is what was marked.
//! Only `cp` links to blocks of which neither is true: it says so before its first look, and until
//! its head is committed (`link.rs`), so that a collection marks them, too.
//! Not here: the form of directories and files (`cairn-unixfs`), how a surface shows them.

mod change;
mod error;
mod file;
mod folder;
mod link;
mod local;
mod path;
mod read;
mod tree;
mod write;

pub use change::{MfsCopy, MfsFormat};
pub use error::MfsError;
pub use path::MfsPath;
pub use write::MfsWrite;

use crate::{Fetch, Node, NodeError, config::Settings};
use cairn_block::{Block, BlockStoreExt as _, Cid};
use cairn_runtime::blocking;
use cairn_store::{Lease, MFS_ROOT_KEY, MetaError, Repo};
use cairn_unixfs::{DirectoryBuilder, Options};
use file::Shape;
use folder::Folders;
use local::{Local, absent};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tree::Tree;

/// Blocks that a change may miss one after the other before it is given up.
const MISSED_COUNT_MAX: usize = 64;

/// The tree of one node.
#[derive(Debug)]
pub(crate) struct Mfs {
    repo: Arc<Repo>,
    /// Held by whoever changes the tree, with the directories that were changed last.
    turn: Mutex<Folders>,
    head: Mutex<Head>,
    /// Held by whoever commits the head.
    committing: Mutex<()>,
    /// Roots of what is being linked in from outside, some of them more than once.
    linking: Mutex<Vec<Cid>>,
}

/// The tree as it is now.
#[derive(Debug, Default)]
struct Head {
    /// `None` until it is read.
    root: Option<Root>,
    /// Counts the changes.
    version: u64,
    /// The version that is committed.
    committed: u64,
    /// Changes since then that nobody waits for.
    unflushed: u64,
    /// Keeps what is not committed: the oldest lease of those changes.
    lease: Option<Arc<Lease>>,
}

/// The root of a tree.
#[derive(Debug, Clone)]
pub(super) struct Root {
    pub(super) cid: Cid,
    /// The block, where it need not be in the store.
    pub(super) block: Option<Block>,
}

/// What a change is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    flush: bool,
    unflushed_max: u64,
    shape: Shape,
    /// Whether leaves are raw, if the config says so.
    raw_leaves: Option<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mfs {
    pub(crate) fn new(repo: Arc<Repo>) -> Self {
        let (turn, head, committing) = <(Mutex<Folders>, Mutex<Head>, Mutex<()>)>::default();
        Self { repo, turn, head, committing, linking: Mutex::default() }
    }

    pub(crate) fn repo(&self) -> &Repo {
        &self.repo
    }

    /// The root as it is now, and its version. Blocking.
    fn root(&self, options: &Options) -> Result<Root, NodeError> {
        if let Some(root) = &lock(&self.head).root {
            return Ok(root.clone());
        }
        let root = if let Some(cid) = committed_root(&self.repo)? {
            Root { cid, block: None }
        } else {
            let block = empty(options)?;
            Root { cid: block.cid().clone(), block: Some(block) }
        };
        // Somebody else may have read, and even changed it, meanwhile.
        Ok(lock(&self.head).root.get_or_insert(root).clone())
    }

    /// Changes the tree, and makes that durable if asked. Blocking.
    fn change<T>(
        &self,
        terms: &Terms,
        lease: &Arc<Lease>,
        work: impl FnOnce(&mut Tree<'_>) -> Result<T, NodeError>,
    ) -> Result<T, NodeError> {
        let mut folders = lock(&self.turn);
        let root = self.root(&terms.shape.options)?;
        let unflushed = lock(&self.head).unflushed;
        if !terms.flush && terms.unflushed_max > 0 && unflushed >= terms.unflushed_max {
            return Err(MfsError::Unflushed { limit: terms.unflushed_max }.into());
        }
        let mut tree = Tree::new(self.repo.store(), root.clone(), (&mut folders, &terms.shape));
        let worked = work(&mut tree);
        let (new, changed) = tree.into_root();
        let answer = match worked {
            Ok(answer) => answer,
            Err(error) => return Err(root_error(error, &root.cid)),
        };
        let mut newer = None;
        let version = {
            let mut head = lock(&self.head);
            if changed {
                head.root = Some(new);
                head.version += 1;
                // The oldest covers what was asked to stay under all of them.
                if head.lease.as_ref().is_none_or(|held| lease.is_older(held)) {
                    newer = head.lease.replace(Arc::clone(lease));
                }
                head.unflushed += u64::from(!terms.flush);
            }
            head.version
        };
        drop((folders, newer));
        if terms.flush {
            self.commit(version)?;
        }
        Ok(answer)
    }

    /// Makes durable what the tree was in this version, or in a later one. Blocking.
    fn commit(&self, version: u64) -> Result<(), NodeError> {
        let _committing = lock(&self.committing);
        let (root, newest, unflushed) = {
            let head = lock(&self.head);
            if head.committed >= version {
                return Ok(());
            }
            let Some(root) = &head.root else { return Ok(()) };
            (root.cid.clone(), head.version, head.unflushed)
        };
        let values = vec![(MFS_ROOT_KEY.to_owned(), Some(root.to_bytes()))];
        self.repo.meta().set(values).map_err(|error| NodeError::Pin(error.into()))?;
        let released = {
            let mut head = lock(&self.head);
            head.committed = newest;
            // Others may have changed it meanwhile, so there need never be a moment without any.
            head.unflushed = head.unflushed.saturating_sub(unflushed);
            let current = head.version == newest;
            head.lease.take_if(|_| current)
        };
        drop(released);
        Ok(())
    }

    /// Makes durable what there is. Blocking.
    pub(crate) fn flush(&self) -> Result<(), NodeError> {
        let version = lock(&self.head).version;
        self.commit(version)
    }
}

/// The root that is committed, if there is one. Blocking.
pub(crate) fn committed_root(repo: &Repo) -> Result<Option<Cid>, NodeError> {
    let failed = |error: MetaError| NodeError::Pin(error.into());
    let bytes = repo.meta().get(MFS_ROOT_KEY).map_err(failed)?;
    bytes.map(|bytes| Cid::from_bytes(&bytes).map_err(|_| NodeError::MfsRoot)).transpose()
}

/// An empty directory.
fn empty(options: &Options) -> Result<Block, NodeError> {
    let mut out = Vec::new();
    DirectoryBuilder::new(options).finish(&mut out)?;
    out.pop().ok_or_else(|| MfsError::Missing.into())
}

/// Says what to do if it is the root that is wrong.
fn root_error(error: NodeError, root: &Cid) -> NodeError {
    if absent(&error).is_some_and(|cid| cid == root) {
        return MfsError::Root { cid: root.clone(), reason: error.to_string() }.into();
    }
    error
}

impl Node {
    /// What the config says of the tree.
    fn mfs_terms(&self, flush: bool) -> Result<Terms, NodeError> {
        let (shape, unflushed_max) = self
            .config()
            .read(|settings: &Settings| Ok((settings.import()?, settings.mfs_unflushed_max()?)))?;
        let (chunker, raw_leaves) = (shape.chunker, shape.raw_leaves);
        let options = crate::add::build_options(shape)?;
        Ok(Terms { flush, unflushed_max, shape: Shape { options, chunker }, raw_leaves })
    }

    /// Runs a change; blocks that it misses are fetched, if that is asked for, and it runs again.
    async fn mfs_change<T: Send + 'static>(
        &self,
        (terms, fetch): (Terms, Fetch),
        lease: Arc<Lease>,
        work: impl Fn(&mut Tree<'_>) -> Result<T, NodeError> + Send + Sync + 'static,
    ) -> Result<T, NodeError> {
        let work = Arc::new(work);
        let mut blocks = None;
        for _ in 0..MISSED_COUNT_MAX {
            let (mfs, lease) = (Arc::clone(self.mfs()), Arc::clone(&lease));
            let again = Arc::clone(&work);
            let result = blocking(move || mfs.change(&terms, &lease, |tree| again(tree))).await;
            let missed = match &result {
                Err(NodeError::Mfs(MfsError::Root { cid, .. })) => Some(cid.clone()),
                Err(error) => absent(error).cloned(),
                Ok(_) => None,
            };
            let Some(missed) = missed.filter(|_| fetch == Fetch::Network && self.is_online())
            else {
                return result;
            };
            let blocks = blocks.get_or_insert_with(|| self.blocks(fetch).keeping());
            if let Err(error) = blocks.require(&missed).await {
                return match result {
                    Err(NodeError::Mfs(MfsError::Root { cid, .. })) => {
                        Err(MfsError::Root { cid, reason: error.to_string() }.into())
                    }
                    _ => Err(error.into()),
                };
            }
        }
        Err(MfsError::Refused { reason: "too many blocks of the tree are not here" }.into())
    }

    /// Reads the head.
    async fn mfs_root(&self) -> Result<Root, NodeError> {
        if let Some(root) = &lock(&self.mfs().head).root {
            return Ok(root.clone());
        }
        let (mfs, options) = (Arc::clone(self.mfs()), self.mfs_terms(true)?.shape.options);
        blocking(move || mfs.root(&options)).await
    }

    /// Makes every change of MFS so far durable.
    ///
    /// # Errors
    ///
    /// [`NodeError::Pin`] or [`NodeError::Store`] if the disk refuses; the changes are still
    /// there, and a later flush tries again.
    pub async fn mfs_flush(&self) -> Result<(), NodeError> {
        let mfs = Arc::clone(self.mfs());
        blocking(move || mfs.flush()).await
    }

    /// Makes another directory the root of MFS, durably; an empty one without a CID. Answers the
    /// old root, if there was one that could be read.
    ///
    /// # Errors
    ///
    /// [`MfsError::NewRoot`] for one that is not here or no directory.
    pub async fn mfs_chroot(&self, cid: Option<Cid>) -> Result<(Option<Cid>, Cid), NodeError> {
        let options = self.mfs_terms(true)?.shape.options;
        let _until_committed = self.store().lease();
        let (mfs, local) = (Arc::clone(self.mfs()), Local(self.store().clone()));
        blocking(move || {
            let new = match cid {
                None => {
                    let block = empty(&options)?;
                    local.0.append(std::slice::from_ref(&block))?;
                    block.cid().clone()
                }
                Some(cid) => {
                    local.0.keep(std::slice::from_ref(&cid))?;
                    tree::check_root(&local, &cid)?;
                    cid
                }
            };
            let _turn = lock(&mfs.turn);
            let failed = |error: MetaError| NodeError::Pin(error.into());
            let old = mfs.repo.meta().get(MFS_ROOT_KEY).map_err(failed)?;
            let values = vec![(MFS_ROOT_KEY.to_owned(), Some(new.to_bytes()))];
            mfs.repo.meta().set(values).map_err(failed)?;
            *lock(&mfs.head) = Head::default();
            Ok((old.and_then(|bytes| Cid::from_bytes(&bytes).ok()), new))
        })
        .await
    }
}
