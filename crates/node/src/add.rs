//! Adding files: from entries to a durable, pinned DAG.
//!
//! Three stages, each on a thread of its own, with short bounded queues between them (or, for a
//! few kilobytes in memory, each called by the one before):
//! ```text
//! entries ─▶ reader: read, cut ─▶ hasher: name leaves in lanes ─▶ writer: build, append, tell
//! ```
//! The unit that moves is a buffer of some megabytes with the leaves of one big file or of many
//! small ones. At the end comes one flush, one commit of the pins, and then the roots' events.
//!
//! Invariants: memory is bounded by the buffers and by the names of the entries; nothing is
//! acknowledged before it is durable; an add that fails or is dropped leaves only garbage.
//! Not here: walking the file system (`local.rs`), layouts (`cairn-unixfs`).

mod buffers;
mod build;
mod entry;
mod hasher;
mod plan;
mod reader;
mod source;
mod tree;
mod writer;

pub use build::{BlockSink, build};
pub(crate) use entry::PATH_DEPTH_MAX;
pub use entry::{AddEntries, AddEntry, AddEntryError, AddEvent, AddKind, AddOptions, AddSummary};

use crate::{Node, NodeError, outside::Outside};
use buffers::BUFFERS_LEN_MAX;
use cairn_runtime::{Budget, blocking};
use futures::future::{join, pending};
use plan::Plan;
use source::Batches;
use std::sync::{Arc, mpsc::sync_channel};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use writer::Keeper;

/// Batches that wait between two stages.
const QUEUE_LEN: usize = 1;

/// Adds that run at the same time when there is memory enough; more wait for their turn.
const ADD_COUNT_MAX: usize = 16;

/// Adds that may run at the same time: as many as have their buffers in the budget.
pub(crate) fn add_count_max(budget: Budget) -> usize {
    (budget.adds() / BUFFERS_LEN_MAX).clamp(1, ADD_COUNT_MAX)
}

/// How an import with these options builds files and directories.
///
/// # Errors
///
/// [`NodeError::Options`] if they do not go together.
pub(crate) fn build_options(options: AddOptions) -> Result<cairn_unixfs::Options, NodeError> {
    Ok(Plan::new(options)?.build)
}

impl Node {
    /// Adds entries and pins their roots.
    ///
    /// Everything is durable, and pinned if asked, before the roots' [`AddEvent::Added`] is sent;
    /// the events of what lies below them come as it goes. The whole add stops when the receiver
    /// of the events is dropped, or the future. Needs at most about 40 MiB besides 150 bytes for
    /// each entry, however long the files.
    ///
    /// # Errors
    ///
    /// [`NodeError::Options`] before anything is read; [`NodeError::Entry`] naming the entry that
    /// could not be taken; [`NodeError::Store`] if the disk refuses; [`NodeError::Cancelled`].
    /// What was written until then is garbage.
    pub async fn add(
        &self,
        entries: AddEntries,
        options: AddOptions,
        events: mpsc::Sender<AddEvent>,
    ) -> Result<AddSummary, NodeError> {
        let plan = Arc::new(Plan::new(options)?);
        if plan.options.nocopy {
            self.check_references_enabled()?;
        }
        let turn = self.add_turns().acquire().await;
        let outside = Some(Arc::clone(self.outside()));
        let node = self.clone();
        let summary = stages(entries, &plan, outside, move |plan, batches| {
            writer::run(Keeper::Node(&node), &plan, batches, events)
        })
        .await;
        drop(turn);
        summary
    }
}

/// Runs the first two stages on threads of their own, and `writer` on a third; its answer counts.
/// A small add has one thread for all of them.
async fn stages<T: Send + 'static>(
    entries: AddEntries,
    plan: &Arc<Plan>,
    outside: Option<Arc<Outside>>,
    writer: impl FnOnce(Arc<Plan>, Batches) -> T + Send + 'static,
) -> T {
    let stop = CancellationToken::new();
    let _stop_when_dropped = stop.clone().drop_guard();
    if plan.options.is_small {
        let plan = Arc::clone(plan);
        return blocking(move || writer(plan, Batches::Small { entries, outside, stop })).await;
    }
    let (batches, batches_read) = sync_channel(QUEUE_LEN);
    let (named, batches_named) = sync_channel(QUEUE_LEN);
    let reader_plan = Arc::clone(plan);
    let reader = blocking(move || {
        reader::run(entries, (&reader_plan, outside.as_ref()), &stop, |batch| {
            batches.send(batch).is_ok()
        });
    });
    let hasher_plan = Arc::clone(plan);
    let hasher = blocking(move || hasher::run(&hasher_plan, &batches_read, &named));
    let plan = Arc::clone(plan);
    let writer = blocking(move || writer(plan, Batches::Queue(batches_named)));
    // After an error the reader may still wait for its source; it is left alone and ends with its
    // next read.
    let others = async {
        join(reader, hasher).await;
        pending().await
    };
    tokio::select! {
        answer = writer => answer,
        never = others => never,
    }
}
