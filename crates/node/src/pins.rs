//! Pins: what must stay, with everything below it.
//!
//! A recursive pin first makes sure that the whole DAG is here (fetching what is not), flushes
//! once, and only then commits: a pin that is there keeps what it promises.
//!
//! Not here: how pins are kept (`cairn-store`), garbage collection.

mod list;

pub use list::{PinEntries, PinEntry, PinFilter};

use crate::{Fetch, Node, NodeError};
use cairn_block::{BlockStore as _, BlockStoreExt as _, Cid, Multihash};
use cairn_dag::WalkOptions;
use cairn_runtime::blocking;
use cairn_store::{PIN_NAME_LEN_MAX, Pin, PinError, PinKind};
use futures::StreamExt as _;
use std::{
    collections::{HashMap, HashSet},
    fmt,
    pin::pin,
};
use tokio::sync::watch;

/// How often a long pin tells how far it is, in blocks.
const PROGRESS_STEP: u64 = 64;

/// Whether and why a block stays.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PinState {
    /// Nothing keeps it.
    NotPinned,
    /// Pinned by itself, alone.
    Direct,
    /// Pinned by itself, with everything below it.
    Recursive,
    /// Below something that is pinned recursively.
    Indirect {
        /// One of those above it.
        via: Cid,
    },
}

impl fmt::Display for PinState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPinned => f.write_str("not pinned"),
            Self::Direct => f.write_str("pinned: direct"),
            Self::Recursive => f.write_str("pinned: recursive"),
            Self::Indirect { via } => write!(f, "pinned via {via}"),
        }
    }
}

impl Node {
    /// Pins a block, with everything below it if `recursive`, fetching what is missing.
    ///
    /// Durable when it returns. `progress` holds the number of blocks seen so far. Safe to
    /// cancel: what was fetched stays as garbage, the pin is not there.
    ///
    /// # Errors
    ///
    /// [`NodeError::Block`] or [`NodeError::Dag`] naming a block that cannot be had;
    /// [`NodeError::AlreadyPinnedRecursively`] for a direct pin below a recursive one.
    pub async fn pin_add(
        &self,
        cid: &Cid,
        recursive: bool,
        name: Option<String>,
        progress: Option<watch::Sender<u64>>,
    ) -> Result<(), NodeError> {
        let name = name.unwrap_or_default();
        if name.len() > PIN_NAME_LEN_MAX {
            return Err(PinError::NameTooLong { len: name.len() }.into());
        }
        let existing = self.pin_get(cid).await?.map(|pin| pin.kind);
        let blocks = self.blocks(Fetch::Network).keeping();
        match (recursive, existing) {
            (true, Some(PinKind::Recursive)) => {}
            (false, Some(PinKind::Recursive)) => {
                return Err(NodeError::AlreadyPinnedRecursively { cid: cid.clone() });
            }
            (false, _) => drop(blocks.require(cid).await?),
            (true, _) => self.complete(cid, progress).await?,
        }
        blocks.sync().await?;
        let kind = if recursive { PinKind::Recursive } else { PinKind::Direct };
        let pin = Pin { cid: cid.clone(), kind, name, expires: None };
        let pins = self.pins().clone();
        Ok(blocking(move || pins.add(&[pin])).await?)
    }

    /// Makes sure that everything below `cid` is here.
    async fn complete(
        &self,
        cid: &Cid,
        progress: Option<watch::Sender<u64>>,
    ) -> Result<(), NodeError> {
        let blocks = self.blocks(Fetch::Network).keeping();
        let roots = std::slice::from_ref(cid);
        let mut visits = pin!(cairn_dag::walk(blocks, roots, WalkOptions::default()));
        let mut seen = 0_u64;
        while let Some(visit) = visits.next().await {
            visit?;
            seen += 1;
            if let Some(progress) = &progress
                && seen.is_multiple_of(PROGRESS_STEP)
            {
                progress.send_replace(seen);
            }
        }
        if let Some(progress) = progress {
            progress.send_replace(seen);
        }
        Ok(())
    }

    /// Removes a pin, durably.
    ///
    /// # Errors
    ///
    /// [`NodeError::NotPinned`], or [`NodeError::PinnedRecursively`] if `recursive` is false and
    /// the pin is not direct.
    pub async fn pin_rm(&self, cid: &Cid, recursive: bool) -> Result<(), NodeError> {
        match self.pin_get(cid).await?.map(|pin| pin.kind) {
            None => return Err(NodeError::NotPinned { cid: cid.clone() }),
            Some(PinKind::Recursive) if !recursive => {
                return Err(NodeError::PinnedRecursively { cid: cid.clone() });
            }
            Some(_) => {}
        }
        let (pins, cids) = (self.pins().clone(), [cid.clone()]);
        let removed = blocking(move || pins.remove(&cids)).await?;
        match removed.first() {
            Some(true) => Ok(()),
            _ => Err(NodeError::NotPinned { cid: cid.clone() }),
        }
    }

    /// The pin of exactly this CID, if there is one.
    ///
    /// # Errors
    ///
    /// [`NodeError::Pin`] if the pins could not be read.
    pub async fn pin_get(&self, cid: &Cid) -> Result<Option<Pin>, NodeError> {
        let (pins, cid) = (self.pins().clone(), cid.clone());
        Ok(blocking(move || pins.get(&cid)).await?)
    }

    /// Whether and why each of these blocks stays, in order; blocks are the same if their
    /// multihash is.
    ///
    /// Walks the recursively pinned DAGs, locally, until all are found.
    ///
    /// # Errors
    ///
    /// [`NodeError::Pin`] if the pins could not be read, [`NodeError::Dag`] if a pinned DAG is
    /// not whole: then nothing can be said for certain.
    pub async fn pin_states(&self, cids: &[Cid]) -> Result<Vec<PinState>, NodeError> {
        let mut open: HashSet<Multihash> = HashSet::new();
        let mut states: HashMap<Multihash, PinState> = HashMap::new();
        for cid in cids {
            open.insert(cid.multihash().clone());
        }
        let mut pages = list::Pages::new(self.pins(), None);
        let mut roots = Vec::new();
        while let Some(page) = pages.next().await {
            for pin in page? {
                let hash = pin.cid.multihash();
                let state = match pin.kind {
                    PinKind::Recursive => PinState::Recursive,
                    PinKind::Direct => PinState::Direct,
                };
                if open.contains(hash) && states.get(hash) != Some(&PinState::Recursive) {
                    states.insert(hash.clone(), state);
                }
                if pin.kind == PinKind::Recursive {
                    roots.push(pin.cid);
                }
            }
        }
        open.retain(|hash| !states.contains_key(hash));
        for root in roots {
            if open.is_empty() {
                break;
            }
            let found = self.find_below(&root, &mut open).await?;
            let via = || PinState::Indirect { via: root.clone() };
            states.extend(found.into_iter().map(|hash| (hash, via())));
        }
        let state = |cid: &Cid| states.get(cid.multihash()).cloned();
        Ok(cids.iter().map(|cid| state(cid).unwrap_or(PinState::NotPinned)).collect())
    }

    /// Moves those of `open` that lie below `root` out of it.
    async fn find_below(
        &self,
        root: &Cid,
        open: &mut HashSet<Multihash>,
    ) -> Result<Vec<Multihash>, NodeError> {
        let options = WalkOptions { skip_leaves: true, ..WalkOptions::default() };
        let roots = std::slice::from_ref(root);
        let mut visits = pin!(self.walk(roots, options, Fetch::Local));
        let mut found = Vec::new();
        while !open.is_empty()
            && let Some(visit) = visits.next().await
        {
            let visit = visit?;
            found.extend(open.take(visit.cid.multihash()));
        }
        Ok(found)
    }
}
