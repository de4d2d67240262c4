//! Pack files: naming, opening, creating.
//!
//! A large store has more segments than a process may have files open, so closed ones are opened
//! when they are read and forgotten again, the least recently used first.
//!
//! Invariant: at most [`OPEN_COUNT_MAX`] files are kept here; readers hold their own handle.
//! Not here: what is in them (`record.rs`), which one is written to (`writer.rs`).

use super::record::{SEGMENT_HEADER_LEN, SegmentFlags, SegmentHeaderError, SegmentId};
use crate::StoreError;
use cairn_runtime::{Create, Vfs, VfsFile};
use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Most segments kept open for reading: 32 GiB of packs.
const OPEN_COUNT_MAX: usize = 128;

/// Highest segment number that an index entry can hold: 256 TiB of packs.
pub(crate) const SEGMENT_NUMBER_MAX: u32 = (1 << 20) - 1;

/// Bytes that an emptied pack is cut by at a time: a file system holds back every sync beside it
/// until a cut is done (ext4: 90 ms for 256 MiB).
const CUT_LEN: u64 = 8 * 1024 * 1024;

/// An open pack.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: SegmentId,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn VfsFile>,
    has_tombstones: AtomicBool,
}

/// The directory of packs.
#[derive(Debug)]
pub(crate) struct Segments {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) dir: PathBuf,
    /// A pack is closed before it would grow over this many bytes.
    pub(crate) len_max: u64,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    open: HashMap<u32, (Arc<Segment>, u64)>,
    clock: u64,
}

/// What opening a segment found.
#[derive(Debug)]
pub(crate) enum Opened {
    /// A readable segment.
    Whole(Arc<Segment>),
    /// A segment whose contents were given up.
    Emptied(SegmentId),
    /// No file of that number.
    Missing,
    /// A file without a readable header.
    Damaged,
}

impl Segments {
    pub(crate) fn new(vfs: Arc<dyn Vfs>, dir: PathBuf, len_max: u64) -> Self {
        Self { vfs, dir, len_max, cache: Mutex::default() }
    }

    /// The numbers of the packs that are there, ascending.
    pub(crate) fn numbers(&self) -> Result<Vec<u32>, StoreError> {
        let names = self.vfs.list(&self.dir);
        let names = names.map_err(|source| StoreError::io("list", &self.dir, source))?;
        let number = |name: &String| {
            let number: u32 = name.strip_suffix(".pack")?.parse().ok()?;
            (file_name(number) == *name && number > 0).then_some(number)
        };
        let mut numbers: Vec<u32> = names.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(crate) fn path(&self, number: u32) -> PathBuf {
        self.dir.join(file_name(number))
    }

    /// Opens a segment, or finds it open.
    pub(crate) fn open(&self, number: u32) -> Result<Opened, StoreError> {
        let mut cache = self.cache();
        cache.clock += 1;
        let clock = cache.clock;
        if let Some((segment, used)) = cache.open.get_mut(&number) {
            *used = clock;
            return Ok(Opened::Whole(Arc::clone(segment)));
        }
        drop(cache);
        let path = self.path(number);
        let file = match self.vfs.open(&path, Create::Never) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Opened::Missing),
            Err(source) => return Err(StoreError::io("open", &path, source)),
        };
        let mut header = [0; SEGMENT_HEADER_LEN];
        let len = file.read_at(&mut header, 0);
        let len = len.map_err(|source| StoreError::io("read", &path, source))?;
        if len < SEGMENT_HEADER_LEN {
            return Ok(Opened::Damaged);
        }
        match SegmentId::decode(&header, number) {
            Ok((id, flags)) if flags.contains(SegmentFlags::EMPTIED) => Ok(Opened::Emptied(id)),
            Ok((id, flags)) => {
                let has_tombstones = flags.contains(SegmentFlags::TOMBSTONES).into();
                let segment = Arc::new(Segment { id, path, file, has_tombstones });
                self.remember(&segment);
                Ok(Opened::Whole(segment))
            }
            Err(SegmentHeaderError::Damaged) => Ok(Opened::Damaged),
            Err(SegmentHeaderError::Newer(found)) => {
                Err(StoreError::Newer { path, found: u32::from(found) })
            }
        }
    }

    /// Creates the next segment; its name is not durable yet.
    pub(crate) fn create(&self, number: u32) -> Result<Arc<Segment>, StoreError> {
        let path = self.path(number);
        if number > SEGMENT_NUMBER_MAX {
            let source = io::Error::new(io::ErrorKind::StorageFull, "no segment numbers left");
            return Err(StoreError::io("create", &path, source));
        }
        let id = SegmentId { number, salt: self.vfs.entropy() };
        let file = self.vfs.open(&path, Create::New);
        let file = file.map_err(|source| StoreError::io("create", &path, source))?;
        if let Err(source) = file.write_all_at(&id.encode(SegmentFlags::default()), 0) {
            // A file without a whole header is removed by the next start in any case.
            drop(self.vfs.remove(&path));
            return Err(StoreError::io("create", &path, source));
        }
        let segment = Arc::new(Segment::new(id, path, file));
        self.remember(&segment);
        Ok(segment)
    }

    /// Gives a segment's space back, leaving its header, so that its number is not missed and
    /// never used again.
    ///
    /// Needs no space itself. From the sync in the middle on, nothing in it counts.
    pub(crate) fn empty(&self, segment: &Segment) -> Result<(), StoreError> {
        let header = segment.id.encode(SegmentFlags::EMPTIED);
        let emptied = segment.file.write_all_at(&header, 0);
        let emptied = emptied.and_then(|()| segment.file.sync_data());
        let emptied = emptied.and_then(|()| shrink(&*segment.file));
        self.cache().open.remove(&segment.id.number);
        emptied.map_err(|source| StoreError::io("empty", &segment.path, source))
    }

    /// Finishes what [`Segments::empty`] began before a crash.
    pub(crate) fn empty_again(&self, number: u32) -> Result<(), StoreError> {
        let path = self.path(number);
        let cut = || {
            let file = self.vfs.open(&path, Create::Never)?;
            shrink(&*file)
        };
        cut().map_err(|source| StoreError::io("empty", &path, source))
    }

    /// Removes a segment's file.
    pub(crate) fn remove(&self, number: u32) -> Result<(), StoreError> {
        self.cache().open.remove(&number);
        let path = self.path(number);
        self.vfs.remove(&path).map_err(|source| StoreError::io("remove", &path, source))
    }

    /// Makes the names of the packs durable.
    pub(crate) fn sync_names(&self) -> io::Result<()> {
        self.vfs.sync_dir(&self.dir)
    }

    fn remember(&self, segment: &Arc<Segment>) {
        let mut cache = self.cache();
        cache.clock += 1;
        let clock = cache.clock;
        cache.open.insert(segment.id.number, (Arc::clone(segment), clock));
        if cache.open.len() > OPEN_COUNT_MAX {
            let oldest = cache.open.iter().min_by_key(|(_, (_, used))| *used);
            let oldest = oldest.map(|(number, _)| *number);
            oldest.and_then(|number| cache.open.remove(&number));
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Segment {
    /// A segment without tombstones as far as is known.
    pub(crate) fn new(id: SegmentId, path: PathBuf, file: Arc<dyn VfsFile>) -> Self {
        Self { id, path, file, has_tombstones: AtomicBool::new(false) }
    }

    pub(crate) fn has_tombstones(&self) -> bool {
        self.has_tombstones.load(Ordering::Acquire)
    }

    /// Notes in the header that tombstones follow; durable with the next sync of the file.
    pub(crate) fn note_tombstones(&self) -> Result<(), StoreError> {
        if self.has_tombstones() {
            return Ok(());
        }
        let header = self.id.encode(SegmentFlags::TOMBSTONES);
        let noted = self.file.write_all_at(&header, 0);
        noted.map_err(|source| StoreError::io("write", &self.path, source))?;
        self.has_tombstones.store(true, Ordering::Release);
        Ok(())
    }

    pub(crate) fn len(&self) -> Result<u64, StoreError> {
        self.file.len().map_err(|source| StoreError::io("measure", &self.path, source))
    }

    pub(crate) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, StoreError> {
        let bytes = self.file.read_to_vec(offset, len);
        bytes.map_err(|source| StoreError::io("read", &self.path, source))
    }

    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, StoreError> {
        let len = self.file.read_at(buffer, offset);
        len.map_err(|source| StoreError::io("read", &self.path, source))
    }
}

/// Cuts an emptied pack down to its header, from the end.
fn shrink(file: &dyn VfsFile) -> io::Result<()> {
    let header_len = SEGMENT_HEADER_LEN as u64;
    let mut len = file.len()?;
    while len > header_len {
        len = len.saturating_sub(CUT_LEN).max(header_len);
        file.set_len(len)?;
    }
    Ok(())
}

fn file_name(number: u32) -> String {
    format!("{number:06}.pack")
}

/// The directory of packs in the repository at `dir`.
pub(crate) fn packs_dir(dir: &Path) -> PathBuf {
    dir.join("blocks")
}
