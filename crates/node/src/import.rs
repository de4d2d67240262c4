//! Takes blocks out of CAR files.
//!
//! Blocks are hashed many at a time and written as they come; nothing below a root has to come
//! in any order, or at all.
//!
//! Invariant: a block that does not hash to its CID ends the import, naming it; what came before
//! is garbage unless something else keeps it.
//! Not here: the format (`cairn_dag::car`), pinning the roots.

use crate::{AddEntries, AddEntryError, AddKind, Node, NodeError};
use bytes::Bytes;
use cairn_block::{Block, Cid};
use cairn_dag::{CarDecoder, CarError};
use cairn_runtime::blocking;
use std::io::Read;
use tokio_util::sync::CancellationToken;

/// Bytes that are read at once.
const READ_LEN: usize = 1024 * 1024;

/// Bytes of blocks that are hashed and written together, and a block more.
const BATCH_LEN_MAX: usize = 8 * 1024 * 1024;

/// Blocks that are hashed and written together.
const BATCH_COUNT_MAX: usize = 4096;

/// Different roots that the files of one import may name.
const ROOT_COUNT_MAX: usize = 65_536;

/// What errors call a file without a name.
const UNNAMED: &str = "the file";

/// What an import has taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CarImport {
    /// The roots that the headers name, each once, in order.
    pub roots: Vec<Cid>,
    /// Blocks in the files.
    pub block_count: u64,
    /// Their bytes.
    pub len: u64,
}

impl Node {
    /// Takes all blocks of CAR files; durable when it returns.
    ///
    /// Nothing is pinned: hold a lease of the store until that is done. Stops when the future is
    /// dropped.
    ///
    /// # Errors
    ///
    /// [`NodeError::Car`] naming the file that is broken, [`NodeError::Block`] a block that is
    /// not what its CID says, [`NodeError::Entry`] what is no file, [`NodeError::Store`].
    pub async fn car_import(&self, files: AddEntries) -> Result<CarImport, NodeError> {
        let stop = CancellationToken::new();
        let _stop_when_dropped = stop.clone().drop_guard();
        let node = self.clone();
        blocking(move || {
            let mut import = Import { node: &node, stop, taken: CarImport::default() };
            for entry in files {
                let entry = entry?;
                let path = match entry.path {
                    path if path.is_empty() => UNNAMED.to_owned(),
                    path => path,
                };
                match entry.kind {
                    AddKind::File(mut file) => import.file(&path, &mut *file)?,
                    _ => return Err(NodeError::NotAFile { path }),
                }
            }
            node.store().flush()?;
            Ok(import.taken)
        })
        .await
    }
}

struct Import<'a> {
    node: &'a Node,
    stop: CancellationToken,
    taken: CarImport,
}

impl Import<'_> {
    fn file(&mut self, path: &str, file: &mut dyn Read) -> Result<(), NodeError> {
        let broken = |source: CarError| NodeError::Car { path: path.to_owned(), source };
        let mut decoder = CarDecoder::new();
        let mut memory = vec![0; READ_LEN];
        let (mut batch, mut batch_len) = (Vec::new(), 0);
        loop {
            while let Some((cid, data)) = decoder.next_block().map_err(broken)? {
                batch_len += data.len();
                batch.push((cid, data));
                if batch_len >= BATCH_LEN_MAX || batch.len() >= BATCH_COUNT_MAX {
                    self.write(std::mem::take(&mut batch))?;
                    batch_len = 0;
                }
            }
            let failed = |source| AddEntryError::Io { op: "read", path: path.into(), source };
            match file.read(&mut memory) {
                Ok(0) => break,
                Ok(len) => decoder.feed(&memory[..len]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error).into()),
            }
        }
        decoder.finish().map_err(broken)?;
        self.write(batch)?;
        for root in decoder.roots() {
            if self.taken.roots.contains(root) {
                continue;
            }
            if self.taken.roots.len() == ROOT_COUNT_MAX {
                return Err(broken(CarError::Header { reason: "more roots than the limit" }));
            }
            self.taken.roots.push(root.clone());
        }
        Ok(())
    }

    /// Checks blocks in lanes and writes them.
    fn write(&mut self, batch: Vec<(Cid, Bytes)>) -> Result<(), NodeError> {
        if self.stop.is_cancelled() {
            return Err(NodeError::Cancelled);
        }
        let blocks: Result<Vec<Block>, _> = Block::verify_many(batch).into_iter().collect();
        let blocks = blocks?;
        self.taken.block_count += blocks.len() as u64;
        self.taken.len += blocks.iter().map(|block| block.data().len() as u64).sum::<u64>();
        self.node.store().append(&blocks)?;
        if self.node.is_online() {
            let cids: Vec<Cid> = blocks.iter().map(|block| block.cid().clone()).collect();
            self.node.announce_local(&cids);
        }
        Ok(())
    }
}
