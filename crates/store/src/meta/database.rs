//! The database's file: opened at the first use, closed after an error, never a panic.
//!
//! Commits are durable when they return, in two phases (a one-phase commit rests on a checksum
//! after a crash), with what a quick recovery needs. After an error of the disk the database is
//! closed, and the next use opens it again, which brings it back to its last whole commit: a full
//! disk or a bad read costs the call that met it, and no restart.
//!
//! Invariants: all I/O through `Vfs`; the cache is small, because the system has one already; the
//! file gets its name when it is a whole database; a damaged one is an error that names the
//! repairing command and never a panic; a file that is gone is not mistaken for one that never
//! was, thanks to a mark beside it.
//! Not here: what is in it (`meta.rs`).

use super::{MetaError, view::Tables};
use cairn_runtime::{Create, Vfs, VfsExt as _, VfsFile};
use redb::{DatabaseError, ReadableDatabase as _, StorageBackend, WriteTransaction};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tracing::warn;

/// Memory that the database may use for pages.
const CACHE_LEN: usize = 4 * 1024 * 1024;

/// What the mark beside the database holds, for whoever wonders.
const MARK: &[u8] = b"meta.redb was written; should it be missing, it was lost\n";

/// A database, open or not.
#[derive(Debug)]
pub(super) struct Database {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    /// Every use holds the lock for reading, so whoever closes the database is alone with it.
    opened: RwLock<Option<Opened>>,
    opened_count: AtomicU64,
    /// Why the database is not used any more: it turned out to be damaged in a way that it
    /// could not tell.
    broken: OnceLock<MetaError>,
    /// Whether the mark that the file was written once is known to be there.
    is_marked: AtomicBool,
}

#[derive(Debug)]
struct Opened {
    database: redb::Database,
    /// Which opening this is, so that it is closed for its own errors only.
    number: u64,
}

impl Database {
    /// Names the file; nothing is opened yet.
    pub(super) fn new(vfs: Arc<dyn Vfs>, path: PathBuf) -> Self {
        Self {
            vfs,
            path,
            opened: RwLock::default(),
            opened_count: AtomicU64::new(0),
            broken: OnceLock::new(),
            is_marked: AtomicBool::new(false),
        }
    }

    /// Whether nothing was ever written to it; to have lost that is an error.
    pub(super) fn is_unwritten(&self) -> Result<bool, MetaError> {
        let len = self.vfs.len(&self.path).map_err(|source| self.io(source))?;
        if len.unwrap_or_default() > 0 {
            return Ok(false);
        }
        self.check_never_written().map(|()| true)
    }

    /// Looks at a snapshot; one that was never written has no tables.
    pub(super) fn look<T>(
        &self,
        look: impl FnOnce(&Tables) -> Result<T, redb::Error>,
    ) -> Result<T, MetaError> {
        if self.is_unwritten()? {
            return look(&Tables::default()).map_err(|error| self.error(error));
        }
        self.with(|database| look(&Tables::open(&database.begin_read()?)?))
    }

    /// Changes it in one durable commit, or not at all; notes beside it that it was written.
    pub(super) fn commit(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), MetaError> {
        self.commit_unmarked(change)?;
        self.mark_written();
        Ok(())
    }

    /// The same without the note, for a database that is not in its place yet.
    pub(super) fn commit_unmarked(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), MetaError> {
        self.with(|database| {
            let mut transaction = database.begin_write()?;
            // Quick repair includes the second phase; a crash then costs no walk over the file.
            transaction.set_two_phase_commit(true);
            transaction.set_quick_repair(true);
            change(&transaction)?;
            Ok(transaction.commit()?)
        })
    }

    /// What is wrong with the file as far as can be seen without opening it.
    pub(super) fn loss(&self) -> Option<MetaError> {
        let len = self.vfs.len(&self.path).ok()?;
        if len.unwrap_or_default() > 0 {
            return None;
        }
        self.check_never_written().err()
    }

    pub(super) fn is_open(&self) -> bool {
        self.opened.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Uses the database, and closes it if the disk failed under it: it would fail for ever.
    pub(super) fn with<T>(
        &self,
        act: impl FnOnce(&redb::Database) -> Result<T, redb::Error>,
    ) -> Result<T, MetaError> {
        let (answer, number) = {
            let guard = self.opened()?;
            let opened = guard.as_ref().expect("invariant: just seen open");
            (self.guarded(|| act(&opened.database))?, opened.number)
        };
        if let Err(redb::Error::Io(_) | redb::Error::PreviousIo) = &answer {
            let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
            opened.take_if(|opened| opened.number == number);
        }
        answer.map_err(|error| self.error(error))
    }

    /// The database, opened if it is not.
    fn opened(&self) -> Result<RwLockReadGuard<'_, Option<Opened>>, MetaError> {
        loop {
            let guard = self.opened.read().unwrap_or_else(PoisonError::into_inner);
            if guard.is_some() {
                return Ok(guard);
            }
            drop(guard);
            let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
            if opened.is_none() {
                let number = self.opened_count.fetch_add(1, Ordering::Relaxed);
                *opened = Some(Opened { database: self.open()?, number });
            }
        }
    }

    fn open(&self) -> Result<redb::Database, MetaError> {
        let failed = |source| self.io(source);
        if self.vfs.len(&self.path).map_err(failed)?.unwrap_or_default() == 0 {
            self.check_never_written()?;
            self.create()?;
        }
        // Even if it was there: whoever moved it there may have failed to sync its name.
        if let Some(dir) = self.path.parent() {
            self.vfs.sync_dir(dir).map_err(failed)?;
        }
        self.open_file(self.vfs.open(&self.path, Create::Never).map_err(failed)?)
    }

    /// Makes an empty database beside its place and moves it there: a crash while it is being
    /// made must not leave half a database under the name.
    fn create(&self) -> Result<(), MetaError> {
        let failed = |source| self.io(source);
        let fresh = self.path.with_extension("new");
        self.vfs.remove(&fresh).map_err(failed)?;
        let file = self.vfs.open(&fresh, Create::PrivateIfMissing).map_err(failed)?;
        drop(self.open_file(Arc::clone(&file))?);
        file.sync_data().map_err(failed)?;
        self.vfs.rename(&fresh, &self.path).map_err(failed)
    }

    fn open_file(&self, file: Arc<dyn VfsFile>) -> Result<redb::Database, MetaError> {
        let opened = self.guarded(|| {
            redb::Database::builder().set_cache_size(CACHE_LEN).create_with_backend(Backend(file))
        })?;
        opened.map_err(|error| match error {
            DatabaseError::UpgradeRequired(_) => self.damaged("it has an unknown format"),
            error => self.error(error.into()),
        })
    }

    /// Works on the database; a panic in it means that the file is damaged, and that it must not
    /// be used again.
    fn guarded<T>(&self, work: impl FnOnce() -> T) -> Result<T, MetaError> {
        if let Some(error) = self.broken.get() {
            return Err(error.clone());
        }
        guarded(&self.path, work).map_err(|error| self.broken.get_or_init(|| error).clone())
    }

    /// The file that says that the database was written once.
    pub(super) fn mark_path(&self) -> PathBuf {
        self.path.with_extension("made")
    }

    /// An empty or missing file is a loss if it was written once.
    fn check_never_written(&self) -> Result<(), MetaError> {
        match self.vfs.len(&self.mark_path()).map_err(|source| self.io(source))? {
            None => Ok(()),
            Some(_) => Err(self.damaged("it was there once, and is missing or empty")),
        }
    }

    /// Leaves the mark, if it is not there yet. What was committed is committed either way, so
    /// one that cannot be written is tried again at the next commit.
    fn mark_written(&self) {
        if self.is_marked.load(Ordering::Relaxed) {
            return;
        }
        let path = self.mark_path();
        let marked = self.vfs.len(&path).and_then(|len| match len {
            Some(_) => Ok(()),
            None => self.vfs.replace_file(&path, MARK, false),
        });
        match marked {
            Ok(()) => self.is_marked.store(true, Ordering::Relaxed),
            Err(error) => warn!(path = %path.display(), %error, "the mark was not written"),
        }
    }

    fn io(&self, source: io::Error) -> MetaError {
        MetaError::Io { path: self.path.clone(), source: Arc::new(source) }
    }

    pub(super) fn damaged(&self, reason: &str) -> MetaError {
        MetaError::Damaged { path: self.path.clone(), reason: reason.to_owned() }
    }

    /// An error that only words describe.
    pub(super) fn other(&self, reason: &str) -> MetaError {
        MetaError::Other { path: self.path.clone(), reason: reason.to_owned() }
    }

    pub(super) fn error(&self, error: redb::Error) -> MetaError {
        match error {
            redb::Error::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
                self.damaged("it is not a database")
            }
            redb::Error::Io(source) => self.io(source),
            redb::Error::Corrupted(reason) => self.damaged(&reason),
            other => MetaError::Other { path: self.path.clone(), reason: other.to_string() },
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.broken.get().is_some() {
            // Closing it could only write into a file that is to be looked at.
            let opened = self.opened.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(opened.take());
        }
    }
}

/// Runs `work` on a database file that may be damaged in ways that the database does not expect.
pub(super) fn guarded<T>(path: &Path, work: impl FnOnce() -> T) -> Result<T, MetaError> {
    // What the panic left half done is never looked at again: the caller gives the database up.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).map_err(|_panic| {
        let reason = "the database could not make sense of it".to_owned();
        MetaError::Damaged { path: path.to_owned(), reason }
    })
}

/// The database's file, by way of the `Vfs`.
#[derive(Debug)]
pub(super) struct Backend(pub(super) Arc<dyn VfsFile>);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let len = self.0.read_at(out, offset)?;
        if len < out.len() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }
}
