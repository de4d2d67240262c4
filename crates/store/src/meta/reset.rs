//! Starts a new metadata database in the place of a damaged one, with what can still be read.
//!
//! Order: the damaged file is copied aside, durably; what can be read goes into a new file; that
//! takes the place of the damaged one by a rename. A crash at any point leaves either file whole.
//!
//! Invariants: nothing is removed that was not copied; entries that make no sense stay behind.
//! Not here: noticing the damage (`meta.rs`).

use super::{Meta, MetaError, VALUES, guarded};
use crate::pins::{self, PINS};
use cairn_runtime::{Create, Vfs};
use redb::{Database, ReadableDatabase as _, TableError};
use std::{
    collections::BTreeMap,
    io,
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
}

/// Replaces the database at `path`, which nobody has open.
pub(crate) fn reset(vfs: &Arc<dyn Vfs>, path: &Path) -> Result<MetaReset, MetaError> {
    let io = |source| MetaError::Io { path: path.to_owned(), source: Arc::new(source) };
    let aside = set_aside(&**vfs, path).map_err(io)?;
    let salvaged = if aside.is_some() { salvage(vfs, path) } else { Salvaged::default() };
    let pin_count = salvaged.pins.len() as u64;
    let fresh = path.with_extension("redb.new");
    vfs.remove(&fresh).map_err(io)?;
    let meta = Meta::new(Arc::clone(vfs), fresh.clone(), None);
    meta.commit(move |transaction| {
        let mut table = transaction.open_table(PINS)?;
        for (key, value) in &salvaged.pins {
            table.insert(key.as_slice(), value.as_slice())?;
        }
        drop(table);
        let mut table = transaction.open_table(VALUES)?;
        for (name, value) in &salvaged.values {
            if let Ok(name) = std::str::from_utf8(name) {
                table.insert(name, value.as_slice())?;
            }
        }
        Ok(())
    })?;
    let mark = meta.inner.mark_path();
    drop(meta);
    vfs.rename(&fresh, path).map_err(io)?;
    vfs.remove(&mark).map_err(io)?;
    if let Some(dir) = path.parent() {
        vfs.sync_dir(dir).map_err(io)?;
    }
    Ok(MetaReset { aside, pin_count })
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
            let database = Database::builder().create_with_backend(super::Backend(file))?;
            // It is damaged, so it may not be able to close, either.
            let database = std::mem::ManuallyDrop::new(database);
            let transaction = database.begin_read()?;
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
