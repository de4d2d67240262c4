//! Reads the tree, as it was when the call came.
//!
//! Not here: bytes and listings, which are read as of any other file (`cairn-unixfs`).

use super::{MfsError, MfsPath, Root, root_error};
use crate::{Blocks, Node, NodeError};
use cairn_block::{Block, BlockStoreExt as _};
use cairn_unixfs::Entry;

impl Node {
    /// The root block of what stands at `path`; blocks on the way come from `blocks`.
    ///
    /// # Errors
    ///
    /// [`MfsError::Missing`], [`MfsError::Below`] and [`MfsError::Root`]; [`NodeError::Unixfs`] if
    /// a block on the way cannot be had.
    pub async fn mfs_find(&self, path: &MfsPath, blocks: &Blocks) -> Result<Block, NodeError> {
        let Root { cid, block } = self.mfs_root().await?;
        let mut block = if let Some(block) = block {
            block
        } else {
            let found = blocks.require(&cid).await;
            found.map_err(|error| root_error(error.into(), &cid))?
        };
        for (index, name) in path.segments().iter().enumerate() {
            if !Entry::of(&block)?.is_directory() {
                let path = path.segments()[..=index].join("/");
                return Err(MfsError::Below { path }.into());
            }
            let found = cairn_unixfs::find(blocks, &block, name).await?;
            let entry = found.ok_or(MfsError::Missing)?;
            block = blocks.require(&entry.cid).await?;
        }
        Ok(block)
    }
}
