//! Pins: what they keep, what they refuse, how they are listed.

use crate::{Home, file};
use cairn_block::{Block, codec};
use cairn_node::{AddOptions, Fetch, NodeError, PinFilter, PinProgress, PinState};
use futures::TryStreamExt as _;

fn unpinned() -> AddOptions {
    AddOptions { pin: false, ..AddOptions::default() }
}

async fn list(home: &Home, filter: PinFilter) -> Vec<(String, PinState, String)> {
    let entries: Vec<_> = home.node.pin_ls(filter).try_collect().await.unwrap();
    let row = |entry: cairn_node::PinEntry| (entry.cid.to_string(), entry.state, entry.name);
    entries.into_iter().map(row).collect()
}

#[tokio::test]
async fn pins_are_added_listed_and_removed() {
    let home = Home::new(false).await;
    let added = home.add(vec![file("d/a", "a"), file("d/b", "b")], &unpinned()).await.unwrap();
    let root = added.root();
    let leaf = home.add_bytes(b"a", &unpinned()).await;
    let other = home.add_bytes(b"b", &unpinned()).await;
    let single = home.add_bytes(b"single", &unpinned()).await;
    assert!(list(&home, PinFilter::All).await.is_empty());

    let (sender, progress) = tokio::sync::watch::channel(PinProgress::default());
    home.node.pin_add(&root, true, Some("name".to_owned()), Some(sender)).await.unwrap();
    assert_eq!(progress.borrow().block_count, 3);
    home.node.pin_add(&single, false, None, None).await.unwrap();

    let home = home.reopen().await;
    let via = PinState::Indirect { via: root.clone() };
    let recursive = (root.to_string(), PinState::Recursive, "name".to_owned());
    let direct = (single.to_string(), PinState::Direct, String::new());
    assert_eq!(list(&home, PinFilter::Recursive).await, std::slice::from_ref(&recursive));
    assert_eq!(list(&home, PinFilter::Direct).await, std::slice::from_ref(&direct));
    let indirect = list(&home, PinFilter::Indirect).await;
    let expected = [
        (leaf.to_string(), via.clone(), String::new()),
        (other.to_string(), via.clone(), String::new()),
    ];
    assert_eq!(indirect, expected);
    let all = list(&home, PinFilter::All).await;
    assert_eq!(all[..2], [recursive, direct]);
    assert_eq!(all[2..], expected);

    let states = home.node.pin_states(&[leaf.clone(), root.clone(), single.clone()]).await;
    assert_eq!(states.unwrap(), [via, PinState::Recursive, PinState::Direct]);

    let error = home.node.pin_rm(&root, false).await.unwrap_err().to_string();
    assert_eq!(error, format!("{root} is pinned recursively"));
    home.node.pin_rm(&root, true).await.unwrap();
    for cid in [&root, &leaf] {
        let error = home.node.pin_rm(cid, true).await.unwrap_err().to_string();
        assert_eq!(error, "not pinned or pinned indirectly");
    }
    home.node.pin_rm(&single, false).await.unwrap();
    assert!(list(&home, PinFilter::All).await.is_empty());
}

#[tokio::test]
async fn a_direct_pin_may_grow_but_not_shrink() {
    let home = Home::new(false).await;
    let cid = home.add_bytes(b"x", &unpinned()).await;
    home.node.pin_add(&cid, false, None, None).await.unwrap();
    home.node.pin_add(&cid, true, None, None).await.unwrap();
    let error = home.node.pin_add(&cid, false, None, None).await.unwrap_err().to_string();
    assert_eq!(error, format!("{cid} already pinned recursively"));
    home.node.pin_add(&cid, true, Some("later".to_owned()), None).await.unwrap();
    assert_eq!(home.node.pin_get(&cid).await.unwrap().unwrap().name, "later");
    assert_eq!(list(&home, PinFilter::All).await.len(), 1);
}

#[tokio::test]
async fn offline_a_hole_in_the_dag_is_named_and_nothing_is_pinned() {
    let home = Home::new(false).await;
    let added = home.add(vec![file("d/a", "a"), file("d/b", "b")], &unpinned()).await.unwrap();
    let leaf = home.add_bytes(b"b", &unpinned()).await;
    let removed = home.node.block_rm(vec![leaf.clone()], false).await.unwrap();
    assert_eq!(removed[0].error, None);
    let error = home.node.pin_add(&added.root(), true, None, None).await.unwrap_err();
    assert!(error.to_string().contains(&leaf.to_string()), "{error}");
    assert!(error.to_string().contains("offline"), "{error}");
    assert!(home.node.pin_get(&added.root()).await.unwrap().is_none());
    let long = Some("x".repeat(256));
    let error = home.node.pin_add(&added.root(), false, long, None).await.unwrap_err();
    assert!(matches!(error, NodeError::Pin(_)), "{error}");
}

#[tokio::test]
async fn pinned_blocks_are_not_removed() {
    let home = Home::new(false).await;
    let added = home.add(vec![file("d/a", "a")], &AddOptions::default()).await.unwrap();
    let root = added.root();
    let leaf = home.add_bytes(b"a", &unpinned()).await;
    let free = home.add_bytes(b"free", &unpinned()).await;
    let absent = Block::sha2_256(codec::RAW, "absent".into()).cid().clone();
    let cids = vec![root.clone(), leaf.clone(), free.clone(), absent.clone()];
    let answers = home.node.block_rm(cids, false).await.unwrap();
    let errors: Vec<_> = answers.into_iter().map(|answer| answer.error).collect();
    assert_eq!(errors[0].as_deref(), Some("pinned: recursive"));
    assert_eq!(errors[1], Some(format!("pinned via {root}")));
    assert_eq!(errors[2], None);
    assert_eq!(errors[3], Some(format!("ipld: could not find {absent}")));
    let forced = home.node.block_rm(vec![absent], true).await.unwrap();
    assert_eq!(forced[0].error, None);
    assert!(home.node.block_get(&free, Fetch::Local).await.is_err());
    assert!(home.node.block_get(&leaf, Fetch::Local).await.is_ok());
}

#[tokio::test]
async fn single_blocks_are_kept_and_measured() {
    let home = Home::new(false).await;
    let block = Block::sha2_256(codec::RAW, "block".into());
    home.node.block_put(block.clone(), true).await.unwrap();
    let home = home.reopen().await;
    assert_eq!(home.node.block_get(block.cid(), Fetch::Network).await.unwrap(), block);
    assert_eq!(home.node.block_stat(block.cid(), Fetch::Local).await.unwrap(), 5);
    assert!(home.node.pin_get(block.cid()).await.unwrap().is_some());
    let absent = Block::sha2_256(codec::RAW, "absent".into());
    let error = home.node.block_stat(absent.cid(), Fetch::Network).await.unwrap_err();
    assert_eq!(error.kind(), cairn_node::ErrorKind::NotFound);
    let expected = format!("block {} was not found locally (offline)", absent.cid());
    assert_eq!(error.to_string(), expected);
}
