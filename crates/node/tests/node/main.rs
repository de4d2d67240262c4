//! The node over real repositories, and two nodes over loopback.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod add;
mod exchange;
mod gc;
mod gc_writers;
mod pins;
mod repair;
mod repo;

use cairn_block::{Block, BlockStoreExt as _, Cid};
use cairn_dag::IpfsPath;
use cairn_node::{
    AddEntries, AddEntry, AddEvent, AddOptions, AddSummary, Fetch, InitOptions, Node, NodeError,
    OpenOptions,
};
use futures::TryStreamExt as _;
use tempfile::TempDir;
use tokio::sync::mpsc;

/// A node with a repository of its own; the directory goes with it.
struct Home {
    dir: TempDir,
    node: Node,
}

impl Home {
    /// Makes a repository that listens on loopback only, and opens it.
    async fn new(online: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = InitOptions { profiles: vec!["test".to_owned()], ..InitOptions::default() };
        cairn_node::init(&dir.path().join("repo"), options).await.unwrap();
        let node = open(&dir, online).await.unwrap();
        Self { dir, node }
    }

    /// Stops the node and opens it again, as after a restart.
    async fn reopen(self) -> Self {
        let Self { dir, node } = self;
        node.shutdown().await.unwrap();
        drop(node);
        let node = open(&dir, false).await.unwrap();
        Self { dir, node }
    }

    async fn add(&self, entries: Vec<AddEntry>, options: &AddOptions) -> Result<Added, NodeError> {
        let entries: AddEntries = Box::new(entries.into_iter().map(Ok));
        self.add_entries(entries, options).await
    }

    async fn add_entries(
        &self,
        entries: AddEntries,
        options: &AddOptions,
    ) -> Result<Added, NodeError> {
        let (sender, mut receiver) = mpsc::channel(8);
        let add = self.node.add(entries, options.clone(), sender);
        let collect = async {
            let mut events = Vec::new();
            while let Some(event) = receiver.recv().await {
                events.push(event);
            }
            events
        };
        let (summary, events) = futures::join!(add, collect);
        Ok(Added { summary: summary?, events })
    }

    /// Adds one file without a name; returns its CID.
    async fn add_bytes(&self, data: &[u8], options: &AddOptions) -> Cid {
        let entry = AddEntry::file("", std::io::Cursor::new(data.to_vec()));
        self.add(vec![entry], options).await.unwrap().root()
    }

    /// Reads a whole file.
    async fn cat(&self, path: &str, fetch: Fetch) -> Result<Vec<u8>, NodeError> {
        let path = IpfsPath::parse(path)?;
        let root = self.node.resolve(&path, fetch).await?.block;
        let parts = cairn_unixfs::read(self.node.blocks(fetch), &root, 0..u64::MAX);
        let parts: Vec<_> = parts.try_collect().await?;
        Ok(parts.concat())
    }

    async fn block(&self, cid: &Cid) -> Block {
        self.node.blocks(Fetch::Local).require(cid).await.unwrap()
    }

    async fn block_count(&self) -> u64 {
        self.node.repo_stat().await.unwrap().block_count
    }
}

async fn open(dir: &TempDir, online: bool) -> Result<Node, NodeError> {
    Node::open(OpenOptions { path: dir.path().join("repo"), online, pubsub: false }).await
}

/// What an add has said.
struct Added {
    summary: AddSummary,
    events: Vec<AddEvent>,
}

impl Added {
    fn root(&self) -> Cid {
        assert_eq!(self.summary.roots.len(), 1);
        self.summary.roots[0].clone()
    }

    /// `"name cid"`, in the order of the events.
    fn lines(&self) -> Vec<String> {
        let line = |event: &AddEvent| match event {
            AddEvent::Added { name, cid, .. } => Some(format!("{name} {cid}")),
            _ => None,
        };
        self.events.iter().filter_map(line).collect()
    }

    /// The names alone.
    fn names(&self) -> Vec<String> {
        let name = |line: String| line.rsplit_once(' ').unwrap().0.to_owned();
        self.lines().into_iter().map(name).collect()
    }
}

/// A file entry.
fn file(path: &str, data: impl Into<Vec<u8>>) -> AddEntry {
    let data: Vec<u8> = data.into();
    let len = data.len() as u64;
    let mut entry = AddEntry::file(path, std::io::Cursor::new(data));
    entry.len = Some(len);
    entry
}
