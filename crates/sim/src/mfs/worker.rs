//! A node on a simulated disk that changes its tree of files, and reads it whole.
//!
//! Invariant: one change at a time, each answered before the next, so the disk's journal is the
//! same for the same script.
//! Not here: what must be there (`mfs.rs`).

use super::change::{Change, Tree};
use crate::disk::SimDisk;
use anyhow::{Context as _, Result};
use cairn_block::{Block, BlockStoreExt as _};
use cairn_node::{Fetch, MfsCopy, MfsFormat, MfsPath, MfsWrite, Node, OpenOptions};
use cairn_store::Repo;
use cairn_unixfs::Entry;
use futures::TryStreamExt as _;
use serde_json::{Value, json};
use std::path::Path;
use tokio::runtime::{Builder, Runtime};

/// Where the repository is.
const ROOT: &str = "/home/repo";

/// Packs are this long, so that a script fills several.
const SEGMENT_LEN_MAX: u64 = 64 * 1024;

/// Changes of the metadata between two commits of their database.
const NOTE_COUNT_MAX: usize = 4;

/// What the config says: an identity that nobody has, and leaves so small that files have many.
fn config() -> Value {
    json!({
        "Identity": {
            "PeerID": "12D3KooWHGsLEdjDsJumnTXz5weLMzo1weGA35qyCjSSz4rh8uox",
            "PrivKey": "CAESQHSGFOXlleqa7sEU8IMLpm9CxhDkvbOPxvJ/o/3DiPNybsvijK+hEeh06wMYkV6EiDE7/9PIQl6+9Trh+wUEB2s=",
        },
        "Import": { "UnixFSChunker": "size-700", "UnixFSFileMaxLinks": 4 },
    })
}

/// See the module.
pub(super) struct Worker {
    runtime: Runtime,
    node: Node,
}

impl Worker {
    /// Makes a repository and opens it.
    pub(super) fn make(disk: &SimDisk) -> Result<Self> {
        Repo::init(&disk.process(), Path::new(ROOT), &config())?;
        Self::open(disk)
    }

    /// Opens a repository that is there.
    pub(super) fn open(disk: &SimDisk) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let options = OpenOptions { path: ROOT.into(), online: false, pubsub: false };
        let mut opening = cairn_store::OpenOptions::default();
        opening.segment_len_max = SEGMENT_LEN_MAX;
        opening.note_count_max = NOTE_COUNT_MAX;
        let node = runtime.block_on(Node::open_on(disk.process(), options, opening))?;
        Ok(Self { runtime, node })
    }

    /// What the repository says that it has lost.
    pub(super) fn losses(&self) -> Vec<String> {
        self.node.repo().losses().iter().map(|loss| format!("{loss:?}")).collect()
    }

    /// Makes a change, and waits until it is acknowledged.
    pub(super) fn apply(self, change: &Change, disk: &SimDisk) -> Result<Self> {
        let path = |text: &String| MfsPath::parse(text);
        let fetch = Fetch::Local;
        let Self { runtime, node } = &self;
        let done = match change {
            Change::Mkdir { path: at, flush } => runtime.block_on(node.mfs_mkdir(
                path(at)?,
                (false, MfsFormat::default()),
                (*flush, fetch),
            )),
            Change::Write { path: at, offset, bytes, flush } => {
                let (offset, flush) = (*offset as u64, *flush);
                let write = MfsWrite { offset, create: true, flush, fetch, ..MfsWrite::default() };
                let data = Box::new(std::io::Cursor::new(bytes.clone()));
                runtime.block_on(node.mfs_write(path(at)?, data, write))
            }
            Change::Move { from, to, flush } => {
                runtime.block_on(node.mfs_move(path(from)?, path(to)?, (*flush, fetch)))
            }
            Change::Copy { from, to, flush } => {
                let copy = MfsCopy { flush: *flush, fetch, ..MfsCopy::default() };
                runtime.block_on(node.mfs_copy(path(from)?, path(to)?, copy))
            }
            Change::Remove { path: at } => {
                runtime.block_on(node.mfs_remove(path(at)?, (true, false), fetch))
            }
            Change::Flush => runtime.block_on(node.mfs_flush()),
            Change::Collect => runtime.block_on(node.gc(None)).map(drop),
            Change::Kill => {
                disk.kill();
                drop(self);
                return Self::open(disk);
            }
            Change::Restart => {
                runtime.block_on(node.shutdown())?;
                drop(self);
                return Self::open(disk);
            }
        };
        done?;
        Ok(self)
    }

    /// Reads the whole tree.
    pub(super) fn tree(&self) -> Result<Tree> {
        self.runtime.block_on(self.read_tree())
    }

    async fn read_tree(&self) -> Result<Tree> {
        let blocks = self.node.blocks(Fetch::Local);
        let root = self.node.mfs_find(&MfsPath::parse("/")?, &blocks).await?;
        let mut tree = Tree::new();
        let mut open: Vec<(String, Block)> = vec![(String::new(), root)];
        while let Some((path, block)) = open.pop() {
            let entry = Entry::of(&block).with_context(|| format!("at {path:?}"))?;
            if entry.is_directory() {
                let listed = cairn_unixfs::list(blocks.clone(), &block);
                let listed: Vec<_> = listed.try_collect().await?;
                for entry in listed {
                    let child = blocks.require(&entry.cid).await;
                    let path = format!("{path}/{}", entry.name);
                    open.push((path.clone(), child.with_context(|| format!("at {path:?}"))?));
                }
                if !path.is_empty() {
                    tree.insert(path, None);
                }
                continue;
            }
            let read = cairn_unixfs::read(blocks.clone(), &block, 0..u64::MAX);
            let pieces = read.try_collect::<Vec<_>>().await;
            let pieces = pieces.with_context(|| format!("the bytes of {path:?}"))?;
            tree.insert(path, Some(pieces.concat()));
        }
        Ok(tree)
    }
}
