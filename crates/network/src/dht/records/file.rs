//! The records' file: a database beside the node's metadata, and no part of it.
//!
//! Providers stand by the place of their key and their peer ID, so those of one key lie side by
//! side; addresses stand once a peer, not once a record.
//!
//! Invariants: a commit that is synced comes at most once a minute, since all of this may be
//! lost; damage is answered by beginning anew; reading and writing never panic for it.
//! Not here: what waits in memory (`records.rs`).

use super::{
    KEY_PROVIDERS_MAX, PROVIDERS_MAX, Pending, Provider, Seconds, VALUES_MAX, decode_addrs,
    encode_addrs,
};
use crate::{Multiaddr, PeerId, dht::place::Place};
use cairn_hash::SHA256_LEN;
use redb::{
    Builder, Database, Durability, ReadableDatabase as _, ReadableTable as _,
    ReadableTableMetadata as _, Table, TableDefinition, backends::InMemoryBackend,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};
use thiserror::Error;
use tracing::warn;

type Bytes = &'static [u8];

/// Place and peer ID; when it expires.
const PROVIDERS: TableDefinition<'_, Bytes, Seconds> = TableDefinition::new("providers");
/// Peer ID; when they expire, and the addresses.
const ADDRS: TableDefinition<'_, Bytes, (Seconds, Bytes)> = TableDefinition::new("addrs");
/// Place; when it expires, and the value.
const VALUES: TableDefinition<'_, Bytes, (Seconds, Bytes)> = TableDefinition::new("values");

/// Memory that the file may use for pages.
const CACHE_LEN: usize = 8 * 1024 * 1024;

/// Commits of which one is synced: those between may be lost in a crash.
const SYNC_EVERY: u64 = 12;

/// Records looked at in one slice of a sweep.
const SLICE_LEN: usize = 4096;

/// Why the file could not be used; it has been begun anew then.
#[derive(Debug, Error)]
pub(super) enum FileError {
    #[error("{0}")]
    Database(#[from] redb::Error),
    #[error("the file makes no sense to the database")]
    Panicked,
}

/// The database, open.
#[derive(Debug)]
pub(super) struct File {
    path: Option<PathBuf>,
    /// Absent until there is something to write.
    database: RwLock<Option<Database>>,
    commits: AtomicU64,
}

impl File {
    /// Opens what is there; a file is made when there is something to write.
    pub(super) fn open(path: Option<PathBuf>) -> Self {
        let there = path.as_deref().filter(|path| path.exists());
        let database = RwLock::new(there.and_then(open_at));
        Self { path, database, commits: AtomicU64::new(0) }
    }

    /// Makes the file if there is none yet; without a path it is memory.
    fn make(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if database.is_none() {
            let opened = self.path.as_deref().and_then(open_at);
            *database = Some(opened.unwrap_or_else(in_memory));
        }
    }

    /// How many provider records and values there are.
    pub(super) fn counts(&self) -> (u64, u64) {
        let counts = self.look(|tables| Ok((tables.providers.len()?, tables.values.len()?)));
        counts.unwrap_or_default()
    }

    pub(super) fn providers(&self, place: &Place) -> Vec<Provider> {
        let found = self.look(|tables| {
            let rows = tables.providers.range::<&[u8]>(&place.0[..]..)?;
            let mut found = Vec::new();
            for row in rows.take(KEY_PROVIDERS_MAX) {
                let (key, expires) = row?;
                let Some(peer) = key.value().strip_prefix(&place.0) else { break };
                let peer = PeerId::from_bytes(peer).ok();
                found.extend(peer.map(|peer| Provider { peer, expires: expires.value() }));
            }
            Ok(found)
        });
        found.unwrap_or_default()
    }

    pub(super) fn addrs(&self, peer: &PeerId) -> Option<(Seconds, Vec<Multiaddr>)> {
        let row = self.look(|tables| {
            let row = tables.addrs.get(peer.to_bytes().as_slice())?;
            Ok(row.map(|row| (row.value().0, decode_addrs(row.value().1))))
        });
        row.flatten()
    }

    pub(super) fn value(&self, place: &Place) -> Option<(Seconds, Vec<u8>)> {
        let row = self.look(|tables| {
            let row = tables.values.get(&place.0[..])?;
            Ok(row.map(|row| (row.value().0, row.value().1.to_vec())))
        });
        row.flatten()
    }

    /// Writes what waits; after an error the file is begun anew, without it.
    pub(super) fn write(&self, pending: &Pending) -> Result<(), FileError> {
        self.make();
        self.change(|tables| {
            for (place, providers) in &pending.providers {
                for provider in providers {
                    put_provider(&mut tables.providers, place, provider)?;
                }
            }
            for (peer, (expires, addrs)) in &pending.addrs {
                let (key, addrs) = (peer.to_bytes(), encode_addrs(addrs));
                tables.addrs.insert(key.as_slice(), (*expires, addrs.as_slice()))?;
            }
            for (place, (expires, value)) in &pending.values {
                let is_new = tables.values.get(&place.0[..])?.is_none();
                if !is_new || tables.values.len()? < VALUES_MAX {
                    tables.values.insert(&place.0[..], (*expires, value.as_slice()))?;
                }
            }
            Ok(())
        })
    }

    /// Removes what has expired of the next slice; returns where to go on, `None` at the end.
    pub(super) fn sweep(&self, from: &[u8], now: Seconds) -> Option<Vec<u8>> {
        let is_first = from.is_empty();
        let mut next = None;
        let swept = self.change(|tables| {
            let mut expired = Vec::new();
            for (count, row) in tables.providers.range::<&[u8]>(from..)?.enumerate() {
                let (key, end) = row?;
                if count == SLICE_LEN {
                    next = Some(key.value().to_vec());
                    break;
                }
                if end.value() <= now {
                    expired.push(key.value().to_vec());
                }
            }
            for key in expired {
                tables.providers.remove(key.as_slice())?;
            }
            if is_first {
                // Far fewer than the records: one pass.
                tables.addrs.retain(|_, (expires, _)| expires > now)?;
                tables.values.retain(|_, (expires, _)| expires > now)?;
            }
            Ok(())
        });
        swept.ok().and(next)
    }

    fn look<T>(&self, look: impl FnOnce(&Look) -> Result<T, redb::Error>) -> Option<T> {
        let opened = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = opened.as_ref()?;
        let looked = catch_unwind(AssertUnwindSafe(|| {
            let transaction = database.begin_read()?;
            look(&Look {
                providers: transaction.open_table(PROVIDERS)?,
                addrs: transaction.open_table(ADDRS)?,
                values: transaction.open_table(VALUES)?,
            })
        }));
        drop(opened);
        match looked {
            Ok(Ok(found)) => Some(found),
            Ok(Err(error)) => self.begin_anew(&error.to_string()),
            Err(_) => self.begin_anew("it makes no sense to the database"),
        }
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Change<'_>) -> Result<(), redb::Error>,
    ) -> Result<(), FileError> {
        let opened = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = opened.as_ref() else { return Ok(()) };
        let number = self.commits.fetch_add(1, Ordering::Relaxed);
        let changed = catch_unwind(AssertUnwindSafe(|| {
            let mut transaction = database.begin_write()?;
            if number.is_multiple_of(SYNC_EVERY) {
                transaction.set_quick_repair(true);
            } else {
                transaction.set_durability(Durability::None)?;
            }
            let mut tables = Change {
                providers: transaction.open_table(PROVIDERS)?,
                addrs: transaction.open_table(ADDRS)?,
                values: transaction.open_table(VALUES)?,
            };
            change(&mut tables)?;
            drop(tables);
            Ok::<_, redb::Error>(transaction.commit()?)
        }));
        drop(opened);
        let error = match changed {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => FileError::Database(error),
            Err(_) => FileError::Panicked,
        };
        self.begin_anew::<()>(&error.to_string());
        Err(error)
    }

    /// Puts an empty database into the place of one that cannot be used.
    fn begin_anew<T>(&self, reason: &str) -> Option<T> {
        warn!(reason, "the records kept for others are begun anew");
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // The damaged file is closed before its name is used again.
        *database = None;
        if let Some(path) = &self.path {
            remove(path);
        }
        None
    }
}

/// The tables, for looking.
struct Look {
    providers: redb::ReadOnlyTable<Bytes, Seconds>,
    addrs: redb::ReadOnlyTable<Bytes, (Seconds, Bytes)>,
    values: redb::ReadOnlyTable<Bytes, (Seconds, Bytes)>,
}

/// The tables, for changing.
struct Change<'a> {
    providers: Table<'a, Bytes, Seconds>,
    addrs: Table<'a, Bytes, (Seconds, Bytes)>,
    values: Table<'a, Bytes, (Seconds, Bytes)>,
}

fn put_provider(
    table: &mut Table<'_, Bytes, Seconds>,
    place: &Place,
    provider: &Provider,
) -> Result<(), redb::Error> {
    let key = [&place.0[..], &provider.peer.to_bytes()].concat();
    if table.get(key.as_slice())?.is_some() {
        table.insert(key.as_slice(), provider.expires)?;
        return Ok(());
    }
    if table.len()? >= PROVIDERS_MAX {
        return Ok(());
    }
    let mut count = 0;
    let mut oldest: Option<(Seconds, Vec<u8>)> = None;
    for row in table.range::<&[u8]>(&place.0[..]..)? {
        let (known, expires) = row?;
        if known.value().get(..SHA256_LEN) != Some(&place.0[..]) {
            break;
        }
        count += 1;
        if oldest.as_ref().is_none_or(|(oldest, _)| expires.value() < *oldest) {
            oldest = Some((expires.value(), known.value().to_vec()));
        }
    }
    if count >= KEY_PROVIDERS_MAX
        && let Some((_, oldest)) = oldest
    {
        table.remove(oldest.as_slice())?;
    }
    table.insert(key.as_slice(), provider.expires)?;
    Ok(())
}

/// Opens or makes the database; `None`, after saying so, if the disk refuses even an empty one.
fn open_at(path: &Path) -> Option<Database> {
    let attempt = || {
        let opened = catch_unwind(AssertUnwindSafe(|| -> Result<Database, redb::Error> {
            let database = Builder::new().set_cache_size(CACHE_LEN).create(path)?;
            make_tables(&database)?;
            Ok(database)
        }));
        match opened {
            Ok(Ok(database)) => Some(database),
            Ok(Err(error)) => {
                warn!(path = %path.display(), %error, "the records' file could not be opened");
                None
            }
            Err(_) => {
                warn!(path = %path.display(), "the records' file makes no sense");
                None
            }
        }
    };
    attempt().or_else(|| {
        remove(path);
        attempt()
    })
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        warn!(path = %path.display(), %error, "the records' file could not be removed");
    }
}

fn in_memory() -> Database {
    let backend = InMemoryBackend::new();
    let database = Builder::new().set_cache_size(CACHE_LEN).create_with_backend(backend);
    let database = database.expect("invariant: memory takes an empty database");
    make_tables(&database).expect("invariant: memory takes empty tables");
    database
}

fn make_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(PROVIDERS)?;
    transaction.open_table(ADDRS)?;
    transaction.open_table(VALUES)?;
    Ok(transaction.commit()?)
}
