//! The metadata database: everything that must agree commits together, in one redb file.
//!
//! Commits are durable when they return, in two phases (a one-phase commit rests on a checksum
//! after a crash), with what a quick recovery needs. Callers that come at the same time share a
//! commit. The file is opened at the first use, so that a node which only moves blocks pays
//! neither the time nor the memory. After an error of the disk the database is closed, and the
//! next use opens it again, which brings it back to its last whole commit: a full disk or a bad
//! read costs the call that met it, and no restart.
//!
//! Invariants: all I/O through `Vfs`; the cache is small, because the system has one already; the
//! file gets its name when it is a whole database; a damaged one is an error that names the
//! repairing command and never a panic; a file that is gone is not mistaken for one that never
//! was, thanks to a mark beside it.
//! Not here: pins (`pins.rs`), the repair (`meta/reset.rs`).

mod reset;

pub use reset::MetaReset;
pub(crate) use reset::reset;

use cairn_runtime::{Create, Vfs, VfsExt as _, VfsFile};
use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase as _, ReadableTable as _,
    StorageBackend, StorageError, TableDefinition, TableError, WriteTransaction,
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
};
use thiserror::Error;
use tracing::warn;

/// Memory that the database may use for pages.
const CACHE_LEN: usize = 4 * 1024 * 1024;

/// What the mark beside the database holds, for whoever wonders.
const MARK: &[u8] = b"meta.redb was written; should it be missing, it was lost\n";

/// Small values by name: the MFS root, sequence numbers.
pub(crate) const VALUES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("values");

/// The name of the value that holds the root of MFS: the bytes of its CID. Whatever is below it
/// stays, as if it were pinned recursively.
pub const MFS_ROOT_KEY: &str = "mfs/root";

/// Why metadata could not be read or changed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum MetaError {
    /// The file is not what was written: pins and names may be lost, blocks are not.
    #[error(
        "the metadata in {path} is damaged: {reason}; with the daemon stopped, \
         `cairn repo verify --reset-meta` sets it aside and keeps the pins that can be read",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The disk refused; a full one is one of these.
    #[error("could not use {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The database refused for another reason.
    #[error("could not use {path}: {reason}", path = path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
}

/// The metadata database; clones share it. All calls block.
#[derive(Debug, Clone)]
pub struct Meta {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    /// Every use holds the lock for reading, so whoever closes the database is alone with it.
    database: RwLock<Option<Opened>>,
    opened_count: AtomicU64,
    /// Taken to commit.
    turn: Mutex<()>,
    queue: Mutex<Vec<Job>>,
    /// Why the database is not used any more: it turned out to be damaged in a way that it
    /// could not tell.
    broken: OnceLock<MetaError>,
    /// Whether the mark that the file was written once is known to be there.
    is_marked: AtomicBool,
    /// The repository's lock, which must outlive the last commit.
    _lock: Option<Arc<dyn VfsFile>>,
}

#[derive(Debug)]
struct Opened {
    database: Database,
    /// Which opening this is, so that it is closed for its own errors only.
    number: u64,
}

type Change = Box<dyn FnOnce(&WriteTransaction) -> Result<(), redb::Error> + Send>;

struct Job {
    change: Change,
    done: mpsc::SyncSender<Result<(), MetaError>>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

impl Meta {
    /// Names the file; nothing is opened yet.
    pub(crate) fn new(vfs: Arc<dyn Vfs>, path: PathBuf, lock: Option<Arc<dyn VfsFile>>) -> Self {
        let inner = Inner {
            vfs,
            path,
            database: RwLock::default(),
            opened_count: AtomicU64::new(0),
            turn: Mutex::default(),
            queue: Mutex::default(),
            broken: OnceLock::new(),
            is_marked: AtomicBool::new(false),
            _lock: lock,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns the value kept under `name`.
    ///
    /// # Errors
    ///
    /// Any [`MetaError`].
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>, MetaError> {
        let found = self.read(|transaction| {
            let table = match transaction.open_table(VALUES) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            Ok(table.get(name)?.map(|value| value.value().to_vec()))
        })?;
        Ok(found.flatten())
    }

    /// Sets values, or removes those given as `None`, in one durable commit.
    ///
    /// # Errors
    ///
    /// Any [`MetaError`]; nothing is changed then.
    pub fn set(&self, values: Vec<(String, Option<Vec<u8>>)>) -> Result<(), MetaError> {
        self.commit(move |transaction| {
            let mut table = transaction.open_table(VALUES)?;
            for (name, value) in &values {
                match value {
                    Some(value) => drop(table.insert(name.as_str(), value.as_slice())?),
                    None => drop(table.remove(name.as_str())?),
                }
            }
            Ok(())
        })
    }

    /// Reads in a snapshot; `None` if the database has never been written.
    pub(crate) fn read<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<Option<T>, MetaError> {
        let inner = &*self.inner;
        let len = inner.vfs.len(&inner.path).map_err(|source| inner.io(source))?;
        if len.unwrap_or_default() == 0 {
            return inner.check_never_written().map(|()| None);
        }
        inner.with_database(|database| look(&database.begin_read()?)).map(Some)
    }

    /// What is wrong with the file as far as can be seen without opening it.
    pub(crate) fn loss(&self) -> Option<MetaError> {
        let inner = &*self.inner;
        let len = inner.vfs.len(&inner.path).ok()?;
        if len.unwrap_or_default() > 0 {
            return None;
        }
        inner.check_never_written().err()
    }

    /// Changes in one durable commit, which concurrent callers may share; if it fails, nobody's
    /// change has happened.
    pub(crate) fn commit(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error> + Send + 'static,
    ) -> Result<(), MetaError> {
        let (done, answer) = mpsc::sync_channel(1);
        lock(&self.inner.queue).push(Job { change: Box::new(change), done });
        let turn = lock(&self.inner.turn);
        // Whoever had the turn before may have taken this change along.
        if let Ok(answer) = answer.try_recv() {
            return answer;
        }
        let jobs = std::mem::take(&mut *lock(&self.inner.queue));
        let (changes, waiting): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| (job.change, job.done)).unzip();
        let result = self.inner.with_database(|database| commit_all(database, changes));
        if result.is_ok() {
            self.inner.mark_written();
        }
        for done in waiting {
            // Each has room for one answer, and its receiver waits below or for its turn.
            drop(done.send(result.clone()));
        }
        drop(turn);
        result
    }

    /// Writes a snapshot of everything to a new database at `path`, durably but for its name.
    pub(crate) fn copy_to(&self, path: &Path) -> Result<(), MetaError> {
        let inner = &*self.inner;
        let io = |source| MetaError::Io { path: path.to_owned(), source: Arc::new(source) };
        inner.vfs.remove(path).map_err(io)?;
        let target = Self::new(Arc::clone(&inner.vfs), path.to_owned(), None);
        let opened = target.inner.opened()?;
        let opened = opened.as_ref().expect("invariant: just seen open");
        self.read(|from| {
            let mut to = opened.database.begin_write()?;
            to.set_two_phase_commit(true);
            copy_table(from, &to, VALUES)?;
            copy_table(from, &to, crate::pins::PINS)?;
            copy_table(from, &to, crate::pins::EXPIRIES)?;
            Ok(to.commit()?)
        })?;
        // One that was never written has nothing to read, and its copy is as empty.
        Ok(())
    }
}

fn copy_table<K: redb::Key + 'static, V: redb::Value + 'static>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    definition: TableDefinition<'_, K, V>,
) -> Result<(), redb::Error> {
    let table = match from.open_table(definition) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut copy = to.open_table(definition)?;
    for entry in table.iter()? {
        let (key, value) = entry?;
        drop(copy.insert(key.value(), value.value())?);
    }
    Ok(())
}

/// Runs all changes in one transaction.
fn commit_all(database: &Database, changes: Vec<Change>) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    // Quick repair includes the second phase; a crash then costs no walk over the whole file.
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    for change in changes {
        change(&transaction)?;
    }
    Ok(transaction.commit()?)
}

impl Inner {
    /// Uses the database, and closes it if the disk failed under it: it would fail for ever.
    fn with_database<T>(
        &self,
        act: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, MetaError> {
        let (answer, number) = {
            let guard = self.opened()?;
            let opened = guard.as_ref().expect("invariant: just seen open");
            (self.guarded(|| act(&opened.database))?, opened.number)
        };
        if let Err(redb::Error::Io(_) | redb::Error::PreviousIo) = &answer {
            let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
            database.take_if(|opened| opened.number == number);
        }
        answer.map_err(|error| self.error(error))
    }

    /// The database, opened if it is not.
    fn opened(&self) -> Result<RwLockReadGuard<'_, Option<Opened>>, MetaError> {
        loop {
            let guard = self.database.read().unwrap_or_else(PoisonError::into_inner);
            if guard.is_some() {
                return Ok(guard);
            }
            drop(guard);
            let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
            if database.is_none() {
                let number = self.opened_count.fetch_add(1, Ordering::Relaxed);
                *database = Some(Opened { database: self.open()?, number });
            }
        }
    }

    fn open(&self) -> Result<Database, MetaError> {
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

    fn open_file(&self, file: Arc<dyn VfsFile>) -> Result<Database, MetaError> {
        let opened = self.guarded(|| {
            Database::builder().set_cache_size(CACHE_LEN).create_with_backend(Backend(file))
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
    fn mark_path(&self) -> PathBuf {
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

    fn damaged(&self, reason: &str) -> MetaError {
        MetaError::Damaged { path: self.path.clone(), reason: reason.to_owned() }
    }

    fn error(&self, error: redb::Error) -> MetaError {
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

impl Drop for Inner {
    fn drop(&mut self) {
        if self.broken.get().is_some() {
            // Closing it could only write into a file that is to be looked at.
            let database = self.database.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(database.take());
        }
    }
}

/// Runs `work` on a database file that may be damaged in ways that the database does not expect.
fn guarded<T>(path: &Path, work: impl FnOnce() -> T) -> Result<T, MetaError> {
    // What the panic left half done is never looked at again: the caller gives the database up.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).map_err(|_panic| {
        let reason = "the database could not make sense of it".to_owned();
        MetaError::Damaged { path: path.to_owned(), reason }
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A database whose stored bytes make no sense.
pub(crate) fn corrupted(reason: &str) -> redb::Error {
    StorageError::Corrupted(reason.to_owned()).into()
}

/// The database's file, by way of the `Vfs`.
#[derive(Debug)]
struct Backend(Arc<dyn VfsFile>);

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
