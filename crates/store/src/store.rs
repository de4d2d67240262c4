//! Blocks on disk: packs, and an index that is derived from them.
//!
//! A block's way in: [`Store::append`] writes a batch of records to the current pack with one
//! vectored write and adds them to the index; [`Store::flush`] makes everything before it durable
//! with one `fdatasync` that concurrent callers share. Its way out: [`Store::read_many`] finds
//! the records, reads neighbours as one span, and hashes what it reads for the first time.
//!
//! Invariants: the index never points at bytes that are not written yet; a block whose flush was
//! acknowledged survives any crash; nothing unverified leaves; readers take no lock that a writer
//! holds while it does I/O. Deleting appends a tombstone, so a rebuild does not bring blocks back.
//! Not here: the bytes (`store/record.rs`), which blocks are in use (`cairn-node`).

mod compress;
mod copies;
mod encoding;
mod footer;
mod form;
#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;
mod gc;
mod index;
mod list;
mod note;
mod read;
mod record;
mod recover;
mod reference;
mod scan;
mod scrub;
mod segment;
mod sync;
mod writer;

#[cfg(test)]
mod tests;

pub use compress::Compression;
pub(crate) use copies::{BackupPack, PACK_HEADER_LEN};
pub use gc::{Collection, Lease, Mark, SweepObserver, Swept};
pub(crate) use index::Position;
pub use list::{List, References, Referred};
pub(crate) use note::{NOTE_LEN_MAX, Note, NotesKnown, Settle};
pub(crate) use record::SEGMENT_LEN_MAX;
pub use reference::{LOCATION_LEN_MAX, Location, Reference, SourceError, Sources};
pub use scrub::{Corrupt, CorruptKind, Scrub, ScrubPosition, ScrubStep};

use crate::StoreError;
use cairn_block::{Block, BlockError, BlockStore, Cid, Multihash};
use cairn_runtime::{BlockingLanes, Vfs, VfsFile};
use compress::Compressor;
use index::{Garbled, Index, Place};
use segment::Segments;
use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, atomic::AtomicU64},
};
use sync::GroupSync;
use tracing::{info, warn};
use writer::Writer;

/// Most asynchronous calls that use blocking threads at once; more wait.
const LANE_COUNT: usize = 32;

/// Most corrupt records that are remembered; more are found again at their next read.
const CORRUPT_COUNT_MAX: usize = 65_536;

/// Blocks on disk; clones share them.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// What a store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStat {
    /// How many blocks.
    pub block_count: u64,
    /// Bytes of packs and index on disk, without the holes in them.
    pub disk_len: u64,
}

/// Part of the packs that is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The pack.
    pub path: PathBuf,
    /// What is the matter with it.
    pub text: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.text)
    }
}

#[derive(Debug)]
struct Inner {
    segments: Segments,
    index_path: PathBuf,
    index: RwLock<Arc<Index>>,
    writer: Mutex<Writer>,
    /// Where the packs ended when the store was opened.
    opened_at: Position,
    /// Bytes ever appended by this process: the ticket that a flush waits for.
    written: AtomicU64,
    sync: GroupSync,
    keepers: gc::Keepers,
    notes: note::Notes,
    /// Set once a sync has failed; every write then answers with it.
    failed: OnceLock<StoreError>,
    /// Records that must not be served, until a good copy replaces them.
    corrupt: Mutex<HashMap<Place, Multihash>>,
    compressor: Compressor,
    /// What reads the bytes that records refer to.
    sources: OnceLock<Arc<dyn Sources>>,
    damage: Mutex<Vec<Damage>>,
    lanes: BlockingLanes,
    /// The repository's lock, which must outlive the last write.
    _lock: Option<Arc<dyn VfsFile>>,
}

/// Why a look into the index failed.
enum Fault {
    /// A page of it is damaged: rebuild it and try again.
    Garbled,
    Store(StoreError),
}

impl From<Garbled> for Fault {
    fn from(_: Garbled) -> Self {
        Self::Garbled
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Store {
    /// Opens the blocks of the repository at `dir`, creating what is missing.
    ///
    /// After a clean end this reads one page; after a crash it reads the packs' tails; without a
    /// usable index it reads every record's header. Blocking.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] and [`StoreError::Newer`]. Damage is no error: see [`Store::damage`].
    pub fn open(vfs: Arc<dyn Vfs>, dir: &Path) -> Result<Self, StoreError> {
        Self::open_locked(vfs, dir, (SEGMENT_LEN_MAX, None))
    }

    /// Like [`Store::open`], with packs of this length, keeping `lock` until the last clone is
    /// gone.
    pub(crate) fn open_locked(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        (segment_len_max, lock): (u64, Option<Arc<dyn VfsFile>>),
    ) -> Result<Self, StoreError> {
        let packs = segment::packs_dir(dir);
        let created = vfs.create_dir(&packs, false);
        created.map_err(|source| StoreError::io("create", &packs, source))?;
        let index_path = dir.join("index");
        let segments = Segments::new(vfs, packs, segment_len_max);
        let recovered = recover::open(&segments, &index_path)?;
        for damage in &recovered.damage {
            warn!(%damage, "blocks are lost");
        }
        let notes = note::Notes::after(&recovered);
        let inner = Inner {
            segments,
            index_path,
            notes,
            index: RwLock::new(Arc::new(recovered.index)),
            written: AtomicU64::new(recovered.writer.written()),
            opened_at: recovered.writer.position(),
            writer: Mutex::new(recovered.writer),
            sync: GroupSync::default(),
            keepers: gc::Keepers::default(),
            failed: OnceLock::new(),
            corrupt: Mutex::default(),
            compressor: Compressor::default(),
            sources: OnceLock::new(),
            damage: Mutex::new(recovered.damage),
            lanes: BlockingLanes::new(LANE_COUNT),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Says how blocks are kept from now on; at first they are kept as they are.
    ///
    /// What is there stays as it is, and is read whatever this says.
    pub fn set_compression(&self, compression: Compression) {
        self.inner.compressor.set(compression);
    }

    /// Writes the blocks that are not there yet: readable at once, durable after
    /// [`Store::flush`]. Unless it is compressed, the data is not copied in this process. Blocking.
    ///
    /// A copy known to be corrupt is replaced.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] (some of the blocks may then be there, none of them in part; a full
    /// disk is one of these), [`StoreError::SyncFailed`], and [`BlockError::TooLarge`].
    pub fn append(&self, blocks: &[Block]) -> Result<(), StoreError> {
        self.inner.append(blocks, None)
    }

    /// Like [`Store::append`], but keeps those blocks that have a reference here, by their places
    /// in `blocks`, as references; one whose bytes are kept already stays as it is.
    ///
    /// Of the others, one that is kept by reference now gets its bytes, unless
    /// `accepts_references` and the reference still gives the block. Blocking, also on what is
    /// referred to.
    ///
    /// # Errors
    ///
    /// As [`Store::append`].
    pub fn append_referring(
        &self,
        blocks: &[Block],
        references: &HashMap<usize, Reference>,
        accepts_references: bool,
    ) -> Result<(), StoreError> {
        let outside = form::Outside { references, accepts: accepts_references };
        self.inner.append(blocks, Some(outside))
    }

    /// Says once what reads the bytes that records refer to; without it they cannot be read.
    pub fn set_sources(&self, sources: Arc<dyn Sources>) {
        // The first one stays: blocks must not change their meaning while they are read.
        self.inner.sources.set(sources).unwrap_or(());
    }

    /// Streams the blocks that are kept by reference, in the order the packs hold them. Blocking.
    pub fn references(&self) -> References {
        References::new(Arc::clone(&self.inner))
    }

    /// What a block refers to; `None` if it is not here, or its bytes are. Blocking.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn reference(&self, cid: &Cid) -> Result<Option<Referred>, StoreError> {
        self.inner.referred(cid)
    }

    /// Reads what a block refers to, and hashes it. Blocking.
    ///
    /// # Errors
    ///
    /// [`SourceError`] says why the block cannot be had.
    pub fn check_reference(&self, referred: &Referred) -> Result<(), SourceError> {
        let cid = Cid::v1(cairn_block::codec::RAW, referred.hash.clone());
        let len = u32::try_from(referred.len).unwrap_or(u32::MAX);
        self.inner.referred_block(&cid, &referred.reference, len).map(drop)
    }

    /// Makes everything appended or deleted before this call durable. Blocking.
    ///
    /// # Errors
    ///
    /// [`StoreError::SyncFailed`], and so does every later write until the store is reopened.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush()
    }

    /// Reads blocks, in the order asked for; an absent one is `Ok(None)`. Blocking.
    ///
    /// Neighbours on disk are read together, and their bytes then share one allocation of up to
    /// 4 MiB: copy what is to be kept for long.
    pub fn read_many(&self, cids: &[Cid]) -> Vec<Result<Option<Block>, BlockError>> {
        self.inner.read_many(cids)
    }

    /// The blocks' lengths in bytes; `None` where there is no copy, or none that is whole as far
    /// as is known. Blocking.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn lens(&self, cids: &[Cid]) -> Result<Vec<Option<u64>>, StoreError> {
        self.inner.lens(cids)
    }

    /// Whether the blocks are here, answered from memory. Blocking only while the index's pages
    /// are read for the first time.
    ///
    /// Blocks are told apart by 64 bits of a keyed hash of their names: of ten million blocks, one
    /// in two million million names that are not here counts as here, and so does a record that
    /// has rotted unnoticed. Whoever must know asks for [`Store::lens`], or for the block.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if a damaged index cannot be made anew.
    pub fn contains(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        self.inner.has(cids)
    }

    /// Forgets a block, durably after [`Store::flush`]; answers whether it was there. Blocking.
    ///
    /// # Errors
    ///
    /// As [`Store::append`].
    pub fn delete(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.inner.delete(cid)
    }

    /// Streams every block that is there now, in the order the packs hold them. Blocking.
    pub fn list(&self) -> List {
        List::new(Arc::clone(&self.inner))
    }

    /// Reads and hashes every block, from `from` on or from the start.
    pub fn scrub(&self, from: Option<ScrubPosition>) -> Scrub {
        Scrub::new(Arc::clone(&self.inner), from)
    }

    /// Forgets corrupt blocks, durably after [`Store::flush`], and answers which were still
    /// there; one that was replaced meanwhile stays. Blocking.
    ///
    /// # Errors
    ///
    /// As [`Store::append`].
    pub fn drop_corrupt(&self, corrupt: &[Corrupt]) -> Result<Vec<bool>, StoreError> {
        corrupt.iter().map(|corrupt| self.inner.drop_corrupt(corrupt)).collect()
    }

    /// The names of up to `limit` blocks known to be corrupt and not replaced yet.
    pub fn corrupt(&self, limit: usize) -> Vec<Multihash> {
        self.inner.corrupt().values().take(limit).cloned().collect()
    }

    /// How many blocks are known to be corrupt and not replaced yet.
    pub fn corrupt_count(&self) -> u64 {
        self.inner.corrupt().len() as u64
    }

    /// How much there is. Blocking.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn stat(&self) -> Result<StoreStat, StoreError> {
        let (index, segments) = (self.inner.index(), &self.inner.segments);
        let mut disk_len = index.disk_len();
        for number in segments.numbers()? {
            let path = segments.path(number);
            let len = segments.vfs.disk_len(&path);
            let len = len.map_err(|source| StoreError::io("measure", &path, source))?;
            disk_len += len.unwrap_or_default();
        }
        Ok(StoreStat { block_count: index.live(), disk_len })
    }

    /// What was found lost since the store was opened.
    pub fn damage(&self) -> Vec<Damage> {
        self.inner.damage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Flushes, and notes a clean end so that the next start has nothing to read. Also done when
    /// the last clone is dropped. The store can still be used. Blocking.
    ///
    /// # Errors
    ///
    /// As [`Store::flush`].
    pub fn close(&self) -> Result<(), StoreError> {
        self.inner.close()
    }
}

impl BlockStore for Store {
    async fn get_many(&self, cids: &[Cid]) -> Vec<Result<Option<Block>, BlockError>> {
        let (store, cids) = (self.clone(), cids.to_vec());
        self.inner.lanes.run(move || store.read_many(&cids)).await
    }

    async fn stat_many(&self, cids: &[Cid]) -> Result<Vec<Option<u64>>, BlockError> {
        let (store, cids) = (self.clone(), cids.to_vec());
        Ok(self.inner.lanes.run(move || store.lens(&cids)).await?)
    }

    async fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, BlockError> {
        let (store, cids) = (self.clone(), cids.to_vec());
        Ok(self.inner.lanes.run(move || store.contains(&cids)).await?)
    }

    async fn put_many(&self, blocks: Vec<Block>) -> Result<(), BlockError> {
        let store = self.clone();
        Ok(self.inner.lanes.run(move || store.append(&blocks)).await?)
    }

    async fn sync(&self) -> Result<(), BlockError> {
        let store = self.clone();
        Ok(self.inner.lanes.run(move || store.flush()).await?)
    }
}

impl Inner {
    fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_index(&self, index: Index) -> Arc<Index> {
        let index = Arc::new(index);
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&index);
        index
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `look` with the index, which is rebuilt if it turns out to be damaged.
    fn with_index<T>(&self, look: impl Fn(&Index) -> Result<T, Fault>) -> Result<T, StoreError> {
        let index = self.index();
        match look(&index) {
            Ok(answer) => return Ok(answer),
            Err(Fault::Store(error)) => return Err(error),
            Err(Fault::Garbled) => {}
        }
        let writer = self.writer();
        if Arc::ptr_eq(&index, &self.index()) {
            self.rebuild_index(&writer)?;
        }
        drop(writer);
        self.settle(look(&self.index()))
    }

    /// Makes a second report of damage an error: the new index cannot be damaged already.
    fn settle<T>(&self, answer: Result<T, Fault>) -> Result<T, StoreError> {
        answer.map_err(|fault| match fault {
            Fault::Store(error) => error,
            Fault::Garbled => {
                let source = std::io::Error::other("the rebuilt index is damaged again");
                StoreError::io("read", &self.index_path, source)
            }
        })
    }

    /// Replaces a damaged index by one made from the packs.
    fn rebuild_index(&self, writer: &Writer) -> Result<Arc<Index>, StoreError> {
        warn!(path = %self.index_path.display(), "the index is damaged, rebuilding it");
        let (index, damage) =
            recover::rebuild(&self.segments, &self.index_path, writer.position())?;
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).extend(damage);
        index.set_durable(self.index().durable());
        info!(block_count = index.live(), "rebuilt the index");
        Ok(self.set_index(index))
    }

    fn corrupt(&self) -> MutexGuard<'_, HashMap<Place, Multihash>> {
        self.corrupt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_corrupt(&self, place: Place) -> bool {
        self.corrupt().contains_key(&place)
    }

    fn note_corrupt(&self, place: Place, hash: &Multihash) {
        let mut corrupt = self.corrupt();
        if corrupt.len() < CORRUPT_COUNT_MAX {
            corrupt.insert(place, hash.clone());
        }
    }

    /// A record was copied as it is.
    fn move_corrupt(&self, from: Place, to: Place) {
        let mut corrupt = self.corrupt();
        if let Some(hash) = corrupt.remove(&from) {
            corrupt.insert(to, hash);
        }
    }

    fn forget_corrupt(&self, place: Place) {
        self.corrupt().remove(&place);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            warn!(%error, "the store did not end cleanly");
        }
    }
}
