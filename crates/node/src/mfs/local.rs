//! The local blocks, read without waiting for anything but the disk.
//!
//! A change of the tree runs on a thread that may block, and holds the tree's turn meanwhile: it
//! must not wait for the network, so a block that is not here is an error that names it.
//! Not here: bringing such a block in (`mfs.rs`).

use crate::{NodeError, blocks::empty_directory};
use cairn_block::{Block, BlockError, BlockStore, Cid};
use cairn_dag::DagError;
use cairn_store::Store;
use cairn_unixfs::UnixfsError;
use tokio::runtime::Handle;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Local(pub(super) Store);

impl Local {
    /// Runs something that reads from here; on a thread that may block.
    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        let _ = self;
        Handle::current().block_on(work)
    }

    pub(super) fn get(&self, cid: &Cid) -> Result<Block, BlockError> {
        let found = self.0.read_many(std::slice::from_ref(cid)).pop().unwrap_or(Ok(None));
        found?.or_else(|| empty_directory(cid)).ok_or_else(|| missing(cid))
    }
}

fn missing(cid: &Cid) -> BlockError {
    BlockError::NotFound { cid: cid.clone(), place: "locally" }
}

/// The block whose absence is the error.
pub(super) fn absent(error: &NodeError) -> Option<&Cid> {
    match error {
        NodeError::Block(BlockError::NotFound { cid, .. } | BlockError::Corrupt { cid, .. })
        | NodeError::Dag(DagError::Block(
            BlockError::NotFound { cid, .. } | BlockError::Corrupt { cid, .. },
        ))
        | NodeError::Unixfs(UnixfsError::Dag(DagError::Block(
            BlockError::NotFound { cid, .. } | BlockError::Corrupt { cid, .. },
        ))) => Some(cid),
        _ => None,
    }
}

impl BlockStore for Local {
    async fn get_many(&self, cids: &[Cid]) -> Vec<Result<Option<Block>, BlockError>> {
        let found = self.0.read_many(cids).into_iter().zip(cids);
        let known = |cid: &Cid| empty_directory(cid).ok_or_else(|| missing(cid));
        found.map(|(block, cid)| block?.map_or_else(|| known(cid), Ok).map(Some)).collect()
    }

    async fn stat_many(&self, cids: &[Cid]) -> Result<Vec<Option<u64>>, BlockError> {
        Ok(self.0.lens(cids)?)
    }

    async fn put_many(&self, blocks: Vec<Block>) -> Result<(), BlockError> {
        Ok(self.0.append(&blocks)?)
    }

    async fn sync(&self) -> Result<(), BlockError> {
        Ok(self.0.flush()?)
    }
}
