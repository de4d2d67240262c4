//! What peers want, and whose turn it is: the giving half of Bitswap as a state machine.
//!
//! Every peer has a ledger: its wantlist, and what was exchanged with it. Turns go round the
//! peers that have something queued; a turn is about one message, so bytes are shared fairly
//! however many wants a peer has. A want that cannot be served stays until the block arrives or
//! the peer takes the want back.
//!
//! Invariants: pure, no clock; at most [`PEER_WANTS_MAX`] wants a peer, one turn at a time each.
//! Not here: looking blocks up (`engine/answer.rs`).

use super::{
    Awaited,
    limits::{MESSAGE_LEN_TARGET, PEER_WANTS_MAX},
    wire::{WantEntry, WantKind},
};
use crate::{LedgerInfo, PeerId};
use cairn_block::{Block, Cid};
use cairn_hash::Multihash;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

/// Wants looked up in one turn.
pub(crate) const TURN_WANTS_MAX: usize = 256;

/// One want of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) cid: Cid,
    pub(crate) kind: WantKind,
    pub(crate) send_dont_have: bool,
    priority: i32,
}

/// What is to be done for a peer in one turn.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) peer: PeerId,
    pub(crate) tasks: Vec<Task>,
    /// Blocks that came while the peer waited for them.
    pub(crate) ready: Vec<Block>,
}

/// What a turn's look-up found.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) blocks: Vec<Block>,
    pub(crate) haves: Vec<Cid>,
    pub(crate) dont_haves: Vec<Cid>,
    /// Not looked up, because the message was full.
    pub(crate) later: Vec<Task>,
}

/// What was exchanged with a peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) exchanged: u64,
}

impl Account {
    /// The account as the outside sees it.
    #[expect(clippy::cast_precision_loss, reason = "a ratio, for people to read")]
    pub(crate) fn info(&self, peer: PeerId) -> LedgerInfo {
        LedgerInfo {
            peer,
            value: self.sent as f64 / (self.received as f64 + 1.0),
            sent: self.sent,
            received: self.received,
            exchanged: self.exchanged,
        }
    }
}

#[derive(Debug, Default)]
struct Ledger {
    wants: HashMap<Multihash, Entry>,
    queue: VecDeque<Multihash>,
    ready: Vec<Block>,
    ready_len: usize,
    /// Whether a turn is under way.
    is_busy: bool,
    /// Whether the peer stands in the round.
    is_in_round: bool,
}

#[derive(Debug)]
struct Entry {
    task: Task,
    is_queued: bool,
}

/// All ledgers.
#[derive(Debug)]
pub(crate) struct Server {
    ledgers: HashMap<PeerId, Ledger>,
    round: VecDeque<PeerId>,
    awaited: Arc<Awaited>,
}

impl Server {
    /// `awaited` is told what peers wait for.
    pub(crate) fn new(awaited: Arc<Awaited>) -> Self {
        Self { ledgers: HashMap::new(), round: VecDeque::new(), awaited }
    }

    /// Takes a peer's wants in; `full` replaces what it wanted before.
    pub(crate) fn wants(&mut self, peer: PeerId, entries: Vec<WantEntry>, full: bool) {
        if full {
            self.forget_wants(peer);
        }
        let ledger = self.ledgers.entry(peer).or_default();
        for entry in entries {
            if entry.cancel {
                let hash = entry.cid.multihash();
                if ledger.wants.remove(hash).is_some() {
                    self.awaited.remove(hash);
                }
                continue;
            }
            ledger.add(entry, &self.awaited);
        }
        self.enter(peer);
    }

    /// The peer is gone, and its wants with it.
    pub(crate) fn peer_gone(&mut self, peer: PeerId) {
        self.forget_wants(peer);
        self.ledgers.remove(&peer);
    }

    /// A block is in the store now: whoever waits for it gets a turn.
    pub(crate) fn arrived(&mut self, hash: &Multihash) {
        let mut woken = Vec::new();
        for (peer, ledger) in &mut self.ledgers {
            if ledger.requeue(hash) {
                woken.push(*peer);
            }
        }
        for peer in woken {
            self.enter(peer);
        }
    }

    /// A block came from the network and may not be in the store yet.
    pub(crate) fn offer(&mut self, block: &Block) {
        let hash = block.cid().multihash();
        let mut woken = Vec::new();
        for (peer, ledger) in &mut self.ledgers {
            let waits = ledger.wants.get(hash).is_some_and(|entry| !entry.is_queued);
            if !waits {
                continue;
            }
            woken.push(*peer);
            if ledger.ready_len >= MESSAGE_LEN_TARGET {
                ledger.requeue(hash);
            } else if let Some(entry) = ledger.wants.remove(hash) {
                self.awaited.remove(hash);
                ledger.ready_len += block.data().len();
                ledger.ready.extend(block.clone().rename(entry.task.cid));
            }
        }
        for peer in woken {
            self.enter(peer);
        }
    }

    /// The next turn among the peers that `has_room` allows, if any.
    pub(crate) fn next(&mut self, has_room: impl Fn(&PeerId) -> bool) -> Option<Turn> {
        for _ in 0..self.round.len() {
            let peer = self.round.pop_front()?;
            let Some(ledger) = self.ledgers.get_mut(&peer) else { continue };
            if ledger.is_busy || !has_room(&peer) {
                self.round.push_back(peer);
                continue;
            }
            ledger.is_in_round = false;
            let turn = ledger.turn(peer);
            if !turn.tasks.is_empty() || !turn.ready.is_empty() {
                ledger.is_busy = true;
                self.enter(peer);
                return Some(turn);
            }
        }
        None
    }

    /// A turn is over: what was answered leaves the wantlist, the rest waits.
    pub(crate) fn done(&mut self, peer: PeerId, answer: &mut Answer) {
        let Some(ledger) = self.ledgers.get_mut(&peer) else { return };
        ledger.is_busy = false;
        let blocks = answer.blocks.iter().map(|block| (block.cid(), true));
        let haves = answer.haves.iter().map(|cid| (cid, false));
        for (cid, is_block) in blocks.chain(haves) {
            let hash = cid.multihash();
            // Asked for the block since: the HAVE does not answer that.
            let is_over = ledger.wants.get(hash).is_some_and(|e| is_block || !e.is_queued);
            if is_over && ledger.wants.remove(hash).is_some() {
                self.awaited.remove(hash);
            }
        }
        for task in answer.later.drain(..).rev() {
            let hash = task.cid.multihash();
            if let Some(entry) = ledger.wants.get_mut(hash)
                && !entry.is_queued
            {
                entry.is_queued = true;
                ledger.queue.push_front(hash.clone());
            }
        }
        self.enter(peer);
    }

    /// What `peer` wants.
    pub(crate) fn wantlist(&self, peer: &PeerId) -> Vec<Cid> {
        let ledger = self.ledgers.get(peer);
        let entries = ledger.into_iter().flat_map(|ledger| ledger.wants.values());
        entries.map(|entry| entry.task.cid.clone()).collect()
    }

    /// About how many bytes still wait to be sent to `peer`.
    pub(crate) fn pending_len(&self, peer: &PeerId) -> usize {
        const BLOCK_LEN_GUESS: usize = 256 * 1024;
        let ledger = self.ledgers.get(peer);
        ledger.map_or(0, |ledger| ledger.ready_len + ledger.queue.len() * BLOCK_LEN_GUESS)
    }

    /// Puts a peer into the round if it has something to wait for there.
    fn enter(&mut self, peer: PeerId) {
        if let Some(ledger) = self.ledgers.get_mut(&peer)
            && !ledger.is_in_round
            && (!ledger.queue.is_empty() || !ledger.ready.is_empty())
        {
            ledger.is_in_round = true;
            self.round.push_back(peer);
        }
    }

    fn forget_wants(&mut self, peer: PeerId) {
        if let Some(ledger) = self.ledgers.get_mut(&peer) {
            for (hash, _) in ledger.wants.drain() {
                self.awaited.remove(&hash);
            }
            ledger.queue.clear();
        }
    }
}

impl Ledger {
    fn add(&mut self, entry: WantEntry, awaited: &Awaited) {
        let WantEntry { cid, priority, kind, send_dont_have, .. } = entry;
        let hash = cid.multihash().clone();
        let mut task = Task { cid, kind, send_dont_have, priority };
        if let Some(known) = self.wants.get_mut(&hash) {
            // A want for the block is never weakened to a want for its presence.
            if known.task.kind == WantKind::Block {
                task.kind = WantKind::Block;
            }
            known.task = task;
            self.requeue(&hash);
            return;
        }
        if self.wants.len() >= PEER_WANTS_MAX && !self.evict(priority, awaited) {
            return;
        }
        if self.queue.len() >= 2 * PEER_WANTS_MAX {
            self.compact();
        }
        awaited.add(&hash);
        self.wants.insert(hash.clone(), Entry { task, is_queued: true });
        self.queue.push_back(hash);
    }

    /// Drops the places in the queue that wants taken back have left.
    fn compact(&mut self) {
        let mut seen = HashSet::new();
        let wants = &self.wants;
        self.queue.retain(|hash| {
            wants.get(hash).is_some_and(|entry| entry.is_queued) && seen.insert(hash.clone())
        });
    }

    /// Makes room for a want: one that was looked up in vain goes first, then a less urgent one.
    fn evict(&mut self, priority: i32, awaited: &Awaited) -> bool {
        let worth = |entry: &Entry| (entry.is_queued, entry.task.priority);
        let least = self.wants.iter().min_by_key(|(_, entry)| worth(entry));
        let Some((hash, entry)) = least else { return false };
        if entry.is_queued && entry.task.priority >= priority {
            return false;
        }
        let hash = hash.clone();
        self.wants.remove(&hash);
        awaited.remove(&hash);
        true
    }

    fn requeue(&mut self, hash: &Multihash) -> bool {
        let Some(entry) = self.wants.get_mut(hash) else { return false };
        if !entry.is_queued {
            entry.is_queued = true;
            self.queue.push_back(hash.clone());
        }
        true
    }

    fn turn(&mut self, peer: PeerId) -> Turn {
        let ready = std::mem::take(&mut self.ready);
        self.ready_len = 0;
        let mut tasks = Vec::new();
        while tasks.len() < TURN_WANTS_MAX
            && let Some(hash) = self.queue.pop_front()
        {
            // A want taken back, or given anew since, may have left its place in the queue.
            if let Some(entry) = self.wants.get_mut(&hash)
                && std::mem::take(&mut entry.is_queued)
            {
                tasks.push(entry.task.clone());
            }
        }
        Turn { peer, tasks, ready }
    }
}

#[cfg(test)]
mod tests;
