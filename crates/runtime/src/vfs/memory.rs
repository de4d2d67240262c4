//! Files in memory: for tests that need no disk, and for a full one.
//!
//! No file is sparse, and everything is durable at once; a file system that forgets what was not synced is the
//! simulator's. [`MemoryVfs::set_room`] makes the disk full.
//!
//! Invariant: a mapped file's contents are those of the map from then on, as on a real disk.

use super::{Create, Map, Vfs, VfsFile};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, IoSlice},
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// A tree of files in memory; clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryVfs {
    tree: Arc<Tree>,
}

#[derive(Debug)]
struct Tree {
    names: Mutex<Names>,
    room: AtomicU64,
    syncs_fail: AtomicBool,
}

impl Default for Tree {
    fn default() -> Self {
        let (names, room) = (Mutex::default(), AtomicU64::new(u64::MAX));
        Self { names, room, syncs_fail: AtomicBool::new(false) }
    }
}

#[derive(Debug, Default)]
struct Names {
    files: BTreeMap<PathBuf, Arc<Contents>>,
    dirs: BTreeSet<PathBuf>,
}

#[derive(Debug, Default)]
struct Contents {
    bytes: Mutex<Bytes>,
    unreadable: Mutex<Range<u64>>,
    locked: AtomicBool,
}

#[derive(Debug)]
enum Bytes {
    Plain(Vec<u8>),
    Mapped(Map),
}

impl Default for Bytes {
    fn default() -> Self {
        Self::Plain(Vec::new())
    }
}

#[derive(Debug)]
struct MemoryFile {
    tree: Arc<Tree>,
    contents: Arc<Contents>,
    holds_lock: AtomicBool,
}

impl MemoryVfs {
    /// Sets how many more bytes the disk takes before writes fail with `StorageFull`.
    pub fn set_room(&self, len: u64) {
        self.tree.room.store(len, Ordering::SeqCst);
    }

    /// Makes every sync fail from now on, or work again.
    pub fn set_syncs_fail(&self, fail: bool) {
        self.tree.syncs_fail.store(fail, Ordering::SeqCst);
    }

    /// Makes reads that touch these bytes of a file fail, as a bad sector does.
    pub fn set_unreadable(&self, path: &Path, range: Range<u64>) {
        if let Some(contents) = self.names().files.get(path) {
            *contents.unreadable.lock().unwrap_or_else(PoisonError::into_inner) = range;
        }
    }

    /// Copies every file as it is now, locks aside: what a process killed now leaves behind.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let copy = Self::default();
        let names = self.names();
        let copied = |(path, contents): (&PathBuf, &Arc<Contents>)| {
            let bytes = match &*contents.lock() {
                Bytes::Plain(bytes) => bytes.clone(),
                Bytes::Mapped(map) => words_to_bytes(map),
            };
            let bytes = Mutex::new(Bytes::Plain(bytes));
            (path.clone(), Arc::new(Contents { bytes, ..Contents::default() }))
        };
        copy.names().files = names.files.iter().map(copied).collect();
        copy.names().dirs.clone_from(&names.dirs);
        copy
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.tree.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tree {
    fn sync(&self) -> io::Result<()> {
        if self.syncs_fail.load(Ordering::SeqCst) {
            return Err(io::Error::other("the simulated disk failed to sync"));
        }
        Ok(())
    }

    fn give_room(&self, len: u64) {
        let give = |room: u64| if room == u64::MAX { None } else { Some(room + len) };
        // Without a limit there is nothing to give back.
        let _unlimited = self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, give);
    }

    /// Takes up to `len` bytes of room; returns how many there were.
    fn take_room(&self, len: u64) -> u64 {
        let take =
            |room: u64| if room == u64::MAX { Some(room) } else { Some(room - room.min(len)) };
        let before = self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        before.unwrap_or_default().min(len)
    }
}

impl Vfs for MemoryVfs {
    fn open(&self, path: &Path, create: Create) -> io::Result<Arc<dyn VfsFile>> {
        let mut names = self.names();
        let contents = match (names.files.get(path), create) {
            (Some(_), Create::New) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(contents), _) => Arc::clone(contents),
            (None, Create::ReadOnly | Create::Never) => {
                return Err(io::ErrorKind::NotFound.into());
            }
            (None, _) => {
                if path.parent().is_some_and(|dir| !names.dirs.contains(dir)) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let contents = Arc::new(Contents::default());
                names.files.insert(path.to_owned(), Arc::clone(&contents));
                contents
            }
        };
        let (tree, holds_lock) = (Arc::clone(&self.tree), AtomicBool::new(false));
        Ok(Arc::new(MemoryFile { tree, contents, holds_lock }))
    }

    fn create_dir(&self, path: &Path, _private: bool) -> io::Result<()> {
        self.names().dirs.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let names = self.names();
        if !names.dirs.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let paths = names.files.keys().chain(&names.dirs);
        let inside = paths.filter(|entry| entry.parent() == Some(path));
        let name = |entry: &PathBuf| Some(entry.file_name()?.to_string_lossy().into_owned());
        Ok(inside.filter_map(name).collect())
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        let names = self.names();
        if names.dirs.contains(path) {
            return Ok(Some(0));
        }
        Ok(names.files.get(path).map(|contents| contents.lock().len()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names();
        let contents = names.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        names.files.insert(to.to_owned(), contents);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.names().files.remove(path);
        Ok(())
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        self.tree.sync()
    }

    fn free_len(&self, _path: &Path) -> io::Result<Option<u64>> {
        let room = self.tree.room.load(Ordering::SeqCst);
        Ok(if room == u64::MAX { None } else { Some(room) })
    }
}

impl Contents {
    fn lock(&self) -> MutexGuard<'_, Bytes> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_readable(&self, offset: u64, len: usize) -> io::Result<()> {
        let bad = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        if offset < bad.end && bad.start < offset.saturating_add(len as u64) {
            return Err(io::Error::other("the simulated disk cannot read this"));
        }
        Ok(())
    }
}

impl Bytes {
    fn len(&self) -> u64 {
        match self {
            Self::Plain(bytes) => bytes.len() as u64,
            Self::Mapped(map) => map.words().len() as u64 * 8,
        }
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        match self {
            Self::Plain(bytes) => {
                let rest = bytes.get(offset..).unwrap_or_default();
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                count
            }
            Self::Mapped(map) => {
                let bytes: Vec<u8> = words_to_bytes(map);
                Self::Plain(bytes).read(buffer, offset as u64)
            }
        }
    }

    fn write(&mut self, bytes: &[u8], offset: u64) {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        match self {
            Self::Plain(old) => {
                let end = offset + bytes.len();
                if old.len() < end {
                    old.resize(end, 0);
                }
                old[offset..end].copy_from_slice(bytes);
            }
            Self::Mapped(map) => {
                let mut old = words_to_bytes(map);
                let end = (offset + bytes.len()).min(old.len());
                old[offset..end].copy_from_slice(&bytes[..end - offset]);
                for (word, bytes) in map.words().iter().zip(old.chunks_exact(8)) {
                    let bytes = bytes.try_into().expect("invariant: chunks of eight");
                    word.store(u64::from_ne_bytes(bytes), Ordering::SeqCst);
                }
            }
        }
    }
}

fn words_to_bytes(map: &Map) -> Vec<u8> {
    map.words().iter().flat_map(|word| word.load(Ordering::SeqCst).to_ne_bytes()).collect()
}

impl VfsFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.contents.lock().len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.contents.check_readable(offset, buffer.len())?;
        Ok(self.contents.lock().read(buffer, offset))
    }

    fn read_to_vec(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.contents.check_readable(offset, len)?;
        let contents = self.contents.lock();
        let rest = contents.len().saturating_sub(offset);
        let mut bytes = vec![0; usize::try_from(rest).map_or(len, |rest| rest.min(len))];
        contents.read(&mut bytes, offset);
        Ok(bytes)
    }

    fn write_all_vectored_at(&self, parts: &[IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        let mut contents = self.contents.lock();
        for part in parts {
            let growth = (offset + part.len() as u64).saturating_sub(contents.len());
            let lacking = usize::try_from(growth - self.tree.take_room(growth));
            let lacking = lacking.expect("invariant: no longer than the part");
            contents.write(&part[..part.len() - lacking], offset);
            if lacking > 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            offset += part.len() as u64;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.allocate(len)?;
        match &mut *self.contents.lock() {
            Bytes::Plain(bytes) => {
                self.tree.give_room((bytes.len() as u64).saturating_sub(len));
                bytes.resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
                Ok(())
            }
            Bytes::Mapped(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut contents = self.contents.lock();
        let growth = len.saturating_sub(contents.len());
        if growth == 0 {
            return Ok(());
        }
        let taken = self.tree.take_room(growth);
        if taken < growth {
            self.tree.give_room(taken);
            return Err(io::ErrorKind::StorageFull.into());
        }
        contents.write(&[0], len - 1);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.tree.sync()
    }

    fn start_sync(&self, _offset: u64, _len: u64) {}

    fn punch(&self, offset: u64, len: u64) -> io::Result<bool> {
        let mut contents = self.contents.lock();
        let end = (offset + len).min(contents.len());
        let zeros = vec![0; usize::try_from(end.saturating_sub(offset)).unwrap_or_default()];
        contents.write(&zeros, offset);
        Ok(true)
    }

    fn try_lock(&self) -> io::Result<bool> {
        let taken = !self.contents.locked.swap(true, Ordering::SeqCst);
        if taken {
            self.holds_lock.store(true, Ordering::SeqCst);
        }
        Ok(taken)
    }

    fn map(&self) -> io::Result<Map> {
        let mut contents = self.contents.lock();
        let bytes = match &*contents {
            Bytes::Mapped(map) => return Ok(map.clone()),
            Bytes::Plain(bytes) => bytes,
        };
        if bytes.is_empty() || bytes.len() % 8 != 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let word = |bytes: &[u8]| {
            let bytes = bytes.try_into().expect("invariant: chunks of eight");
            AtomicU64::new(u64::from_ne_bytes(bytes))
        };
        let map = Map::of_words(bytes.chunks_exact(8).map(word).collect());
        *contents = Bytes::Mapped(map.clone());
        Ok(map)
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        if self.holds_lock.load(Ordering::SeqCst) {
            self.contents.locked.store(false, Ordering::SeqCst);
        }
    }
}
