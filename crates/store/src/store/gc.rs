//! Garbage collection: gives back the space of blocks that nobody keeps, while others work.
//!
//! A collection begins with nothing marked. Its caller marks what can be reached from the roots;
//! what is written or asked to stay meanwhile counts as well, and so does what was touched before
//! by or beside somebody who still holds a [`Lease`]. [`Collection::sweep`] then empties packs
//! that are mostly garbage, after copying out what is not, and makes the rest of the garbage
//! unreachable where it lies, giving back the space of large blocks.
//!
//! Invariants: nobody waits for a collection longer than for one batch of it; an entry goes only
//! under the writer lock, when no bit says that it stays. A live record's entry is pointed at a
//! copy only when the copy is durable, and no checkpoint falls in between, so a crash at any
//! point finds one or the other; a pack is emptied after that. What the crash loses of a
//! collection is the work.
//! Not here: which blocks are in use (`cairn-node`), the bits (`index/keep.rs`).

mod headers;
mod plan;
mod retire;
mod vacate;

#[cfg(test)]
mod tests;

use super::{
    Fault, Inner, Store,
    index::{Garbled, Hold, Index},
    writer::Writer,
};
use crate::StoreError;
use cairn_block::{Cid, Multihash};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use super::index::Mark;

/// Entries that are decided on under one hold of the writer lock.
const CHUNK_COUNT: usize = 512;

/// Who must not be collected under.
#[derive(Debug, Default)]
pub(super) struct Keepers {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Counts the collections that began.
    generation: u64,
    /// How many leases began in each generation.
    leases: BTreeMap<u64, usize>,
    collecting: bool,
}

impl Keepers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it is held, nothing is collected that was written, found there by a write, or asked to
/// stay with [`Store::keep`] since it was taken.
///
/// Take one before the first block of something that will be pinned at its end, and drop it after
/// the pin is committed.
#[derive(Debug)]
#[must_use = "it keeps only while it is held"]
pub struct Lease {
    inner: Arc<Inner>,
    generation: u64,
}

impl Lease {
    /// Whether it keeps more than another: a collection began after it and before the other.
    #[must_use]
    pub fn is_older(&self, other: &Self) -> bool {
        self.generation < other.generation
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.inner.keepers.state();
        if let Some(count) = state.leases.get_mut(&self.generation) {
            *count -= 1;
            if *count == 0 {
                state.leases.remove(&self.generation);
            }
        }
    }
}

/// A collection that has begun. Dropped before it is swept, it has changed nothing.
#[derive(Debug)]
pub struct Collection {
    inner: Arc<Inner>,
}

impl Drop for Collection {
    fn drop(&mut self) {
        self.inner.keepers.state().collecting = false;
    }
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Blocks that are gone.
    pub block_count: u64,
    /// Bytes of packs given back to the file system, those that were copied elsewhere included.
    pub freed_len: u64,
    /// Bytes that were copied out of packs that were emptied.
    pub copied_len: u64,
    /// Whether packs were left as they are because there was no room for the copies.
    pub short_of_space: bool,
    /// Whether the caller stopped it.
    pub stopped: bool,
}

/// Hears of a sweep, and may stop it.
pub trait SweepObserver {
    /// A block is gone. Not called for those whose record cannot be read.
    fn removed(&mut self, hash: &Multihash);

    /// Whether to go on; asked between batches.
    fn goes_on(&self) -> bool;
}

impl Store {
    /// Takes a [`Lease`].
    pub fn lease(&self) -> Lease {
        // Under the writer lock, so that it is before or after the beginning of a collection.
        let writer = self.inner.writer();
        let mut state = self.inner.keepers.state();
        let generation = state.generation;
        *state.leases.entry(generation).or_default() += 1;
        drop(state);
        drop(writer);
        Lease { inner: Arc::clone(&self.inner), generation }
    }

    /// Asks blocks to stay, for as long as a lease is held that was taken before; answers which
    /// are there. Blocking.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if the index was damaged and cannot be made anew.
    pub fn keep(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        let mut answers = Vec::with_capacity(cids.len());
        for chunk in cids.chunks(CHUNK_COUNT) {
            let writer = self.inner.writer();
            let marks = self.inner.look_locked(&writer, |index| {
                let touch = |cid: &Cid| match cid.inlined() {
                    Some(_) => Ok(Mark::Again),
                    None => index.touch_print(index.fingerprint(cid.multihash())),
                };
                chunk.iter().map(touch).collect::<Result<Vec<_>, _>>()
            })?;
            answers.extend(marks.into_iter().map(|mark| mark != Mark::Absent));
        }
        Ok(answers)
    }

    /// Whether a collection is under way.
    pub fn is_collecting(&self) -> bool {
        self.inner.keepers.state().collecting
    }

    /// Begins a collection, or answers `None` while another one lasts. Blocking.
    pub fn collect(&self) -> Option<Collection> {
        let inner = &self.inner;
        let writer = inner.writer();
        let mut state = inner.keepers.state();
        if std::mem::replace(&mut state.collecting, true) {
            return None;
        }
        let hold = match state.leases.first_key_value() {
            None => Hold::Nothing,
            Some((generation, _)) if *generation == state.generation => Hold::Touched,
            Some(_) => Hold::All,
        };
        state.generation += 1;
        inner.index().turn(hold);
        drop(state);
        drop(writer);
        Some(Collection { inner: Arc::clone(inner) })
    }
}

impl Collection {
    /// Marks blocks as in use. Blocking.
    ///
    /// What lies below them is the caller's to mark; a block that answers [`Mark::Again`] was
    /// marked before, and so its links need not be followed again.
    ///
    /// # Errors
    ///
    /// As [`Store::keep`].
    pub fn mark(&self, cids: &[Cid]) -> Result<Vec<Mark>, StoreError> {
        let mut marks = Vec::with_capacity(cids.len());
        for chunk in cids.chunks(CHUNK_COUNT) {
            let writer = self.inner.writer();
            marks.extend(self.inner.look_locked(&writer, |index| {
                let mark = |cid: &Cid| match cid.inlined() {
                    // Too short to hold more than a few links, so visiting it again is cheap.
                    Some(_) => Ok(Mark::First),
                    None => index.mark(index.fingerprint(cid.multihash())),
                };
                chunk.iter().map(mark).collect::<Result<Vec<_>, _>>()
            })?);
        }
        Ok(marks)
    }

    /// Removes what nobody keeps, and gives its space back. Blocking, for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the disk refuses; what was removed until then is removed, and nothing
    /// else is lost. A full disk alone is no error, see [`Swept::short_of_space`].
    pub fn sweep(self, observer: &mut dyn SweepObserver) -> Result<Swept, StoreError> {
        plan::sweep(&self.inner, observer)
    }
}

impl Inner {
    /// Does `look` with the index under the writer lock, where it can be rebuilt at once.
    fn look_locked<T>(
        &self,
        writer: &Writer,
        look: impl Fn(&Index) -> Result<T, Garbled>,
    ) -> Result<T, StoreError> {
        if let Ok(answer) = look(&self.index()) {
            return Ok(answer);
        }
        let index = self.rebuild_index(writer)?;
        self.settle(look(&index).map_err(Fault::from))
    }
}
