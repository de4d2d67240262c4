//! Builds UnixFS in memory, one block at a time: the plain way to check the fast ways against.

use crate::{TreeEntry, TreeKind};
use bytes::Bytes;
use cairn_block::{Block, MemoryStore};
use cairn_chunk::{ChunkSpec, Cutter};
use cairn_unixfs::{
    Child, DirectoryBuilder, FileBuilder, Metadata, Options, UnixfsError, leaf_codec, leaf_of,
    symlink,
};
use futures::executor::block_on;

/// What came of it.
#[derive(Debug)]
pub struct Imported {
    /// The root.
    pub root: Child,
    /// Every block, children before parents.
    pub blocks: Vec<Block>,
}

impl Imported {
    /// The blocks in a store.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn into_store(self) -> MemoryStore {
        let store = MemoryStore::default();
        let stored = block_on(cairn_block::BlockStore::put_many(&store, self.blocks));
        stored.expect("invariant: memory does not refuse");
        store
    }

    /// The root block.
    ///
    /// # Panics
    ///
    /// If the root is a leaf that was imported on its own and taken away.
    pub fn root_block(&self) -> &Block {
        self.blocks.last().expect("invariant: the root is there, and last")
    }
}

/// Imports one file.
///
/// # Errors
///
/// As the builder's.
pub fn import_file(
    data: &Bytes,
    chunks: ChunkSpec,
    options: &Options,
) -> Result<Imported, UnixfsError> {
    let mut blocks = Vec::new();
    let root = file(data, chunks, options, &mut blocks)?;
    Ok(Imported { root, blocks })
}

/// Imports a tree as one directory.
///
/// # Errors
///
/// As the builders'.
pub fn import(
    entries: &[TreeEntry],
    chunks: ChunkSpec,
    options: &Options,
) -> Result<Imported, UnixfsError> {
    let mut blocks = Vec::new();
    let root = directory("", entries, chunks, options, &mut blocks)?;
    Ok(Imported { root, blocks })
}

fn file(
    data: &Bytes,
    chunks: ChunkSpec,
    options: &Options,
    blocks: &mut Vec<Block>,
) -> Result<Child, UnixfsError> {
    let mut builder = FileBuilder::new(options);
    let mut cutter = Cutter::new(&chunks);
    let mut rest = data.clone();
    while let Some(len) = cutter.next(&rest, true) {
        let encoded = leaf_of(rest.split_to(len), options);
        let block = options.block(leaf_codec(options.raw_leaves), encoded)?;
        let child = Child::leaf(block.cid().clone(), len, block.data().len());
        blocks.push(block);
        builder.push(child, blocks)?;
    }
    builder.finish(blocks)
}

/// Builds the directory at `prefix`, whose entries all follow each other.
fn directory(
    prefix: &str,
    entries: &[TreeEntry],
    chunks: ChunkSpec,
    options: &Options,
    blocks: &mut Vec<Block>,
) -> Result<Child, UnixfsError> {
    let mut builder = DirectoryBuilder::new(options);
    let mut rest = entries;
    while let Some((entry, after)) = rest.split_first() {
        rest = after;
        let child = match &entry.kind {
            TreeKind::File(data) => file(data, chunks, options, blocks)?,
            TreeKind::Symlink(target) => {
                let block = symlink(target, &Metadata::default(), options)?;
                let child = Child::leaf(block.cid().clone(), 0, block.data().len());
                blocks.push(block);
                child
            }
            TreeKind::Directory => {
                let inside = format!("{}/", entry.path);
                let count = rest.iter().take_while(|entry| entry.path.starts_with(&inside)).count();
                let (children, after) = rest.split_at(count);
                rest = after;
                directory(&inside, children, chunks, options, blocks)?
            }
        };
        builder.insert(entry.path[prefix.len()..].to_owned(), child)?;
    }
    builder.finish(blocks)
}
