//! What one peer has been asked, and how much more it may be asked.
//!
//! Invariant: what the peer holds of our wantlist is `blocks` and `haves`, so a cancel is sent
//! exactly for those; [`ASKED_MAX`] and [`ASKED_BLOCKS_MAX`] bound them.

use crate::bitswap::{
    limits::{ASKED_BLOCKS_MAX, ASKED_MAX, WINDOW_LEN_INITIAL, WINDOW_LEN_MAX},
    wire::{WantEntry, WantKind},
};
use cairn_block::Cid;
use cairn_hash::Multihash;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

/// Entries that wait to be sent; beyond this the whole wantlist is sent anew instead.
const OUTBOX_MAX: usize = 4 * ASKED_MAX;

/// Blocks withdrawn from a peer and still recognised if they come.
const WITHDRAWN_MAX: usize = ASKED_MAX;

/// What a peer understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Wants for blocks alone.
    Old,
    /// HAVE and `DONT_HAVE`, too.
    Full,
    /// The same, and it is a web server: asked only by those who have learned of it.
    Web,
}

/// One peer, as the client sees it.
#[derive(Debug)]
pub(crate) struct Peer {
    kind: Kind,
    /// Asked for the block, with the length reckoned, and when.
    blocks: HashMap<Multihash, (Cid, usize, Instant)>,
    /// How long a block usually takes from the asking to its coming.
    usual: Option<Duration>,
    /// Asked whether it has it, or asked for the block and no longer relied on.
    haves: HashMap<Multihash, Cid>,
    /// Cancelled lately: these may still be on their way.
    withdrawn: HashSet<Multihash>,
    withdrawn_order: VecDeque<Multihash>,
    outstanding_len: usize,
    window_len: usize,
    /// Whether the window was what kept it from being asked more.
    window_was_full: bool,
    /// When it last answered anything, or was asked after having nothing to answer.
    pub(super) progress_at: Instant,
    /// How often in a row it let the time pass.
    pub(super) stalls: u32,
    outbox: Vec<WantEntry>,
    send_all: bool,
}

impl Peer {
    pub(super) fn new(has_presence: bool, now: Instant) -> Self {
        Self {
            kind: if has_presence { Kind::Full } else { Kind::Old },
            blocks: HashMap::new(),
            usual: None,
            haves: HashMap::new(),
            withdrawn: HashSet::new(),
            withdrawn_order: VecDeque::new(),
            outstanding_len: 0,
            window_len: WINDOW_LEN_INITIAL,
            window_was_full: false,
            progress_at: now,
            stalls: 0,
            outbox: Vec::new(),
            send_all: true,
        }
    }

    pub(super) fn web(now: Instant) -> Self {
        Self { kind: Kind::Web, ..Self::new(true, now) }
    }

    /// Whether it understands HAVE and `DONT_HAVE`.
    pub(super) fn has_presence(&self) -> bool {
        self.kind != Kind::Old
    }

    /// Whether it is a web server, which is asked only by those who have learned of it.
    pub(super) fn is_web(&self) -> bool {
        self.kind == Kind::Web
    }

    /// Whether one more block may be asked for.
    pub(super) fn has_room(&mut self, len: usize) -> bool {
        let fits = self.outstanding_len + len <= self.window_len || self.blocks.is_empty();
        self.window_was_full |= !fits;
        fits && self.blocks.len() < ASKED_BLOCKS_MAX && self.asked() < ASKED_MAX
    }

    /// How full the window is, in thousandths; the least full is asked first.
    pub(super) fn load(&self) -> usize {
        self.outstanding_len * 1000 / self.window_len + 2000 * self.stalls as usize
    }

    pub(super) fn asked(&self) -> usize {
        self.blocks.len() + self.haves.len()
    }

    pub(super) fn has_outstanding(&self) -> bool {
        !self.blocks.is_empty()
    }

    /// How long a block usually takes, as far as any has come.
    pub(super) fn usual(&self) -> Option<Duration> {
        self.usual
    }

    pub(super) fn was_asked(&self, hash: &Multihash) -> bool {
        self.blocks.contains_key(hash) || self.haves.contains_key(hash)
    }

    pub(super) fn ask_block(&mut self, cid: &Cid, len: usize, now: Instant) {
        let hash = cid.multihash();
        self.haves.remove(hash);
        if self.blocks.is_empty() {
            self.progress_at = now;
        }
        if self.blocks.insert(hash.clone(), (cid.clone(), len, now)).is_none() {
            self.outstanding_len += len;
        }
        self.push(cid, WantKind::Block, false);
    }

    /// Asks whether the peer has the block; false if it was asked or may not be asked more.
    pub(super) fn ask_have(&mut self, cid: &Cid) -> bool {
        let is_full = self.haves.len() >= ASKED_MAX - ASKED_BLOCKS_MAX;
        if is_full || !self.has_presence() || self.was_asked(cid.multihash()) {
            return false;
        }
        self.haves.insert(cid.multihash().clone(), cid.clone());
        self.push(cid, WantKind::Have, false);
        true
    }

    /// The peer need not be waited for any more; its list keeps the want.
    pub(super) fn demote(&mut self, hash: &Multihash) {
        if let Some((cid, len, _)) = self.blocks.remove(hash) {
            self.outstanding_len -= len;
            self.haves.insert(hash.clone(), cid);
        }
    }

    /// Takes the want back; false if the peer never had it.
    pub(super) fn cancel(&mut self, cid: &Cid, hash: &Multihash) -> bool {
        if !self.was_asked(hash) {
            return false;
        }
        self.forget(hash);
        if self.withdrawn.insert(hash.clone()) {
            self.withdrawn_order.push_back(hash.clone());
        }
        if self.withdrawn_order.len() > WITHDRAWN_MAX
            && let Some(oldest) = self.withdrawn_order.pop_front()
        {
            self.withdrawn.remove(&oldest);
        }
        self.push(cid, WantKind::Block, true);
        true
    }

    /// A block came; false if it was never asked for here.
    pub(super) fn delivered(&mut self, hash: &Multihash, len: usize) -> bool {
        const SMOOTHING: u32 = 8;
        let asked = self.was_asked(hash) || self.withdrawn.contains(hash);
        if let Some((_, _, at)) = self.blocks.get(hash) {
            // The message that it came in was the peer's last sign of life.
            let took = self.progress_at.saturating_duration_since(*at);
            let smooth = |usual: Duration| (usual * (SMOOTHING - 1) + took) / SMOOTHING;
            self.usual = Some(self.usual.map_or(took, smooth));
        }
        if self.blocks.contains_key(hash) && self.window_was_full {
            self.window_len = (self.window_len + len).min(WINDOW_LEN_MAX);
            self.window_was_full = false;
        }
        self.forget(hash);
        asked
    }

    pub(super) fn progress(&mut self, now: Instant) {
        self.progress_at = now;
        self.stalls = 0;
    }

    /// The peer let the time pass: what it was asked is to be asked elsewhere.
    pub(super) fn stall(&mut self, now: Instant) -> Vec<Multihash> {
        const STALLS_MAX: u32 = 4;
        self.stalls = (self.stalls + 1).min(STALLS_MAX);
        self.progress_at = now;
        self.window_len = WINDOW_LEN_INITIAL;
        let hashes: Vec<Multihash> = self.blocks.keys().cloned().collect();
        for hash in &hashes {
            self.demote(hash);
        }
        hashes
    }

    /// Takes the entries to send, and whether they are the whole list.
    pub(super) fn take(&mut self) -> (Vec<WantEntry>, bool) {
        let full = std::mem::take(&mut self.send_all);
        let outbox = std::mem::take(&mut self.outbox);
        if !full {
            return (outbox, false);
        }
        let blocks = self.blocks.values().map(|(cid, _, _)| (cid, WantKind::Block));
        let haves = self.haves.values().map(|cid| (cid, WantKind::Have));
        let entries = blocks.chain(haves).map(|(cid, kind)| entry(cid, kind, false));
        (entries.collect(), true)
    }

    fn forget(&mut self, hash: &Multihash) {
        if let Some((_, len, _)) = self.blocks.remove(hash) {
            self.outstanding_len -= len;
        }
        self.haves.remove(hash);
    }

    fn push(&mut self, cid: &Cid, kind: WantKind, cancel: bool) {
        if self.send_all {
            return;
        }
        if self.outbox.len() >= OUTBOX_MAX {
            self.outbox = Vec::new();
            self.send_all = true;
            return;
        }
        self.outbox.push(entry(cid, kind, cancel));
    }
}

fn entry(cid: &Cid, kind: WantKind, cancel: bool) -> WantEntry {
    WantEntry { cid: cid.clone(), priority: 1, cancel, kind, send_dont_have: !cancel }
}
