//! The metadata as they are now: the database, and on top of it what is not in it yet.
//!
//! Not here: the database's file (`database.rs`), who decides on changes (`crate::pins`).

use super::{
    EXPIRIES, LOG, PINS, SETTLED, VALUES,
    change::{Change, Table},
};
use redb::{
    AccessGuard, Key, Range, ReadOnlyTable, ReadTransaction, ReadableTableMetadata,
    TableDefinition, TableError, Value,
};
use std::ops::{Bound, ControlFlow};

type Bytes = &'static [u8];

/// The tables of a snapshot of the database; those that are not there are empty.
#[derive(Default)]
pub(crate) struct Tables {
    values: Option<ReadOnlyTable<&'static str, Bytes>>,
    pins: Option<ReadOnlyTable<Bytes, Bytes>>,
    expiries: Option<ReadOnlyTable<Bytes, ()>>,
    log: Option<ReadOnlyTable<&'static str, u64>>,
}

impl Tables {
    pub(super) fn open(transaction: &ReadTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            values: table(transaction, VALUES)?,
            pins: table(transaction, PINS)?,
            expiries: table(transaction, EXPIRIES)?,
            log: table(transaction, LOG)?,
        })
    }

    /// The number of the last note that the database holds the change of.
    pub(super) fn settled(&self) -> Result<u64, redb::Error> {
        let Some(log) = &self.log else { return Ok(0) };
        Ok(log.get(SETTLED)?.map_or(0, |number| number.value()))
    }

    fn len(&self, table: Table) -> Result<u64, redb::Error> {
        let len = match table {
            Table::Values => self.values.as_ref().map(ReadableTableMetadata::len),
            Table::Pins => self.pins.as_ref().map(ReadableTableMetadata::len),
            Table::Expiries => self.expiries.as_ref().map(ReadableTableMetadata::len),
        };
        Ok(len.transpose()?.unwrap_or_default())
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        Ok(match table {
            Table::Values => match (&self.values, std::str::from_utf8(key)) {
                (Some(values), Ok(name)) => values.get(name)?.map(|value| value.value().to_vec()),
                _ => None,
            },
            Table::Pins => match &self.pins {
                Some(pins) => pins.get(key)?.map(|value| value.value().to_vec()),
                None => None,
            },
            Table::Expiries => match &self.expiries {
                Some(expiries) => expiries.get(key)?.map(|_| Vec::new()),
                None => None,
            },
        })
    }
}

pub(super) fn table<K: Key + 'static, V: Value + 'static>(
    transaction: &ReadTransaction,
    definition: TableDefinition<'_, K, V>,
) -> Result<Option<ReadOnlyTable<K, V>>, redb::Error> {
    match transaction.open_table(definition) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A snapshot of the metadata.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(super) pending: &'a Change,
    pub(super) tables: &'a Tables,
}

impl View<'_> {
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        match self.pending.get(table, key) {
            Some(value) => Ok(value.clone()),
            None => self.tables.get(table, key),
        }
    }

    /// How many entries there are.
    pub(crate) fn count(&self, table: Table) -> Result<u64, redb::Error> {
        let mut count = self.tables.len(table)?;
        for (key, value) in self.pending.entries(table) {
            match (value, self.tables.get(table, key)?) {
                (Some(_), None) => count += 1,
                (None, Some(_)) => count = count.saturating_sub(1),
                _ => {}
            }
        }
        Ok(count)
    }

    /// Shows pins, in the order of their keys, after this one, until `visit` has enough.
    pub(crate) fn each_pin(
        &self,
        after: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, redb::Error>,
    ) -> Result<(), redb::Error> {
        let bounds = (Bound::Excluded(after), Bound::Unbounded);
        let range = match &self.tables.pins {
            Some(pins) => Some(pins.range::<&[u8]>(bounds)?),
            None => None,
        };
        merge(range, self.pending.range(Table::Pins, bounds), |value| value.value(), visit)
    }

    /// Shows the keys of the expiries before `end`, in order, until `visit` has enough.
    pub(crate) fn each_expiry(
        &self,
        end: &[u8],
        mut visit: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), redb::Error> {
        let bounds = (Bound::Unbounded, Bound::Excluded(end));
        let range = match &self.tables.expiries {
            Some(expiries) => Some(expiries.range::<&[u8]>(bounds)?),
            None => None,
        };
        let pending = self.pending.range(Table::Expiries, bounds);
        merge(range, pending, |_nothing| &[], |key, _| Ok(visit(key)))
    }
}

/// Shows the entries of both, in order; of one key, what is pending counts.
fn merge<'a, V: Value + 'static>(
    range: Option<Range<'_, Bytes, V>>,
    pending: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    value_of: for<'b> fn(&'b AccessGuard<'_, V>) -> &'b [u8],
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, redb::Error>,
) -> Result<(), redb::Error> {
    let mut pending = pending.peekable();
    for entry in range.into_iter().flatten() {
        let (key, value) = entry?;
        let key = key.value();
        let mut changed = false;
        while let Some((now, value)) = pending.next_if(|(now, _)| *now <= key) {
            changed = now == key;
            if let Some(value) = value
                && visit(now, value)?.is_break()
            {
                return Ok(());
            }
        }
        if !changed && visit(key, value_of(&value))?.is_break() {
            return Ok(());
        }
    }
    for (key, value) in pending {
        if let Some(value) = value
            && visit(key, value)?.is_break()
        {
            return Ok(());
        }
    }
    Ok(())
}

/// A change in the making, by somebody who may look at how things are.
pub(crate) struct Draft<'a> {
    pub(super) view: View<'a>,
    pub(super) change: Change,
}

impl Draft<'_> {
    /// The value of a key, as left by what was drafted before.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        match self.change.get(table, key) {
            Some(value) => Ok(value.clone()),
            None => self.view.get(table, key),
        }
    }

    pub(crate) fn put(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        self.change.set(table, key, Some(value));
    }

    pub(crate) fn remove(&mut self, table: Table, key: Vec<u8>) {
        self.change.set(table, key, None);
    }
}
