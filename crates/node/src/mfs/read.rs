//! Reads the tree, as it was when the call came, or later if a collection took that away.
//!
//! Not here: bytes and listings, which are read as of any other file (`cairn-unixfs`).

use super::{MISSED_COUNT_MAX, MfsError, MfsPath, Root, local::absent, root_error};
use crate::{Blocks, Fetch, Node, NodeError};
use cairn_block::{Block, BlockStoreExt as _};
use cairn_unixfs::UnixfsError;

impl Node {
    /// The root block of what stands at `path`; blocks on the way come from `blocks`.
    ///
    /// # Errors
    ///
    /// [`MfsError::Missing`], [`MfsError::Below`] and [`MfsError::Root`]; [`NodeError::Unixfs`] if
    /// a block on the way cannot be had.
    pub async fn mfs_find(&self, path: &MfsPath, blocks: &Blocks) -> Result<Block, NodeError> {
        let local = self.blocks(Fetch::Local);
        let mut root = self.mfs_root().await?;
        for _ in 0..MISSED_COUNT_MAX {
            let found = find_below(root.clone(), path, &local).await;
            let is_lost = match &found {
                Err(NodeError::Mfs(MfsError::Root { .. })) => true,
                Err(error) => absent(error).is_some(),
                Ok(_) => false,
            };
            let current = self.mfs_root().await?;
            // What is lost below a root that was replaced meanwhile may be collected garbage.
            if !is_lost || current.cid == root.cid {
                return if is_lost { find_below(root, path, blocks).await } else { found };
            }
            root = current;
        }
        find_below(root, path, blocks).await
    }
}

/// Follows a path from a root.
async fn find_below(root: Root, path: &MfsPath, blocks: &Blocks) -> Result<Block, NodeError> {
    let Root { cid, block } = root;
    let mut block = if let Some(block) = block {
        block
    } else {
        let found = blocks.require(&cid).await;
        found.map_err(|error| root_error(error.into(), &cid))?
    };
    for (index, name) in path.segments().iter().enumerate() {
        let found = match cairn_unixfs::find(blocks, &block, name).await {
            Err(UnixfsError::NotADirectory { .. }) => {
                let path = path.segments()[..=index].join("/");
                return Err(MfsError::Below { path }.into());
            }
            found => found?,
        };
        let entry = found.ok_or(MfsError::Missing)?;
        block = blocks.require(&entry.cid).await?;
    }
    Ok(block)
}
