//! Puts good copies in the place of corrupt blocks.
//!
//! The bytes come from the record itself where only its header was damaged, else from peers, and
//! are verified either way before the store takes them. The corrupt copy stays where it is, never
//! served, until the good one is on disk.
//!
//! Invariant: at most [`KEEP_BATCH_LEN`] fetched blocks are held before they are written.
//! Not here: finding corrupt blocks (`cairn-store`), when to heal (`scrub.rs`, `verify.rs`).

use crate::NodeError;
use cairn_block::{Block, Cid, Multihash, codec};
use cairn_network::Network;
use cairn_runtime::blocking;
use cairn_store::{Corrupt, Store};
use futures::StreamExt as _;
use std::{pin::pin, time::Duration};

/// Fetched blocks that are written together.
const KEEP_BATCH_LEN: usize = 64;

/// Why a block could not be healed; `None` if it was.
pub(crate) type Healed = Option<String>;

/// Heals blocks, durably when it returns; one answer each, in order.
///
/// Without a network only what the disk still has is saved. Gives up when no peer has sent
/// anything for `patience`. Safe to cancel: what was written by then stays.
pub(crate) async fn heal(
    store: &Store,
    network: Option<&Network>,
    corrupt: &[Corrupt],
    patience: Option<Duration>,
) -> Result<Vec<Healed>, NodeError> {
    let mut answers = vec![Some("its name is lost".to_owned()); corrupt.len()];
    let (mut salvaged, mut wanted, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for (place, corrupt) in corrupt.iter().enumerate() {
        if let Some(block) = &corrupt.salvaged {
            salvaged.push(block.clone());
            answers[place] = None;
        } else if let Some(hash) = &corrupt.hash {
            wanted.push(hash.clone());
            places.push(place);
        }
    }
    if !salvaged.is_empty() {
        append(store, salvaged).await?;
    }
    let fetched = fetch(store, network, wanted, patience).await?;
    for (place, answer) in places.into_iter().zip(fetched) {
        answers[place] = answer;
    }
    let store = store.clone();
    blocking(move || store.flush()).await?;
    Ok(answers)
}

/// Fetches blocks by their multihashes and keeps them; durable after a flush.
pub(crate) async fn fetch(
    store: &Store,
    network: Option<&Network>,
    hashes: Vec<Multihash>,
    patience: Option<Duration>,
) -> Result<Vec<Healed>, NodeError> {
    let Some(network) = network else {
        return Ok(vec![Some("offline".to_owned()); hashes.len()]);
    };
    let mut answers = vec![Some("not asked for".to_owned()); hashes.len()];
    let cids: Vec<Cid> = hashes.into_iter().map(|hash| Cid::v1(codec::RAW, hash)).collect();
    let session = network.session();
    let session = match patience {
        Some(patience) => session.with_timeout(patience),
        None => session,
    };
    let mut arrivals = pin!(session.fetch_stream(cids).ready_chunks(KEEP_BATCH_LEN));
    while let Some(batch) = arrivals.next().await {
        let mut blocks = Vec::with_capacity(batch.len());
        for (place, answer) in batch {
            answers[place] = match answer {
                Ok(block) => {
                    blocks.push(block);
                    None
                }
                Err(error) => Some(error.to_string()),
            };
        }
        append(store, blocks).await?;
    }
    Ok(answers)
}

async fn append(store: &Store, blocks: Vec<Block>) -> Result<(), NodeError> {
    let store = store.clone();
    Ok(blocking(move || store.append(&blocks)).await?)
}
