//! Pins: which blocks must stay, and under what name.
//!
//! A pin is a promise, so it is on disk when [`Pins::add`] returns.
//!
//! Layout: table `pins` of the metadata; key = multihash, then the codec as a varint (CIDv0 and
//! CIDv1 of the same block are one pin); value = kind (0 recursive, 1 direct), version (with
//! [`EXPIRES`], then the time in milliseconds since 1970, 8 bytes, little-endian), name.
//! Table `pin_expiries`: keys of that time, big-endian, and the pin's key; what finds the expired
//! pins without reading the others. An entry whose pin has changed since means nothing.
//!
//! Invariants: memory of a listing is one page, however many pins there are; an expired pin is
//! as if it were not there, whether or not it has been removed yet.
//! Not here: what a recursive pin reaches, and which pins exclude each other (`cairn-node`).

use crate::meta::{Meta, MetaError, corrupted};
use cairn_block::{Cid, Multihash, Version};
use cairn_hash::varint;
use cairn_runtime::Clock;
use redb::{
    ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, TableDefinition, TableError,
    WriteTransaction,
};
use std::{
    ops::Bound,
    sync::mpsc,
    time::{Duration, SystemTime},
};
use thiserror::Error;

/// Longest name of a pin, in bytes.
///
/// Source: Kubo's `pin add --name`.
pub const PIN_NAME_LEN_MAX: usize = 255;

/// Most pins in a page.
const PAGE_COUNT: usize = 1024;

pub(crate) const PINS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("pins");

pub(crate) const EXPIRIES: TableDefinition<'_, &[u8], ()> = TableDefinition::new("pin_expiries");

/// Set in a value's version if a time follows.
const EXPIRES: u8 = 0x80;

/// Most expired pins that one commit removes.
const EXPIRED_COUNT_MAX: usize = 65_536;

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
    /// When it ends; `None` if it is for ever. Kept to the millisecond.
    pub expires: Option<SystemTime>,
}

/// The pins; clones share them. All calls block.
#[derive(Debug, Clone)]
pub struct Pins {
    meta: Meta,
    clock: Clock,
}

impl Pins {
    pub(crate) fn new(meta: Meta, clock: Clock) -> Self {
        Self { meta, clock }
    }

    /// Adds pins, or replaces those of the same CIDs, in one durable commit.
    ///
    /// # Errors
    ///
    /// [`PinError::NameTooLong`] before anything is done; [`PinError::Meta`], and nothing is done.
    pub fn add(&self, pins: &[Pin]) -> Result<(), PinError> {
        self.update(pins, &[]).map(drop)
    }

    /// Removes pins in one durable commit; answers which were there.
    ///
    /// # Errors
    ///
    /// [`PinError::Meta`], and nothing is done.
    pub fn remove(&self, cids: &[Cid]) -> Result<Vec<bool>, PinError> {
        self.update(&[], cids)
    }

    /// Adds or replaces pins and removes others in one durable commit; answers which of the
    /// latter were there.
    ///
    /// # Errors
    ///
    /// As [`Pins::add`].
    pub fn update(&self, add: &[Pin], remove: &[Cid]) -> Result<Vec<bool>, PinError> {
        Ok(self.update_while(&[], add, remove)?.unwrap_or_default())
    }

    /// Like [`Pins::update`], if each of `pinned` is pinned recursively at that moment; answers
    /// `None`, and does nothing, if one is not.
    ///
    /// # Errors
    ///
    /// As [`Pins::add`].
    pub fn update_while(
        &self,
        pinned: &[Cid],
        add: &[Pin],
        remove: &[Cid],
    ) -> Result<Option<Vec<bool>>, PinError> {
        let mut entries = Vec::with_capacity(add.len());
        for pin in add {
            if pin.name.len() > PIN_NAME_LEN_MAX {
                return Err(PinError::NameTooLong { len: pin.name.len() });
            }
            let expires = pin.expires.map(millis_of);
            entries.push((key(&pin.cid), value(pin), expires));
        }
        let keys: Vec<Vec<u8>> = remove.iter().map(key).collect();
        let pinned: Vec<Vec<u8>> = pinned.iter().map(key).collect();
        let clock = self.clock.clone();
        let (sender, receiver) = mpsc::sync_channel(1);
        self.meta.commit(move |transaction| {
            let mut table = transaction.open_table(PINS)?;
            let now = clock.now();
            for key in &pinned {
                let value = table.get(key.as_slice())?;
                let pin = value.map(|value| decode(key, value.value())).transpose()?;
                let lasts = |pin: Pin| pin.kind == PinKind::Recursive && !is_expired(&pin, now);
                if !pin.is_some_and(lasts) {
                    // There is room for the one answer, here as below.
                    drop(sender.send(None));
                    return Ok(());
                }
            }
            let mut removed = Vec::with_capacity(keys.len());
            for key in &keys {
                removed.push(table.remove(key.as_slice())?.is_some());
            }
            for (key, value, _) in &entries {
                table.insert(key.as_slice(), value.as_slice())?;
            }
            drop(table);
            let expiring = |(key, _, millis): &(Vec<u8>, Vec<u8>, Option<u64>)| {
                Some(expiry_key((*millis)?, key))
            };
            note_expiries(transaction, entries.iter().filter_map(expiring))?;
            // There is room for the one answer; nobody may be waiting for it any more.
            drop(sender.send(Some(removed)));
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
        let now = self.clock.now();
        let pins = self.meta.read(|transaction| {
            let Some(table) = open(transaction)? else { return Ok(vec![None; cids.len()]) };
            let find = |cid| {
                let key = key(cid);
                let value = table.get(key.as_slice())?;
                let pin = value.map(|value| decode(&key, value.value())).transpose()?;
                Ok(pin.filter(|pin| !is_expired(pin, now)))
            };
            cids.iter().map(find).collect()
        })?;
        Ok(pins.unwrap_or_else(|| vec![None; cids.len()]))
    }

    /// How many pins there are of both kinds, expired ones that are not removed yet included.
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
        let (meta, now) = (self.meta.clone(), self.clock.now());
        PinPages { meta, kind, now, after: Some(Vec::new()) }
    }

    /// Removes pins that have expired, in one durable commit if there are any; answers how many.
    /// What is too much for one commit is left for the next call.
    ///
    /// # Errors
    ///
    /// [`PinError::Meta`], and nothing is done.
    pub fn remove_expired(&self) -> Result<u64, PinError> {
        let now = self.clock.now();
        let due = self.meta.read(|transaction| {
            let table = match transaction.open_table(EXPIRIES) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            let end = (millis_of(now) + 1).to_be_bytes();
            let due = table.range::<&[u8]>(..end.as_slice())?.take(EXPIRED_COUNT_MAX);
            due.map(|entry| Ok(entry?.0.value().to_vec())).collect()
        })?;
        let due: Vec<Vec<u8>> = due.unwrap_or_default();
        if due.is_empty() {
            return Ok(0);
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        self.meta.commit(move |transaction| {
            let removed = remove_due(transaction, &due, now)?;
            // There is room for the one answer; nobody may be waiting for it any more.
            sender.send(removed).unwrap_or(());
            Ok(())
        })?;
        Ok(receiver.try_recv().unwrap_or_default())
    }
}

/// Streams pins page by page, none of them empty. Each step may block; ends after an error.
#[derive(Debug)]
pub struct PinPages {
    meta: Meta,
    kind: Option<PinKind>,
    now: SystemTime,
    /// The last key looked at, or `None` at the end.
    after: Option<Vec<u8>>,
}

impl Iterator for PinPages {
    type Item = Result<Vec<Pin>, PinError>;

    fn next(&mut self) -> Option<Self::Item> {
        let after = self.after.take()?;
        let wanted = (self.kind, self.now);
        match self.meta.read(|transaction| page(transaction, after, wanted)) {
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
    (kind, now): (Option<PinKind>, SystemTime),
) -> Result<Page, redb::Error> {
    let mut pins = Vec::new();
    let Some(table) = open(transaction)? else { return Ok((pins, None)) };
    let range = (Bound::Excluded(after.as_slice()), Bound::Unbounded);
    let mut last = None;
    for entry in table.range::<&[u8]>(range)? {
        let (key, value) = entry?;
        let pin = decode(key.value(), value.value())?;
        if kind.is_none_or(|kind| pin.kind == kind) && !is_expired(&pin, now) {
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

/// Removes pins whose entry among the expiries is due, and the entries.
fn remove_due(
    transaction: &WriteTransaction,
    due: &[Vec<u8>],
    now: SystemTime,
) -> Result<u64, redb::Error> {
    let mut table = transaction.open_table(PINS)?;
    let mut expiries = transaction.open_table(EXPIRIES)?;
    let mut count = 0;
    for entry in due {
        expiries.remove(entry.as_slice())?;
        let key = entry.get(8..).unwrap_or_default();
        let pin = table.get(key)?.map(|value| decode(key, value.value())).transpose()?;
        // It may have been given more time, or been made permanent.
        if pin.is_some_and(|pin| is_expired(&pin, now)) {
            table.remove(key)?;
            count += 1;
        }
    }
    Ok(count)
}

fn note_expiries(
    transaction: &WriteTransaction,
    entries: impl Iterator<Item = Vec<u8>>,
) -> Result<(), redb::Error> {
    let mut entries = entries.peekable();
    if entries.peek().is_some() {
        let mut table = transaction.open_table(EXPIRIES)?;
        for entry in entries {
            table.insert(entry.as_slice(), ())?;
        }
    }
    Ok(())
}

fn is_expired(pin: &Pin, now: SystemTime) -> bool {
    pin.expires.is_some_and(|expires| expires <= now)
}

fn millis_of(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn expiry_key(millis: u64, key: &[u8]) -> Vec<u8> {
    [&millis.to_be_bytes(), key].concat()
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
    if let Some(expires) = pin.expires {
        value[1] |= EXPIRES;
        value.extend_from_slice(&millis_of(expires).to_le_bytes());
    }
    value.extend_from_slice(pin.name.as_bytes());
    value
}

pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Pin, redb::Error> {
    let damaged = || corrupted("an entry of the pins makes no sense");
    let (hash, rest) = Multihash::decode(key).map_err(|_| damaged())?;
    let (codec, _) = varint::decode(rest).map_err(|_| damaged())?;
    let [kind, version, rest @ ..] = value else { return Err(damaged()) };
    let mut name = rest;
    let mut expires = None;
    if version & EXPIRES != 0 {
        let (millis, rest) = name.split_first_chunk::<8>().ok_or_else(damaged)?;
        let since = Duration::from_millis(u64::from_le_bytes(*millis));
        expires = SystemTime::UNIX_EPOCH.checked_add(since);
        name = rest;
    }
    let cid = match version & !EXPIRES {
        0 => Cid::v0(hash).map_err(|_| damaged())?,
        _ => Cid::v1(codec, hash),
    };
    let kind = if *kind == 0 { PinKind::Recursive } else { PinKind::Direct };
    let name = String::from_utf8(name.to_vec()).map_err(|_| damaged())?;
    Ok(Pin { cid, kind, name, expires })
}

#[cfg(test)]
mod tests;
