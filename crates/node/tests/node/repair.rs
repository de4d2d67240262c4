//! Scrubs in the background and repairs, as other parts of the program use them.

use crate::{Home, file, open};
use cairn_block::{Block, Cid, codec};
use cairn_node::{AddOptions, NodeError, PinFilter, PinOptions, Repair, ScrubStatus, VerifyEvent};
use cairn_testkit::Random;
use futures::TryStreamExt as _;
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// Waits until the scrub's status is as wanted.
async fn until(status: &mut Receiver<ScrubStatus>, fits: impl FnMut(&ScrubStatus) -> bool) {
    drop(status.wait_for(fits).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrub_that_was_stopped_goes_on_after_a_restart() {
    let home = Home::new(false).await;
    home.add_bytes(&Random::new(1).bytes(20_000_000), &AddOptions::default()).await;
    let count = home.block_count().await;
    home.node.scrub_in_background();
    let mut status = home.node.scrub_status().await;
    assert_eq!(*status.borrow(), ScrubStatus::default());
    // A byte a second: after the first few MiB it waits until somebody stops it.
    home.node.scrub_start(Some(1)).await.unwrap();
    until(&mut status, |status| status.done_len > 0).await;
    home.node.scrub_stop();
    until(&mut status, |status| !status.is_running).await;
    let stopped = status.borrow().clone();
    assert!(stopped.is_begun && stopped.finished.is_none(), "{stopped:?}");
    assert!(stopped.done_len < stopped.total_len, "{stopped:?}");
    drop(status);

    let home = home.reopen().await;
    home.node.scrub_in_background();
    let mut status = home.node.scrub_status().await;
    assert_eq!(status.borrow().done_len, stopped.done_len, "remembered, and not begun by itself");
    home.node.scrub_start(Some(0)).await.unwrap();
    until(&mut status, |status| status.finished.is_some() && !status.is_running).await;
    let finished = status.borrow().clone();
    assert_eq!((finished.block_count, finished.corrupt_count), (count, 0), "each block once");
    let (started, before) = (finished.started.unwrap(), stopped.started.unwrap());
    let apart = before.duration_since(started).unwrap_or_default();
    assert!(apart < Duration::from_secs(1), "the same scrub, kept to the second: {apart:?}");
    home.node.scrub_start(Some(1)).await.unwrap();
    let again = status.borrow().clone();
    assert!(again.is_running && again.is_begun && again.block_count < count, "anew: {again:?}");
    home.node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrub_under_way_resumes_by_itself() {
    let home = Home::new(false).await;
    home.add_bytes(&Random::new(2).bytes(9_000_000), &AddOptions::default()).await;
    home.node.config().set("Cairn.Scrub.Rate", serde_json::json!("0")).unwrap();
    home.node.scrub_in_background();
    let mut status = home.node.scrub_status().await;
    home.node.scrub_start(Some(1)).await.unwrap();
    until(&mut status, |status| status.done_len > 0).await;
    drop(status);
    let home = home.reopen().await;
    let mut status = home.node.scrub_status().await;
    assert!(status.borrow().is_begun);
    home.node.scrub_in_background();
    until(&mut status, |status| status.finished.is_some()).await;
    home.node.shutdown().await.unwrap();
}

/// Flips a byte in the middle of each of these blocks' records.
fn rot(home: &Home, blocks: &[Block]) {
    let path = home.dir.path().join("repo/blocks/000001.pack");
    let mut bytes = std::fs::read(&path).unwrap();
    for block in blocks {
        let data = block.data();
        let at = bytes.windows(data.len()).position(|window| window == &data[..]).unwrap();
        bytes[at + data.len() / 2] ^= 1;
    }
    std::fs::write(&path, bytes).unwrap();
}

#[tokio::test]
async fn offline_corrupt_blocks_are_told_and_stay_until_dropped() {
    let home = Home::new(false).await;
    let blocks: Vec<Block> = (0..20_u64)
        .map(|number| Block::sha2_256(codec::RAW, Random::new(number).bytes(900)))
        .collect();
    home.node.blocks_put(blocks.clone(), false).await.unwrap();
    let Home { dir, node } = home;
    node.shutdown().await.unwrap();
    drop(node);
    let home = Home { node: open(&dir, false).await.unwrap(), dir };
    rot(&home, &blocks[..3]);
    assert!(matches!(
        home.node.repo_verify(Repair::Heal { patience: None }).map(drop),
        Err(NodeError::Offline)
    ));
    for (repair, expected) in [(Repair::Nothing, 3), (Repair::Drop, 3), (Repair::Nothing, 0)] {
        let events: Vec<_> = home.node.repo_verify(repair).unwrap().try_collect().await.unwrap();
        let is_finding = |event: &&VerifyEvent| matches!(event, VerifyEvent::Corrupt(_));
        assert_eq!(events.iter().filter(is_finding).count(), expected, "{repair:?}");
        let stat = home.node.repo_stat().await.unwrap();
        let known = if repair == Repair::Nothing { expected as u64 } else { 0 };
        assert_eq!(stat.corrupt_count, known, "{repair:?}");
    }
    assert_eq!(home.block_count().await, 17);
}

#[tokio::test]
async fn a_thousand_pins_are_one_commit() {
    let home = Home::new(false).await;
    let unpinned = AddOptions { pin: false, ..AddOptions::default() };
    let files = (0..1000).map(|number| file(&format!("d/{number}"), format!("file {number}")));
    home.add(files.collect(), &unpinned).await.unwrap();
    let mut cids: Vec<Cid> = Vec::new();
    for number in 0..1000 {
        cids.push(home.add_bytes(format!("file {number}").as_bytes(), &unpinned).await);
    }
    let options = PinOptions { name: "all".to_owned(), ..PinOptions::default() };
    home.node.pin_add_many(&cids, options, None).await.unwrap();
    let home = home.reopen().await;
    let listed: Vec<_> = home.node.pin_ls(PinFilter::Recursive).try_collect().await.unwrap();
    assert_eq!(listed.len(), 1000);
    assert!(listed.iter().all(|entry| entry.name == "all"));
    let absent = Block::sha2_256(codec::RAW, "absent".into()).cid().clone();
    let with_absent = [cids.as_slice(), &[absent]].concat();
    assert!(home.node.pin_rm_many(&with_absent, true).await.is_err());
    let again = home.node.pin_add_many(&with_absent, PinOptions::default(), None).await;
    assert!(again.is_err(), "offline");
    let listed: Vec<_> = home.node.pin_ls(PinFilter::Recursive).try_collect().await.unwrap();
    assert!(listed.len() == 1000 && listed.iter().all(|entry| entry.name == "all"), "untouched");
    home.node.pin_rm_many(&cids, true).await.unwrap();
    let listed: Vec<_> = home.node.pin_ls(PinFilter::All).try_collect().await.unwrap();
    assert_eq!(listed.len(), 0);
}
