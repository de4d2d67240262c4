//! A store that answers late and counts, to see who waits for whom.

use cairn_block::{Block, BlockError, BlockStore, Cid};
use futures::future;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

/// Answers each `get_many` after it has been polled `turns` times.
#[derive(Debug, Clone)]
pub struct SlowStore<S> {
    inner: S,
    turns: usize,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    in_flight: AtomicUsize,
    in_flight_max: AtomicUsize,
    batches: AtomicUsize,
    blocks: AtomicUsize,
}

impl<S> SlowStore<S> {
    /// Puts itself in front of `inner`.
    pub fn new(inner: S, turns: usize) -> Self {
        Self { inner, turns, counts: Arc::default() }
    }

    /// The most batches that were ever in flight at once.
    pub fn in_flight_max(&self) -> usize {
        self.counts.in_flight_max.load(Ordering::Relaxed)
    }

    /// How many batches were asked for.
    pub fn batches(&self) -> usize {
        self.counts.batches.load(Ordering::Relaxed)
    }

    /// How many blocks were asked for.
    pub fn blocks(&self) -> usize {
        self.counts.blocks.load(Ordering::Relaxed)
    }
}

impl<S: BlockStore> BlockStore for SlowStore<S> {
    async fn get_many(&self, cids: &[Cid]) -> Vec<Result<Option<Block>, BlockError>> {
        let counts = &self.counts;
        counts.batches.fetch_add(1, Ordering::Relaxed);
        counts.blocks.fetch_add(cids.len(), Ordering::Relaxed);
        let now = counts.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        counts.in_flight_max.fetch_max(now, Ordering::Relaxed);
        let mut turns = self.turns;
        future::poll_fn(|context| {
            if turns == 0 {
                return Poll::Ready(());
            }
            turns -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        counts.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.inner.get_many(cids).await
    }

    async fn stat_many(&self, cids: &[Cid]) -> Result<Vec<Option<u64>>, BlockError> {
        self.inner.stat_many(cids).await
    }

    async fn put_many(&self, blocks: Vec<Block>) -> Result<(), BlockError> {
        self.inner.put_many(blocks).await
    }

    async fn sync(&self) -> Result<(), BlockError> {
        self.inner.sync().await
    }
}
