//! The index: a hash table in a mapped file, from multihash to place in the packs.
//!
//! ```text
//! page 0   words: magic, page count, two seeds, check of these four;
//!          8 checkpoint, 9 salt of its segment, 10 check of 8 and 9, 11 durable position,
//!          12 state, 13 live entries, 14 used entries (as of a clean end), 15 cut,
//!          16 not zero once a sync of the table failed, 17 where unsettled notes begin,
//!          18 number of the last note, 19 check of 17 and 18
//! page 1…  255 entries of 16 bytes, then 8 bytes of check (XOR over the entries), 8 unused
//! entry    fingerprint; place: segment (20 bits), offset (28), record length in 64 B (16)
//! ```
//! Places 0 and 1 mean "never used" and "deleted". Linear probing in fingerprint order, nothing
//! is ever displaced, so any mix of old and new pages after a crash is still a valid table: it
//! lacks what was added since the last checkpoint, or has some of it. Growing is one sequential
//! pass, since a fingerprint's position grows with the table.
//!
//! Invariants: the fingerprint only finds candidates, the multihash in the record decides; it is
//! keyed, so nobody outside can make blocks that collide. One writer (under the store's writer
//! lock), any number of readers. At most 32 bytes a block, but for the smallest tables. A page
//! whose check fails is reported, and the table is rebuilt from the packs.
//! Not here: the rebuild and the checkpoints (`recover.rs`, `sync.rs`).

mod bits;
#[cfg(feature = "fuzz")]
pub(super) mod fuzz;
mod header;
mod keep;
mod page;

#[cfg(test)]
mod tests;

pub(crate) use header::{Position, State};
pub(crate) use keep::Hold;
pub use keep::Mark;

use super::Fault;
use crate::StoreError;
use bits::Bits;
use cairn_block::Multihash;
use cairn_runtime::{Create, Map, Vfs, VfsFile};
use header::PAGE_LEN;
use page::{ENTRY_COUNT, PAGE_WORDS};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Up to this many entries the table grows without being synced.
const SMALL_COUNT: u64 = 128 * 1024;

/// Pages of entries in a new table.
const PAGE_COUNT_MIN: u64 = 16;

const PLACE_NEVER: u64 = 0;
const PLACE_DELETED: u64 = 1;

/// Where a record is, and about how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place(u64);

impl Place {
    /// `offset` fits 28 bits and `len` 22, by the segment format; `segment` fits 20.
    pub(crate) fn new(segment: u32, offset: u64, len: u64) -> Self {
        Self(u64::from(segment) << 44 | offset << 16 | len.div_ceil(64))
    }

    pub(crate) fn segment(self) -> u32 {
        (self.0 >> 44) as u32
    }

    pub(crate) fn offset(self) -> u64 {
        self.0 >> 16 & 0xfff_ffff
    }

    /// The record's length or up to 63 bytes more.
    pub(crate) fn len_bound(self) -> u64 {
        (self.0 & 0xffff) * 64
    }

    pub(crate) fn position(self) -> Position {
        Position::new(self.segment(), self.offset())
    }
}

/// A keyed hash of a multihash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

/// A candidate: the slot that holds it, and where it points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) slot: u64,
    pub(crate) place: Place,
}

/// An entry as a pass over the table saw it; it may be gone or changed by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) place: Place,
}

impl Entry {
    /// Where the entry stands in the table now, if it is still there.
    pub(crate) fn found(self, index: &Index) -> Result<Option<Found>, Garbled> {
        let mut after = None;
        while let Some(found) = index.find(self.fingerprint, after)? {
            if found.place == self.place {
                return Ok(Some(found));
            }
            after = Some(found.slot);
        }
        Ok(None)
    }
}

/// A page's check failed: the table must be rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Garbled;

/// The table.
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    file: Arc<dyn VfsFile>,
    map: Map,
    slot_count: u64,
    seeds: [u64; 2],
    live: AtomicU64,
    used: AtomicU64,
    /// A bit a page: its check held when it was first looked at.
    checked: Box<[AtomicU64]>,
    /// The record's data was hashed since the start.
    verified: Bits,
    /// What a collection has found to be in use, see `gc.rs`.
    marked: Bits,
    /// Written or asked to stay since the last collection began.
    touched: Bits,
    /// Touched before that, while a lease that is still held was held.
    held: Bits,
}

impl Index {
    /// Makes an empty table beside `path`; [`Index::install`] puts it there.
    pub(crate) fn create(vfs: &dyn Vfs, path: &Path, count: u64) -> Result<Self, StoreError> {
        let seeds = [vfs.entropy(), vfs.entropy()];
        Self::create_with(vfs, path, (count, seeds))
    }

    fn create_with(
        vfs: &dyn Vfs,
        path: &Path,
        (count, seeds): (u64, [u64; 2]),
    ) -> Result<Self, StoreError> {
        let fresh = path.with_extension("new");
        let failed = |source| StoreError::io("create", &fresh, source);
        vfs.remove(&fresh).map_err(failed)?;
        let pages = count.div_ceil(ENTRY_COUNT).max(PAGE_COUNT_MIN);
        let file = vfs.open(&fresh, Create::New).map_err(failed)?;
        let mapped = file.allocate((pages + 1) * PAGE_LEN).and_then(|()| file.map());
        let map = match mapped {
            Ok(map) => map,
            Err(source) => {
                drop(vfs.remove(&fresh));
                return Err(failed(source));
            }
        };
        header::write(map.words(), pages, seeds);
        (0..pages).for_each(|number| page::init(map.words(), number));
        let index = Self::over(path, file, map, (pages, seeds));
        // Every page of a new file is known to be whole.
        index.checked.iter().for_each(|word| word.store(u64::MAX, Ordering::Relaxed));
        Ok(index)
    }

    /// Opens the table at `path`; `None` if there is none, or no whole one.
    pub(crate) fn open(vfs: &dyn Vfs, path: &Path) -> Result<Option<Self>, StoreError> {
        let failed = |source| StoreError::io("open", path, source);
        if !vfs.len(path).map_err(failed)?.is_some_and(|len| len > 0 && len % PAGE_LEN == 0) {
            return Ok(None);
        }
        let file = vfs.open(path, Create::Never).map_err(failed)?;
        let map = file.map().map_err(failed)?;
        let Some(shape) = header::read(map.words()) else { return Ok(None) };
        let index = Self::over(path, file, map, shape);
        if index.state() == State::Clean {
            let words = index.map.words();
            let count = |word: usize| words[word].load(Ordering::Relaxed).min(index.slot_count);
            index.live.store(count(header::LIVE), Ordering::Relaxed);
            index.used.store(count(header::USED), Ordering::Relaxed);
        }
        Ok(Some(index))
    }

    fn over(
        path: &Path,
        file: Arc<dyn VfsFile>,
        map: Map,
        (pages, seeds): (u64, [u64; 2]),
    ) -> Self {
        let slot_count = pages * ENTRY_COUNT;
        let bits = || Bits::new(slot_count);
        Self {
            path: path.to_owned(),
            file,
            map,
            slot_count,
            seeds,
            live: AtomicU64::new(0),
            used: AtomicU64::new(0),
            checked: (0..pages.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            verified: bits(),
            marked: bits(),
            touched: bits(),
            held: bits(),
        }
    }

    /// Puts a table made by [`Index::create`] in its place, durably if `synced`.
    ///
    /// Not synced, a power cut may leave an empty file or old pages, so its checkpoint must then
    /// be [`Position::START`].
    pub(crate) fn install(&self, vfs: &dyn Vfs, synced: bool) -> Result<(), StoreError> {
        let fresh = self.path.with_extension("new");
        let failed = |source| StoreError::io("install", &self.path, source);
        if synced {
            self.sync()?;
        }
        vfs.rename(&fresh, &self.path).map_err(failed)?;
        match self.path.parent() {
            Some(dir) if synced => vfs.sync_dir(dir).map_err(failed),
            _ => Ok(()),
        }
    }

    /// Writes the table out and waits for it.
    ///
    /// Once this has failed, it fails always: the system believes that the pages are written, so
    /// a later success would say nothing of them. The next start makes another table.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let synced = if self.is_distrusted() {
            Err(std::io::Error::other("an earlier sync of it failed"))
        } else {
            self.map.sync().and_then(|()| self.file.sync_data())
        };
        synced.map_err(|source| {
            self.distrust();
            StoreError::io("sync", &self.path, source)
        })
    }

    /// How many blocks it knows.
    pub(crate) fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }

    /// Bytes of its file.
    pub(crate) fn disk_len(&self) -> u64 {
        self.map.words().len() as u64 * 8
    }

    /// The fingerprint of a multihash in this table.
    pub(crate) fn fingerprint(&self, hash: &Multihash) -> Fingerprint {
        let mut state = self.seeds[0] ^ hash.code();
        let digest = hash.digest();
        for chunk in digest.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            state = page::fold(state ^ u64::from_le_bytes(word), self.seeds[1] | 1);
        }
        Fingerprint(page::fold(state ^ digest.len() as u64, 0x9e37_79b9_7f4a_7c15))
    }

    /// Brings what looks for these fingerprints will touch into the processor's caches: all of it
    /// at the same time, where the looks themselves would wait for one line after the other.
    pub(crate) fn warm(&self, fingerprints: impl Iterator<Item = Fingerprint>) {
        let words = self.map.words();
        let touch =
            |sum, Fingerprint(fingerprint)| sum ^ page::touch(words, self.home(fingerprint));
        // The sum means nothing, but must not be optimised away with the reading.
        std::hint::black_box(fingerprints.fold(0, touch));
    }

    /// The next candidate for `fingerprint`, after the one in slot `after`.
    pub(crate) fn find(
        &self,
        Fingerprint(fingerprint): Fingerprint,
        after: Option<u64>,
    ) -> Result<Option<Found>, Garbled> {
        let mut slot = after.map_or_else(|| self.home(fingerprint), |after| self.next(after));
        // The bound only ends the search in a table that lost its free slots to damage.
        for _ in 0..self.slot_count {
            self.check_page(slot / ENTRY_COUNT)?;
            let [print, place] = page::entry(self.map.words(), slot);
            match place.load(Ordering::Acquire) {
                PLACE_NEVER => return Ok(None),
                PLACE_DELETED => {}
                place if print.load(Ordering::Relaxed) == fingerprint => {
                    return Ok(Some(Found { slot, place: Place(place) }));
                }
                _ => {}
            }
            slot = self.next(slot);
        }
        Ok(None)
    }

    /// Shows every entry to `visit`, with its slot, in no order.
    ///
    /// Entries that come, go or move meanwhile may be shown as they were or as they are.
    pub(crate) fn each_entry(
        &self,
        mut visit: impl FnMut(Entry, u64) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for slot in 0..self.slot_count {
            self.check_page(slot / ENTRY_COUNT)?;
            let [print, place] = page::entry(self.map.words(), slot);
            let place = place.load(Ordering::Acquire);
            if place > PLACE_DELETED {
                let fingerprint = Fingerprint(print.load(Ordering::Relaxed));
                visit(Entry { fingerprint, place: Place(place) }, slot)?;
            }
        }
        Ok(())
    }

    /// Whether `more` entries can be added without growing first.
    pub(crate) fn has_room(&self, more: u64) -> bool {
        (self.used.load(Ordering::Relaxed) + more) * 5 <= self.slot_count * 4
    }

    /// Whether `more` entries can be added at all; what is asked when growing failed.
    pub(crate) fn has_any_room(&self, more: u64) -> bool {
        (self.used.load(Ordering::Relaxed) + more) * 20 <= self.slot_count * 19
    }

    /// Adds an entry, without looking whether there is one like it. Writer only.
    pub(crate) fn insert(
        &self,
        Fingerprint(fingerprint): Fingerprint,
        place: Place,
    ) -> Result<(), Garbled> {
        let mut slot = self.home(fingerprint);
        for _ in 0..self.slot_count {
            self.check_page(slot / ENTRY_COUNT)?;
            let old = page::entry(self.map.words(), slot)[1].load(Ordering::Relaxed);
            if old == PLACE_NEVER || old == PLACE_DELETED {
                page::write(self.map.words(), slot, (fingerprint, place.0));
                self.verified.set(slot, false);
                self.touched.set(slot, true);
                self.live.fetch_add(1, Ordering::Relaxed);
                self.used.fetch_add(u64::from(old == PLACE_NEVER), Ordering::Relaxed);
                return Ok(());
            }
            slot = self.next(slot);
        }
        Err(Garbled)
    }

    /// Points an entry at another record of the same block. Writer only.
    pub(crate) fn replace(&self, slot: u64, place: Place) {
        self.relocate(slot, place);
        self.verified.set(slot, false);
        self.touched.set(slot, true);
    }

    /// Points an entry at a copy of its record, of which the same is known. Writer only.
    pub(crate) fn relocate(&self, slot: u64, place: Place) {
        let print = page::entry(self.map.words(), slot)[0].load(Ordering::Relaxed);
        page::write(self.map.words(), slot, (print, place.0));
    }

    /// Marks an entry deleted. Writer only.
    pub(crate) fn remove(&self, slot: u64) {
        let print = page::entry(self.map.words(), slot)[0].load(Ordering::Relaxed);
        page::write(self.map.words(), slot, (print, PLACE_DELETED));
        for bits in self.bits() {
            bits.set(slot, false);
        }
        self.live.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether the record that was found was hashed since the start, and is still the block's.
    pub(crate) fn is_verified(&self, found: Found) -> bool {
        self.verified.get(found.slot) && self.points_at(found)
    }

    /// Remembers that the record was hashed, if the slot still points at it.
    pub(crate) fn note_verified(&self, found: Found) {
        if !self.points_at(found) {
            return;
        }
        self.verified.set(found.slot, true);
        if !self.points_at(found) {
            self.verified.set(found.slot, false);
        }
    }

    /// Whether the slot still points where it did.
    pub(crate) fn points_at(&self, found: Found) -> bool {
        let [_, place] = page::entry(self.map.words(), found.slot);
        place.load(Ordering::Acquire) == found.place.0
    }

    fn bits(&self) -> [&Bits; 4] {
        [&self.verified, &self.marked, &self.touched, &self.held]
    }

    /// Makes a larger table with the same entries, beside this one; `more` are to follow.
    ///
    /// A small table's checkpoint is taken back to the start instead of writing it out: reading
    /// its packs again after a power cut is quicker than waiting for the disk at every growth.
    pub(crate) fn grown(
        &self,
        vfs: &dyn Vfs,
        more: u64,
    ) -> Result<Result<Self, Garbled>, StoreError> {
        let count = self.live() + more;
        let new = Self::create_with(vfs, &self.path, (count * 15 / 8, self.seeds))?;
        for slot in 0..self.slot_count {
            if self.check_page(slot / ENTRY_COUNT).is_err() {
                return Ok(Err(Garbled));
            }
            let [print, place] = page::entry(self.map.words(), slot);
            let (print, place) = (print.load(Ordering::Relaxed), place.load(Ordering::Relaxed));
            if place > PLACE_DELETED {
                let copy = new.copy_in(print, place);
                for (old, new) in self.bits().into_iter().zip(new.bits()) {
                    new.set(copy, old.get(slot));
                }
            }
        }
        // Nothing is gained by a table that will be read anew from the start in any case.
        let synced = count >= SMALL_COUNT && self.checkpoint().0 != Position::START;
        header::copy(self.map.words(), new.map.words(), synced);
        new.install(vfs, synced)?;
        Ok(Ok(new))
    }

    /// Adds an entry of another table; returns its slot. The table has room and no reader yet.
    fn copy_in(&self, print: u64, place: u64) -> u64 {
        let words = self.map.words();
        let mut slot = self.home(print);
        while page::entry(words, slot)[1].load(Ordering::Relaxed) != PLACE_NEVER {
            slot = self.next(slot);
        }
        page::write(words, slot, (print, place));
        self.live.fetch_add(1, Ordering::Relaxed);
        self.used.fetch_add(1, Ordering::Relaxed);
        slot
    }

    /// After a crash: marks entries from `position` on as deleted, so that reading the packs from
    /// there adds them again, and those in `emptied` packs; counts the others.
    pub(crate) fn forget_from(
        &self,
        position: Position,
        emptied: &HashSet<u32>,
    ) -> Result<(), Garbled> {
        let (mut live, mut used) = (0, 0);
        let words = self.map.words();
        for slot in 0..self.slot_count {
            self.check_page(slot / ENTRY_COUNT)?;
            let [print, place] = page::entry(words, slot);
            let place = place.load(Ordering::Relaxed);
            used += u64::from(place != PLACE_NEVER);
            let gone =
                |place: Place| place.position() >= position || emptied.contains(&place.segment());
            if place > PLACE_DELETED && gone(Place(place)) {
                page::write(words, slot, (print.load(Ordering::Relaxed), PLACE_DELETED));
            } else {
                live += u64::from(place > PLACE_DELETED);
            }
        }
        self.live.store(live, Ordering::Relaxed);
        self.used.store(used, Ordering::Relaxed);
        Ok(())
    }

    fn home(&self, fingerprint: u64) -> u64 {
        ((u128::from(fingerprint) * u128::from(self.slot_count)) >> 64) as u64
    }

    fn next(&self, slot: u64) -> u64 {
        if slot + 1 == self.slot_count { 0 } else { slot + 1 }
    }

    /// Checks a page the first time it is touched; the writer does so before it changes one.
    fn check_page(&self, number: u64) -> Result<(), Garbled> {
        let word = &self.checked[(number / 64) as usize];
        let bit = 1 << (number % 64);
        if word.load(Ordering::Relaxed) & bit != 0 {
            return Ok(());
        }
        let whole = page::is_whole(self.map.words(), number);
        // A reader may have summed while the writer, which checked first, was changing the page.
        if !whole && word.load(Ordering::Acquire) & bit == 0 {
            return Err(Garbled);
        }
        word.fetch_or(bit, Ordering::Release);
        Ok(())
    }
}

const _: () = assert!(PAGE_WORDS as u64 * 8 == PAGE_LEN);
