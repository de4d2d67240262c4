//! Starts a new metadata database in the place of a damaged one, with what can still be read.
//!
//! Order: the damaged file is copied aside, durably; what can be read, and what the notes in the
//! packs say, goes into a new file; that takes the place of the damaged one by a rename. A crash
//! at any point leaves either file whole.
//!
//! If it can be read which notes were settled, the others are done on top of what was read. If
//! not, every note that is left is read: what it keeps is kept, since a pin too many does less
//! harm than one too few, and values are taken where none could be read.
//!
//! Invariants: nothing is removed that was not copied; entries that make no sense stay behind.
//! Not here: noticing the damage (`meta.rs`).

use super::{
    LOG, MetaError, SETTLED, VALUES,
    change::{Change, Table},
    database::{Backend, Database, guarded},
};
use crate::{
    pins::{self, PINS},
    store::{Position, Store},
};
use cairn_runtime::{Create, Vfs};
use redb::{ReadableDatabase as _, TableError};
use std::{
    collections::BTreeMap,
    io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Bytes copied at a time.
const COPY_LEN: usize = 1024 * 1024;

/// Most damaged files that are kept.
const ASIDE_COUNT_MAX: u32 = 1000;

/// What became of the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetaReset {
    /// Where the damaged file is now; `None` if there was none.
    pub aside: Option<PathBuf>,
    /// Pins that were carried over.
    pub pin_count: u64,
}

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Default)]
struct Salvaged {
    pins: Entries,
    values: Entries,
    /// The number of the last note whose change was in it, if that could be read.
    settled: Option<u64>,
}

/// Replaces the database at `path`, which nobody has open.
pub(crate) fn reset(vfs: &Arc<dyn Vfs>, path: &Path, log: &Store) -> Result<MetaReset, MetaError> {
    let io = |source| MetaError::Io { path: path.to_owned(), source: Arc::new(source) };
    let aside = set_aside(&**vfs, path).map_err(io)?;
    let salvaged = if aside.is_some() { salvage(vfs, path) } else { Salvaged::default() };
    let (change, last) = with_notes(salvaged, log)?;
    let pin_count = change.entries(Table::Pins).filter(|(_, value)| value.is_some()).count();
    let fresh = path.with_extension("redb.new");
    vfs.remove(&fresh).map_err(io)?;
    let database = Database::new(Arc::clone(vfs), fresh.clone());
    database.commit_unmarked(|transaction| {
        change.apply(transaction)?;
        drop(transaction.open_table(LOG)?.insert(SETTLED, last)?);
        Ok(())
    })?;
    drop(database);
    vfs.rename(&fresh, path).map_err(io)?;
    if let Some(dir) = path.parent() {
        vfs.sync_dir(dir).map_err(io)?;
    }
    Ok(MetaReset { aside, pin_count: pin_count as u64 })
}

/// What was read and what the notes say, with the number of the last one.
fn with_notes(salvaged: Salvaged, log: &Store) -> Result<(Change, u64), MetaError> {
    let Salvaged { pins, values, settled } = salvaged;
    let (mut noted, mut salvaged) = (Change::default(), Change::default());
    for (table, entries) in [(Table::Pins, pins), (Table::Values, values)] {
        for (key, value) in entries {
            salvaged.set(table, key, Some(value));
        }
    }
    let last = log.read_notes((Position::START, settled.unwrap_or(0)), &mut |note| {
        noted.append(Change::decode(&note.change).unwrap_or_default());
        ControlFlow::Continue(())
    })?;
    if settled.is_none() {
        let kept = std::mem::take(&mut noted);
        for table in [Table::Values, Table::Pins, Table::Expiries] {
            for (key, value) in kept.entries(table).filter(|(_, value)| value.is_some()) {
                if table != Table::Values || salvaged.get(table, key).is_none() {
                    noted.set(table, key.to_vec(), value.map(<[u8]>::to_vec));
                }
            }
        }
    }
    salvaged.append(noted);
    Ok((salvaged, last))
}

/// Copies the file to the first free name beside it.
fn set_aside(vfs: &dyn Vfs, path: &Path) -> io::Result<Option<PathBuf>> {
    let Some(len) = vfs.len(path)? else { return Ok(None) };
    let name = |number: u32| path.with_extension(format!("redb.damaged-{number}"));
    let mut free = None;
    for number in 1..=ASIDE_COUNT_MAX {
        if vfs.len(&name(number))?.is_none() {
            free = Some(name(number));
            break;
        }
    }
    let aside = free.ok_or(io::ErrorKind::AlreadyExists)?;
    let from = vfs.open(path, Create::ReadOnly)?;
    let to = vfs.open(&aside, Create::PrivateIfMissing)?;
    let mut offset = 0;
    while offset < len {
        let bytes = from.read_to_vec(offset, COPY_LEN)?;
        if bytes.is_empty() {
            break;
        }
        to.write_all_at(&bytes, offset)?;
        offset += bytes.len() as u64;
    }
    to.sync_data()?;
    if let Some(dir) = path.parent() {
        vfs.sync_dir(dir)?;
    }
    Ok(Some(aside))
}

/// Reads what can be read, from both ends of each table towards the damage.
fn salvage(vfs: &Arc<dyn Vfs>, path: &Path) -> Salvaged {
    let salvaged = Mutex::new(Salvaged::default());
    let take = || salvaged.lock().unwrap_or_else(PoisonError::into_inner);
    for backwards in [false, true] {
        // Whatever goes wrong: what was read by then is what there is.
        drop(guarded(path, || {
            let file = vfs.open(path, Create::Never)?;
            let database = redb::Database::builder().create_with_backend(Backend(file))?;
            // It is damaged, so it may not be able to close, either.
            let database = std::mem::ManuallyDrop::new(database);
            let transaction = database.begin_read()?;
            let settled = match transaction.open_table(LOG) {
                Ok(log) => log.get(SETTLED).ok().flatten().map(|number| number.value()),
                // Written before there were notes.
                Err(TableError::TableDoesNotExist(_)) => Some(0),
                Err(_) => None,
            };
            take().settled = settled;
            let pins = match transaction.open_table(PINS) {
                Ok(table) => Some(table),
                Err(TableError::TableDoesNotExist(_)) => None,
                Err(error) => return Err(error.into()),
            };
            if let Some(table) = pins {
                let keep = |key: &[u8], value: &[u8]| {
                    if pins::decode(key, value).is_ok() {
                        take().pins.insert(key.to_vec(), value.to_vec());
                    }
                };
                each(table.range::<&[u8]>(..)?, backwards, |key, value| keep(key, value));
            }
            if let Ok(table) = transaction.open_table(VALUES) {
                each(table.range::<&str>(..)?, backwards, |name, value: &[u8]| {
                    take().values.insert(name.as_bytes().to_vec(), value.to_vec());
                });
            }
            Ok::<_, redb::Error>(())
        }));
    }
    salvaged.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Shows entries up to the first that cannot be read.
fn each<K: redb::Key + 'static, V: redb::Value + 'static>(
    range: redb::Range<'_, K, V>,
    backwards: bool,
    mut keep: impl FnMut(K::SelfType<'_>, V::SelfType<'_>),
) {
    let mut range = range;
    loop {
        let entry = if backwards { range.next_back() } else { range.next() };
        let Some(Ok((key, value))) = entry else { return };
        keep(key.value(), value.value());
    }
}
