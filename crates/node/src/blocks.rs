//! The local blocks and everybody else's as one store.
//!
//! What is missing locally is fetched by one session, kept, and returned. Kept is not durable:
//! whoever needs that (a pin) calls [`BlockStore::sync`] once at the end. A corrupt block counts
//! as missing: the good copy takes its place, durably, since the corrupt one may have been promised.
//!
//! The empty directory is never missing: every repository has it, as every tree of files begins
//! with it; it is kept where it is first asked for.
//!
//! Invariants: `stat_many` and `has_many` never ask the network; offline, a miss is an error at once.
//! Not here: who is asked for what (`cairn-network`).

use bytes::Bytes;
use cairn_block::{Block, BlockError, BlockStore, Cid, codec};
use cairn_dag::WalkOptions;
use cairn_network::Session;
use cairn_runtime::blocking;
use cairn_store::{Lease, Store};
use futures::{
    StreamExt as _,
    future::{Either, select},
};
use std::{
    pin::pin,
    sync::{Arc, LazyLock},
};
use tokio::sync::Notify;
use tracing::debug;

/// Blocks that arrive together are kept in one batch of at most so many.
const KEEP_BATCH_LEN: usize = 64;

/// Whether missing blocks are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fetch {
    /// From whoever has them; offline, as [`Fetch::Local`].
    #[default]
    Network,
    /// Not at all.
    Local,
}

/// Where misses are looked for.
#[derive(Debug, Clone)]
pub(crate) enum Reach {
    Network(Session),
    Offline,
    Local,
}

/// The blocks as seen by one purpose; cheap to clone, clones share the session.
///
/// A miss is [`BlockError::NotFound`], never `Ok(None)`, and says where it was looked for.
#[derive(Debug, Clone)]
pub struct Blocks {
    store: Store,
    reach: Reach,
    /// For pins: fail where a fetched block cannot be kept, instead of passing it on, and keep
    /// what is here from being collected.
    lease: Option<Arc<Lease>>,
    /// Told of every batch in which something was asked of the network.
    missed: Arc<Notify>,
}

impl Blocks {
    pub(crate) fn new(store: Store, reach: Reach) -> Self {
        Self { store, reach, lease: None, missed: Arc::default() }
    }

    /// Runs `reader`, which goes through the DAG below `root` in order, and fetches ahead of it.
    ///
    /// Nothing is fetched before the reader has missed a block. From then on the whole DAG is
    /// walked beside it, so that a tree of small files costs the network's delay once, and not
    /// once a file. What cannot be had is left for the reader to find. Dropping the future stops
    /// both.
    pub async fn fetching_ahead<T>(&self, root: &Cid, reader: impl Future<Output = T>) -> T {
        let ahead = pin!(async {
            self.missed.notified().await;
            let roots = std::slice::from_ref(root);
            let walk = cairn_dag::walk(self.clone(), roots, WalkOptions::default());
            walk.for_each(|visit| async move { drop(visit) }).await;
        });
        match select(pin!(reader), ahead).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), reader)) => reader.await,
        }
    }

    /// Fails where a fetched block cannot be kept, and keeps what is read from being collected
    /// until this and its clones are dropped: for pins, which promise that it is there.
    #[must_use]
    pub fn keeping(mut self) -> Self {
        self.lease = Some(Arc::new(self.store.lease()));
        self
    }

    /// Asks the store to keep blocks that are about to be read.
    async fn keep(&self, cids: &[Cid]) -> Result<(), BlockError> {
        if self.lease.is_some() {
            let (store, cids) = (self.store.clone(), cids.to_vec());
            blocking(move || store.keep(&cids)).await?;
        }
        Ok(())
    }

    /// Fetches the blocks at `places` of `cids` and puts them into `answers`.
    async fn fetch(
        &self,
        session: &Session,
        cids: &[Cid],
        answers: &mut [Result<Option<Block>, BlockError>],
        places: &[usize],
    ) {
        let wanted = places.iter().map(|&place| cids[place].clone()).collect();
        let mut arrivals = pin!(session.fetch_stream(wanted).ready_chunks(KEEP_BATCH_LEN));
        while let Some(batch) = arrivals.next().await {
            let found = batch.iter().filter_map(|(_, answer)| answer.as_ref().ok().cloned());
            let kept = self.store.put_many(found.collect()).await;
            if let Err(error) = &kept {
                debug!(%error, "fetched blocks were not kept");
            }
            for (index, answer) in batch {
                answers[places[index]] = match &kept {
                    Err(error) if self.lease.is_some() => answer.and(Err(error.clone())),
                    _ => answer.map(Some),
                };
            }
        }
    }
}

/// The empty directory by any of its names.
pub(crate) fn empty_directory(cid: &Cid) -> Option<Block> {
    static EMPTY: LazyLock<Block> = LazyLock::new(|| {
        // A dag-pb node whose data is a UnixFS message that says `Directory`, and nothing else.
        Block::sha2_256(codec::DAG_PB, Bytes::from_static(&[0x0a, 2, 8, 1]))
    });
    let is_it = cid.multihash() == EMPTY.cid().multihash();
    is_it.then(|| EMPTY.clone().rename(cid.clone()).ok()).flatten()
}

/// A block that is not here, or is and cannot be trusted any more.
fn is_miss(answer: &Result<Option<Block>, BlockError>) -> bool {
    match answer {
        Ok(block) => block.is_none(),
        Err(error) => is_corrupt(error),
    }
}

fn is_corrupt(error: &BlockError) -> bool {
    matches!(error, BlockError::Corrupt { .. })
}

impl BlockStore for Blocks {
    async fn get_many(&self, cids: &[Cid]) -> Vec<Result<Option<Block>, BlockError>> {
        if let Err(error) = self.keep(cids).await {
            return cids.iter().map(|_| Err(error.clone())).collect();
        }
        let mut answers = self.store.get_many(cids).await;
        let is_corrupt =
            answers.iter().any(|answer| matches!(answer, Err(error) if is_corrupt(error)));
        let missed = answers.iter().enumerate().filter(|(_, answer)| is_miss(answer));
        let missed: Vec<usize> = missed.map(|(place, _)| place).collect();
        let mut missing = Vec::with_capacity(missed.len());
        for place in missed {
            let Some(block) = empty_directory(&cids[place]) else {
                missing.push(place);
                continue;
            };
            let kept = self.store.put_many(vec![block.clone()]).await;
            answers[place] = match kept {
                Err(error) if self.lease.is_some() => Err(error),
                _ => Ok(Some(block)),
            };
        }
        if missing.is_empty() {
            return answers;
        }
        let place = match &self.reach {
            Reach::Network(session) => {
                self.missed.notify_one();
                self.fetch(session, cids, &mut answers, &missing).await;
                if is_corrupt && let Err(error) = self.store.sync().await {
                    debug!(%error, "good copies of corrupt blocks may not be durable");
                }
                "locally or on the network"
            }
            Reach::Offline => "locally (offline)",
            Reach::Local => "locally",
        };
        for (answer, cid) in answers.iter_mut().zip(cids) {
            if matches!(answer, Ok(None)) {
                *answer = Err(BlockError::NotFound { cid: cid.clone(), place });
            }
        }
        answers
    }

    async fn stat_many(&self, cids: &[Cid]) -> Result<Vec<Option<u64>>, BlockError> {
        self.keep(cids).await?;
        self.store.stat_many(cids).await
    }

    async fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, BlockError> {
        self.keep(cids).await?;
        self.store.has_many(cids).await
    }

    async fn put_many(&self, blocks: Vec<Block>) -> Result<(), BlockError> {
        self.store.put_many(blocks).await
    }

    async fn sync(&self) -> Result<(), BlockError> {
        self.store.sync().await
    }
}
