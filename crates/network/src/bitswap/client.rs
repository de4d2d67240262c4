//! What is wanted, and who is asked for it: the asking half of Bitswap as a state machine.
//!
//! A want is either *asked* (one peer has been sent a want for the block), *queued* (to be asked
//! as soon as a likely peer has room) or *broadcast* (everybody was asked whether they have it).
//! Likely peers are those that said HAVE, then those that had other blocks of the session. Each
//! peer has a window in bytes that grows with what it delivers, so that fast peers are kept
//! busy and slow ones are not drowned.
//!
//! A want that takes far longer than its peer usually takes is asked of a second one as well.
//!
//! Invariants: pure: `now` comes in, entries to send are collected from [`Client::take`]; one
//! want exists per multihash however many fetches wait for it; a peer is never asked for more
//! than `ASKED_MAX` things.
//! Not here: hashing (`verify.rs`), sending (`engine.rs`).

mod hedge;
mod peer;
mod schedule;

use super::{limits::BROADCAST_WANTS_MAX, wire::WantEntry};
use crate::PeerId;
use cairn_block::Cid;
use cairn_hash::Multihash;
pub(super) use peer::Peer;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

/// A session without wants is forgotten after this long.
const SESSION_IDLE_MAX: Duration = Duration::from_mins(5);

/// Sessions remembered; the longest unused goes first.
const SESSIONS_MAX: usize = 4096;

/// Peers remembered per session.
const SESSION_PEERS_MAX: usize = 32;

/// Someone to tell when a block comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) fetch: u64,
    pub(crate) place: usize,
    pub(crate) cid: Cid,
    pub(crate) session: u64,
}

/// What a received block was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// Wanted: these are to be told.
    Wanted(Vec<Waiter>),
    /// Asked for, but someone else was faster.
    Duplicate,
    /// Never asked of this peer.
    Unasked,
}

/// Where a want stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Queued,
    Asked { peer: PeerId, at: Instant },
    Broadcast { since: Instant },
}

#[derive(Debug)]
struct Want {
    cid: Cid,
    waiters: Vec<Waiter>,
    stage: Stage,
    /// Who was asked besides, since the one asked takes long, and when.
    hedge: Option<(PeerId, Instant)>,
    /// Who said HAVE.
    having: Vec<PeerId>,
    /// Who said `DONT_HAVE`, or let the time pass.
    lacking: Vec<PeerId>,
}

#[derive(Debug)]
struct SessionState {
    /// Who had blocks of this session, best first.
    peers: Vec<PeerId>,
    live: usize,
    broadcast: usize,
    used: Instant,
}

/// All wants of the node.
#[derive(Debug, Default)]
pub(crate) struct Client {
    wants: HashMap<Multihash, Want>,
    fetches: HashMap<u64, HashSet<Multihash>>,
    sessions: HashMap<u64, SessionState>,
    peers: HashMap<PeerId, Peer>,
    /// Wants in [`Stage::Queued`], and perhaps some that no longer are.
    queue: VecDeque<Multihash>,
    /// Peers with entries to send.
    dirty: HashSet<PeerId>,
    /// Average length of the blocks received lately, in bytes.
    block_len: usize,
    /// Set when something changed that may let queued wants go out.
    may_schedule: bool,
    /// What second questions are paid from: a unit for each block that came.
    credit: i64,
}

impl Client {
    /// Adds a want; shares the one that exists for the same multihash.
    pub(crate) fn want(&mut self, waiter: Waiter, now: Instant) {
        let hash = waiter.cid.multihash().clone();
        self.fetches.entry(waiter.fetch).or_default().insert(hash.clone());
        self.session(waiter.session, now).live += 1;
        self.may_schedule = true;
        if let Some(want) = self.wants.get_mut(&hash) {
            want.waiters.push(waiter);
            return;
        }
        let want = Want {
            cid: waiter.cid.clone(),
            waiters: vec![waiter],
            stage: Stage::Queued,
            hedge: None,
            having: Vec::new(),
            lacking: Vec::new(),
        };
        self.wants.insert(hash.clone(), want);
        self.queue.push_back(hash);
    }

    /// Withdraws all wants of a fetch.
    pub(crate) fn cancel(&mut self, fetch: u64) {
        for hash in self.fetches.remove(&fetch).unwrap_or_default() {
            let Some(want) = self.wants.get_mut(&hash) else { continue };
            let (gone, left): (Vec<_>, Vec<_>) =
                want.waiters.drain(..).partition(|waiter| waiter.fetch == fetch);
            want.waiters = left;
            let is_over = want.waiters.is_empty();
            for waiter in &gone {
                self.end_of(waiter.session);
            }
            if is_over && let Some(want) = self.remove(&hash) {
                self.cancel_everywhere(&want, None);
            }
        }
    }

    /// A peer that speaks Bitswap is there.
    pub(crate) fn peer_ready(&mut self, peer: PeerId, has_presence: bool, now: Instant) {
        if self.peers.contains_key(&peer) {
            return;
        }
        self.peers.insert(peer, Peer::new(has_presence, now));
        self.may_schedule = true;
        // Whoever was asked for the block may not have it, or may be slower.
        let live = self.wants.iter().filter(|(_, want)| want.stage != Stage::Queued);
        let live = live.map(|(hash, want)| (hash.clone(), want.stage.is_broadcast()));
        let (broadcast, asked): (Vec<_>, Vec<_>) = live.partition(|(_, broadcast)| *broadcast);
        let asked = asked.into_iter().take(BROADCAST_WANTS_MAX);
        for (hash, _) in broadcast.into_iter().chain(asked) {
            self.tell_new_peer(peer, &hash, has_presence);
        }
    }

    /// A web server may be asked, but only by the sessions that learn of it.
    pub(crate) fn web_ready(&mut self, peer: PeerId, now: Instant) {
        self.peers.entry(peer).or_insert_with(|| Peer::web(now));
        self.ask_web(peer);
    }

    /// Wants that everybody was asked about, of sessions that know of a web server, go there.
    fn ask_web(&mut self, peer: PeerId) {
        self.may_schedule = true;
        let knows = |session: &u64| {
            self.sessions.get(session).is_some_and(|state| state.peers.contains(&peer))
        };
        let is_waiting = |want: &Want| {
            want.stage.is_broadcast()
                && !want.lacking.contains(&peer)
                && want.waiters.iter().any(|waiter| knows(&waiter.session))
        };
        let waiting = self.wants.iter().filter(|(_, want)| is_waiting(want));
        let waiting: Vec<Multihash> = waiting.map(|(hash, _)| hash.clone()).collect();
        for hash in waiting {
            self.requeue(&hash);
        }
    }

    fn tell_new_peer(&mut self, peer: PeerId, hash: &Multihash, has_presence: bool) {
        let is_only_one = self.strangers().count() == 1;
        let (Some(want), Some(state)) = (self.wants.get(hash), self.peers.get_mut(&peer)) else {
            return;
        };
        if has_presence && !is_only_one {
            if state.ask_have(&want.cid) {
                self.dirty.insert(peer);
            }
        } else if want.stage.is_broadcast() {
            self.requeue(hash);
        }
    }

    /// The last connection to a peer is gone, and with it all that it was asked.
    pub(crate) fn peer_gone(&mut self, peer: PeerId) {
        if self.peers.remove(&peer).is_none() {
            return;
        }
        self.dirty.remove(&peer);
        self.may_schedule = true;
        for session in self.sessions.values_mut() {
            session.peers.retain(|known| *known != peer);
        }
        let mut orphans = Vec::new();
        for (hash, want) in &mut self.wants {
            want.having.retain(|known| *known != peer);
            want.lacking.retain(|known| *known != peer);
            if want.relies_on(peer) {
                orphans.push(hash.clone());
            }
        }
        for hash in orphans {
            self.let_go(peer, &hash);
        }
    }

    /// A message with blocks or presences came: the peer is alive.
    pub(crate) fn progress(&mut self, peer: PeerId, now: Instant) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.progress(now);
        }
    }

    /// A peer said whether it has a block.
    pub(crate) fn presence(&mut self, peer: PeerId, cid: &Cid, has: bool) {
        let hash = cid.multihash();
        let (Some(want), Some(state)) = (self.wants.get_mut(hash), self.peers.get_mut(&peer))
        else {
            return;
        };
        if !state.was_asked(hash) {
            return;
        }
        self.may_schedule = true;
        if has {
            want.lacking.retain(|known| *known != peer);
            if !want.having.contains(&peer) {
                want.having.push(peer);
            }
            let sessions: Vec<u64> = want.waiters.iter().map(|waiter| waiter.session).collect();
            if want.stage.is_broadcast() {
                self.requeue(hash);
            }
            self.remember(peer, &sessions);
            return;
        }
        want.having.retain(|known| *known != peer);
        if !want.lacking.contains(&peer) {
            want.lacking.push(peer);
        }
        // The want stays in the peer's list: it answers HAVE or the block should it get it.
        state.demote(hash);
        self.let_go(peer, hash);
    }

    /// A peer is relied on for a want no more: whoever was asked besides takes its place.
    fn let_go(&mut self, peer: PeerId, hash: &Multihash) {
        let Some(want) = self.wants.get_mut(hash).filter(|want| want.relies_on(peer)) else {
            return;
        };
        match want.hedge.take() {
            Some((besides, _)) if besides == peer => {}
            Some((besides, at)) => want.stage = Stage::Asked { peer: besides, at },
            None => self.requeue(hash),
        }
    }

    /// A verified block came.
    pub(crate) fn block(&mut self, peer: PeerId, hash: &Multihash, len: usize) -> Receipt {
        const SMOOTHING: usize = 8;
        self.may_schedule = true;
        let asked = self.peers.get_mut(&peer).is_some_and(|state| state.delivered(hash, len));
        let Some(want) = self.wants.get(hash) else {
            return if asked { Receipt::Duplicate } else { Receipt::Unasked };
        };
        let sessions: Vec<u64> = want.waiters.iter().map(|waiter| waiter.session).collect();
        self.remember(peer, &sessions);
        self.block_len = match self.block_len {
            0 => len,
            average => (average * (SMOOTHING - 1) + len) / SMOOTHING,
        };
        self.credit = hedge::earned(self.credit);
        let Some(want) = self.remove(hash) else { return Receipt::Duplicate };
        self.cancel_everywhere(&want, Some(peer));
        for waiter in &want.waiters {
            self.end_of(waiter.session);
            if let Some(hashes) = self.fetches.get_mut(&waiter.fetch) {
                hashes.remove(hash);
                if hashes.is_empty() {
                    self.fetches.remove(&waiter.fetch);
                }
            }
        }
        Receipt::Wanted(want.waiters)
    }

    /// Whether anything is wanted, or some peer may still deliver what it was asked.
    pub(crate) fn may_expect(&self, peer: PeerId) -> usize {
        self.peers.get(&peer).map_or(0, Peer::asked)
    }

    /// Every CID wanted.
    pub(crate) fn wantlist(&self) -> Vec<Cid> {
        self.wants.values().map(|want| want.cid.clone()).collect()
    }

    /// Whether nothing is wanted.
    pub(crate) fn is_idle(&self) -> bool {
        self.wants.is_empty()
    }

    /// The peers that have something to be told.
    pub(crate) fn dirty(&self) -> Vec<PeerId> {
        self.dirty.iter().copied().collect()
    }

    /// Takes what is to be told to `peer`, and whether it replaces everything told before.
    pub(crate) fn take(&mut self, peer: PeerId) -> (Vec<WantEntry>, bool) {
        self.dirty.remove(&peer);
        self.peers.get_mut(&peer).map(Peer::take).unwrap_or_default()
    }

    fn session(&mut self, id: u64, now: Instant) -> &mut SessionState {
        if self.sessions.len() >= SESSIONS_MAX && !self.sessions.contains_key(&id) {
            let idle = self.sessions.iter().filter(|(_, session)| session.live == 0);
            let oldest = idle.min_by_key(|(_, session)| session.used).map(|(id, _)| *id);
            if let Some(oldest) = oldest {
                self.sessions.remove(&oldest);
            }
        }
        let new = || SessionState { peers: Vec::new(), live: 0, broadcast: 0, used: now };
        let session = self.sessions.entry(id).or_insert_with(new);
        session.used = now;
        session
    }

    fn end_of(&mut self, session: u64) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.live = session.live.saturating_sub(1);
        }
    }

    /// A peer has announced what a session wants.
    pub(crate) fn provider(&mut self, peer: PeerId, session: u64) {
        self.remember(peer, &[session]);
        self.may_schedule = true;
        if self.peers.get(&peer).is_some_and(Peer::is_web) {
            self.ask_web(peer);
        }
    }

    /// The peers that any session may ask.
    fn strangers(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.peers.iter().filter(|(_, state)| !state.is_web())
    }

    /// These sessions ask `peer` first from now on.
    fn remember(&mut self, peer: PeerId, sessions: &[u64]) {
        for id in sessions {
            if let Some(session) = self.sessions.get_mut(id)
                && !session.peers.contains(&peer)
                && session.peers.len() < SESSION_PEERS_MAX
            {
                session.peers.push(peer);
            }
        }
    }

    fn remove(&mut self, hash: &Multihash) -> Option<Want> {
        let want = self.wants.remove(hash)?;
        self.leave_broadcast(&want);
        Some(want)
    }

    fn requeue(&mut self, hash: &Multihash) {
        let Some(mut want) = self.wants.remove(hash) else { return };
        self.leave_broadcast(&want);
        if want.stage != Stage::Queued {
            (want.stage, want.hedge) = (Stage::Queued, None);
            self.queue.push_back(hash.clone());
        }
        self.wants.insert(hash.clone(), want);
    }

    fn leave_broadcast(&mut self, want: &Want) {
        if want.stage.is_broadcast()
            && let Some(first) = want.waiters.first()
            && let Some(session) = self.sessions.get_mut(&first.session)
        {
            session.broadcast = session.broadcast.saturating_sub(1);
        }
    }

    /// Tells all who were asked that it is over; `but` knows, since it delivered.
    fn cancel_everywhere(&mut self, want: &Want, but: Option<PeerId>) {
        let hash = want.cid.multihash();
        for (peer, state) in &mut self.peers {
            if Some(*peer) != but && state.cancel(&want.cid, hash) {
                self.dirty.insert(*peer);
            }
        }
    }

    fn forget_idle_sessions(&mut self, now: Instant) {
        self.sessions.retain(|_, session| {
            session.live > 0 || now.saturating_duration_since(session.used) < SESSION_IDLE_MAX
        });
    }
}

impl Want {
    /// Whether a peer was asked for the block and is waited for.
    fn relies_on(&self, peer: PeerId) -> bool {
        let is_asked = matches!(self.stage, Stage::Asked { peer: asked, .. } if asked == peer);
        is_asked || self.hedge.is_some_and(|(besides, _)| besides == peer)
    }
}

impl Stage {
    fn is_broadcast(self) -> bool {
        matches!(self, Self::Broadcast { .. })
    }
}

#[cfg(test)]
mod tests;
