//! Where the last stage has its batches from.
//!
//! Invariant: both ways give the same batches in the same order.
//! Not here: what becomes of them (`writer.rs`).

use super::{AddEntries, hasher, hasher::Hashed, plan::Plan, reader};
use crate::{NodeError, outside::Outside};
use std::sync::{Arc, mpsc::Receiver};
use tokio_util::sync::CancellationToken;

/// The batches of an add, read and hashed.
pub(super) enum Batches {
    /// From the thread that hashes.
    Queue(Receiver<Result<Hashed, NodeError>>),
    /// Read and hashed here, one after the other: there are few.
    Small { entries: AddEntries, outside: Option<Arc<Outside>>, stop: CancellationToken },
}

impl Batches {
    /// Gives each batch to `write` until there is no more, or one fails. Blocking.
    pub(super) fn each(
        self,
        plan: &Plan,
        mut write: impl FnMut(Hashed) -> Result<(), NodeError>,
    ) -> Result<(), NodeError> {
        match self {
            Self::Queue(batches) => batches.iter().try_for_each(|hashed| write(hashed?)),
            Self::Small { entries, outside, stop } => {
                let mut result = Ok(());
                reader::run(entries, (plan, outside.as_ref()), &stop, |batch| {
                    let hashed = batch.and_then(|batch| hasher::hash(plan, batch));
                    result = hashed.and_then(&mut write);
                    result.is_ok()
                });
                result
            }
        }
    }
}
