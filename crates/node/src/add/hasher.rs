//! The second stage: hashes all leaves of a batch at once, across files.
//!
//! Invariant: batches leave in the order in which they came.
//! Not here: inner nodes and directories, which are few (`writer.rs`).

use super::{
    plan::Plan,
    reader::{Batch, Step},
};
use crate::NodeError;
use bytes::Bytes;
use cairn_block::Block;
use cairn_unixfs::leaf_codec;
use std::sync::mpsc::{Receiver, SyncSender};

/// A batch whose leaves have names.
#[derive(Debug)]
pub(super) struct Hashed {
    pub(super) batch: Batch,
    /// One for each [`Step::Leaf`], in order.
    pub(super) leaves: Vec<Block>,
}

/// Hashes until there is no more, or nobody to take it. Blocking.
pub(super) fn run(
    plan: &Plan,
    batches: &Receiver<Result<Batch, NodeError>>,
    next_stage: &SyncSender<Result<Hashed, NodeError>>,
) {
    while let Ok(batch) = batches.recv() {
        let hashed = batch.and_then(|batch| hash(plan, batch));
        if next_stage.send(hashed).is_err() {
            return;
        }
    }
}

/// Names the leaves of one batch.
pub(super) fn hash(plan: &Plan, batch: Batch) -> Result<Hashed, NodeError> {
    let leaf = |step: &Step| match step {
        Step::Leaf { leaf, .. } => Some(batch.buffer.slice(leaf.clone())),
        _ => None,
    };
    let leaves: Vec<Bytes> = batch.steps.iter().filter_map(leaf).collect();
    let leaves = plan.build.blocks(leaf_codec(plan.build.raw_leaves), leaves)?;
    Ok(Hashed { batch, leaves })
}
