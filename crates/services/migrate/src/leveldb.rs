//! A reader for LevelDB directories, in which Kubo keeps pins, the MFS root and more.
//!
//! A reader of our own, because the libraries that open a database also change it: they replay
//! its log into new tables, compact, write a lock and a log file. This one opens every file for
//! reading only, so that a database on a read-only disk is as good as any, and it answers damage
//! with an error that names the file.
//!
//! Spec: LevelDB's `doc/impl.md`, `doc/log_format.md` and `doc/table_format.md`.
//! Invariants: nothing is written; memory is one block a table that is open, and what the logs
//! hold of the keys asked for; no length is believed before it is checked.
//! Not here: what the keys mean (`pins.rs`).

#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;
mod log;
mod manifest;
mod merge;
mod table;

#[cfg(test)]
mod tests;

pub(crate) use merge::Scan;

use crate::{MigrateError, files};
use log::LogReader;
use manifest::TableFile;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Longest `CURRENT` file, in bytes.
const CURRENT_LEN_MAX: usize = 4096;

/// Most bytes of keys and values that are kept from the logs. A log is turned into a table when
/// it reaches a few MiB, so this is never reached by a database that works.
const RECENT_LEN_MAX: usize = 256 * 1024 * 1024;

/// A key and its value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// One change of a key: its place in the order of changes, and the value unless it was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    key: Vec<u8>,
    sequence: u64,
    value: Option<Vec<u8>>,
}

/// An opened database; what is in its files is read when it is asked for.
#[derive(Debug)]
pub(crate) struct LevelDb {
    dir: PathBuf,
    /// Tables that do not overlap each other, in the order of their keys; the runs may overlap.
    runs: Vec<Vec<TableFile>>,
    /// What the logs hold of the keys asked for.
    recent: BTreeMap<Vec<u8>, Entry>,
    torn: Option<PathBuf>,
}

impl LevelDb {
    /// Opens the database in `dir` for reading keys with one of `prefixes`.
    ///
    /// # Errors
    ///
    /// [`MigrateError::Io`] and [`MigrateError::Damaged`], naming the file.
    pub(crate) fn open(dir: &Path, prefixes: &[&[u8]]) -> Result<Self, MigrateError> {
        let current = dir.join("CURRENT");
        let name = files::read(&current, CURRENT_LEN_MAX)?;
        let name = String::from_utf8(name).unwrap_or_default();
        let name = name.trim_end_matches('\n');
        if !name.starts_with("MANIFEST-") || name.contains('/') {
            return Err(MigrateError::damaged(&current, "it names no manifest"));
        }
        let (version, mut torn) = manifest::read(&dir.join(name))?;
        let mut recent = BTreeMap::new();
        let mut len = 0;
        for number in logs(dir)? {
            if number < version.log_number && number != version.previous_log_number {
                continue;
            }
            let mut log = LogReader::open(&dir.join(format!("{number:06}.log")))?;
            while let Some(record) = log.next()? {
                let entries = log::batch(&record);
                let entries = entries.ok_or_else(|| log.damaged("a batch makes no sense"))?;
                for entry in entries {
                    if !prefixes.iter().any(|prefix| entry.key.starts_with(prefix)) {
                        continue;
                    }
                    len += entry.key.len() + entry.value.as_ref().map_or(0, Vec::len);
                    if len > RECENT_LEN_MAX {
                        return Err(log.damaged("it holds more than a log can"));
                    }
                    keep_newer(&mut recent, entry);
                }
            }
            torn = torn.or(log.torn());
        }
        Ok(Self { dir: dir.to_owned(), runs: version.into_runs(), recent, torn })
    }

    /// The log or manifest whose last record is cut off, as after a crash; it was never promised
    /// to anyone.
    pub(crate) fn torn(&self) -> Option<&Path> {
        self.torn.as_deref()
    }

    /// The entries whose keys begin with `prefix`, in the order of the keys.
    pub(crate) fn scan(&self, prefix: &[u8]) -> Scan<'_> {
        Scan::new(self, prefix)
    }

    /// The value of `key`.
    ///
    /// # Errors
    ///
    /// As [`Scan::next`].
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, MigrateError> {
        match self.scan(key).next()? {
            Some((found, value)) if found == key => Ok(Some(value)),
            _ => Ok(None),
        }
    }
}

fn keep_newer(recent: &mut BTreeMap<Vec<u8>, Entry>, entry: Entry) {
    match recent.get(&entry.key) {
        Some(known) if known.sequence > entry.sequence => {}
        _ => drop(recent.insert(entry.key.clone(), entry)),
    }
}

/// The numbers of the log files, in order.
fn logs(dir: &Path) -> Result<Vec<u64>, MigrateError> {
    let mut numbers = Vec::new();
    for name in files::names(dir)? {
        let number = name.to_str().and_then(|name| name.strip_suffix(".log"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Bytes that are taken apart from the front; `None` once they are too short.
#[derive(Debug, Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    /// A number in groups of seven bits, least significant first, of at most ten bytes.
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A length as a varint, and so many bytes.
    fn prefixed(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        self.take(len)
    }
}

/// The checksum that LevelDB writes: CRC-32C, turned and shifted so that a checksum over bytes
/// that hold checksums stays a good one.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}
