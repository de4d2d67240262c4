//! Pins: what must stay, with everything below it.
//!
//! A recursive pin first makes sure that the whole DAG is here (fetching what is not) and only
//! then commits, which makes blocks and pin durable together: a pin that is there keeps what it
//! promises.
//!
//! Not here: how pins are kept (`cairn-store`), garbage collection.

mod list;
mod verify;

pub use list::{PinEntries, PinEntry, PinFilter, PinPage, PinPageStream};
pub use verify::{BadBlock, PinCheck, PinChecks};

use crate::{Fetch, Node, NodeError};
use cairn_block::{BlockStoreExt as _, Cid, Multihash};
use cairn_dag::WalkOptions;
use cairn_runtime::blocking;
use cairn_store::{PIN_NAME_LEN_MAX, Pin, PinError, PinKind};
use futures::StreamExt as _;
use std::{
    collections::{HashMap, HashSet},
    fmt,
    pin::pin,
    time::Duration,
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

/// How to pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinOptions {
    /// With everything below.
    pub recursive: bool,
    /// The pins' name.
    pub name: String,
    /// How long they last; `None` for ever.
    pub expire_in: Option<Duration>,
    /// Where missing blocks may come from.
    pub fetch: Fetch,
}

impl Default for PinOptions {
    fn default() -> Self {
        let (name, expire_in) = (String::new(), None);
        Self { recursive: true, name, expire_in, fetch: Fetch::Network }
    }
}

/// How far pinning is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PinProgress {
    /// Blocks seen.
    pub block_count: u64,
    /// Their bytes.
    pub len: u64,
}

impl Node {
    /// Pins one block; see [`Node::pin_add_many`].
    ///
    /// # Errors
    ///
    /// As [`Node::pin_add_many`].
    pub async fn pin_add(
        &self,
        cid: &Cid,
        recursive: bool,
        name: Option<String>,
        progress: Option<watch::Sender<PinProgress>>,
    ) -> Result<(), NodeError> {
        let name = name.unwrap_or_default();
        let options = PinOptions { recursive, name, ..PinOptions::default() };
        self.pin_add_many(std::slice::from_ref(cid), options, progress).await
    }

    /// Pins blocks, each with everything below it if so asked, fetching what is missing.
    ///
    /// One flush and one commit, durable when it returns; all are pinned then, or none. What is
    /// pinned already gets the new name and the new end. Safe to cancel: what was fetched stays
    /// as garbage, the pins are not there.
    ///
    /// # Errors
    ///
    /// [`NodeError::Block`] or [`NodeError::Dag`] naming a block that cannot be had;
    /// [`NodeError::AlreadyPinnedRecursively`] for a direct pin where a recursive one is.
    pub async fn pin_add_many(
        &self,
        cids: &[Cid],
        options: PinOptions,
        progress: Option<watch::Sender<PinProgress>>,
    ) -> Result<(), NodeError> {
        let PinOptions { recursive, name, expire_in, fetch } = options;
        if name.len() > PIN_NAME_LEN_MAX {
            return Err(PinError::NameTooLong { len: name.len() }.into());
        }
        let _until_pinned = self.store().lease();
        let existing = self.pins_get(cids).await?;
        let is_recursive =
            |pin: &Option<Pin>| pin.as_ref().is_some_and(|pin| pin.kind == PinKind::Recursive);
        let pairs = || cids.iter().zip(&existing);
        let (held, new): (Vec<_>, Vec<_>) = pairs().partition(|(_, pin)| is_recursive(pin));
        let cids_of = |pairs: Vec<(&Cid, _)>| -> Vec<Cid> {
            pairs.into_iter().map(|(cid, _)| cid.clone()).collect()
        };
        let (held, new) = (cids_of(held), cids_of(new));
        if recursive {
            self.complete(&new, fetch, progress).await?;
        } else {
            if let Some((cid, _)) = pairs().find(|(_, pin)| is_recursive(pin)) {
                return Err(NodeError::AlreadyPinnedRecursively { cid: cid.clone() });
            }
            let blocks = self.blocks(fetch).keeping();
            for cid in &new {
                drop(blocks.require(cid).await?);
            }
        }
        let kind = if recursive { PinKind::Recursive } else { PinKind::Direct };
        let expires = expire_in.and_then(|time| self.clock().now().checked_add(time));
        let pin = |cid: &Cid| Pin { cid: cid.clone(), kind, name: name.clone(), expires };
        let pinned: Vec<Pin> = cids.iter().map(pin).collect();
        let commit = {
            let (pins, held, pinned) = (self.pins().clone(), held.clone(), pinned.clone());
            blocking(move || pins.update_while(&held, &pinned, &[])).await?
        };
        if commit.is_none() {
            // A pin that was relied on is gone, and its blocks may be as well: look for them.
            self.complete(&held, fetch, None).await?;
            let pins = self.pins().clone();
            blocking(move || pins.add(&pinned)).await?;
        }
        self.announce_roots(cids, true);
        Ok(())
    }

    /// Makes sure that everything below `roots` is here.
    async fn complete(
        &self,
        roots: &[Cid],
        fetch: Fetch,
        progress: Option<watch::Sender<PinProgress>>,
    ) -> Result<(), NodeError> {
        let blocks = self.blocks(fetch).keeping();
        let mut visits = pin!(cairn_dag::walk(blocks, roots, WalkOptions::default()));
        let mut seen = PinProgress::default();
        while let Some(visit) = visits.next().await {
            let visit = visit?;
            seen.block_count += 1;
            seen.len += visit.block.map_or(0, |block| block.data().len() as u64);
            if let Some(progress) = &progress
                && seen.block_count.is_multiple_of(PROGRESS_STEP)
            {
                progress.send_replace(seen);
            }
        }
        if let Some(progress) = progress {
            progress.send_replace(seen);
        }
        Ok(())
    }

    /// Removes a pin; see [`Node::pin_rm_many`].
    ///
    /// # Errors
    ///
    /// As [`Node::pin_rm_many`].
    pub async fn pin_rm(&self, cid: &Cid, recursive: bool) -> Result<(), NodeError> {
        self.pin_rm_many(std::slice::from_ref(cid), recursive).await
    }

    /// Removes pins in one durable commit: all of them, or none.
    ///
    /// # Errors
    ///
    /// [`NodeError::NotPinned`], or [`NodeError::PinnedRecursively`] if `recursive` is false and
    /// a pin is not direct.
    pub async fn pin_rm_many(&self, cids: &[Cid], recursive: bool) -> Result<(), NodeError> {
        for (cid, pin) in cids.iter().zip(self.pins_get(cids).await?) {
            match pin.map(|pin| pin.kind) {
                None => return Err(NodeError::NotPinned { cid: cid.clone() }),
                Some(PinKind::Recursive) if !recursive => {
                    return Err(NodeError::PinnedRecursively { cid: cid.clone() });
                }
                Some(_) => {}
            }
        }
        let (pins, removed) = (self.pins().clone(), cids.to_vec());
        blocking(move || pins.remove(&removed)).await?;
        Ok(())
    }

    /// Pins `to` as `from` is pinned, under its name, and lets `from` go if `unpin`, in one
    /// commit.
    ///
    /// # Errors
    ///
    /// [`NodeError::UpdateFrom`] if `from` is not pinned recursively, [`NodeError::UpdateTo`] if
    /// `to` is already; else as [`Node::pin_add_many`].
    pub async fn pin_update(&self, from: &Cid, to: &Cid, unpin: bool) -> Result<(), NodeError> {
        let recursive = |pin: Option<Pin>| pin.filter(|pin| pin.kind == PinKind::Recursive);
        let Some(old) = recursive(self.pin_get(from).await?) else {
            return Err(NodeError::UpdateFrom { cid: from.clone() });
        };
        if from == to {
            return Ok(());
        }
        if recursive(self.pin_get(to).await?).is_some() {
            return Err(NodeError::UpdateTo { cid: to.clone() });
        }
        let _until_pinned = self.store().lease();
        self.complete(std::slice::from_ref(to), Fetch::Network, None).await?;
        let new = Pin { cid: to.clone(), ..old };
        let removed = if unpin { vec![from.clone()] } else { Vec::new() };
        let pins = self.pins().clone();
        blocking(move || pins.update(&[new], &removed)).await?;
        self.announce_roots(std::slice::from_ref(to), true);
        Ok(())
    }

    /// The pin of this very CID, if there is one.
    ///
    /// # Errors
    ///
    /// [`NodeError::Pin`].
    pub async fn pin_get(&self, cid: &Cid) -> Result<Option<Pin>, NodeError> {
        Ok(self.pins_get(std::slice::from_ref(cid)).await?.pop().flatten())
    }

    async fn pins_get(&self, cids: &[Cid]) -> Result<Vec<Option<Pin>>, NodeError> {
        let (pins, cids) = (self.pins().clone(), cids.to_vec());
        Ok(blocking(move || pins.get_many(&cids)).await?)
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
