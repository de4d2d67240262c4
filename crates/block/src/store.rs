//! What a block store promises.
//!
//! Everything is a batch, because hashing, disk and network are all several times faster that
//! way: one hop, one lane-full of digests, one message. A batch of one is a plain call.
//! The contract is written as a test suite in `cairn-testkit`, which every implementation runs.

use crate::{Block, BlockError, Cid};

/// A place that keeps blocks.
///
/// What comes out is verified. All methods are safe to cancel: dropping the future leaves each
/// block either whole or absent, never partial. Identity CIDs are answered from the CID itself
/// and never stored.
pub trait BlockStore: Send + Sync {
    /// Returns the blocks in the order asked for; an absent one is `Ok(None)`.
    ///
    /// An implementation that asks the network waits; it answers [`BlockError::NotFound`] when
    /// it has given up.
    fn get_many(
        &self,
        cids: &[Cid],
    ) -> impl Future<Output = Vec<Result<Option<Block>, BlockError>>> + Send;

    /// Returns each block's length in bytes, or `None` where there is no local copy.
    ///
    /// Never asks the network.
    fn stat_many(
        &self,
        cids: &[Cid],
    ) -> impl Future<Output = Result<Vec<Option<u64>>, BlockError>> + Send;

    /// Returns whether there is a local copy of each block. Never asks the network.
    ///
    /// Cheaper than lengths where an index knows. It may call a block present that only looks like
    /// one that is, once in some million million times: what relies on the bytes reads them.
    fn has_many(&self, cids: &[Cid]) -> impl Future<Output = Result<Vec<bool>, BlockError>> + Send {
        async move {
            let lens = self.stat_many(cids).await?;
            Ok(lens.iter().map(Option::is_some).collect())
        }
    }

    /// Stores the blocks; one that is already there is not an error.
    ///
    /// Readable when it returns, durable only after [`BlockStore::sync`].
    fn put_many(&self, blocks: Vec<Block>) -> impl Future<Output = Result<(), BlockError>> + Send;

    /// Makes everything that was put before this call durable: after it returns, no crash or
    /// power cut loses those blocks. Concurrent calls share one flush.
    fn sync(&self) -> impl Future<Output = Result<(), BlockError>> + Send;
}

/// What follows from [`BlockStore`], for callers; never implemented by hand.
pub trait BlockStoreExt: BlockStore {
    /// Returns one block, or `None` if the store has no copy.
    fn get(&self, cid: &Cid) -> impl Future<Output = Result<Option<Block>, BlockError>> + Send {
        async move {
            let answer = self.get_many(std::slice::from_ref(cid)).await.pop();
            answer.unwrap_or(Ok(None))
        }
    }

    /// Like [`BlockStoreExt::get`], with absence as [`BlockError::NotFound`].
    fn require(&self, cid: &Cid) -> impl Future<Output = Result<Block, BlockError>> + Send {
        async move {
            let found = self.get(cid).await?;
            found.ok_or_else(|| BlockError::NotFound { cid: cid.clone(), place: "locally" })
        }
    }

    /// Whether the store has a copy.
    fn has(&self, cid: &Cid) -> impl Future<Output = Result<bool, BlockError>> + Send {
        async move {
            let answers = self.has_many(std::slice::from_ref(cid)).await?;
            Ok(answers.first().is_some_and(|has| *has))
        }
    }
}

impl<S: BlockStore + ?Sized> BlockStoreExt for S {}

impl<S: BlockStore + ?Sized> BlockStore for std::sync::Arc<S> {
    async fn get_many(&self, cids: &[Cid]) -> Vec<Result<Option<Block>, BlockError>> {
        (**self).get_many(cids).await
    }

    async fn stat_many(&self, cids: &[Cid]) -> Result<Vec<Option<u64>>, BlockError> {
        (**self).stat_many(cids).await
    }

    async fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, BlockError> {
        (**self).has_many(cids).await
    }

    async fn put_many(&self, blocks: Vec<Block>) -> Result<(), BlockError> {
        (**self).put_many(blocks).await
    }

    async fn sync(&self) -> Result<(), BlockError> {
        (**self).sync().await
    }
}

impl<S: BlockStore + ?Sized> BlockStore for &S {
    async fn get_many(&self, cids: &[Cid]) -> Vec<Result<Option<Block>, BlockError>> {
        (**self).get_many(cids).await
    }

    async fn stat_many(&self, cids: &[Cid]) -> Result<Vec<Option<u64>>, BlockError> {
        (**self).stat_many(cids).await
    }

    async fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, BlockError> {
        (**self).has_many(cids).await
    }

    async fn put_many(&self, blocks: Vec<Block>) -> Result<(), BlockError> {
        (**self).put_many(blocks).await
    }

    async fn sync(&self) -> Result<(), BlockError> {
        (**self).sync().await
    }
}
