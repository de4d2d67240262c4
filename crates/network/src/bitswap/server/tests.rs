//! Ledgers: fairness, limits, arrivals, cancels.

use super::{Answer, Server, Turn};
use crate::{
    PeerId,
    bitswap::{
        Awaited,
        limits::PEER_WANTS_MAX,
        wire::{WantEntry, WantKind},
    },
};
use bytes::Bytes;
use cairn_block::{Block, Cid, codec};
use std::sync::Arc;

fn block(seed: usize) -> Block {
    Block::sha2_256(codec::RAW, Bytes::from(seed.to_string()))
}

fn cid(seed: usize) -> Cid {
    block(seed).cid().clone()
}

fn entry(seed: usize, kind: WantKind) -> WantEntry {
    WantEntry { cid: cid(seed), priority: 1, cancel: false, kind, send_dont_have: true }
}

fn want(seed: usize) -> WantEntry {
    entry(seed, WantKind::Block)
}

fn cancel(seed: usize) -> WantEntry {
    WantEntry { cancel: true, ..want(seed) }
}

fn server() -> (Server, Arc<Awaited>) {
    let awaited = Arc::new(Awaited::default());
    (Server::new(Arc::clone(&awaited)), awaited)
}

fn next(server: &mut Server) -> Option<Turn> {
    server.next(|_| true)
}

fn names(turn: &Turn) -> Vec<Cid> {
    turn.tasks.iter().map(|task| task.cid.clone()).collect()
}

#[test]
fn turns_go_round_and_a_peer_has_one_at_a_time() {
    let (mut server, _) = server();
    let (greedy, modest) = (PeerId::random(), PeerId::random());
    server.wants(greedy, (0..1000).map(want).collect(), false);
    server.wants(modest, vec![want(1)], false);
    let first = next(&mut server).unwrap();
    let second = next(&mut server).unwrap();
    assert_eq!((first.peer, second.peer), (greedy, modest));
    assert!(next(&mut server).is_none(), "both are busy");
    let mut answer = Answer { later: first.tasks[10..].to_vec(), ..Answer::default() };
    answer.blocks = (0..10).map(block).collect();
    server.done(greedy, &mut answer);
    let third = next(&mut server).unwrap();
    assert_eq!(names(&third)[..2], [cid(10), cid(11)], "goes on where the message was full");
}

#[test]
fn a_peer_without_room_is_passed_over_and_not_forgotten() {
    let (mut server, _) = server();
    let (full, free) = (PeerId::random(), PeerId::random());
    server.wants(full, vec![want(1)], false);
    server.wants(free, vec![want(1)], false);
    assert_eq!(server.next(|peer| *peer != full).unwrap().peer, free);
    assert!(server.next(|peer| *peer != full).is_none());
    assert_eq!(next(&mut server).unwrap().peer, full);
}

#[test]
fn what_is_absent_waits_and_is_served_when_it_comes() {
    let (mut server, awaited) = server();
    let peer = PeerId::random();
    server.wants(peer, vec![want(1), want(2)], false);
    next(&mut server).unwrap();
    server.done(peer, &mut Answer { dont_haves: vec![cid(1), cid(2)], ..Answer::default() });
    assert!(next(&mut server).is_none());
    server.arrived(cid(1).multihash());
    assert_eq!(names(&next(&mut server).unwrap()), [cid(1)]);
    server.done(peer, &mut Answer { blocks: vec![block(1)], ..Answer::default() });
    server.offer(&block(2));
    let turn = next(&mut server).unwrap();
    assert_eq!(turn.ready, [block(2)], "served from memory");
    server.done(peer, &mut Answer::default());
    assert_eq!(server.wantlist(&peer), []);
    awaited.arrived([cid(1).multihash(), cid(2).multihash()].into_iter());
    let left = futures::FutureExt::now_or_never(awaited.take());
    assert_eq!(left, None, "nobody waits for what was served");
}

#[test]
fn cancels_and_full_lists_are_honoured() {
    let (mut server, _) = server();
    let peer = PeerId::random();
    server.wants(peer, vec![want(1), want(2), want(3)], false);
    server.wants(peer, vec![cancel(2)], false);
    assert_eq!(names(&next(&mut server).unwrap()), [cid(1), cid(3)]);
    server.done(peer, &mut Answer::default());
    server.wants(peer, vec![want(7)], true);
    assert_eq!(server.wantlist(&peer), [cid(7)]);
    server.peer_gone(peer);
    assert!(next(&mut server).is_none());
    assert_eq!(server.wantlist(&peer), []);
}

#[test]
fn a_have_does_not_answer_a_later_want_for_the_block() {
    let (mut server, _) = server();
    let peer = PeerId::random();
    server.wants(peer, vec![entry(1, WantKind::Have)], false);
    next(&mut server).unwrap();
    server.wants(peer, vec![want(1)], false);
    server.done(peer, &mut Answer { haves: vec![cid(1)], ..Answer::default() });
    let turn = next(&mut server).unwrap();
    assert_eq!((turn.tasks[0].kind, names(&turn)), (WantKind::Block, vec![cid(1)]));
    server.wants(peer, vec![entry(1, WantKind::Have)], false);
    server.done(peer, &mut Answer::default());
    assert_eq!(next(&mut server).unwrap().tasks[0].kind, WantKind::Block, "never weakened");
}

#[test]
fn a_flood_of_wants_is_bounded_and_makes_way_for_what_can_be_served() {
    let (mut server, _) = server();
    let peer = PeerId::random();
    server.wants(peer, (0..100_000).map(want).collect(), false);
    assert_eq!(server.wantlist(&peer).len(), PEER_WANTS_MAX);
    while let Some(turn) = next(&mut server) {
        server.done(peer, &mut Answer { dont_haves: names(&turn), ..Answer::default() });
    }
    server.wants(peer, (200_000..200_010).map(want).collect(), false);
    assert_eq!(server.wantlist(&peer).len(), PEER_WANTS_MAX);
    assert_eq!(names(&next(&mut server).unwrap()).len(), 10, "absent ones made way");
    for round in 0..10_000 {
        server.wants(peer, vec![want(round), cancel(round)], false);
    }
    assert!(server.pending_len(&peer) < 4 * PEER_WANTS_MAX * 256 * 1024, "the queue is bounded");
}
