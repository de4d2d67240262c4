//! Garbage collection: what pins and MFS keep, what goes, and who may work meanwhile.

use crate::{Home, file};
use cairn_block::{Block, Cid, codec};
use cairn_node::{AddOptions, Fetch, MfsPath, MfsWrite, NodeError};
use std::collections::BTreeSet;
use tokio::sync::mpsc;

fn unpinned() -> AddOptions {
    AddOptions { pin: false, ..AddOptions::default() }
}

/// Collects; returns the multihashes of what is gone, as raw CIDs.
async fn gc(home: &Home) -> Result<BTreeSet<Cid>, NodeError> {
    let (sender, mut receiver) = mpsc::channel(2);
    let told = async {
        let mut told = BTreeSet::new();
        while let Some(cid) = receiver.recv().await {
            assert!(told.insert(cid), "told twice");
        }
        told
    };
    let (swept, told) = futures::join!(home.node.gc(Some(sender)), told);
    assert_eq!(swept?.block_count, told.len() as u64);
    Ok(told)
}

fn raw(cid: &Cid) -> Cid {
    Cid::v1(codec::RAW, cid.multihash().clone())
}

#[tokio::test]
async fn pins_and_mfs_keep_what_is_below_them() {
    let home = Home::new(false).await;
    let tree = |name: &str| {
        let files = ["a", "b"].map(|part| file(&format!("{name}/{part}"), format!("{name}{part}")));
        Vec::from(files)
    };
    let kept = home.add(tree("kept"), &AddOptions::default()).await.unwrap().root();
    let mfs = home.add(tree("mfs"), &unpinned()).await.unwrap().root();
    let direct = home.add(tree("direct"), &unpinned()).await.unwrap().root();
    let lost = home.add(tree("lost"), &unpinned()).await.unwrap();
    home.node.pin_add(&direct, false, None, None).await.unwrap();
    let values = vec![(cairn_store::MFS_ROOT_KEY.to_owned(), Some(mfs.to_bytes()))];
    home.node.repo().meta().set(values).unwrap();

    let gone = gc(&home).await.unwrap();
    assert!(gone.contains(&raw(&lost.root())), "its leaves and its root");
    assert_eq!(gone.len(), 5, "a tree of three, and two leaves below a direct pin");
    for name in ["a", "b"] {
        for (root, whose) in [(&kept, "kept"), (&mfs, "mfs")] {
            let data = home.cat(&format!("/ipfs/{root}/{name}"), Fetch::Local).await.unwrap();
            assert_eq!(data, format!("{whose}{name}").into_bytes());
        }
        assert!(home.cat(&format!("/ipfs/{direct}/{name}"), Fetch::Local).await.is_err());
    }
    home.block(&direct).await;
    assert_eq!(home.block_count().await, 7);
    assert!(gc(&home).await.unwrap().is_empty());

    home.node.pin_rm(&kept, true).await.unwrap();
    let home = home.reopen().await;
    assert_eq!(gc(&home).await.unwrap().len(), 3);
    assert_eq!(home.block_count().await, 4);
}

#[tokio::test]
async fn a_gap_below_a_pin_stops_it_and_one_below_mfs_does_not() {
    let home = Home::new(false).await;
    let files = vec![file("d/e/a", "a"), file("d/b", "b")];
    let root = home.add(files, &AddOptions::default()).await.unwrap().root();
    let path = format!("/ipfs/{root}/e").parse().unwrap();
    let inner = home.node.resolve(&path, Fetch::Local);
    let inner = inner.await.unwrap().block.cid().clone();
    let other = home.add_bytes(b"other", &unpinned()).await;
    home.node.store().delete(&inner).unwrap();
    let error = home.node.gc(None).await.unwrap_err();
    assert!(matches!(error, NodeError::Unmarked { .. }), "{error}");
    assert!(error.to_string().contains(&inner.to_string()), "{error}");
    home.block(&other).await;

    home.node.pin_rm(&root, true).await.unwrap();
    let values = vec![(cairn_store::MFS_ROOT_KEY.to_owned(), Some(root.to_bytes()))];
    home.node.repo().meta().set(values).unwrap();
    let gone = gc(&home).await.unwrap();
    assert!(gone.contains(&raw(&other)) && gone.len() == 2, "and what only the gap led to");
    home.block(&root).await;
    // What MFS keeps cannot be told from nonsense.
    let values = vec![(cairn_store::MFS_ROOT_KEY.to_owned(), Some(b"nonsense".to_vec()))];
    home.node.repo().meta().set(values).unwrap();
    assert!(matches!(home.node.gc(None).await, Err(NodeError::MfsRoot)));
}

#[tokio::test]
async fn a_pinned_block_whose_links_nobody_can_read_stops_it() {
    let home = Home::new(false).await;
    // A codec that has no decoder, and bytes that are not what the codec says.
    for (codec, data) in [(0x90, &b"x"[..]), (codec::DAG_CBOR, &b"\xa1"[..])] {
        let block = Block::sha2_256(codec, bytes::Bytes::from_static(data));
        let cid = block.cid().clone();
        home.node.block_put(block, true).await.unwrap();
        assert!(matches!(home.node.gc(None).await, Err(NodeError::Unmarked { .. })));
        home.node.pin_rm(&cid, true).await.unwrap();
        home.node.gc(None).await.unwrap();
    }
}

/// Adds, pins and unpins go on while one collection follows the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collections_and_adds_at_once() {
    let home = Home::new(false).await;
    let adds = async {
        let mut kept = Vec::new();
        for round in 0..60 {
            // A third of each tree is the same as in the tree before.
            let name = |part: u32| format!("d/{:04}", round * 20 + part);
            let files = (0..30).map(|part| file(&name(part), name(part).repeat(200)));
            let root = home.add(files.collect(), &AddOptions::default()).await.unwrap().root();
            if round % 3 == 0 {
                home.node.pin_rm(&root, true).await.unwrap();
                // Pinned again, it is whole again or told not to be.
                if home.node.pin_add(&root, true, None, None).await.is_err() {
                    continue;
                }
            }
            kept.push(root);
        }
        kept
    };
    let collections = async {
        for _ in 0..200 {
            home.node.gc(None).await.unwrap();
        }
    };
    let (kept, ()) = futures::join!(adds, collections);
    home.node.gc(None).await.unwrap();
    assert!(kept.len() >= 40);
    for (round, root) in kept.iter().enumerate() {
        let paths = home.node.pin_states(std::slice::from_ref(root)).await.unwrap();
        assert_eq!(paths, [cairn_node::PinState::Recursive]);
        let listed = home.node.pin_get(root).await.unwrap();
        assert!(listed.is_some(), "{round}");
    }
    let home = home.reopen().await;
    for root in &kept {
        let visits: Vec<_> = {
            use futures::StreamExt as _;
            let options = cairn_dag::WalkOptions::default();
            home.node.walk(std::slice::from_ref(root), options, Fetch::Local).collect().await
        };
        assert_eq!(visits.len(), 31);
        assert!(visits.iter().all(Result::is_ok));
    }
}

/// Gives bytes that no two writes share, and waits in their midst.
struct Interrupted {
    left: usize,
    reached: Option<std::sync::mpsc::Sender<()>>,
    go_on: std::sync::mpsc::Receiver<()>,
}

impl std::io::Read for Interrupted {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.left < 4 << 20
            && let Some(reached) = self.reached.take()
        {
            reached.send(()).unwrap();
            self.go_on.recv().unwrap();
        }
        let len = out.len().min(self.left);
        for (place, byte) in out[..len].iter_mut().enumerate() {
            *byte = ((self.left - place) >> 18) as u8;
        }
        self.left -= len;
        Ok(len)
    }
}

/// A change that began before a collection ends after one that began later: what the older had
/// written by then stays, although nobody flushes.
#[tokio::test]
async fn the_oldest_change_of_mfs_decides_how_long_its_blocks_stay() {
    let home = Home::new(false).await;
    let path = |text: &str| MfsPath::parse(text).unwrap();
    let write = || MfsWrite { create: true, fetch: Fetch::Local, ..MfsWrite::default() };
    let (reached, has_reached) = std::sync::mpsc::channel();
    let (go, go_on) = std::sync::mpsc::channel();
    let data = Interrupted { left: 12 << 20, reached: Some(reached), go_on };
    let older = home.node.mfs_write(path("/older"), Box::new(data), write());
    let newer = async {
        cairn_runtime::blocking(move || has_reached.recv().unwrap()).await;
        gc(&home).await.unwrap();
        let data = std::io::Cursor::new(b"newer".to_vec());
        home.node.mfs_write(path("/newer"), Box::new(data), write()).await.unwrap();
        go.send(()).unwrap();
    };
    let (written, ()) = futures::join!(older, newer);
    written.unwrap();
    for _ in 0..2 {
        gc(&home).await.unwrap();
        let blocks = home.node.blocks(Fetch::Local);
        let found = home.node.mfs_find(&path("/older"), &blocks).await.unwrap();
        let read = home.cat(&format!("/ipfs/{}", found.cid()), Fetch::Local).await.unwrap();
        assert_eq!(read.len(), 12 << 20);
    }
}
