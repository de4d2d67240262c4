//! Writes bytes into files of the tree.
//!
//! The bytes come before the turn is taken: few are kept in memory, so that they can be joined
//! with what lies beside them, many become leaves in the store as they come. A slow client delays
//! nobody else.
//! Invariants: memory is bounded by [`SMALL_LEN_MAX`] and a batch of chunks, besides about 100
//! bytes a leaf of what is written.
//! Not here: which leaves a file has afterwards (`cairn-unixfs`).

use super::{MfsError, MfsFormat, MfsPath, Terms, file::Shape, folder::like, tree::Parents};
use crate::{AddEntryError, Fetch, Node, NodeError};
use bytes::{Bytes, BytesMut};
use cairn_block::{Block, Version};
use cairn_chunk::Cutter;
use cairn_runtime::blocking;
use cairn_store::{Lease, Store};
use cairn_unixfs::{Entry, EntryKind, FileEditor, Metadata, Mtime, Written, leaves_of};
use std::{
    io::{self, Read},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio_util::sync::CancellationToken;

/// Bytes of a write that are kept in memory.
const SMALL_LEN_MAX: usize = 1024 * 1024;

/// Bytes that are read at once: at first, and once there are many.
const READ_LEN_MIN: usize = 16 * 1024;
const READ_LEN_MAX: usize = 256 * 1024;

/// Bytes of chunks that are hashed and written together.
const BATCH_LEN: usize = 4 * 1024 * 1024;

/// How to write.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command of its own")]
pub struct MfsWrite {
    /// The byte to begin at.
    pub offset: u64,
    /// The file is made if it is not there.
    pub create: bool,
    /// So are the directories above it.
    pub parents: bool,
    /// What the file holds is cut off first.
    pub truncate: bool,
    /// Most bytes to take.
    pub count: Option<u64>,
    /// Whether new leaves are raw; as the config or the file says if it is `None`.
    pub raw_leaves: Option<bool>,
    /// The form of what is made.
    pub format: MfsFormat,
    /// The answer waits until it is durable.
    pub flush: bool,
    /// Where missing blocks of the tree may come from.
    pub fetch: Fetch,
    /// The data are short and in memory, so nobody needs to be waited for.
    pub is_small: bool,
}

impl Node {
    /// Writes what `data` gives into the file at `path`.
    ///
    /// Dropping the future stops it; the file is as it was then, or as it was to be.
    ///
    /// # Errors
    ///
    /// [`MfsError`] says what is in the way, [`NodeError::Entry`] that `data` ended in an error.
    pub async fn mfs_write(
        &self,
        path: MfsPath,
        data: Box<dyn Read + Send>,
        write: MfsWrite,
    ) -> Result<(), NodeError> {
        let terms = self.mfs_terms(write.flush)?;
        let mut directories = terms.shape.options;
        write.format.apply(&mut directories);
        directories.check()?;
        let lease = Arc::new(self.store().lease());
        let stop = CancellationToken::new();
        let _stop_when_dropped = stop.clone().drop_guard();
        let data = data.take(write.count.unwrap_or(u64::MAX));
        let source = Source { data, buffer: BytesMut::new(), ended: false, stop };
        let source =
            if write.is_small { source.begin()? } else { blocking(move || source.begin()).await? };
        let written = if source.ended {
            Written::Bytes(source.buffer.freeze())
        } else {
            // Leaves are made before the turn, so their form has to be known.
            let there = match self.mfs_find(&path, &self.blocks(write.fetch)).await {
                Ok(block) => Some(block),
                Err(NodeError::Mfs(MfsError::Missing)) => None,
                Err(error) => return Err(error),
            };
            let shape = shape_of(&path, there.as_ref(), (&terms, &write))?;
            let (store, kept) = (self.store().clone(), Arc::clone(&lease));
            blocking(move || source.leaves(&store, &shape, kept)).await?
        };
        let (now, fetch) = (mtime_of(self.clock().now()), write.fetch);
        self.mfs_change((terms, fetch), lease, move |tree| {
            let Some((above, name)) = path.split() else {
                return Err(MfsError::NotAFile { path: path.to_string() }.into());
            };
            let parents = if write.parents { Parents::Make(directories) } else { Parents::Fail };
            tree.edit(above, parents, |tree, folder| {
                let old = folder.get(&tree.local, name)?;
                let old = old.map(|cid| tree.local.get(&cid)).transpose()?;
                let shape = shape_of(&path, old.as_ref(), (&terms, &write))?;
                let mut metadata = Metadata::default();
                if let Some(block) = &old {
                    let entry = Entry::of(block)?;
                    metadata = Metadata { mode: entry.mode, mtime: entry.mtime.map(|_| now) };
                }
                let editor = FileEditor::new(&tree.local, &shape.options, &shape.chunker);
                let old = old.as_ref().filter(|_| !write.truncate);
                let change = editor.write(old, (write.offset, &written), &metadata);
                let child = tree.local.wait(change)?;
                folder.insert(&tree.local, name, child)
            })
        })
        .await
    }
}

/// In which form leaves are made and joined; refuses what cannot be written to.
fn shape_of(
    path: &MfsPath,
    there: Option<&Block>,
    (terms, write): (&Terms, &MfsWrite),
) -> Result<Shape, NodeError> {
    let mut shape = terms.shape;
    match there {
        Some(block) => {
            check_file(block, path)?;
            // The form of what is there stays.
            shape.options = like(block.cid(), &shape.options);
        }
        None if path.means_directory() || !write.create => return Err(MfsError::Missing.into()),
        None => write.format.apply(&mut shape.options),
    }
    let raw = write.raw_leaves.or(terms.raw_leaves);
    shape.options.raw_leaves = raw.unwrap_or(shape.options.cid_version == Version::V1);
    Ok(shape)
}

/// Refuses what is no file.
fn check_file(block: &Block, path: &MfsPath) -> Result<(), NodeError> {
    match Entry::of(block)?.kind {
        EntryKind::File => Ok(()),
        EntryKind::Symlink { .. } => {
            Err(MfsError::Refused { reason: "symlinks not yet supported" }.into())
        }
        _ => Err(MfsError::NotAFile { path: path.to_string() }.into()),
    }
}

/// Reads what is to be written.
struct Source<R> {
    data: R,
    /// What was read and has not become leaves.
    buffer: BytesMut,
    /// Whether that is all.
    ended: bool,
    stop: CancellationToken,
}

impl<R: Read> Source<R> {
    /// Reads all, if that is not too much to be kept in memory. Blocking.
    fn begin(mut self) -> Result<Self, NodeError> {
        self.fill(SMALL_LEN_MAX)?;
        Ok(self)
    }

    /// Makes leaves of what comes. Blocking. The lease keeps what is appended, also when nobody
    /// waits any more.
    fn leaves(
        mut self,
        store: &Store,
        shape: &Shape,
        lease: Arc<Lease>,
    ) -> Result<Written, NodeError> {
        let mut leaves = Vec::new();
        let mut cutter = Cutter::new(&shape.chunker);
        while !(self.ended && self.buffer.is_empty()) {
            let (mut chunks, mut len) = (Vec::<Bytes>::new(), 0);
            while let Some(chunk) = cutter.next(&self.buffer, self.ended) {
                chunks.push(self.buffer.split_to(chunk).freeze());
                len += chunk;
                if len >= BATCH_LEN {
                    break;
                }
            }
            let (made, blocks) = leaves_of(chunks, &shape.options)?;
            store.append(&blocks)?;
            leaves.extend(made);
            if !self.ended {
                self.fill(BATCH_LEN)?;
            }
        }
        drop(lease);
        Ok(Written::Leaves(leaves))
    }

    /// Reads until there are more than `len` bytes, or no more.
    fn fill(&mut self, len: usize) -> Result<(), NodeError> {
        let mut room = READ_LEN_MIN;
        while self.buffer.len() <= len {
            if self.stop.is_cancelled() {
                return Err(NodeError::Cancelled);
            }
            let start = self.buffer.len();
            self.buffer.resize(start + room, 0);
            let read = self.data.read(&mut self.buffer[start..]);
            self.buffer.truncate(start + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(len) if len == room => room = READ_LEN_MAX.min(room * 4),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let path = "the data to write".into();
                    return Err(AddEntryError::Io { op: "read", path, source }.into());
                }
            }
        }
        Ok(())
    }
}

/// A time as UnixFS keeps it.
fn mtime_of(time: SystemTime) -> Mtime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Mtime { secs: since.as_secs().cast_signed(), nanos: since.subsec_nanos() }
}
