//! Asking a second peer for what takes far longer than usual.
//!
//! At a fetch's end one block that its peer has forgotten, or sends last, holds up all that was
//! fetched. Waiting for the peer to stall takes seconds; a second question costs a block at most.
//!
//! Invariants: at most one peer is asked besides; second questions are at most [`FREE`] more than
//! one in [`SHARE`] of the blocks that came, so duplicates stay below three in a hundred, and never
//! more than [`SAVED_MAX`] at once, however many blocks came before.
//! Not here: peers that say nothing at all (`schedule.rs`).

use super::{Client, Stage, Want};
use crate::PeerId;
use cairn_hash::Multihash;
use std::time::{Duration, Instant};

/// How many times as long as usual a block may take.
const USUAL_TIMES: u32 = 3;

/// How long any block may take.
const PATIENCE_MIN: Duration = Duration::from_millis(300);

/// How long a block may take from a peer that has sent none so far.
const PATIENCE_UNKNOWN: Duration = Duration::from_secs(1);

/// One second question for so many blocks that came.
const SHARE: i64 = 50;

/// Second questions that are free: a short fetch has an end, too.
const FREE: i64 = 8;

/// Second questions that can be saved up.
const SAVED_MAX: i64 = 32;

/// The credit when one more block has come.
pub(super) fn earned(credit: i64) -> i64 {
    (credit + 1).min((SAVED_MAX - FREE) * SHARE)
}

impl Client {
    /// Asks others, too, for what is late, as far as that is not too often.
    pub(super) fn hedge(&mut self, now: Instant) {
        let allowed = FREE + self.credit.div_euclid(SHARE);
        if allowed <= 0 || self.peers.len() < 2 {
            return;
        }
        let mut late: Vec<(Instant, Multihash, PeerId)> = Vec::new();
        for (hash, want) in &self.wants {
            if let Stage::Asked { peer, at } = want.stage
                && want.hedge.is_none()
                && now.saturating_duration_since(at) >= self.patience(&peer)
            {
                late.push((at, hash.clone(), peer));
            }
        }
        // Who has waited longest comes first.
        late.sort_unstable_by_key(|(at, _, _)| *at);
        for (_, hash, peer) in late.into_iter().take(usize::try_from(allowed).unwrap_or(0)) {
            self.ask_besides(&hash, peer, now);
        }
    }

    fn patience(&self, peer: &PeerId) -> Duration {
        match self.peers.get(peer).and_then(super::Peer::usual) {
            Some(usual) => (usual * USUAL_TIMES).max(PATIENCE_MIN),
            None => PATIENCE_UNKNOWN,
        }
    }

    fn ask_besides(&mut self, hash: &Multihash, asked: PeerId, now: Instant) {
        let Some(want) = self.wants.get(hash) else { return };
        let (len, mut best) = (self.reckoned_len(), None);
        for peer in self.others(want, asked) {
            if let Some(state) = self.peers.get_mut(&peer)
                && state.has_room(len)
                && best.is_none_or(|(load, _)| state.load() < load)
            {
                best = Some((state.load(), peer));
            }
        }
        let Some((_, peer)) = best else { return };
        if let (Some(want), Some(state)) = (self.wants.get_mut(hash), self.peers.get_mut(&peer)) {
            state.ask_block(&want.cid, len, now);
            want.hedge = Some((peer, now));
            self.dirty.insert(peer);
            self.credit -= SHARE;
        }
    }

    /// Who may have the block besides the one that was asked: those that say so, and those that
    /// have had others of the session.
    fn others(&self, want: &Want, asked: PeerId) -> Vec<PeerId> {
        let sessions = want.waiters.iter().filter_map(|waiter| self.sessions.get(&waiter.session));
        let known = sessions.flat_map(|session| &session.peers);
        let likely = want.having.iter().chain(known).copied();
        likely.filter(|peer| *peer != asked && !want.lacking.contains(peer)).collect()
    }
}
