//! Blocks on disk.
#![expect(clippy::missing_errors_doc, clippy::unimplemented, reason = "signatures first")]
#![expect(unused_variables, clippy::missing_panics_doc, reason = "signatures first")]
use crate::StoreError;
use cairn_block::{Block, BlockError, BlockStore, Cid, Multihash};
use cairn_runtime::Vfs;
use std::{path::Path, sync::Arc};
/// Blocks on disk; clones share them.
#[derive(Debug, Clone)]
pub struct Store {}
/// What a store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStat {
    /// How many blocks.
    pub block_count: u64,
    /// Bytes of packs and index on disk.
    pub disk_len: u64,
}
/// Part of a pack that could not be read as records.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// What is lost, as a sentence.
    pub text: String,
}
/// Streams every block's multihash and length, in the order they were written.
#[derive(Debug)]
pub struct List {}
impl Iterator for List {
    type Item = Result<(Multihash, u64), StoreError>;
    fn next(&mut self) -> Option<Self::Item> {
        unimplemented!()
    }
}
impl Store {
    /// Opens the blocks of the repository at `dir`.
    pub fn open(vfs: Arc<dyn Vfs>, dir: &Path) -> Result<Self, StoreError> {
        unimplemented!()
    }
    /// Writes the blocks that are not there yet; readable at once, durable after [`Store::flush`]. Blocking.
    pub fn append(&self, blocks: &[Block]) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// Makes everything appended before durable; concurrent calls share one sync. Blocking.
    pub fn flush(&self) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// Reads blocks, in the order asked for. Blocking.
    pub fn read_many(&self, cids: &[Cid]) -> Vec<Result<Option<Block>, BlockError>> {
        unimplemented!()
    }
    /// The blocks' lengths, `None` where there is no copy. Blocking.
    pub fn lens(&self, cids: &[Cid]) -> Result<Vec<Option<u64>>, StoreError> {
        unimplemented!()
    }
    /// Forgets a block (durable after [`Store::flush`]); whether it was there. Blocking.
    pub fn delete(&self, cid: &Cid) -> Result<bool, StoreError> {
        unimplemented!()
    }
    /// Every block. Blocking.
    pub fn list(&self) -> List {
        unimplemented!()
    }
    /// How much there is.
    pub fn stat(&self) -> Result<StoreStat, StoreError> {
        unimplemented!()
    }
    /// What was found damaged when opening.
    pub fn damage(&self) -> Vec<Damage> {
        unimplemented!()
    }
    /// Flushes, and notes a clean end, so that the next start has nothing to scan.
    pub fn close(&self) -> Result<(), StoreError> {
        unimplemented!()
    }
}
impl BlockStore for Store {
    async fn get_many(&self, cids: &[Cid]) -> Vec<Result<Option<Block>, BlockError>> {
        unimplemented!()
    }
    async fn stat_many(&self, cids: &[Cid]) -> Result<Vec<Option<u64>>, BlockError> {
        unimplemented!()
    }
    async fn put_many(&self, blocks: Vec<Block>) -> Result<(), BlockError> {
        unimplemented!()
    }
    async fn sync(&self) -> Result<(), BlockError> {
        unimplemented!()
    }
}
