//! Pins: which blocks must stay, and under what name.
//!
//! A pin is a promise, so it is on disk when [`Pins::add`] returns.
//!
//! Layout: table `pins` of the metadata; key = multihash, then the codec as a varint (CIDv0 and
//! CIDv1 of the same block are one pin); value = kind (0 recursive, 1 direct), version, name.
//!
//! Invariant: memory of a listing is one page, however many pins there are.
//! Not here: what a recursive pin reaches, and which pins exclude each other (`cairn-node`).

use crate::meta::{Meta, MetaError, corrupted};
use cairn_block::{Cid, Multihash, Version};
use cairn_hash::varint;
use redb::{ReadTransaction, ReadableTableMetadata as _, TableDefinition, TableError};
use std::{ops::Bound, sync::mpsc};
use thiserror::Error;

/// Longest name of a pin, in bytes.
///
/// Source: Kubo's `pin add --name`.
pub const PIN_NAME_LEN_MAX: usize = 255;

/// Most pins in a page.
const PAGE_COUNT: usize = 1024;

pub(crate) const PINS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("pins");

/// Why pins could not be read or changed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum PinError {
    /// Over [`PIN_NAME_LEN_MAX`].
    #[error("pin name of {len} bytes is over the limit of {PIN_NAME_LEN_MAX}")]
    NameTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Meta(#[from] MetaError),
}

/// How much a pin keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PinKind {
    /// The block and everything it links to.
    Recursive,
    /// The block alone.
    Direct,
}

/// One pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// What is kept, in the version it was pinned as.
    pub cid: Cid,
    /// How much of it.
    pub kind: PinKind,
    /// Its name; empty if it has none.
    pub name: String,
}

/// The pins; clones share them. All calls block.
#[derive(Debug, Clone)]
pub struct Pins {
    meta: Meta,
}

impl Pins {
    pub(crate) fn new(meta: Meta) -> Self {
        Self { meta }
    }

    /// Adds pins, or replaces those of the same CIDs, in one durable commit.
    ///
    /// # Errors
    ///
    /// [`PinError::NameTooLong`] before anything is done; [`PinError::Meta`], and nothing is done.
    pub fn add(&self, pins: &[Pin]) -> Result<(), PinError> {
        let mut entries = Vec::with_capacity(pins.len());
        for pin in pins {
            if pin.name.len() > PIN_NAME_LEN_MAX {
                return Err(PinError::NameTooLong { len: pin.name.len() });
            }
            entries.push((key(&pin.cid), value(pin)));
        }
        Ok(self.meta.commit(move |transaction| {
            let mut table = transaction.open_table(PINS)?;
            for (key, value) in &entries {
                table.insert(key.as_slice(), value.as_slice())?;
            }
            Ok(())
        })?)
    }

    /// Removes pins in one durable commit; answers which were there.
    ///
    /// # Errors
    ///
    /// [`PinError::Meta`], and nothing is done.
    pub fn remove(&self, cids: &[Cid]) -> Result<Vec<bool>, PinError> {
        let keys: Vec<Vec<u8>> = cids.iter().map(key).collect();
        let (sender, receiver) = mpsc::sync_channel(1);
        self.meta.commit(move |transaction| {
            let mut table = transaction.open_table(PINS)?;
            let mut removed = Vec::with_capacity(keys.len());
            for key in &keys {
                removed.push(table.remove(key.as_slice())?.is_some());
            }
            // There is room for the one answer; nobody may be waiting for it any more.
            drop(sender.send(removed));
            Ok(())
        })?;
        // A commit that succeeded has run the change.
        Ok(receiver.try_recv().unwrap_or_default())
    }

    /// The pin of this CID (in either version), if there is one.
    ///
    /// # Errors
    ///
    /// [`PinError::Meta`].
    pub fn get(&self, cid: &Cid) -> Result<Option<Pin>, PinError> {
        Ok(self.get_many(std::slice::from_ref(cid))?.pop().flatten())
    }

    /// The pins of these CIDs, in order.
    ///
    /// # Errors
    ///
    /// [`PinError::Meta`].
    pub fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Pin>>, PinError> {
        let pins = self.meta.read(|transaction| {
            let Some(table) = open(transaction)? else { return Ok(vec![None; cids.len()]) };
            let find = |cid| {
                let key = key(cid);
                let value = table.get(key.as_slice())?;
                value.map(|value| decode(&key, value.value())).transpose()
            };
            cids.iter().map(find).collect()
        })?;
        Ok(pins.unwrap_or_else(|| vec![None; cids.len()]))
    }

    /// How many pins there are of both kinds.
    ///
    /// # Errors
    ///
    /// [`PinError::Meta`].
    pub fn count(&self) -> Result<u64, PinError> {
        let count = self.meta.read(|transaction| match open(transaction)? {
            Some(table) => Ok(table.len()?),
            None => Ok(0),
        })?;
        Ok(count.unwrap_or_default())
    }

    /// Streams the pins of `kind`, or all of them, in pages of up to 1024 in the order of their
    /// multihashes.
    ///
    /// Each page is a snapshot of its own: a pin that comes or goes meanwhile may be listed or
    /// not; every other one is listed once.
    pub fn list(&self, kind: Option<PinKind>) -> PinPages {
        PinPages { meta: self.meta.clone(), kind, after: Some(Vec::new()) }
    }
}

/// Streams pins page by page, none of them empty. Each step may block; ends after an error.
#[derive(Debug)]
pub struct PinPages {
    meta: Meta,
    kind: Option<PinKind>,
    /// The last key looked at, or `None` at the end.
    after: Option<Vec<u8>>,
}

impl Iterator for PinPages {
    type Item = Result<Vec<Pin>, PinError>;

    fn next(&mut self) -> Option<Self::Item> {
        let after = self.after.take()?;
        let kind = self.kind;
        match self.meta.read(|transaction| page(transaction, after, kind)) {
            Ok(Some((pins, after))) => {
                self.after = after;
                (!pins.is_empty()).then_some(Ok(pins))
            }
            Ok(None) => None,
            Err(error) => Some(Err(error.into())),
        }
    }
}

type Page = (Vec<Pin>, Option<Vec<u8>>);

/// Reads a page after a key; it is short only at the end of the table.
fn page(
    transaction: &ReadTransaction,
    mut after: Vec<u8>,
    kind: Option<PinKind>,
) -> Result<Page, redb::Error> {
    let mut pins = Vec::new();
    let Some(table) = open(transaction)? else { return Ok((pins, None)) };
    let range = (Bound::Excluded(after.as_slice()), Bound::Unbounded);
    let mut last = None;
    for entry in table.range::<&[u8]>(range)? {
        let (key, value) = entry?;
        let pin = decode(key.value(), value.value())?;
        if kind.is_none_or(|kind| pin.kind == kind) {
            pins.push(pin);
        }
        if pins.len() == PAGE_COUNT {
            last = Some(key.value().to_vec());
            break;
        }
    }
    let more = last.is_some();
    after.clear();
    after.extend(last.unwrap_or_default());
    Ok((pins, more.then_some(after)))
}

type PinTable = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

fn open(transaction: &ReadTransaction) -> Result<Option<PinTable>, redb::Error> {
    match transaction.open_table(PINS) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn key(cid: &Cid) -> Vec<u8> {
    let mut key = cid.multihash().to_bytes();
    varint::encode(cid.codec(), &mut key);
    key
}

fn value(pin: &Pin) -> Vec<u8> {
    let kind = match pin.kind {
        PinKind::Recursive => 0,
        PinKind::Direct => 1,
    };
    let version = match pin.cid.version() {
        Version::V0 => 0,
        Version::V1 => 1,
    };
    let mut value = vec![kind, version];
    value.extend_from_slice(pin.name.as_bytes());
    value
}

fn decode(key: &[u8], value: &[u8]) -> Result<Pin, redb::Error> {
    let damaged = || corrupted("an entry of the pins makes no sense");
    let (hash, rest) = Multihash::decode(key).map_err(|_| damaged())?;
    let (codec, _) = varint::decode(rest).map_err(|_| damaged())?;
    let [kind, version, name @ ..] = value else { return Err(damaged()) };
    let cid = match version {
        0 => Cid::v0(hash).map_err(|_| damaged())?,
        _ => Cid::v1(codec, hash),
    };
    let kind = if *kind == 0 { PinKind::Recursive } else { PinKind::Direct };
    let name = String::from_utf8(name.to_vec()).map_err(|_| damaged())?;
    Ok(Pin { cid, kind, name })
}

#[cfg(test)]
mod tests;
