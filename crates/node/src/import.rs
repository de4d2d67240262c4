//! Takes blocks out of CAR files.
//!
//! Blocks are hashed many at a time and written as they come; nothing below a root has to come
//! in any order, or at all.
//!
//! Invariant: a block that does not hash to its CID is not stored and ends the import, which names
//! it, its file and its place there. What came before is kept, and told; nothing pins it.
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
    /// [`NodeError::ImportEnded`] tells what was kept before the import ended; its source is
    /// [`NodeError::Car`] with the file and the place that is broken, [`NodeError::Entry`] for a
    /// file that cannot be read, or [`NodeError::NotAFile`]. Any other error says that nothing is
    /// known to be kept: [`NodeError::Store`], [`NodeError::Cancelled`].
    pub async fn car_import(&self, files: AddEntries) -> Result<CarImport, NodeError> {
        let stop = CancellationToken::new();
        let _stop_when_dropped = stop.clone().drop_guard();
        let node = self.clone();
        blocking(move || {
            let mut import = Import { node: &node, stop, taken: CarImport::default() };
            let result = import.files(files);
            if matches!(result, Err(NodeError::Store(_) | NodeError::Cancelled)) {
                return result.map(|()| import.taken);
            }
            node.store().flush()?;
            match result {
                Ok(()) => Ok(import.taken),
                Err(error) => Err(NodeError::ImportEnded {
                    kept_count: import.taken.block_count,
                    kept_len: import.taken.len,
                    source: Box::new(error),
                }),
            }
        })
        .await
    }
}

struct Import<'a> {
    node: &'a Node,
    stop: CancellationToken,
    taken: CarImport,
}

/// Blocks that wait to be checked, unchecked, each with the place of its section.
#[derive(Default)]
struct Batch {
    blocks: Vec<(Cid, Bytes)>,
    offsets: Vec<u64>,
    len: usize,
}

impl Import<'_> {
    fn files(&mut self, files: AddEntries) -> Result<(), NodeError> {
        for entry in files {
            let entry = entry?;
            let path = match entry.path {
                path if path.is_empty() => UNNAMED.to_owned(),
                path => path,
            };
            match entry.kind {
                AddKind::File(mut file) => self.file(&path, &mut *file)?,
                _ => return Err(NodeError::NotAFile { path }),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &str, file: &mut dyn Read) -> Result<(), NodeError> {
        let mut decoder = CarDecoder::new();
        let mut batch = Batch::default();
        let read = self.blocks(path, file, &mut decoder, &mut batch);
        if matches!(read, Err(NodeError::Store(_) | NodeError::Cancelled)) {
            return read;
        }
        // What came before the broken part is good, unless it is broken itself, and earlier.
        self.write(path, batch)?;
        read?;
        for root in decoder.roots() {
            if self.taken.roots.contains(root) {
                continue;
            }
            if self.taken.roots.len() == ROOT_COUNT_MAX {
                let source = CarError::Header { reason: "more roots than the limit" };
                return Err(NodeError::Car { path: path.to_owned(), source });
            }
            self.taken.roots.push(root.clone());
        }
        Ok(())
    }

    /// Reads a file to its end; the last blocks are left in `batch`.
    fn blocks(
        &mut self,
        path: &str,
        file: &mut dyn Read,
        decoder: &mut CarDecoder,
        batch: &mut Batch,
    ) -> Result<(), NodeError> {
        let broken = |source: CarError| NodeError::Car { path: path.to_owned(), source };
        let mut memory = vec![0; READ_LEN];
        loop {
            while let Some((cid, data)) = decoder.next_block().map_err(broken)? {
                batch.len += data.len();
                batch.blocks.push((cid, data));
                batch.offsets.push(decoder.section_offset());
                if batch.len >= BATCH_LEN_MAX || batch.blocks.len() >= BATCH_COUNT_MAX {
                    self.write(path, std::mem::take(batch))?;
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
        decoder.finish().map_err(broken)
    }

    /// Checks blocks in lanes and writes them, up to the first that is broken.
    fn write(&mut self, path: &str, batch: Batch) -> Result<(), NodeError> {
        if self.stop.is_cancelled() {
            return Err(NodeError::Cancelled);
        }
        let mut blocks = Vec::with_capacity(batch.blocks.len());
        let mut broken = None;
        for (checked, offset) in Block::verify_many(batch.blocks).into_iter().zip(batch.offsets) {
            match checked {
                Ok(block) => blocks.push(block),
                Err(error) => {
                    let source = CarError::Block { offset, reason: error.to_string() };
                    broken = Some(NodeError::Car { path: path.to_owned(), source });
                    break;
                }
            }
        }
        self.node.store().append(&blocks)?;
        self.taken.block_count += blocks.len() as u64;
        self.taken.len += blocks.iter().map(|block| block.data().len() as u64).sum::<u64>();
        if self.node.is_online() {
            let cids: Vec<Cid> = blocks.iter().map(|block| block.cid().clone()).collect();
            self.node.announce_local(&cids);
        }
        broken.map_or(Ok(()), Err)
    }
}
