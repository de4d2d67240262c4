//! What can be done to the tree, but for writing bytes.
//!
//! Not here: bytes of files (`write.rs`), turns and durability (`mfs.rs`).

use super::{
    MfsError, MfsPath,
    file::describe,
    link::Linking,
    tree::{Parents, Tree, child_of, is_directory},
};
use crate::{Blocks, Fetch, Node, NodeError};
use cairn_block::{Block, Version, codec};
use cairn_dag::WalkOptions;
use cairn_hash::code;
use cairn_runtime::blocking;
use cairn_unixfs::{Child, Entry, Metadata, Mtime, Options};
use futures::StreamExt as _;
use std::{pin::pin, sync::Arc};

/// In which form new nodes are named; what is `None` is as the config says, or as it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MfsFormat {
    /// The CIDs' version.
    pub cid_version: Option<Version>,
    /// The hash function's code; anything but sha2-256 means version 1.
    pub hash_code: Option<u64>,
}

impl MfsFormat {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.cid_version.is_none() && self.hash_code.is_none()
    }

    pub(super) fn apply(self, options: &mut Options) {
        if self.is_empty() {
            return;
        }
        options.hash_code = self.hash_code.unwrap_or(code::SHA2_256);
        options.cid_version = match self.cid_version {
            Some(version) if self.hash_code.is_none() => version,
            _ => Version::V1,
        };
    }
}

/// How to copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MfsCopy {
    /// A file that is there is replaced.
    pub force: bool,
    /// Directories that are missing on the way are made.
    pub parents: bool,
    /// The answer waits until it is durable.
    pub flush: bool,
    /// Where missing blocks of the tree may come from.
    pub fetch: Fetch,
}

/// What is copied.
enum Source {
    Path(MfsPath),
    Block(Block),
}

impl Node {
    /// Makes a directory; with `parents` also those above, and none if it is there.
    ///
    /// # Errors
    ///
    /// [`MfsError`] says what is in the way.
    pub async fn mfs_mkdir(
        &self,
        path: MfsPath,
        (parents, format): (bool, MfsFormat),
        (flush, fetch): (bool, Fetch),
    ) -> Result<(), NodeError> {
        let terms = self.mfs_terms(flush)?;
        if path.is_root() {
            let reason = "cannot create directory '/': Already exists";
            return if parents { Ok(()) } else { Err(MfsError::Refused { reason }.into()) };
        }
        let mut options = terms.shape.options;
        format.apply(&mut options);
        options.check()?;
        let lease = Arc::new(self.store().lease());
        self.mfs_change((terms, fetch), lease, move |tree| {
            let Some((above, name)) = path.split() else { return Ok(()) };
            if parents && let Some(block) = tree.find(path.segments())? {
                return if is_directory(&block)? { Ok(()) } else { Err(MfsError::Exists.into()) };
            }
            let ways = if parents { Parents::Make(options) } else { Parents::Fail };
            tree.edit(above, ways, |tree, folder| {
                if folder.get(&tree.local, name)?.is_some() {
                    return Err(MfsError::Exists.into());
                }
                let block = super::empty(&options)?;
                tree.local.0.append(std::slice::from_ref(&block))?;
                folder.insert(&tree.local, name, child_of(&block)?)
            })
        })
        .await
    }

    /// Copies what stands at `from` to `to`; a `to` that means a directory is the one to put it
    /// into.
    ///
    /// # Errors
    ///
    /// [`MfsError`] says what is in the way.
    pub async fn mfs_copy(
        &self,
        from: MfsPath,
        to: MfsPath,
        options: MfsCopy,
    ) -> Result<(), NodeError> {
        self.mfs_put(Source::Path(from), to, options).await
    }

    /// Links a file or directory into the tree; its root must be in hand, and nothing below it is
    /// fetched.
    ///
    /// # Errors
    ///
    /// [`MfsError`] says what is in the way.
    pub async fn mfs_link(
        &self,
        block: Block,
        to: MfsPath,
        options: MfsCopy,
    ) -> Result<(), NodeError> {
        self.mfs_put(Source::Block(block), to, options).await
    }

    async fn mfs_put(&self, from: Source, to: MfsPath, options: MfsCopy) -> Result<(), NodeError> {
        let MfsCopy { force, parents, flush, fetch } = options;
        let terms = self.mfs_terms(flush)?;
        let lease = Arc::new(self.store().lease());
        let mut linking = None;
        if let Source::Block(block) = &from {
            linking = Some(Linking::begin(self.mfs(), block.cid()));
            let (store, block) = (self.store().clone(), block.clone());
            blocking(move || store.append(&[block])).await?;
        }
        // What nobody flushes stays for as long as the lease of the head.
        if (!flush || self.store().is_collecting())
            && let Source::Block(block) = &from
        {
            self.mfs_keep(block).await;
        }
        self.mfs_change((terms, fetch), lease, move |tree| {
            // It lives as long as this may run, also when nobody waits any more.
            let _ = &linking;
            let child = match &from {
                Source::Path(path) => {
                    child_of(&tree.find(path.segments())?.ok_or(MfsError::Missing)?)?
                }
                Source::Block(block) => child_of(block)?,
            };
            let Some((above, name)) = to.split() else {
                let reason = "cannot create file with empty name";
                return Err(MfsError::Refused { reason }.into());
            };
            put(tree, (above, name), child, (force, parents))
        })
        .await
    }

    /// Asks what is here of a DAG to stay.
    async fn mfs_keep(&self, root: &Block) {
        let blocks = self.blocks(Fetch::Local).keeping();
        let roots = std::slice::from_ref(root.cid());
        let mut visits = pin!(cairn_dag::walk(blocks, roots, WalkOptions::default()));
        // What is not here has nothing to keep.
        while visits.next().await.is_some() {}
    }

    /// Moves what stands at `from` to `to`, or into `to` if that is a directory; a file there is
    /// replaced.
    ///
    /// # Errors
    ///
    /// [`MfsError`] says what is in the way.
    pub async fn mfs_move(
        &self,
        from: MfsPath,
        to: MfsPath,
        (flush, fetch): (bool, Fetch),
    ) -> Result<(), NodeError> {
        let terms = self.mfs_terms(flush)?;
        let lease = Arc::new(self.store().lease());
        self.mfs_change((terms, fetch), lease, move |tree| rename(tree, &from, &to)).await
    }

    /// Removes an entry; a directory only with `recursive`. With `force` nothing is looked at, and
    /// what is not there is gone already.
    ///
    /// # Errors
    ///
    /// [`MfsError`] says what is in the way.
    pub async fn mfs_remove(
        &self,
        path: MfsPath,
        (recursive, force): (bool, bool),
        fetch: Fetch,
    ) -> Result<(), NodeError> {
        if path.is_root() {
            return Err(MfsError::Refused { reason: "cannot delete root" }.into());
        }
        let terms = self.mfs_terms(true)?;
        let lease = Arc::new(self.store().lease());
        let removed = self.mfs_change((terms, fetch), lease, move |tree| {
            let Some((above, name)) = path.split() else { return Ok(()) };
            tree.edit(above, Parents::Fail, |tree, folder| {
                let cid = folder.remove(&tree.local, name)?.ok_or(MfsError::Missing)?;
                if force || recursive || !is_directory(&tree.local.get(&cid)?)? {
                    return Ok(());
                }
                let reason = "path is a directory, use -r to remove directories";
                Err(MfsError::Refused { reason }.into())
            })
        });
        match removed.await {
            Err(NodeError::Mfs(MfsError::Missing)) if force => Ok(()),
            answer => answer,
        }
    }

    /// Changes in which form the directory at `path` is named.
    ///
    /// # Errors
    ///
    /// [`MfsError`] for the root and for what is no directory.
    pub async fn mfs_reform(
        &self,
        path: MfsPath,
        format: MfsFormat,
        (flush, fetch): (bool, Fetch),
    ) -> Result<(), NodeError> {
        let terms = self.mfs_terms(flush)?;
        let lease = Arc::new(self.store().lease());
        self.mfs_change((terms, fetch), lease, move |tree| {
            let Some((above, name)) = path.split() else {
                let reason = "cannot change CID format of the MFS root; use 'ipfs config \
                              Import.CidVersion' and 'ipfs config Import.HashFunction' instead";
                return Err(MfsError::Refused { reason }.into());
            };
            let block = tree.find(path.segments())?.ok_or(MfsError::Missing)?;
            if !is_directory(&block)? {
                return Err(MfsError::Refused { reason: "can only update directories" }.into());
            }
            let child = tree.reform(&block, |options| format.apply(options))?;
            tree.edit(above, Parents::Fail, |tree, folder| folder.insert(&tree.local, name, child))
        })
        .await
    }

    /// Sets the permissions of what stands at `path`; zero takes them away.
    ///
    /// # Errors
    ///
    /// [`MfsError::Missing`].
    pub async fn mfs_chmod(
        &self,
        path: MfsPath,
        mode: u32,
        terms: (bool, Fetch),
    ) -> Result<(), NodeError> {
        self.mfs_describe(path, terms, move |metadata| metadata.mode = Some(mode)).await
    }

    /// Sets the time of the last change of what stands at `path`.
    ///
    /// # Errors
    ///
    /// [`MfsError::Missing`].
    pub async fn mfs_touch(
        &self,
        path: MfsPath,
        mtime: Mtime,
        terms: (bool, Fetch),
    ) -> Result<(), NodeError> {
        self.mfs_describe(path, terms, move |metadata| metadata.mtime = Some(mtime)).await
    }

    async fn mfs_describe(
        &self,
        path: MfsPath,
        (flush, fetch): (bool, Fetch),
        change: impl Fn(&mut Metadata) + Send + Sync + 'static,
    ) -> Result<(), NodeError> {
        let terms = self.mfs_terms(flush)?;
        let lease = Arc::new(self.store().lease());
        self.mfs_change((terms, fetch), lease, move |tree| {
            let block = tree.find(path.segments())?.ok_or(MfsError::Missing)?;
            let (described, total_len) = describe(&block, &change, &tree.like(&block))?;
            let Some((above, name)) = path.split() else {
                return tree.edit(&[], Parents::Fail, |_, folder| {
                    folder.describe(&change);
                    Ok(())
                });
            };
            tree.local.0.append(std::slice::from_ref(&described))?;
            let data_len = Entry::of(&described)?.len;
            let child = Child { cid: described.cid().clone(), data_len, total_len };
            tree.edit(above, Parents::Fail, |tree, folder| folder.insert(&tree.local, name, child))
        })
        .await
    }
}

/// Puts an entry where none is, or a file.
fn put(
    tree: &mut Tree<'_>,
    (above, name): (&[String], &str),
    child: Child,
    (force, parents): (bool, bool),
) -> Result<(), NodeError> {
    let ways = if parents { Parents::Make(tree.shape.options) } else { Parents::Fail };
    tree.edit(above, ways, |tree, folder| {
        if let Some(old) = folder.get(&tree.local, name)? {
            if !force {
                return Err(MfsError::Taken.into());
            }
            if is_directory(&tree.local.get(&old)?)? {
                let reason = "cp: cannot unlink existing file: not a file";
                return Err(MfsError::Refused { reason }.into());
            }
        }
        folder.insert(&tree.local, name, child)
    })
}

fn rename(tree: &mut Tree<'_>, from: &MfsPath, to: &MfsPath) -> Result<(), NodeError> {
    let Some((from_above, from_name)) = from.split() else {
        return Err(MfsError::Refused { reason: "cannot move the root" }.into());
    };
    let mut target = if to.means_directory() { to.join(from_name) } else { to.clone() };
    if to.means_directory() && !is_directory(&tree.find(to.segments())?.ok_or(MfsError::Missing)?)?
    {
        return Err(MfsError::NotADirectory { path: to.to_string() }.into());
    }
    let block = tree.find(from.segments())?.ok_or(MfsError::Missing)?;
    if let Some(there) = tree.find(target.segments())?
        && target.segments() != from.segments()
        && is_directory(&there)?
    {
        target = target.join(from_name);
        if let Some(there) = tree.find(target.segments())?
            && is_directory(&there)?
        {
            return Err(MfsError::Taken.into());
        }
    }
    if target.segments() == from.segments() {
        return Ok(());
    }
    if target.segments().starts_with(from.segments()) {
        let reason = "cannot move a directory into itself";
        return Err(MfsError::Refused { reason }.into());
    }
    let child = child_of(&block)?;
    let Some((above, name)) = target.split() else { return Ok(()) };
    tree.edit(above, Parents::Fail, |tree, folder| folder.insert(&tree.local, name, child))?;
    tree.edit(from_above, Parents::Fail, |tree, folder| {
        folder.remove(&tree.local, from_name).map(drop)
    })
}

/// Whether a block can be linked into the tree.
///
/// # Errors
///
/// [`MfsError::Refused`], as clients expect it.
pub(super) fn check_source(block: &Block) -> Result<(), NodeError> {
    let reason = "cp: source must be a valid UnixFS (dag-pb or raw codec)";
    let fits = matches!(block.cid().codec(), codec::RAW | codec::DAG_PB);
    if fits && Entry::of(block).is_ok() {
        return Ok(());
    }
    Err(MfsError::Refused { reason }.into())
}

impl Node {
    /// Fetches the root of what is to be linked, and tells whether it can be.
    ///
    /// # Errors
    ///
    /// [`NodeError::Unixfs`] if it is not to be had, [`MfsError::Refused`] for what is no UnixFS.
    pub async fn mfs_source(
        &self,
        path: &cairn_dag::IpfsPath,
        blocks: &Blocks,
    ) -> Result<Block, NodeError> {
        let resolved = cairn_unixfs::resolve(blocks, path).await?;
        if !resolved.remaining.is_empty() {
            let reason = "cp: source must be a valid UnixFS (dag-pb or raw codec)";
            return Err(MfsError::Refused { reason }.into());
        }
        check_source(&resolved.block)?;
        Ok(resolved.block)
    }
}
