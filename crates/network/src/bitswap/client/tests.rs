//! The client's behaviour, told as short stories without network or clock.

use super::{Client, Receipt, Waiter};
use crate::{
    PeerId,
    bitswap::{
        limits::{ASKED_MAX, BROADCAST_WANTS_MAX, WINDOW_LEN_INITIAL, WINDOW_LEN_MAX},
        wire::{WantEntry, WantKind},
    },
};
use cairn_block::{Cid, codec};
use cairn_hash::Multihash;
use cairn_runtime::Clock;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

const BLOCK_LEN: usize = 256 * 1024;

fn cid(seed: usize) -> Cid {
    Cid::v1(codec::RAW, Multihash::sha2_256(cairn_hash::sha256(&seed.to_string().into_bytes())))
}

/// A client with a clock, and what each peer would have been told so far.
struct Story {
    client: Client,
    now: Instant,
    told: HashMap<PeerId, Vec<WantEntry>>,
}

impl Story {
    fn new() -> Self {
        let now = Clock::system().monotonic();
        Self { client: Client::default(), now, told: HashMap::new() }
    }

    fn peer(&mut self) -> PeerId {
        let peer = PeerId::random();
        self.client.peer_ready(peer, true, self.now);
        self.turn();
        peer
    }

    fn want(&mut self, fetch: u64, session: u64, seeds: std::ops::Range<usize>) {
        for seed in seeds {
            let waiter = Waiter { fetch, place: seed, cid: cid(seed), session };
            self.client.want(waiter, self.now);
        }
        self.turn();
    }

    fn turn(&mut self) {
        self.client.schedule(self.now);
        for peer in self.client.dirty() {
            let (entries, _) = self.client.take(peer);
            self.told.entry(peer).or_default().extend(entries);
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.client.tick(self.now);
        self.turn();
    }

    fn has(&mut self, peer: PeerId, seed: usize, has: bool) {
        self.client.progress(peer, self.now);
        self.client.presence(peer, &cid(seed), has);
        self.turn();
    }

    fn block(&mut self, peer: PeerId, seed: usize) -> Receipt {
        self.client.progress(peer, self.now);
        let receipt = self.client.block(peer, cid(seed).multihash(), BLOCK_LEN);
        self.turn();
        receipt
    }

    /// Takes what `peer` was told since last time: asked for, asked whether, taken back.
    fn heard(&mut self, peer: PeerId) -> (Vec<Cid>, Vec<Cid>, Vec<Cid>) {
        let (mut blocks, mut haves, mut cancels) = (Vec::new(), Vec::new(), Vec::new());
        for entry in self.told.remove(&peer).unwrap_or_default() {
            match (entry.cancel, entry.kind) {
                (true, _) => cancels.push(entry.cid),
                (false, WantKind::Block) => blocks.push(entry.cid),
                (false, WantKind::Have) => haves.push(entry.cid),
            }
        }
        (blocks, haves, cancels)
    }
}

#[test]
fn the_only_peer_is_asked_for_the_block_at_once() {
    let mut story = Story::new();
    let peer = story.peer();
    story.want(1, 1, 0..1);
    assert_eq!(story.heard(peer), (vec![cid(0)], vec![], vec![]));
    assert!(matches!(story.block(peer, 0), Receipt::Wanted(waiters) if waiters.len() == 1));
    assert!(story.client.is_idle());
    assert_eq!(story.heard(peer).2, [], "who delivered needs no cancel");
}

#[test]
fn strangers_are_asked_whether_and_the_one_who_has_it_is_asked_for_it() {
    let mut story = Story::new();
    let (first, second) = (story.peer(), story.peer());
    story.want(1, 1, 0..1);
    assert_eq!(story.heard(first), (vec![], vec![cid(0)], vec![]));
    assert_eq!(story.heard(second), (vec![], vec![cid(0)], vec![]));
    story.has(second, 0, true);
    assert_eq!(story.heard(second).0, [cid(0)]);
    assert_eq!(story.heard(first), (vec![], vec![], vec![]));
    story.block(second, 0);
    assert_eq!(story.heard(first).2, [cid(0)], "whoever was asked is told that it is over");
    story.want(2, 1, 1..2);
    assert_eq!(story.heard(second).0, [cid(1)], "the session knows its peer now");
    assert_eq!(story.heard(first), (vec![], vec![], vec![]));
}

#[test]
fn sessions_share_a_want_and_each_is_told() {
    let mut story = Story::new();
    let peer = story.peer();
    story.want(1, 1, 0..1);
    story.want(2, 2, 0..1);
    assert_eq!(story.heard(peer).0, [cid(0)], "asked once");
    let Receipt::Wanted(waiters) = story.block(peer, 0) else { panic!("was wanted") };
    assert_eq!(waiters.iter().map(|waiter| waiter.fetch).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(story.block(peer, 0), Receipt::Unasked);
}

#[test]
fn a_dropped_fetch_is_taken_back_unless_another_wants_the_same() {
    let mut story = Story::new();
    let peer = story.peer();
    story.want(1, 1, 0..2);
    story.want(2, 2, 1..2);
    story.heard(peer);
    story.client.cancel(1);
    story.turn();
    assert_eq!(story.heard(peer), (vec![], vec![], vec![cid(0)]));
    assert_eq!(story.client.wantlist(), [cid(1)]);
    assert_eq!(story.block(peer, 0), Receipt::Duplicate, "it may have been on its way");
    story.client.cancel(2);
    story.turn();
    assert_eq!(story.heard(peer).2, [cid(1)]);
    assert!(story.client.is_idle());
}

#[test]
fn dont_have_moves_the_want_to_the_next_peer_that_has_it() {
    let mut story = Story::new();
    let (first, second) = (story.peer(), story.peer());
    story.want(1, 1, 0..1);
    story.has(first, 0, true);
    story.has(second, 0, true);
    story.told.clear();
    story.has(first, 0, false);
    assert_eq!(story.heard(second).0, [cid(0)]);
    story.has(second, 0, false);
    assert_eq!(story.heard(first), (vec![], vec![], vec![]), "both have said no");
    story.has(first, 0, true);
    assert_eq!(story.heard(first).0, [cid(0)], "it has got it meanwhile");
}

#[test]
fn a_silent_peer_loses_its_wants_to_another() {
    let mut story = Story::new();
    let (first, second) = (story.peer(), story.peer());
    story.want(1, 1, 0..1);
    story.has(first, 0, true);
    story.has(second, 0, true);
    assert_eq!(story.heard(first).0, [cid(0)]);
    story.heard(second);
    story.wait(Duration::from_secs(6));
    assert_eq!(story.heard(second).0, [cid(0)]);
    story.block(second, 0);
    assert_eq!(story.heard(first).2, [cid(0)]);
    assert_eq!(story.block(first, 0), Receipt::Duplicate, "late, and told apart from a lie");
}

#[test]
fn the_only_peer_is_asked_again_when_it_says_nothing() {
    let mut story = Story::new();
    let peer = story.peer();
    story.want(1, 1, 0..1);
    story.heard(peer);
    story.wait(Duration::from_secs(6));
    assert_eq!(story.heard(peer).0, [cid(0)], "the message may have been lost");
}

#[test]
fn a_peer_that_leaves_is_replaced_and_a_new_one_is_asked() {
    let mut story = Story::new();
    let (first, second) = (story.peer(), story.peer());
    story.want(1, 1, 0..3);
    for seed in 0..3 {
        story.has(first, seed, true);
    }
    assert_eq!(story.heard(first).0.len(), 3);
    story.heard(second);
    story.client.peer_gone(first);
    story.turn();
    assert_eq!(story.heard(second).0.len(), 3, "the only one left is asked at once");
    let third = story.peer();
    let (blocks, haves, _) = story.heard(third);
    assert_eq!((blocks.len(), haves.len()), (0, 3), "all that is wanted");
    story.has(third, 1, true);
    story.client.peer_gone(second);
    story.turn();
    assert!(story.heard(third).0.contains(&cid(1)));
    story.client.peer_gone(third);
    story.turn();
    assert_eq!(story.client.wantlist().len(), 3, "and nothing is forgotten");
    let fourth = story.peer();
    assert_eq!(story.heard(fourth).0.len(), 3);
}

#[test]
fn many_wants_are_split_over_the_peers_and_the_window_grows_with_delivery() {
    let mut story = Story::new();
    let peers = [story.peer(), story.peer()];
    story.want(1, 1, 0..2);
    for peer in peers {
        story.has(peer, 0, true);
        story.has(peer, 1, true);
    }
    story.told.clear();
    story.want(1, 1, 2..400);
    let mut asked: HashMap<PeerId, Vec<Cid>> = HashMap::new();
    for peer in peers {
        let first = story.heard(peer).0;
        assert!((1..=WINDOW_LEN_INITIAL / BLOCK_LEN).contains(&first.len()), "{}", first.len());
        asked.insert(peer, first);
    }
    let mut most = 0;
    let seeds: HashMap<Cid, usize> = (0..400).map(|seed| (cid(seed), seed)).collect();
    let mut delivered = [0, 0];
    while let Some(any) = (0..2).find(|turn| !asked[&peers[*turn]].is_empty()) {
        let other = 1 - any;
        let is_others_turn = delivered[other] < delivered[any];
        let turn = if is_others_turn && !asked[&peers[other]].is_empty() { other } else { any };
        let peer = peers[turn];
        let next = asked.get_mut(&peer).unwrap().remove(0);
        story.block(peer, seeds[&next]);
        delivered[turn] += 1;
        for peer in peers {
            let more = story.heard(peer).0;
            asked.get_mut(&peer).unwrap().extend(more);
            most = most.max(asked[&peer].len());
        }
    }
    assert!(story.client.wantlist().len() <= 2, "{} left", story.client.wantlist().len());
    assert!(delivered.iter().all(|count| *count > 50), "{delivered:?}");
    assert!(most > 2 * WINDOW_LEN_INITIAL / BLOCK_LEN, "the window grew: {most}");
    assert!(most <= WINDOW_LEN_MAX / BLOCK_LEN, "but not for ever: {most}");
}

#[test]
fn no_peer_is_asked_for_more_than_the_limit() {
    let mut story = Story::new();
    let peers = [story.peer(), story.peer()];
    for session in 0..40 {
        let first = session as usize * 100;
        story.want(session, session, first..first + 100);
    }
    for peer in peers {
        let (blocks, haves, _) = story.heard(peer);
        assert!(blocks.is_empty());
        assert!(haves.len() >= BROADCAST_WANTS_MAX && haves.len() <= ASKED_MAX, "{}", haves.len());
    }
}

#[test]
fn old_peers_are_asked_for_blocks_only_one_after_the_other() {
    let mut story = Story::new();
    let (first, second) = (PeerId::random(), PeerId::random());
    story.client.peer_ready(first, false, story.now);
    story.client.peer_ready(second, false, story.now);
    story.want(1, 1, 0..1);
    let told = [story.heard(first), story.heard(second)];
    let asked: usize = told.iter().map(|(blocks, _, _)| blocks.len()).sum();
    let haves: usize = told.iter().map(|(_, haves, _)| haves.len()).sum();
    assert_eq!((asked, haves), (1, 0));
    story.wait(Duration::from_secs(6));
    let told = [story.heard(first), story.heard(second)];
    assert_eq!(told.iter().map(|(blocks, _, _)| blocks.len()).sum::<usize>(), 1, "the other");
}

/// A story in which a first peer has sent five blocks at once, a second says that it has one of
/// them, too, and the first is asked for a sixth.
fn quick_pair() -> (Story, PeerId, PeerId) {
    let mut story = Story::new();
    let (first, second) = (story.peer(), story.peer());
    story.want(1, 1, 0..5);
    for seed in 0..5 {
        story.has(first, seed, true);
    }
    story.has(second, 0, true);
    for seed in 0..5 {
        story.block(first, seed);
    }
    story.told.clear();
    story.want(1, 1, 5..6);
    assert_eq!(story.heard(first).0, [cid(5)]);
    (story, first, second)
}

#[test]
fn a_block_that_takes_far_longer_than_usual_is_asked_of_a_second_peer() {
    let (mut story, first, second) = quick_pair();
    story.wait(Duration::from_millis(200));
    assert_eq!(story.heard(second), (vec![], vec![], vec![]), "not yet");
    story.wait(Duration::from_millis(200));
    assert_eq!(story.heard(second).0, [cid(5)]);
    story.wait(Duration::from_millis(400));
    assert_eq!(story.heard(second), (vec![], vec![], vec![]), "once");
    assert!(matches!(story.block(second, 5), Receipt::Wanted(_)));
    assert_eq!(story.heard(first).2, [cid(5)], "the other is told that it is over");
    assert_eq!(story.block(first, 5), Receipt::Duplicate);
}

#[test]
fn the_second_peer_takes_the_place_of_the_first_and_the_other_way_round() {
    let (mut story, first, second) = quick_pair();
    story.wait(Duration::from_millis(400));
    assert_eq!(story.heard(second).0, [cid(5)]);
    story.has(first, 5, false);
    assert_eq!(story.heard(second).0, [], "it is asked already");
    story.client.peer_gone(second);
    story.turn();
    assert_eq!(story.client.wantlist(), [cid(5)], "nobody is left, and it is still wanted");

    let (mut story, first, second) = quick_pair();
    story.wait(Duration::from_millis(400));
    story.has(second, 5, false);
    story.told.clear();
    story.wait(Duration::from_millis(400));
    assert_eq!(story.heard(first), (vec![], vec![], vec![]), "the first is waited for");
    assert!(matches!(story.block(first, 5), Receipt::Wanted(_)));
}

#[test]
fn second_questions_are_few() {
    let (mut story, first, second) = quick_pair();
    story.block(first, 5);
    story.told.clear();
    let mut asked = 0;
    for seed in 6..106 {
        story.want(1, 1, seed..seed + 1);
        story.wait(Duration::from_secs(4));
        asked += story.heard(first).0.len() + story.heard(second).0.len();
        story.block(first, seed);
        story.block(second, seed);
    }
    assert!((104..=112).contains(&asked), "{asked} questions for 100 slow blocks");
}
