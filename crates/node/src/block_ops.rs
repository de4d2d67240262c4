//! Single blocks, and the size of everything.
//!
//! Not here: DAGs (`pins.rs`, `Node::walk`).

use crate::{Fetch, Node, NodeError, PinState, config::Settings};
use cairn_block::{Block, BlockStoreExt as _, Cid};
use cairn_runtime::blocking;
use cairn_store::{Pin, PinKind};
use std::path::PathBuf;

/// What became of one block that was to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockRemoval {
    /// Which block.
    pub cid: Cid,
    /// Why it is still there (or never was); `None` if it is gone.
    pub error: Option<String>,
}

/// How much the repository holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepoStat {
    /// Bytes on disk.
    pub disk_len: u64,
    /// `Datastore.StorageMax`, in bytes.
    pub storage_max: u64,
    /// How many blocks.
    pub block_count: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Its format number.
    pub version: u64,
    /// Blocks known to be corrupt and not healed yet.
    pub corrupt_count: u64,
    /// What was found lost when it was opened, as sentences.
    pub losses: Vec<String>,
}

impl Node {
    /// Keeps a block, durably, and pins it recursively if asked.
    ///
    /// # Errors
    ///
    /// [`NodeError::Store`] or [`NodeError::Pin`]; then nothing is acknowledged.
    pub async fn block_put(&self, block: Block, pin: bool) -> Result<(), NodeError> {
        self.blocks_put(vec![block], pin).await
    }

    /// Keeps blocks with one flush, and pins each recursively if asked.
    ///
    /// # Errors
    ///
    /// As [`Node::block_put`].
    pub async fn blocks_put(&self, blocks: Vec<Block>, pin: bool) -> Result<(), NodeError> {
        let (store, pins) = (self.store().clone(), self.pins().clone());
        let cids: Vec<Cid> = blocks.iter().map(|block| block.cid().clone()).collect();
        let to_pin = if pin { cids.clone() } else { Vec::new() };
        blocking(move || {
            let _until_pinned = store.lease();
            store.append(&blocks)?;
            let kind = PinKind::Recursive;
            let new =
                to_pin.into_iter().map(|cid| Pin { cid, kind, name: String::new(), expires: None });
            let new: Vec<Pin> = new.collect();
            if new.is_empty() {
                store.flush()?;
            } else {
                // One flush makes the blocks durable with it.
                pins.add(&new)?;
            }
            Ok::<_, NodeError>(())
        })
        .await?;
        self.announce_local(&cids);
        Ok(())
    }

    /// Returns a block.
    ///
    /// # Errors
    ///
    /// [`NodeError::Block`] naming the block that nobody asked has.
    pub async fn block_get(&self, cid: &Cid, fetch: Fetch) -> Result<Block, NodeError> {
        Ok(self.blocks(fetch).require(cid).await?)
    }

    /// Returns a block's length in bytes; fetches it if it has to.
    ///
    /// # Errors
    ///
    /// As [`Node::block_get`].
    pub async fn block_stat(&self, cid: &Cid, fetch: Fetch) -> Result<u64, NodeError> {
        let blocks = self.blocks(Fetch::Local);
        let lens = cairn_block::BlockStore::stat_many(&blocks, std::slice::from_ref(cid)).await?;
        match lens.first().copied().flatten() {
            Some(len) => Ok(len),
            None => Ok(self.block_get(cid, fetch).await?.data().len() as u64),
        }
    }

    /// Removes blocks that no pin keeps; one answer each, in order.
    ///
    /// `force` passes over blocks that are not there. Pinned blocks always stay.
    ///
    /// # Errors
    ///
    /// [`NodeError`] if the pins could not be read; then nothing is removed.
    pub async fn block_rm(
        &self,
        cids: Vec<Cid>,
        force: bool,
    ) -> Result<Vec<BlockRemoval>, NodeError> {
        let states = self.pin_states(&cids).await?;
        let store = self.store().clone();
        blocking(move || {
            let mut answers = Vec::with_capacity(cids.len());
            for (cid, state) in cids.into_iter().zip(states) {
                let error = if state != PinState::NotPinned {
                    Some(state.to_string())
                } else if !store.delete(&cid)? && !force {
                    Some(format!("ipld: could not find {cid}"))
                } else {
                    None
                };
                answers.push(BlockRemoval { cid, error });
            }
            store.flush()?;
            Ok(answers)
        })
        .await
    }

    /// Tells how much the repository holds.
    ///
    /// # Errors
    ///
    /// [`NodeError::Repo`] if the disk cannot be read.
    pub async fn repo_stat(&self) -> Result<RepoStat, NodeError> {
        let storage_max = self.config().read(Settings::storage_max)?;
        let node = self.clone();
        let stat = blocking(move || node.repo().stat()).await?;
        Ok(RepoStat {
            disk_len: stat.disk_len,
            storage_max,
            block_count: stat.block_count,
            path: stat.path,
            version: stat.version,
            corrupt_count: self.store().corrupt_count(),
            losses: self.repo().losses().to_vec(),
        })
    }
}
