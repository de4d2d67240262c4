//! The metadata: everything that must agree changes together.
//!
//! A change is decided on what is there, written as a note into the current pack, behind the
//! blocks that it depends on, and made durable with them by one `fdatasync`; callers who come at
//! the same time share one. From then on it counts: it is kept in memory, on top of the database,
//! until many of them are *settled* in one commit of the database. A start reads the notes that
//! are not settled. A change that is too large for a note is a commit of the database by itself.
//!
//! Invariants: a change is durable when the call returns, and then so is every block that was
//! appended before it; a change that fails has not happened; changes are decided in the order of
//! their notes; what is not settled is bounded by [`PENDING_LEN_MAX`]. The database is opened by
//! the first who must look at it: who only adds needs neither the time nor the memory.
//! Not here: the notes (`store/note.rs`), the database's file (`meta/database.rs`), pins
//! (`pins.rs`), the repair (`meta/reset.rs`).

mod change;
mod database;
mod reset;
mod view;

#[cfg(feature = "fuzz")]
pub(crate) use change::Change as FuzzedChange;
pub(crate) use change::Table;
pub use reset::MetaReset;
pub(crate) use reset::reset;
pub(crate) use view::{Draft, View};

use crate::{
    StoreError,
    pins::{EXPIRIES, PINS},
    store::{NOTE_LEN_MAX, Note, NotesKnown, Settle, Store},
};
use cairn_runtime::{Vfs, VfsFile};
use change::Change;
use database::Database;
use redb::{
    ReadableDatabase as _, ReadableTable as _, StorageError, TableDefinition, WriteTransaction,
};
use std::{
    io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak, mpsc,
    },
};
use thiserror::Error;
use tracing::warn;
use view::Tables;

/// Small values by name: the MFS root, sequence numbers.
pub(crate) const VALUES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("values");

/// How far the database has taken the notes over.
const LOG: TableDefinition<'_, &str, u64> = TableDefinition::new("log");

/// The key in [`LOG`] of the last note's number.
const SETTLED: &str = "settled";

/// The name of the value that holds the root of MFS: the bytes of its CID. Whatever is below it
/// stays, as if it were pinned recursively.
pub const MFS_ROOT_KEY: &str = "mfs/root";

/// After so many notes they are settled; a start reads no more.
pub(crate) const NOTE_COUNT_MAX: usize = 1024;

/// After so many bytes of notes they are settled.
const NOTES_LEN_MAX: usize = 1024 * 1024;

/// When a start would have to look through so many bytes for notes, they are settled.
const NOTES_DISTANCE_MAX: u64 = 32 * 1024 * 1024;

/// Notes that a process leaves to the next one, if it had no need of the database.
const NOTES_LEFT_MAX: usize = 64;

/// Most bytes of notes that are kept in memory, when the database cannot take them over.
const PENDING_LEN_MAX: usize = 16 * 1024 * 1024;

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
    /// The packs, which take every change first, could not take it or be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<MetaError> for StoreError {
    fn from(error: MetaError) -> Self {
        match error {
            MetaError::Store(error) => error,
            MetaError::Io { path, source } => Self::Io { op: "write", path, source },
            MetaError::Damaged { ref path, .. } | MetaError::Other { ref path, .. } => {
                let path = path.clone();
                Self::io("write", &path, io::Error::other(error))
            }
        }
    }
}

/// The metadata; clones share it. All calls block.
#[derive(Debug, Clone)]
pub struct Meta {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    database: Database,
    /// Where notes go; without it every change is a commit of the database.
    log: Option<Store>,
    note_count_max: usize,
    /// Taken to change anything.
    turn: Mutex<()>,
    queue: Mutex<Queue>,
    state: RwLock<State>,
    /// The repository's lock, which must outlive the last commit.
    _lock: Option<Arc<dyn VfsFile>>,
}

/// What the database does not have yet.
#[derive(Debug, Default)]
struct State {
    /// Whether the notes in the packs have been read.
    loaded: bool,
    /// All changes since the database was written, as one.
    pending: Change,
    note_count: usize,
    note_len: usize,
    /// The number of the last note.
    last: u64,
}

type Decide = Box<dyn FnOnce(&mut Draft<'_>) -> Result<(), redb::Error> + Send>;

/// Changes that wait.
#[derive(Debug, Default)]
struct Queue {
    jobs: Vec<Job>,
    /// Whether somebody makes changes durable, and will see to those that wait.
    led: bool,
}

struct Job {
    decide: Decide,
    /// Whether the decision depends on what is there.
    looks: bool,
    told: mpsc::SyncSender<Told>,
}

/// What somebody who waits is told.
enum Told {
    /// The change was made, or was not.
    Done(Result<(), MetaError>),
    /// It is the first in the queue and nobody leads.
    Lead,
}

/// Held by whoever leads; dropped, it passes the lead on.
struct Lead<'a>(&'a Inner);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut queue = lock(&self.0.queue);
        // There is room for this and for the answer, and who waits does not go away.
        let told = queue.jobs.first().map(|job| job.told.send(Told::Lead));
        queue.led = told.is_some_and(|told| told.is_ok());
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

impl Meta {
    /// Metadata in the database at `path` alone; nothing is opened yet.
    pub(crate) fn new(vfs: Arc<dyn Vfs>, path: PathBuf, lock: Option<Arc<dyn VfsFile>>) -> Self {
        let inner = Inner {
            database: Database::new(vfs, path),
            log: None,
            note_count_max: NOTE_COUNT_MAX,
            turn: Mutex::default(),
            queue: Mutex::default(),
            state: RwLock::default(),
            _lock: lock,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Metadata whose changes go to the packs first; at most so many notes wait to be settled.
    pub(crate) fn with_log(
        vfs: Arc<dyn Vfs>,
        path: PathBuf,
        (log, note_count_max): (Store, usize),
    ) -> Self {
        let mut meta = Self::new(vfs, path, None);
        let inner = Arc::get_mut(&mut meta.inner).expect("invariant: it was just made");
        inner.log = Some(log.clone());
        inner.note_count_max = note_count_max.clamp(1, NOTE_COUNT_MAX);
        let settler: Weak<Inner> = Arc::downgrade(&meta.inner);
        log.set_settler(settler);
        meta
    }

    /// Returns the value kept under `name`.
    ///
    /// # Errors
    ///
    /// Any [`MetaError`].
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>, MetaError> {
        self.read(|view| view.get(Table::Values, name.as_bytes()))
    }

    /// Sets values, or removes those given as `None`, in one durable commit.
    ///
    /// # Errors
    ///
    /// Any [`MetaError`]; nothing is changed then.
    pub fn set(&self, values: Vec<(String, Option<Vec<u8>>)>) -> Result<(), MetaError> {
        self.commit(false, move |draft| {
            for (name, value) in values {
                match value {
                    Some(value) => draft.put(Table::Values, name.into_bytes(), value),
                    None => draft.remove(Table::Values, name.into_bytes()),
                }
            }
            Ok(())
        })
    }

    /// Reads in a snapshot.
    pub(crate) fn read<T>(
        &self,
        look: impl FnOnce(&View<'_>) -> Result<T, redb::Error>,
    ) -> Result<T, MetaError> {
        let state = self.inner.loaded()?;
        self.inner.database.look(|tables| look(&View { pending: &state.pending, tables }))
    }

    /// What is wrong with the database as far as can be seen without opening it.
    pub(crate) fn loss(&self) -> Option<MetaError> {
        self.inner.database.loss()
    }

    /// Changes what `decide` drafts, durably, together with every block appended before. Callers
    /// who come at the same time share the commit; if it fails, nobody's change has happened.
    /// `looks` says whether `decide` looks at what is there.
    pub(crate) fn commit(
        &self,
        looks: bool,
        decide: impl FnOnce(&mut Draft<'_>) -> Result<(), redb::Error> + Send + 'static,
    ) -> Result<(), MetaError> {
        let inner = &*self.inner;
        let (told, listen) = mpsc::sync_channel(2);
        let mut queue = lock(&inner.queue);
        queue.jobs.push(Job { decide: Box::new(decide), looks, told });
        let leads = !std::mem::replace(&mut queue.led, true);
        drop(queue);
        if !leads {
            match listen.recv() {
                Ok(Told::Done(result)) => return result,
                Ok(Told::Lead) => {}
                Err(_panicked) => return Err(inner.database.other("the change was given up")),
            }
        }
        let lead = Lead(inner);
        let turn = lock(&inner.turn);
        let jobs = std::mem::take(&mut lock(&inner.queue).jobs);
        let (decisions, waiting): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| ((job.looks, job.decide), job.told)).unzip();
        let result = inner.commit_all(decisions);
        for told in waiting {
            // Each has room for it; this caller's own answer is not read.
            drop(told.send(Told::Done(result.clone())));
        }
        inner.settle_if_due();
        drop(turn);
        drop(lead);
        result
    }

    /// Writes a snapshot of everything to a new database at `path`, durably but for its name.
    pub(crate) fn copy_to(&self, vfs: &Arc<dyn Vfs>, path: &Path) -> Result<(), MetaError> {
        let inner = &*self.inner;
        let io = |source| MetaError::Io { path: path.to_owned(), source: Arc::new(source) };
        vfs.remove(path).map_err(io)?;
        let target = Database::new(Arc::clone(vfs), path.to_owned());
        // Settled in the copy only: where the disk is full, this one cannot be written.
        let settle = |to: &WriteTransaction, pending: &Change, last: u64| {
            pending.apply(to)?;
            drop(to.open_table(LOG)?.insert(SETTLED, last)?);
            Ok(())
        };
        let state = inner.loaded()?;
        let (pending, last) = (state.pending.clone(), state.last);
        if inner.database.is_unwritten()? {
            return target.commit_unmarked(|to| settle(to, &pending, last));
        }
        inner.database.with(|from| {
            let from = from.begin_read()?;
            // Others may go on: the snapshot and what is pending on top of it are one state.
            drop(state);
            let copied = target.commit_unmarked(|to| {
                copy_table(&from, to, VALUES)?;
                copy_table(&from, to, PINS)?;
                copy_table(&from, to, EXPIRIES)?;
                settle(to, &pending, last)
            });
            Ok(copied)
        })?
    }
}

fn copy_table<K: redb::Key + 'static, V: redb::Value + 'static>(
    from: &redb::ReadTransaction,
    to: &WriteTransaction,
    definition: TableDefinition<'_, K, V>,
) -> Result<(), redb::Error> {
    let Some(table) = view::table(from, definition)? else { return Ok(()) };
    let mut copy = to.open_table(definition)?;
    for entry in table.iter()? {
        let (key, value) = entry?;
        drop(copy.insert(key.value(), value.value())?);
    }
    Ok(())
}

impl Inner {
    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, once the notes have been read.
    fn loaded(&self) -> Result<RwLockReadGuard<'_, State>, MetaError> {
        let state = self.state();
        if state.loaded {
            return Ok(state);
        }
        drop(state);
        let turn = lock(&self.turn);
        self.load()?;
        drop(turn);
        Ok(self.state())
    }

    /// Reads the notes that are not settled. The caller has the turn.
    fn load(&self) -> Result<(), MetaError> {
        while !self.state().loaded {
            let Some(log) = &self.log else {
                self.state_mut().loaded = true;
                return Ok(());
            };
            let known = log.notes_known();
            // After a clean end it is known which they are; otherwise the database tells.
            let settled = match known.last {
                Some(_) => 0,
                None => self.database.look(Tables::settled)?,
            };
            let mut state =
                State { loaded: true, last: known.last.unwrap_or(settled), ..State::default() };
            let (mut first, mut taken, mut senseless) = (None, settled, false);
            if let Some(from) = known.from {
                let highest = log.read_notes((from, settled), &mut |note| {
                    first.get_or_insert(note.position);
                    taken = note.number;
                    senseless |= state.take(&note).is_none();
                    let enough = senseless || state.note_len >= PENDING_LEN_MAX;
                    if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })?;
                state.last = state.last.max(highest);
            }
            if senseless {
                return Err(self.database.other("a note in the packs makes no sense"));
            }
            if state.note_len >= PENDING_LEN_MAX {
                // There may be more than memory is meant for: settle these first.
                log.flush()?;
                self.write(&state.pending, &Change::default(), taken)?;
                log.notes_read(NotesKnown { from: first, last: None });
                continue;
            }
            log.notes_read(NotesKnown { from: first, last: Some(state.last) });
            *self.state_mut() = state;
        }
        Ok(())
    }

    /// Decides on changes, makes them durable, and lets them count. The caller has the turn.
    fn commit_all(&self, decisions: Vec<(bool, Decide)>) -> Result<(), MetaError> {
        self.load()?;
        let looks = decisions.iter().any(|(looks, _)| *looks);
        let change = {
            let state = self.state();
            let decide = |tables: &Tables| {
                let view = View { pending: &state.pending, tables };
                let mut draft = Draft { view, change: Change::default() };
                for (_, decide) in decisions {
                    decide(&mut draft)?;
                }
                Ok(draft.change)
            };
            if looks {
                self.database.look(decide)?
            } else {
                decide(&Tables::default()).map_err(|error| self.database.error(error))?
            }
        };
        let Some(log) = &self.log else {
            let nothing = change.is_empty();
            return if nothing { Ok(()) } else { self.database.commit(|to| change.apply(to)) };
        };
        if change.is_empty() {
            return Ok(log.flush()?);
        }
        let bytes = change.encode();
        if bytes.len() > NOTE_LEN_MAX || self.state().note_len >= PENDING_LEN_MAX {
            return self.settle_with(log, &change);
        }
        let number = self.state().last + 1;
        log.append_note(number, &bytes)?;
        log.flush()?;
        self.state_mut().append(change, (number, bytes.len()));
        Ok(())
    }

    /// Settles what is pending, and with it a change that has no note. The caller has the turn.
    fn settle_with(&self, log: &Store, change: &Change) -> Result<(), MetaError> {
        log.flush()?;
        let state = self.state();
        if !change.is_empty() {
            log.notes_superseded()?;
        }
        if !change.is_empty() || !state.pending.is_empty() {
            self.write(&state.pending, change, state.last)?;
        }
        let last = state.last;
        drop(state);
        // Until here readers see the changes on top of the database, and then in it.
        *self.state_mut() = State { loaded: true, last, ..State::default() };
        log.notes_settled(last);
        Ok(())
    }

    /// Writes changes to the database in one durable commit: the notes' up to number `last`, and
    /// a later one.
    fn write(&self, notes: &Change, later: &Change, last: u64) -> Result<(), MetaError> {
        self.database.commit(|transaction| {
            notes.apply(transaction)?;
            later.apply(transaction)?;
            drop(transaction.open_table(LOG)?.insert(SETTLED, last)?);
            Ok(())
        })
    }

    /// Settles everything.
    fn settle_all(&self) -> Result<(), MetaError> {
        let _turn = lock(&self.turn);
        self.load()?;
        match &self.log {
            Some(log) => self.settle_with(log, &Change::default()),
            None => Ok(()),
        }
    }

    /// Settles if enough has gathered. The caller has the turn.
    fn settle_if_due(&self) {
        let Some(log) = &self.log else { return };
        let (count, len) = {
            let state = self.state();
            (state.note_count, state.note_len)
        };
        let due = count >= self.note_count_max
            || len >= NOTES_LEN_MAX
            || count > 0 && log.notes_distance() >= NOTES_DISTANCE_MAX;
        if due && let Err(error) = self.settle_with(log, &Change::default()) {
            // It stays in memory and in the packs, and is tried again with the next change.
            warn!(%error, "changes were not taken over into the metadata");
        }
    }
}

impl Settle for Inner {
    fn settle(&self) -> Result<(), StoreError> {
        Ok(self.settle_all()?)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Some(log) = &self.log else { return };
        let count = self.state().note_count;
        let worth = self.database.is_open()
            || count > NOTES_LEFT_MAX
            || log.notes_distance() >= NOTES_DISTANCE_MAX;
        if count > 0
            && worth
            && let Err(error) = self.settle_all()
        {
            warn!(%error, "changes are left in the packs for the next start");
        }
    }
}

impl State {
    /// Adds a change that is durable, with its note's number and length.
    fn append(&mut self, change: Change, (number, len): (u64, usize)) {
        self.pending.append(change);
        self.note_count += 1;
        self.note_len += len;
        self.last = self.last.max(number);
    }

    /// Adds what a note says; `None` if that makes no sense.
    fn take(&mut self, note: &Note) -> Option<()> {
        let change = Change::decode(&note.change)?;
        self.append(change, (note.number, note.change.len()));
        Some(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A database whose stored bytes make no sense.
pub(crate) fn corrupted(reason: &str) -> redb::Error {
    StorageError::Corrupted(reason.to_owned()).into()
}

#[cfg(test)]
mod tests;
