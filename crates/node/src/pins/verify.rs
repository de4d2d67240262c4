//! Checks that everything below the recursive pins is here.
//!
//! Roots share a memory of what was found whole, so that a thousand versions of one tree cost
//! little more than one.
//!
//! Invariants: nothing is fetched; at most [`SEEN_COUNT_MAX`] blocks are remembered, beyond which
//! shared parts are looked at again; at most [`BAD_COUNT_MAX`] bad blocks a pin are told.
//! Not here: whether blocks have rotted where nothing is pinned (`verify.rs` of the crate).

use super::list;
use crate::{Blocks, Fetch, Node, NodeError};
use cairn_block::{BlockStore as _, Cid};
use cairn_dag::DagError;
use cairn_store::{Pin, PinKind};
use futures::{Stream, stream};
use std::{
    collections::{HashSet, VecDeque},
    pin::Pin as Pinned,
};

/// Most blocks that are known to have everything below them.
const SEEN_COUNT_MAX: usize = 4 * 1024 * 1024;

/// Most bad blocks told for one pin.
const BAD_COUNT_MAX: usize = 1000;

/// Blocks read together.
const BATCH_COUNT: usize = 64;

/// A block that keeps a pin from being whole.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadBlock {
    /// Which block.
    pub cid: Cid,
    /// What is the matter with it.
    pub reason: String,
}

/// Whether a pin is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PinCheck {
    /// The pin's root.
    pub cid: Cid,
    /// What is missing or broken below it; empty if it is whole.
    pub bad: Vec<BadBlock>,
}

/// A stream of checks.
pub type PinChecks = Pinned<Box<dyn Stream<Item = Result<PinCheck, NodeError>> + Send>>;

struct Check {
    pages: list::Pages,
    page: VecDeque<Pin>,
    blocks: Blocks,
    /// Blocks below which, as far as they were followed, nothing is missing.
    seen: HashSet<Cid>,
}

impl Node {
    /// Checks every recursive pin, locally, one after the other.
    ///
    /// # Errors
    ///
    /// Each item: that the pins could not be read.
    pub fn pin_verify(&self) -> PinChecks {
        let check = Check {
            pages: list::Pages::new(self.pins(), Some(PinKind::Recursive)),
            page: VecDeque::new(),
            blocks: self.blocks(Fetch::Local),
            seen: HashSet::new(),
        };
        Box::pin(stream::unfold(check, |mut check| async move {
            let next = check.next().await?;
            Some((next, check))
        }))
    }
}

impl Check {
    async fn next(&mut self) -> Option<Result<PinCheck, NodeError>> {
        while self.page.is_empty() {
            match self.pages.next().await? {
                Ok(page) => self.page = page.into(),
                Err(error) => return Some(Err(error.into())),
            }
        }
        let root = self.page.pop_front()?.cid;
        let bad = self.below(&root).await;
        Some(Ok(PinCheck { cid: root, bad }))
    }

    /// What is bad below a root.
    async fn below(&mut self, root: &Cid) -> Vec<BadBlock> {
        let mut bad = Vec::new();
        let mut own: HashSet<Cid> = HashSet::new();
        let mut open = vec![root.clone()];
        while !open.is_empty() && bad.len() < BAD_COUNT_MAX {
            let batch = open.split_off(open.len().saturating_sub(BATCH_COUNT));
            let answers = self.blocks.get_many(&batch).await;
            for (cid, answer) in batch.into_iter().zip(answers) {
                let mut reason = None;
                match answer {
                    Ok(None) => reason = Some("not found".to_owned()),
                    Err(error) => reason = Some(error.to_string()),
                    Ok(Some(block)) => match cairn_dag::links(&block) {
                        Ok(links) => {
                            for link in links {
                                if !self.seen.contains(&link) && own.insert(link.clone()) {
                                    open.push(link);
                                }
                            }
                        }
                        Err(DagError::Unsupported { .. }) => {}
                        Err(error) => reason = Some(error.to_string()),
                    },
                }
                bad.extend(reason.map(|reason| BadBlock { cid, reason }));
            }
        }
        // What lies below a broken pin is looked at again for every other pin that has it.
        if bad.is_empty() && self.seen.len() + own.len() < SEEN_COUNT_MAX {
            self.seen.extend(own);
            self.seen.insert(root.clone());
        }
        bad
    }
}
