//! Garbage collection: what is in use, and when to look.
//!
//! In use is what the pins name, with everything below the recursive ones, and the tree of MFS.
//! Whoever puts something together holds a lease meanwhile (`cairn_store::Lease`), so nothing
//! here stops anybody.
//!
//! Invariants: a pinned DAG that cannot be walked to its end stops the collection before anything
//! is removed, since what lies below the gap cannot be known; MFS may refer to what is not here,
//! so gaps there do not. One collection at a time.
//! Not here: how blocks are removed (`cairn-store`).

mod watch;

use crate::{
    Node, NodeError,
    mfs::{Mfs, committed_root},
};
use cairn_block::{Block, BlockError, Cid, Multihash, codec};
use cairn_dag::{is_leaf, links};
use cairn_runtime::blocking;
use cairn_store::{Collection, Mark, PinKind, Repo, SweepObserver, Swept};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Blocks that are read together while marking.
const READ_COUNT: usize = 32;

/// Roots that wait to be marked together.
const ROOT_COUNT: usize = 1024;

/// Where a gap in a DAG matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gaps {
    /// Below a pin.
    Fail,
    /// Below MFS, which fetches when it is read.
    Pass,
}

/// Hears which blocks are gone; none if nobody wants to know.
#[derive(Debug)]
struct Report {
    removed: Option<mpsc::Sender<Cid>>,
    gone: AtomicBool,
    stop: CancellationToken,
}

impl SweepObserver for Report {
    fn removed(&mut self, hash: &Multihash) {
        let Some(removed) = &self.removed else { return };
        if removed.blocking_send(Cid::v1(codec::RAW, hash.clone())).is_err() {
            self.gone.store(true, Ordering::Relaxed);
        }
    }

    fn goes_on(&self) -> bool {
        !self.stop.is_cancelled() && !self.gone.load(Ordering::Relaxed)
    }
}

impl Node {
    /// Removes every block that neither a pin nor MFS keeps, and gives its space back.
    ///
    /// `removed` gets the CID of each (version 1, raw, since blocks are kept without codec);
    /// dropping its receiver stops the collection, as does the end of the node. What was removed
    /// until then is removed. Others may add, pin, unpin and read meanwhile.
    ///
    /// # Errors
    ///
    /// [`NodeError::Collecting`] while another collection runs; [`NodeError::Unmarked`] if a
    /// pinned DAG is not whole, and then nothing is removed; [`NodeError::Store`] and
    /// [`NodeError::Pin`] if the disk refuses.
    pub async fn gc(&self, removed: Option<mpsc::Sender<Cid>>) -> Result<Swept, NodeError> {
        let mfs = Arc::clone(self.mfs());
        let stop = self.shutdown_requested();
        blocking(move || collect(&mfs, removed, stop)).await
    }
}

/// See [`Node::gc`]. Blocking.
pub(crate) fn collect(
    mfs: &Mfs,
    removed: Option<mpsc::Sender<Cid>>,
    stop: CancellationToken,
) -> Result<Swept, NodeError> {
    let repo = mfs.repo();
    let collection = repo.store().collect().ok_or(NodeError::Collecting)?;
    let mut report = Report { removed, gone: AtomicBool::new(false), stop };
    // Read after the collection began: a pin that comes later belongs to somebody with a lease.
    let mut roots = Vec::new();
    for page in repo.pins().list(None) {
        for pin in page? {
            let descend = pin.kind == PinKind::Recursive;
            if descend {
                roots.push(pin.cid);
            } else {
                collection.mark(std::slice::from_ref(&pin.cid))?;
            }
        }
        if roots.len() >= ROOT_COUNT {
            mark(repo, &collection, (std::mem::take(&mut roots), Gaps::Fail), &report)?;
        }
    }
    mark(repo, &collection, (roots, Gaps::Fail), &report)?;
    // What is about to be linked into MFS is read before MFS itself, so it is in one of the two.
    mark(repo, &collection, (mfs.links_under_way(), Gaps::Pass), &report)?;
    // Without it nothing can be said of what MFS keeps.
    if let Some(root) = committed_root(repo)? {
        mark(repo, &collection, (vec![root], Gaps::Pass), &report)?;
    }
    Ok(collection.sweep(&mut report)?)
}

/// Marks `roots` and what lies below them.
fn mark(
    repo: &Repo,
    collection: &Collection,
    (roots, gaps): (Vec<Cid>, Gaps),
    report: &Report,
) -> Result<(), NodeError> {
    let mut open = Vec::new();
    mark_open(collection, roots, &mut open)?;
    while !open.is_empty() {
        if !report.goes_on() {
            return Err(NodeError::Cancelled);
        }
        let batch = open.split_off(open.len().saturating_sub(READ_COUNT));
        for (cid, answer) in batch.iter().zip(repo.store().read_many(&batch)) {
            let below = match (answer, gaps) {
                (Ok(Some(block)), _) => below(&block)?,
                (Ok(None), Gaps::Fail) => {
                    let error = BlockError::NotFound { cid: cid.clone(), place: "locally" };
                    return Err(NodeError::Unmarked { source: Box::new(error.into()) });
                }
                (Err(error), Gaps::Fail) => {
                    return Err(NodeError::Unmarked { source: Box::new(error.into()) });
                }
                (_, Gaps::Pass) => Vec::new(),
            };
            mark_open(collection, below, &mut open)?;
        }
    }
    Ok(())
}

/// Marks blocks; those that may have links and were not marked before are added to `open`.
fn mark_open(
    collection: &Collection,
    cids: Vec<Cid>,
    open: &mut Vec<Cid>,
) -> Result<(), NodeError> {
    let marks = collection.mark(&cids)?;
    let new = cids.into_iter().zip(marks).filter(|(cid, mark)| {
        // An absent one is looked for as well, so that a gap is found.
        *mark != Mark::Again && !is_leaf(cid.codec())
    });
    open.extend(new.map(|(cid, _)| cid));
    Ok(())
}

/// What a block links to; not to know is no answer here.
fn below(block: &Block) -> Result<Vec<Cid>, NodeError> {
    links(block).map_err(|error| NodeError::Unmarked { source: Box::new(error.into()) })
}
