//! Changes of the metadata: which keys of which tables get which values, or go.
//!
//! ```text
//! change   entries without gaps, each:
//!          1  kind: 2 × table, and 1 if there is a value (table 0 values, 1 pins, 2 pin expiries)
//!          …  length of the key (varint), key; if there is a value, its length (varint), value
//! ```
//! The same type is the change that a caller makes, what a note holds, and what has been changed
//! since the database was last written.
//!
//! Invariant: one entry a key, so changes have no order within; doing one twice is doing it once.
//! Not here: notes (`store/note.rs`), reading through changes (`view.rs`).

use super::{EXPIRIES, PINS, VALUES};
use cairn_hash::varint;
use redb::WriteTransaction;
use std::{collections::BTreeMap, ops::Bound};

/// A table of the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Values,
    Pins,
    Expiries,
}

const TABLES: [Table; 3] = [Table::Values, Table::Pins, Table::Expiries];

type Entries = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What is put or, as `None`, removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Change {
    tables: [Entries; TABLES.len()],
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.iter().all(BTreeMap::is_empty)
    }

    pub(crate) fn set(&mut self, table: Table, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.tables[table as usize].insert(key, value);
    }

    /// What becomes of a key; `None` if nothing is said of it.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.tables[table as usize].get(key)
    }

    pub(crate) fn range(
        &self,
        table: Table,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let entries = self.tables[table as usize].range::<[u8], _>(bounds);
        entries.map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    pub(crate) fn entries(&self, table: Table) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.range(table, (Bound::Unbounded, Bound::Unbounded))
    }

    /// Does another change after this one.
    pub(crate) fn append(&mut self, mut later: Self) {
        for (entries, later) in self.tables.iter_mut().zip(&mut later.tables) {
            entries.append(later);
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let string = |bytes: &mut Vec<u8>, string: &[u8]| {
            varint::encode(string.len() as u64, bytes);
            bytes.extend_from_slice(string);
        };
        for table in TABLES {
            for (key, value) in self.entries(table) {
                bytes.push(table as u8 * 2 + u8::from(value.is_some()));
                string(&mut bytes, key);
                if let Some(value) = value {
                    string(&mut bytes, value);
                }
            }
        }
        bytes
    }

    /// Reads what [`Change::encode`] wrote; `None` if it makes no sense.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut change = Self::default();
        while let Some((&kind, rest)) = bytes.split_first() {
            let table = TABLES.get(usize::from(kind / 2)).copied()?;
            let (key, rest) = string(rest)?;
            let (value, rest) = match kind % 2 {
                0 => (None, rest),
                _ => string(rest).map(|(value, rest)| (Some(value.to_vec()), rest))?,
            };
            change.set(table, key.to_vec(), value);
            bytes = rest;
        }
        Some(change)
    }

    /// Does it in the database.
    pub(super) fn apply(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        for table in TABLES.into_iter().filter(|table| !self.tables[*table as usize].is_empty()) {
            match table {
                Table::Values => {
                    let mut values = transaction.open_table(VALUES)?;
                    for (name, value) in self.entries(table) {
                        // Names are strings wherever they come from.
                        let Ok(name) = std::str::from_utf8(name) else { continue };
                        match value {
                            Some(value) => drop(values.insert(name, value)?),
                            None => drop(values.remove(name)?),
                        }
                    }
                }
                Table::Pins => {
                    let mut pins = transaction.open_table(PINS)?;
                    for (key, value) in self.entries(table) {
                        match value {
                            Some(value) => drop(pins.insert(key, value)?),
                            None => drop(pins.remove(key)?),
                        }
                    }
                }
                Table::Expiries => {
                    let mut expiries = transaction.open_table(EXPIRIES)?;
                    for (key, value) in self.entries(table) {
                        match value {
                            Some(_) => drop(expiries.insert(key, ())?),
                            None => drop(expiries.remove(key)?),
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = varint::decode(bytes).ok()?;
    rest.split_at_checked(usize::try_from(len).ok()?)
}

#[cfg(test)]
mod tests {
    use super::{Change, Table};

    fn change() -> Change {
        let mut change = Change::default();
        change.set(Table::Pins, vec![1; 36], Some(vec![2; 300]));
        change.set(Table::Pins, vec![2; 36], None);
        change.set(Table::Expiries, vec![3; 44], Some(vec![]));
        change.set(Table::Values, b"mfs/root".to_vec(), Some(vec![]));
        change
    }

    #[test]
    fn changes_round_trip() {
        let bytes = change().encode();
        assert_eq!(Change::decode(&bytes), Some(change()));
        assert_eq!(Change::decode(&[]), Some(Change::default()));
        assert!(Change::default().is_empty() && !change().is_empty());
    }

    #[test]
    fn a_change_is_read_whole_or_not() {
        let bytes = change().encode();
        let ends: Vec<usize> =
            (0..bytes.len()).filter(|len| Change::decode(&bytes[..*len]).is_some()).collect();
        assert_eq!(ends.len(), 4, "{ends:?}: only where an entry ends");
        for bytes in [&[6][..], &[6, 0], &[2, 0x80], &[1, 1, 7, 0xff, 0xff, 0x7f]] {
            assert_eq!(Change::decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn the_later_change_counts() {
        let mut first = change();
        let mut second = Change::default();
        second.set(Table::Pins, vec![1; 36], None);
        second.set(Table::Values, b"name".to_vec(), Some(vec![7]));
        first.append(second.clone());
        assert_eq!(first.get(Table::Pins, &[1; 36]), Some(&None));
        assert_eq!(first.get(Table::Values, b"name"), Some(&Some(vec![7])));
        assert_eq!(first.get(Table::Values, b"other"), None);
        first.append(second.clone());
        assert_eq!(first.entries(Table::Pins).count(), 2);
    }
}
