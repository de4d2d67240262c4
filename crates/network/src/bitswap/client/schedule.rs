//! Who is asked next, and what happens when nobody answers.
//!
//! Not here: how much one peer may be asked (`peer.rs`).

use super::{Client, Stage};
use crate::{PeerId, bitswap::limits::BROADCAST_WANTS_MAX};
use cairn_hash::Multihash;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How long a peer may say nothing at all before its wants go to others; doubled each time.
const STALL_MAX: Duration = Duration::from_secs(5);

/// How long one want may go unanswered by a peer that answers others.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// How long everybody's silence about a want is accepted before all are asked again.
const REBROADCAST_INTERVAL: Duration = Duration::from_secs(30);

/// What a block is reckoned to be before any has come, in bytes.
const BLOCK_LEN_GUESS: usize = 256 * 1024;

/// The least that a block is reckoned to be, in bytes.
const BLOCK_LEN_MIN: usize = 1024;

/// Once so many wants of a session have found no room, its others will find none either.
const MISSES_MAX: u32 = 8;

/// What became of a want that was looked at.
enum Verdict {
    Done,
    /// The likely peers have no room now.
    Later,
}

impl Client {
    /// Asks likely peers for queued wants, as far as their windows allow.
    pub(crate) fn schedule(&mut self, now: Instant) {
        if !std::mem::take(&mut self.may_schedule) {
            return;
        }
        let mut misses: HashMap<u64, u32> = HashMap::new();
        for _ in 0..self.queue.len() {
            let Some(hash) = self.queue.pop_front() else { return };
            let Some(want) = self.wants.get(&hash) else { continue };
            if want.stage != Stage::Queued {
                continue;
            }
            let session = want.waiters.first().map_or(0, |waiter| waiter.session);
            let count = misses.entry(session).or_default();
            if *count >= MISSES_MAX {
                self.queue.push_back(hash);
            } else if let Verdict::Later = self.place(&hash, now) {
                *count += 1;
                self.queue.push_back(hash);
            }
        }
    }

    /// Looks after peers and wants that time has passed by.
    pub(crate) fn tick(&mut self, now: Instant) {
        let mut silent = Vec::new();
        for (peer, state) in &mut self.peers {
            let patience = STALL_MAX * 2u32.pow(state.stalls);
            if state.has_outstanding()
                && now.saturating_duration_since(state.progress_at) >= patience
            {
                silent.extend(state.stall(now).into_iter().map(|hash| (*peer, hash)));
            }
        }
        let is_late = |at: Instant| now.saturating_duration_since(at) >= ANSWER_MAX;
        for (hash, want) in &self.wants {
            match want.stage {
                Stage::Asked { peer, at } if is_late(at) => silent.push((peer, hash.clone())),
                _ => {}
            }
            if let Some((peer, at)) = want.hedge
                && is_late(at)
            {
                silent.push((peer, hash.clone()));
            }
        }
        for (peer, hash) in silent {
            self.pass_over(peer, &hash);
        }
        self.hedge(now);
        self.rebroadcast(now);
        self.forget_idle_sessions(now);
        self.may_schedule = true;
    }

    /// Lets another peer be asked, if there is one: the silent one comes last.
    fn pass_over(&mut self, peer: PeerId, hash: &Multihash) {
        let has_others = self.peers.len() > 1;
        if let Some(state) = self.peers.get_mut(&peer) {
            state.demote(hash);
        }
        if let Some(want) = self.wants.get_mut(hash) {
            want.having.retain(|known| *known != peer);
            want.lacking.retain(|known| *known != peer);
            if has_others {
                want.lacking.push(peer);
            }
        }
        self.let_go(peer, hash);
    }

    fn rebroadcast(&mut self, now: Instant) {
        let is_due = |stage: Stage| match stage {
            Stage::Broadcast { since } => {
                now.saturating_duration_since(since) >= REBROADCAST_INTERVAL
            }
            _ => false,
        };
        let due: Vec<Multihash> = self
            .wants
            .iter()
            .filter(|(_, want)| is_due(want.stage))
            .map(|(hash, _)| hash.clone())
            .collect();
        for hash in due {
            if let Some(want) = self.wants.get_mut(&hash) {
                want.lacking.clear();
            }
            self.requeue(&hash);
        }
    }

    fn place(&mut self, hash: &Multihash, now: Instant) -> Verdict {
        let likely = self.likely(hash);
        if likely.is_empty() {
            return self.broadcast(hash, now);
        }
        let len = self.reckoned_len();
        let mut best: Option<(usize, PeerId)> = None;
        for peer in likely {
            if let Some(state) = self.peers.get_mut(&peer)
                && state.has_room(len)
                && best.is_none_or(|(load, _)| state.load() < load)
            {
                best = Some((state.load(), peer));
            }
        }
        let (Some((_, peer)), Some(want)) = (best, self.wants.get_mut(hash)) else {
            return Verdict::Later;
        };
        if let Some(state) = self.peers.get_mut(&peer) {
            state.ask_block(&want.cid, len, now);
            want.stage = Stage::Asked { peer, at: now };
            self.dirty.insert(peer);
        }
        Verdict::Done
    }

    /// What the next block is reckoned to be, in bytes.
    pub(super) fn reckoned_len(&self) -> usize {
        match self.block_len {
            0 => BLOCK_LEN_GUESS,
            average => average.max(BLOCK_LEN_MIN),
        }
    }

    /// The peers worth asking for the block, of the best kind there is.
    fn likely(&self, hash: &Multihash) -> Vec<PeerId> {
        let Some(want) = self.wants.get(hash) else { return Vec::new() };
        let is_open = |peer: &PeerId| self.peers.contains_key(peer) && !want.lacking.contains(peer);
        let having: Vec<PeerId> = want.having.iter().copied().filter(|p| is_open(p)).collect();
        if !having.is_empty() {
            return having;
        }
        let mut likely: Vec<PeerId> = Vec::new();
        for waiter in &want.waiters {
            let known = self.sessions.get(&waiter.session).map(|session| &session.peers);
            likely.extend(known.into_iter().flatten().filter(|p| is_open(p)));
        }
        if !likely.is_empty() {
            return likely;
        }
        // Nobody is known: the only peer there is, or those that cannot be asked whether.
        let only_one = self.strangers().count() == 1;
        let direct = self.strangers().filter(|(_, state)| only_one || !state.has_presence());
        let direct: Vec<PeerId> = direct.map(|(peer, _)| *peer).filter(|p| is_open(p)).collect();
        let mut asking = self.strangers().filter(|(_, state)| state.has_presence()).peekable();
        if asking.peek().is_some() && !only_one {
            let all_asked = asking.all(|(_, state)| state.was_asked(hash));
            return if all_asked { direct } else { Vec::new() };
        }
        direct
    }

    /// Asks everybody whether they have the block.
    fn broadcast(&mut self, hash: &Multihash, now: Instant) -> Verdict {
        let Some(want) = self.wants.get_mut(hash) else { return Verdict::Done };
        let Some(session) =
            want.waiters.first().and_then(|waiter| self.sessions.get_mut(&waiter.session))
        else {
            return Verdict::Done;
        };
        if session.broadcast >= BROADCAST_WANTS_MAX {
            return Verdict::Later;
        }
        session.broadcast += 1;
        want.stage = Stage::Broadcast { since: now };
        for (peer, state) in &mut self.peers {
            let may_ask = !state.is_web() || session.peers.contains(peer);
            if may_ask && state.ask_have(&want.cid) {
                self.dirty.insert(*peer);
            }
        }
        Verdict::Done
    }
}
