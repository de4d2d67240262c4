//! One view over all tables and logs: the newest value of each key, in the order of the keys.
//!
//! Invariant: one table is open a run, so the number of open files grows with the levels and not
//! with the tables.
//! Not here: the files' formats (`table.rs`, `log.rs`).

use super::{Entry, LevelDb, Pair, manifest::TableFile, table::TableCursor};
use crate::MigrateError;
use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
};

/// Reads the entries with a prefix.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    prefix: Vec<u8>,
    sources: Vec<Source<'a>>,
    started: bool,
}

/// Somewhere entries come from, each key at most a few times, newest first.
#[derive(Debug)]
struct Source<'a> {
    next: Option<Entry>,
    from: From<'a>,
}

#[derive(Debug)]
enum From<'a> {
    Tables { dir: &'a Path, left: VecDeque<&'a TableFile>, open: Option<TableCursor> },
    Recent(std::collections::btree_map::Range<'a, Vec<u8>, Entry>),
}

impl<'a> Scan<'a> {
    pub(super) fn new(db: &'a LevelDb, prefix: &[u8]) -> Self {
        // A table may hold such keys unless all of its keys come before or after them.
        let may_hold = |table: &&TableFile| {
            let after = table.smallest.as_slice() > prefix && !table.smallest.starts_with(prefix);
            table.largest.as_slice() >= prefix && !after
        };
        let tables = |run: &'a Vec<TableFile>| {
            let left = run.iter().filter(may_hold).collect();
            Source { next: None, from: From::Tables { dir: &db.dir, left, open: None } }
        };
        let mut sources: Vec<_> = db.runs.iter().map(tables).collect();
        let recent: &'a BTreeMap<Vec<u8>, Entry> = &db.recent;
        let recent = From::Recent(recent.range(prefix.to_vec()..));
        sources.push(Source { next: None, from: recent });
        Self { prefix: prefix.to_vec(), sources, started: false }
    }

    /// The next key and its value.
    ///
    /// # Errors
    ///
    /// [`MigrateError::Io`] and [`MigrateError::Damaged`], naming the file.
    pub(crate) fn next(&mut self) -> Result<Option<Pair>, MigrateError> {
        if !self.started {
            self.started = true;
            for source in &mut self.sources {
                source.step(&self.prefix)?;
            }
        }
        loop {
            let heads = self.sources.iter().filter_map(|source| source.next.as_ref());
            let Some(newest) = heads.min_by(|one, other| {
                one.key.cmp(&other.key).then(other.sequence.cmp(&one.sequence))
            }) else {
                return Ok(None);
            };
            let Entry { key, value, .. } = newest.clone();
            for source in &mut self.sources {
                while source.next.as_ref().is_some_and(|entry| entry.key == key) {
                    source.step(&self.prefix)?;
                }
            }
            if let Some(value) = value {
                return Ok(Some((key, value)));
            }
        }
    }
}

impl Source<'_> {
    fn step(&mut self, prefix: &[u8]) -> Result<(), MigrateError> {
        self.next = match &mut self.from {
            From::Recent(entries) => entries.next().map(|(_, entry)| entry.clone()),
            From::Tables { dir, left, open } => loop {
                if let Some(table) = open {
                    match table.next()? {
                        Some(entry) => break Some(entry),
                        None => *open = None,
                    }
                }
                let Some(table) = left.pop_front() else { break None };
                *open = Some(TableCursor::open(dir, table, prefix)?);
            },
        };
        self.next.take_if(|entry| !entry.key.starts_with(prefix));
        Ok(())
    }
}
