//! A block store in memory: for tests, and for hashing without writing.
//!
//! Not here: the store on disk (`cairn-store`).

use crate::{Block, BlockError, BlockStore, Cid};
use bytes::Bytes;
use cairn_hash::Multihash;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Blocks in a map; unbounded, so only for small DAGs.
#[derive(Debug, Default)]
pub struct MemoryStore {
    blocks: Mutex<HashMap<Multihash, Bytes>>,
}

impl MemoryStore {
    /// How many blocks there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Forgets a block, so that tests can make holes in a DAG.
    pub fn remove(&self, cid: &Cid) {
        self.lock().remove(cid.multihash());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Multihash, Bytes>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlockStore for MemoryStore {
    async fn get_many(&self, cids: &[Cid]) -> Vec<Result<Option<Block>, BlockError>> {
        let (mut found, mut absent) = (Vec::with_capacity(cids.len()), Vec::new());
        {
            let blocks = self.lock();
            for (index, cid) in cids.iter().enumerate() {
                let data = match cid.inlined() {
                    Some(data) => Some(Bytes::copy_from_slice(data)),
                    None => blocks.get(cid.multihash()).cloned(),
                };
                match data {
                    Some(data) => found.push((cid.clone(), data)),
                    None => absent.push(index),
                }
            }
        }
        let mut answers = Block::verify_many(found).into_iter();
        let mut absent = absent.into_iter().peekable();
        let answer = |index| {
            if absent.next_if_eq(&index).is_some() {
                return Ok(None);
            }
            answers.next().transpose()
        };
        (0..cids.len()).map(answer).collect()
    }

    async fn stat_many(&self, cids: &[Cid]) -> Result<Vec<Option<u64>>, BlockError> {
        let blocks = self.lock();
        let len = |cid: &Cid| match cid.inlined() {
            Some(data) => Some(data.len() as u64),
            None => blocks.get(cid.multihash()).map(|data| data.len() as u64),
        };
        Ok(cids.iter().map(len).collect())
    }

    async fn put_many(&self, new: Vec<Block>) -> Result<(), BlockError> {
        let mut blocks = self.lock();
        for block in new {
            if block.cid().inlined().is_none() {
                let (cid, data) = block.into_parts();
                blocks.insert(cid.multihash().clone(), data);
            }
        }
        Ok(())
    }

    async fn sync(&self) -> Result<(), BlockError> {
        Ok(())
    }
}
