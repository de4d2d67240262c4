//! The same DAG that an add makes, without a repository: the blocks go to whoever asked.
//!
//! Not here: the stages (`add.rs`).

use super::{
    AddEntries, AddEntryError, AddEvent, AddOptions, AddSummary, Plan, stages,
    writer::{self, Keeper},
};
use crate::NodeError;
use cairn_block::Block;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Events that wait to be thrown away.
const EVENTS_MAX: usize = 64;

/// Takes the blocks of a [`build`].
pub trait BlockSink: Send {
    /// Takes blocks in the order in which they become known: children before parents, and one as
    /// often as it comes up.
    ///
    /// # Errors
    ///
    /// Ends the build.
    fn blocks(&mut self, blocks: &[Block]) -> Result<(), AddEntryError>;
}

/// Builds what [`crate::Node::add`] would, with the same options and CIDs, into `sink`; gives it
/// back with the roots.
///
/// Needs as much memory as an add. Stops when the future is dropped.
///
/// # Errors
///
/// As [`crate::Node::add`]; nothing refers to files here, so `nocopy` is refused.
pub async fn build<K: BlockSink + 'static>(
    entries: AddEntries,
    options: AddOptions,
    mut sink: K,
) -> Result<(AddSummary, K), NodeError> {
    if options.nocopy {
        return Err(NodeError::Options { reason: "nocopy needs a repository" });
    }
    let plan = Arc::new(Plan::new(options)?);
    let (events, mut told) = mpsc::channel::<AddEvent>(EVENTS_MAX);
    let work = stages(entries, &plan, None, move |plan, batches| {
        let summary = writer::run(Keeper::Sink(&mut sink), &plan, batches, events);
        summary.map(|summary| (summary, sink))
    });
    let forget = async { while told.recv().await.is_some() {} };
    futures::join!(work, forget).0
}
