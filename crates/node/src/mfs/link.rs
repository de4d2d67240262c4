//! What is being linked into the tree from outside, and must not go meanwhile.
//!
//! Nothing need keep it until the link is committed, and it may be too large to be walked for each
//! link. So its root is told to collections while the link is made: one that begins meanwhile marks
//! what is below, as if it were linked already. One that began before is not told, so in that case
//! it is walked.
//!
//! Invariant: a root is told before it is asked whether a collection is under way, and until the
//! link is committed; a collection asks after it began, and before it reads the committed root. So
//! it finds the root here, or there, or the link finds the collection.
//! Not here: marking (`gc.rs`).

use super::{Mfs, lock};
use cairn_block::Cid;
use std::sync::Arc;

/// A root is told for as long as this lives.
#[derive(Debug)]
pub(super) struct Linking {
    mfs: Arc<Mfs>,
    cid: Cid,
}

impl Linking {
    pub(super) fn begin(mfs: &Arc<Mfs>, cid: &Cid) -> Self {
        lock(&mfs.linking).push(cid.clone());
        Self { mfs: Arc::clone(mfs), cid: cid.clone() }
    }
}

impl Drop for Linking {
    fn drop(&mut self) {
        let mut linking = lock(&self.mfs.linking);
        if let Some(place) = linking.iter().position(|cid| *cid == self.cid) {
            linking.swap_remove(place);
        }
    }
}

impl Mfs {
    /// The roots of what is being linked now.
    pub(crate) fn links_under_way(&self) -> Vec<Cid> {
        lock(&self.linking).clone()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Fetch, InitOptions, MfsCopy, MfsPath, Node, OpenOptions, gc::collect, mfs::lock};
    use cairn_block::{Block, BlockStoreExt as _, Cid, codec};
    use cairn_runtime::blocking;
    use cairn_unixfs::{Child, DirectoryBuilder, Options, leaf};
    use std::sync::Arc;
    use tokio::sync::oneshot;
    use tokio_util::sync::CancellationToken;

    /// A directory with one file, which were there before the last collection and are kept by
    /// nothing any more.
    async fn garbage(node: &Node) -> (Block, Cid) {
        let file = Block::sha2_256(codec::DAG_PB, leaf("data".into(), false));
        let cid = file.cid().clone();
        let mut builder = DirectoryBuilder::new(&Options::default());
        let total_len = file.data().len() as u64;
        builder
            .insert("file".to_owned(), Child { cid: cid.clone(), data_len: 4, total_len })
            .unwrap();
        let mut out = vec![file];
        builder.finish(&mut out).unwrap();
        node.store().append(&out).unwrap();
        let root = out.pop().unwrap();
        node.pin_add(root.cid(), true, None, None).await.unwrap();
        node.gc(None).await.unwrap();
        node.pin_rm(root.cid(), true).await.unwrap();
        (root, cid)
    }

    /// A collection that begins after `cp` did and ends before it is committed.
    #[tokio::test]
    async fn a_collection_within_one_link_takes_nothing_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().join("repo");
        let options = InitOptions { profiles: vec!["test".to_owned()], ..InitOptions::default() };
        crate::init(&repo, options).await.unwrap();
        let options = OpenOptions { path: repo, online: false, pubsub: false };
        let node = Node::open(options).await.unwrap();
        let (root, file) = garbage(&node).await;
        let (mfs, (ready, is_ready)) = (Arc::clone(node.mfs()), oneshot::channel());
        let collection = blocking(move || {
            // Nobody can change the tree meanwhile.
            let _turn = lock(&mfs.turn);
            ready.send(()).unwrap();
            while mfs.links_under_way().is_empty() {
                std::thread::yield_now();
            }
            collect(&mfs, None, CancellationToken::new())
        });
        let path = || MfsPath::parse("/linked").unwrap();
        let link = async {
            is_ready.await.unwrap();
            let copy = MfsCopy { flush: true, ..MfsCopy::default() };
            node.mfs_link(root, path(), copy).await
        };
        let (collected, linked) = futures::join!(collection, link);
        assert_eq!((collected.unwrap().block_count, linked.unwrap()), (0, ()));
        assert_eq!(node.mfs().links_under_way(), []);
        let blocks = node.blocks(Fetch::Local);
        blocks.require(&file).await.unwrap();
        // From now on it is the link that keeps it.
        node.gc(None).await.unwrap();
        blocks.require(&file).await.unwrap();
        node.mfs_remove(path(), (true, false), Fetch::Local).await.unwrap();
        node.gc(None).await.unwrap();
        assert!(blocks.require(&file).await.is_err());
    }
}
