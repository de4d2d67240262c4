//! The first stage: pulls entries and reads files into buffers, cut into leaves.
//!
//! Data is read to where it stays: in front of each chunk there is room for the leaf's prefix
//! and behind it for its suffix, so nothing is copied until it is written to disk.
//!
//! Invariants: whatever an entry's length says, no more than a buffer is filled before it is
//! passed on; an error goes down the line behind everything that came before it.
//! Not here: hashing (`hasher.rs`), what becomes of the entries (`writer.rs`).

use super::{
    AddEntries, AddEntry, AddEntryError, AddKind, buffers::Buffers, entry::check_path, plan::Plan,
};
use crate::{
    NodeError,
    outside::{Outside, Referent},
};
use bytes::Bytes;
use cairn_chunk::Cutter;
use cairn_unixfs::{Metadata, leaf_prefix, leaf_suffix};
use std::{
    io::{self, Read},
    ops::Range,
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

/// Steps that one batch may have, for adds of many empty files.
const STEP_COUNT_MAX: usize = 4096;

/// What the reader passes on: a buffer, and what to do with it in order.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) buffer: Bytes,
    pub(super) steps: Vec<Step>,
}

/// One step of building the DAG.
#[derive(Debug)]
pub(super) enum Step {
    Directory {
        path: String,
        metadata: Metadata,
    },
    Symlink {
        path: String,
        target: String,
        metadata: Metadata,
    },
    /// A file begins; its leaves follow, possibly in later batches.
    File {
        path: String,
        metadata: Metadata,
        /// What its leaves refer to, if they are not copied.
        referent: Option<Box<Referent>>,
    },
    Leaf {
        /// Where the whole leaf is in the buffer.
        leaf: Range<usize>,
        /// Where its data is.
        data: Range<usize>,
    },
    /// The file's last leaf has come.
    End,
}

/// Why reading ended early: the next stage has gone, or an error to pass on.
enum Stop {
    Gone,
    Error(NodeError),
}

impl From<AddEntryError> for Stop {
    fn from(error: AddEntryError) -> Self {
        Self::Error(error.into())
    }
}

struct Reader<'a, N> {
    plan: &'a Plan,
    /// Who makes references; nothing can refer to files without it.
    outside: Option<&'a Arc<Outside>>,
    buffers: Buffers,
    /// Whether the next stage took it.
    next_stage: N,
    stop: &'a CancellationToken,
    memory: Vec<u8>,
    /// Where the next slot begins.
    cursor: usize,
    steps: Vec<Step>,
}

/// Reads everything and passes it on to `next_stage`, which returns whether it took it; an error
/// comes last. Blocking.
pub(super) fn run(
    entries: AddEntries,
    (plan, outside): (&Plan, Option<&Arc<Outside>>),
    stop: &CancellationToken,
    next_stage: impl FnMut(Result<Batch, NodeError>) -> bool,
) {
    let (prefix_len, suffix_len) = plan.leaf_margins();
    let slot_len = prefix_len + plan.options.chunker.len_max() + suffix_len;
    let (buffers, memory, steps) = (Buffers::new(slot_len), Vec::new(), Vec::new());
    let mut reader = Reader { plan, outside, buffers, next_stage, stop, memory, cursor: 0, steps };
    let mut result = entries.into_iter().try_for_each(|entry| reader.entry(entry?));
    if result.is_ok() {
        result = reader.pass_on();
    }
    if let Err(Stop::Error(error)) = result {
        // A send fails only if the next stage has gone, which has an error of its own.
        (reader.next_stage)(Err(error));
    }
}

impl<N: FnMut(Result<Batch, NodeError>) -> bool> Reader<'_, N> {
    fn entry(&mut self, entry: AddEntry) -> Result<(), Stop> {
        check_path(&entry.path)?;
        if self.stop.is_cancelled() {
            return Err(Stop::Gone);
        }
        let metadata = self.plan.metadata(&entry);
        let AddEntry { path, kind, len, origin, .. } = entry;
        match kind {
            AddKind::Directory => self.steps.push(Step::Directory { path, metadata }),
            AddKind::Symlink(target) => self.steps.push(Step::Symlink { path, target, metadata }),
            AddKind::File(mut read) => {
                let refers = self.plan.options.nocopy && self.plan.writes();
                let referent = match self.outside.filter(|_| refers) {
                    Some(outside) => Some(Box::new(outside.referent(&path, origin.as_deref())?)),
                    None => None,
                };
                self.steps.push(Step::File { path: path.clone(), metadata, referent });
                let actual = self.file(&path, &mut *read)?;
                if let Some(expected) = len
                    && actual < expected
                {
                    return Err(AddEntryError::Changed { path, expected, actual }.into());
                }
                self.steps.push(Step::End);
            }
        }
        if self.steps.len() >= STEP_COUNT_MAX { self.pass_on() } else { Ok(()) }
    }

    /// Reads one file to its end; returns its length.
    fn file(&mut self, path: &str, read: &mut dyn Read) -> Result<u64, Stop> {
        let (prefix_len, _) = self.plan.leaf_margins();
        let chunk_len_max = self.plan.options.chunker.len_max();
        let mut cutter = Cutter::new(&self.plan.options.chunker);
        let mut total = 0;
        let mut eof = false;
        // Bytes of the next chunk that were read with the one before, in its place already.
        let mut carried = 0;
        loop {
            if carried == 0 {
                self.make_room()?;
            }
            let start = self.cursor + prefix_len;
            let slot = &mut self.memory[start..start + chunk_len_max];
            let mut filled = carried;
            if !eof {
                let failed = |source| AddEntryError::Io { op: "read", path: path.into(), source };
                filled = fill(read, slot, carried).map_err(failed)?;
                eof = filled < chunk_len_max;
            }
            let Some(len) = cutter.next(&slot[..filled], eof) else { return Ok(total) };
            carried = filled - len;
            total += len as u64;
            self.leaf(start..start + len, carried)?;
            if eof && carried == 0 {
                return Ok(total);
            }
            if self.stop.is_cancelled() {
                return Err(Stop::Gone);
            }
        }
    }

    /// Makes a chunk a leaf, and moves what was read behind it to where the next chunk begins.
    fn leaf(&mut self, data: Range<usize>, carried: usize) -> Result<(), Stop> {
        let (prefix_len, suffix_len) = self.plan.leaf_margins();
        let raw = self.plan.build.raw_leaves;
        let own_suffix_len = if raw { 0 } else { leaf_suffix(data.len()).len() };
        let behind = data.end..data.end + carried;
        let next = data.end + own_suffix_len + prefix_len;
        let slot_end = next + self.plan.options.chunker.len_max() + suffix_len;
        if carried == 0 {
            self.wrap(data);
            return Ok(());
        }
        if slot_end <= self.memory.len() {
            self.memory.copy_within(behind, next);
            self.wrap(data);
            return Ok(());
        }
        let saved = self.memory[behind].to_vec();
        self.wrap(data);
        self.make_room()?;
        self.memory[prefix_len..prefix_len + carried].copy_from_slice(&saved);
        Ok(())
    }

    /// Puts the wrapper around a chunk where it lies.
    fn wrap(&mut self, data: Range<usize>) {
        let mut leaf = data.clone();
        if !self.plan.build.raw_leaves {
            let prefix = leaf_prefix(self.plan.build.leaf_type(), data.len());
            let suffix = leaf_suffix(data.len());
            leaf = data.start - prefix.len()..data.end + suffix.len();
            self.memory[leaf.start..data.start].copy_from_slice(&prefix);
            self.memory[data.end..leaf.end].copy_from_slice(&suffix);
        }
        self.cursor = leaf.end;
        self.steps.push(Step::Leaf { leaf, data });
    }

    /// Sees to it that the longest chunk fits in the buffer, in another one if it must be. Not
    /// before there is something to read: an add ends without a buffer to spare.
    fn make_room(&mut self) -> Result<(), Stop> {
        let (prefix_len, suffix_len) = self.plan.leaf_margins();
        let slot_len = prefix_len + self.plan.options.chunker.len_max() + suffix_len;
        if self.cursor + slot_len > self.memory.len() {
            if self.cursor > 0 {
                self.pass_on()?;
            }
            if self.memory.is_empty() {
                self.memory = self.buffers.take();
            }
        }
        Ok(())
    }

    /// Hands over what there is, with the buffer if it holds anything.
    fn pass_on(&mut self) -> Result<(), Stop> {
        let steps = std::mem::take(&mut self.steps);
        if steps.is_empty() {
            return Ok(());
        }
        let buffer = if self.cursor == 0 {
            Bytes::new()
        } else {
            let full = std::mem::take(&mut self.memory);
            self.buffers.share(full)
        };
        self.cursor = 0;
        if (self.next_stage)(Ok(Batch { buffer, steps })) { Ok(()) } else { Err(Stop::Gone) }
    }
}

/// Reads until `slot` is full or the file ends; `filled` bytes are there already.
fn fill(read: &mut dyn Read, slot: &mut [u8], mut filled: usize) -> io::Result<usize> {
    while filled < slot.len() {
        match read.read(&mut slot[filled..]) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
