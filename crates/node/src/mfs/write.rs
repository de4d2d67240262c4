//! Writes bytes into files of the tree.
//!
//! The bytes come before the turn is taken: few are kept in memory, so that they can be joined
//! with what lies beside them, many become leaves in the store as they come. A slow client delays
//! nobody else.
//! Invariants: memory is bounded by [`SMALL_LEN_MAX`] and a batch of chunks, besides about 100
//! bytes a leaf.
//! Not here: which leaves a file has afterwards (`cairn-unixfs`).

use super::{
    MfsError, MfsFormat, MfsPath, Terms,
    file::Shape,
    folder::like,
    tree::{Parents, Tree},
};
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

/// Bytes that are read at once.
const READ_LEN: usize = 256 * 1024;

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
        let base = self.mfs_terms(write.flush)?;
        let mut terms = base;
        let there = match self.mfs_find(&path, &self.blocks(write.fetch)).await {
            Ok(block) => Some(block),
            Err(NodeError::Mfs(MfsError::Missing)) => None,
            Err(error) => return Err(error),
        };
        self.mfs_form(&path, there.as_ref(), (&mut terms, &write))?;
        let lease = Arc::new(self.store().lease());
        let stop = CancellationToken::new();
        let _stop_when_dropped = stop.clone().drop_guard();
        let source = Source { store: self.store().clone(), shape: terms.shape, stop };
        let (count, kept) = (write.count, Arc::clone(&lease));
        let data = data.take(count.unwrap_or(u64::MAX));
        let written = blocking(move || source.read(data, kept)).await?;
        let now = mtime_of(self.clock().now());
        let (fetch, options) = (write.fetch, terms.shape.options);
        let shape = terms.shape;
        let mut directories = base.shape.options;
        write.format.apply(&mut directories);
        self.mfs_change((base, fetch), lease, move |tree| {
            let Some((above, name)) = path.split() else {
                return Err(MfsError::NotAFile { path: path.to_string() }.into());
            };
            let parents = if write.parents { Parents::Make(directories) } else { Parents::Fail };
            tree.edit(above, parents, |tree, folder| {
                let old = match folder.get(&tree.local, name)? {
                    Some(cid) => Some(tree.local.get(&cid)?),
                    None if write.create => None,
                    None => return Err(MfsError::Missing.into()),
                };
                let mut shape = shape;
                shape.options = match &old {
                    // The form of what is there stays.
                    Some(block) => like(block.cid(), &options),
                    None => options,
                };
                let child =
                    overwrite(tree, (old.as_ref(), &path), (&write, &written), (&shape, now))?;
                folder.insert(&tree.local, name, child)
            })
        })
        .await
    }

    /// Decides in which form leaves are made, and refuses what cannot be written to.
    fn mfs_form(
        &self,
        path: &MfsPath,
        there: Option<&Block>,
        (terms, write): (&mut Terms, &MfsWrite),
    ) -> Result<(), NodeError> {
        let options = &mut terms.shape.options;
        match there {
            Some(block) => {
                check_file(block, path)?;
                *options = like(block.cid(), options);
            }
            None if path.means_directory() => return Err(MfsError::Missing.into()),
            None if !write.create => return Err(MfsError::Missing.into()),
            None => write.format.apply(options),
        }
        let configured = self.config().read(|settings| Ok(settings.import()?.raw_leaves))?;
        let raw = write.raw_leaves.or(configured);
        options.raw_leaves = raw.unwrap_or(options.cid_version == Version::V1);
        Ok(options.check()?)
    }
}

/// Refuses what is no file.
fn check_file(block: &Block, path: &MfsPath) -> Result<Entry, NodeError> {
    let entry = Entry::of(block)?;
    match entry.kind {
        EntryKind::File => Ok(entry),
        EntryKind::Symlink { .. } => {
            Err(MfsError::Refused { reason: "symlinks not yet supported" }.into())
        }
        _ => Err(MfsError::NotAFile { path: path.to_string() }.into()),
    }
}

/// Makes the new file; its blocks are appended.
fn overwrite(
    tree: &Tree<'_>,
    (old, path): (Option<&Block>, &MfsPath),
    (write, written): (&MfsWrite, &Written),
    (shape, now): (&Shape, Mtime),
) -> Result<cairn_unixfs::Child, NodeError> {
    let mut metadata = Metadata::default();
    if let Some(block) = old {
        let entry = check_file(block, path)?;
        metadata = Metadata { mode: entry.mode, mtime: entry.mtime.map(|_| now) };
    }
    let editor = FileEditor::new(&tree.local, &shape.options, &shape.chunker);
    let old = old.filter(|_| !write.truncate);
    Ok(tree.local.wait(editor.write(old, (write.offset, written), &metadata))?)
}

/// Reads what is to be written.
struct Source {
    store: Store,
    shape: Shape,
    stop: CancellationToken,
}

impl Source {
    /// Blocking. The lease keeps what is appended, also when nobody waits any more.
    fn read(&self, mut data: impl Read, lease: Arc<Lease>) -> Result<Written, NodeError> {
        let mut buffer = BytesMut::new();
        let mut ended = self.fill(&mut data, &mut buffer, SMALL_LEN_MAX)?;
        if ended {
            return Ok(Written::Bytes(buffer.freeze()));
        }
        let mut leaves = Vec::new();
        let mut cutter = Cutter::new(&self.shape.chunker);
        while !(ended && buffer.is_empty()) {
            let (mut chunks, mut len) = (Vec::<Bytes>::new(), 0);
            while let Some(chunk) = cutter.next(&buffer, ended) {
                chunks.push(buffer.split_to(chunk).freeze());
                len += chunk;
                if len >= BATCH_LEN {
                    break;
                }
            }
            let (made, blocks) = leaves_of(chunks, &self.shape.options)?;
            self.store.append(&blocks)?;
            leaves.extend(made);
            ended = ended || self.fill(&mut data, &mut buffer, BATCH_LEN)?;
        }
        drop(lease);
        Ok(Written::Leaves(leaves))
    }

    /// Reads until there are more than `len` bytes; answers whether the end came before.
    fn fill(
        &self,
        data: &mut impl Read,
        buffer: &mut BytesMut,
        len: usize,
    ) -> Result<bool, NodeError> {
        while buffer.len() <= len {
            if self.stop.is_cancelled() {
                return Err(NodeError::Cancelled);
            }
            let start = buffer.len();
            buffer.resize(start + READ_LEN, 0);
            let read = data.read(&mut buffer[start..]);
            buffer.truncate(start + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Ok(true),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let path = "the data to write".into();
                    return Err(AddEntryError::Io { op: "read", path, source }.into());
                }
            }
        }
        Ok(false)
    }
}

/// A time as UnixFS keeps it.
fn mtime_of(time: SystemTime) -> Mtime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Mtime { secs: since.as_secs().cast_signed(), nanos: since.subsec_nanos() }
}
