//! What every [`BlockStore`] must do, as a suite that its tests run.

use crate::Random;
use bytes::Bytes;
use cairn_block::{
    BLOCK_LEN_MAX, Block, BlockStore, BlockStoreExt as _, Cid, Multihash, Version, codec,
};
use cairn_hash::code;
use futures::{FutureExt as _, future::join_all};

/// Runs the suite on `store`, which must be empty.
///
/// # Panics
///
/// When the store breaks its contract; the message names the clause.
pub async fn blockstore_contract<S: BlockStore>(store: &S) {
    an_absent_block_is_none(store).await;
    every_name_of_a_block_finds_it(store).await;
    putting_twice_is_not_an_error(store).await;
    answers_stand_in_the_order_of_the_questions(store).await;
    identity_cids_need_no_putting(store).await;
    every_allowed_length_is_kept(store).await;
    what_was_synced_is_still_there(store).await;
    a_cancelled_put_leaves_whole_blocks_or_none(store).await;
    concurrent_puts_and_gets_agree(store).await;
}

/// `count` blocks that only this seed makes.
fn blocks(seed: u64, count: usize) -> Vec<Block> {
    let mut random = Random::new(seed);
    (0..count)
        .map(|_| {
            let len = 9 + random.below(2000);
            Block::sha2_256(codec::RAW, random.bytes(len))
        })
        .collect()
}

fn cids(blocks: &[Block]) -> Vec<Cid> {
    blocks.iter().map(|block| block.cid().clone()).collect()
}

async fn put<S: BlockStore>(store: &S, blocks: &[Block]) {
    store.put_many(blocks.to_vec()).await.expect("putting blocks");
}

async fn assert_has<S: BlockStore>(store: &S, blocks: &[Block], clause: &str) {
    let answers = store.get_many(&cids(blocks)).await;
    assert_eq!(answers.len(), blocks.len(), "{clause}: one answer a question");
    for (answer, block) in answers.into_iter().zip(blocks) {
        let answer = answer.unwrap_or_else(|error| panic_with(clause, &error));
        assert_eq!(answer.as_ref(), Some(block), "{clause}");
    }
}

#[expect(clippy::panic, reason = "a contract suite fails by panicking, like an assertion")]
fn panic_with(clause: &str, error: &dyn std::error::Error) -> ! {
    panic!("{clause}: {error}")
}

async fn an_absent_block_is_none<S: BlockStore>(store: &S) {
    let absent = blocks(1, 3);
    for answer in store.get_many(&cids(&absent)).await {
        assert_eq!(answer.expect("asking for an absent block"), None, "an absent block is None");
    }
    let lens = store.stat_many(&cids(&absent)).await.expect("asking for lengths");
    assert_eq!(lens, [None, None, None], "an absent block has no length");
    let missing = store.require(absent[0].cid()).await.expect_err("requiring an absent block");
    assert!(missing.is_not_found(), "requiring an absent block is not-found: {missing}");
    assert!(store.get_many(&[]).await.is_empty(), "no question, no answer");
    assert!(store.stat_many(&[]).await.expect("no question").is_empty(), "no question, no answer");
    assert!(store.has_many(&[]).await.expect("no question").is_empty(), "no question, no answer");
    store.put_many(Vec::new()).await.expect("putting nothing");
}

async fn every_name_of_a_block_finds_it<S: BlockStore>(store: &S) {
    let block = blocks(2, 1).remove(0);
    put(store, std::slice::from_ref(&block)).await;
    let v1 = Cid::v1(codec::DAG_PB, block.cid().multihash().clone());
    let v0 = v1.with_version(Version::V0).expect("sha2-256 has a version 0");
    for name in [v0, v1, Cid::v1(codec::DAG_CBOR, block.cid().multihash().clone())] {
        let found = store.require(&name).await.expect("the block by another name");
        assert_eq!(found.cid(), &name, "a block answers with the name it was asked by");
        assert_eq!(found.data(), block.data(), "every name finds the same bytes");
        assert!(store.has(&name).await.expect("asking"), "every name has a length");
    }
}

async fn putting_twice_is_not_an_error<S: BlockStore>(store: &S) {
    let new = blocks(3, 4);
    put(store, &new).await;
    put(store, &new).await;
    let twice: Vec<Block> = new.iter().chain(&new).cloned().collect();
    put(store, &twice).await;
    assert_has(store, &twice, "putting twice is not an error").await;
}

async fn answers_stand_in_the_order_of_the_questions<S: BlockStore>(store: &S) {
    let (there, absent) = (blocks(4, 300), blocks(5, 300));
    put(store, &there).await;
    let mixed = || there.iter().zip(&absent).flat_map(|(there, absent)| [there, absent, there]);
    let questions: Vec<Cid> = mixed().map(|block| block.cid().clone()).collect();
    let answers = store.get_many(&questions).await;
    let lens = store.stat_many(&questions).await.expect("asking for lengths");
    assert_eq!(answers.len(), questions.len(), "one answer a question");
    assert_eq!(lens.len(), questions.len(), "one length a question");
    let has = store.has_many(&questions).await.expect("asking what is there");
    let expected: Vec<bool> = (0..questions.len()).map(|index| index % 3 != 1).collect();
    assert_eq!(has, expected, "whether a block is there is answered in order");
    for (index, (answer, block)) in answers.into_iter().zip(mixed()).enumerate() {
        let expected = (index % 3 != 1).then_some(block);
        assert_eq!(answer.expect("asking").as_ref(), expected, "answer {index} is in order");
        let len = expected.map(|block| block.data().len() as u64);
        assert_eq!(lens[index], len, "length {index} is in order");
    }
}

async fn identity_cids_need_no_putting<S: BlockStore>(store: &S) {
    let hash = Multihash::wrap(code::IDENTITY, b"inline").expect("a short digest");
    let cid = Cid::v1(codec::RAW, hash);
    let found = store.require(&cid).await.expect("an identity CID is its own block");
    assert_eq!(&found.data()[..], b"inline", "an identity CID is its own block");
    let lens = store.stat_many(&[cid]).await.expect("asking for lengths");
    assert_eq!(lens, [Some(6)], "an identity CID has a length");
    assert!(store.has(found.cid()).await.expect("asking"), "an identity CID is there");
    store.put_many(vec![found]).await.expect("putting an identity block is not an error");
}

async fn every_allowed_length_is_kept<S: BlockStore>(store: &S) {
    let mut random = Random::new(6);
    let lens = [0, 1, 4095, 4096, 4097, 1 << 20, BLOCK_LEN_MAX];
    let kept: Vec<Block> =
        lens.iter().map(|len| Block::sha2_256(codec::RAW, random.bytes(*len))).collect();
    put(store, &kept).await;
    assert_has(store, &kept, "every allowed length is kept").await;
    let found = store.stat_many(&cids(&kept)).await.expect("asking for lengths");
    let expected: Vec<Option<u64>> = lens.iter().map(|len| Some(*len as u64)).collect();
    assert_eq!(found, expected, "lengths are those of the bytes");
    let text = Block::sha2_256(codec::DAG_PB, Bytes::from_static(b"\x0a\x02\x08\x01"));
    put(store, std::slice::from_ref(&text)).await;
    assert_has(store, &[text], "a codec is not lost").await;
}

async fn what_was_synced_is_still_there<S: BlockStore>(store: &S) {
    let new = blocks(7, 20);
    put(store, &new).await;
    store.sync().await.expect("syncing");
    store.sync().await.expect("syncing again, with nothing to do");
    assert_has(store, &new, "what was synced is still there").await;
    for result in join_all((0..8).map(|_| store.sync())).await {
        result.expect("syncing eight times at once");
    }
}

async fn a_cancelled_put_leaves_whole_blocks_or_none<S: BlockStore>(store: &S) {
    let new = blocks(8, 200);
    // Polled once and dropped, wherever that leaves it.
    drop(store.put_many(new.clone()).now_or_never());
    for (answer, block) in store.get_many(&cids(&new)).await.into_iter().zip(&new) {
        let answer = answer.expect("reading after a cancelled put");
        assert!(answer.is_none_or(|found| found == *block), "whole or absent, never partial");
    }
    put(store, &new).await;
    assert_has(store, &new, "a cancelled put can be made again").await;
}

async fn concurrent_puts_and_gets_agree<S: BlockStore>(store: &S) {
    let batches: Vec<Vec<Block>> = (0..16).map(|seed| blocks(100 + seed % 8, 50)).collect();
    let both = |batch: &Vec<Block>| {
        let batch = batch.clone();
        async move {
            put(store, &batch).await;
            assert_has(store, &batch, "what was put is readable when the put returns").await;
        }
    };
    join_all(batches.iter().map(both)).await;
}
