//! LevelDB's manifest: which tables and logs make up the database.
//!
//! A log of changes to that list. Invariant: unknown changes are damage, never skipped.
//! Not here: what is in the tables (`table.rs`).

use super::{Bytes, log::LogReader};
use crate::MigrateError;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The only order of keys that Kubo's databases have.
const COMPARATOR: &[u8] = b"leveldb.BytewiseComparator";

/// Deepest level of a table.
const LEVEL_MAX: u64 = 63;

/// Most tables of a database.
const TABLE_COUNT_MAX: usize = 1 << 20;

/// One table file.
#[derive(Debug, Clone)]
pub(super) struct TableFile {
    pub(super) number: u64,
    /// First and last user key in it.
    pub(super) smallest: Vec<u8>,
    pub(super) largest: Vec<u8>,
}

/// What the manifest says in the end.
#[derive(Debug, Default)]
pub(super) struct Version {
    pub(super) log_number: u64,
    pub(super) previous_log_number: u64,
    tables: BTreeMap<(u64, u64), TableFile>,
}

/// Reads a manifest; also returns its path if its last record is cut off.
pub(super) fn read(path: &Path) -> Result<(Version, Option<PathBuf>), MigrateError> {
    read_log(LogReader::open(path)?)
}

/// Reads a manifest that is open.
pub(super) fn read_log(mut log: LogReader) -> Result<(Version, Option<PathBuf>), MigrateError> {
    let mut version = Version::default();
    let mut is_empty = true;
    while let Some(record) = log.next()? {
        is_empty = false;
        let applied = version.apply(Bytes(&record));
        applied.ok_or_else(|| log.damaged("a change in it makes no sense"))?;
        if version.tables.len() > TABLE_COUNT_MAX {
            return Err(log.damaged("it lists too many tables"));
        }
    }
    if is_empty {
        return Err(log.damaged("nothing in it can be read"));
    }
    Ok((version, log.torn()))
}

impl Version {
    pub(super) fn apply(&mut self, mut change: Bytes<'_>) -> Option<()> {
        while !change.is_empty() {
            match change.varint()? {
                1 => (change.prefixed()? == COMPARATOR).then_some(())?,
                2 => self.log_number = change.varint()?,
                // The next file number, the last sequence number.
                3 | 4 => drop(change.varint()?),
                // Where the next compaction begins.
                5 => drop((change.varint()?, change.prefixed()?)),
                6 => {
                    let place = (change.varint()?, change.varint()?);
                    self.tables.remove(&place);
                }
                7 => {
                    let (level, number, _len) =
                        (change.varint()?, change.varint()?, change.varint()?);
                    let smallest = user_key(change.prefixed()?)?.to_vec();
                    let largest = user_key(change.prefixed()?)?.to_vec();
                    (level <= LEVEL_MAX).then_some(())?;
                    let table = TableFile { number, smallest, largest };
                    self.tables.insert((level, number), table);
                }
                9 => self.previous_log_number = change.varint()?,
                _ => return None,
            }
        }
        Some(())
    }

    /// The tables as runs without overlap: each of level 0 by itself, every other level as one.
    pub(super) fn into_runs(self) -> Vec<Vec<TableFile>> {
        let mut levels: BTreeMap<u64, Vec<TableFile>> = BTreeMap::new();
        let mut runs = Vec::new();
        for ((level, _), table) in self.tables {
            match level {
                0 => runs.push(vec![table]),
                level => levels.entry(level).or_default().push(table),
            }
        }
        for (_, mut tables) in levels {
            tables.sort_by(|one, other| one.smallest.cmp(&other.smallest));
            runs.push(tables);
        }
        runs
    }
}

/// The part of an internal key that is the user's; sequence number and kind stand behind it.
pub(super) fn user_key(internal: &[u8]) -> Option<&[u8]> {
    internal.len().checked_sub(8).map(|len| &internal[..len])
}
