//! Pins: which blocks must stay, and under what name.
//!
//! A pin is a promise, so it is on disk when [`Pins::add`] returns, and so is every block that was
//! appended before.
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

use crate::meta::{Draft, Meta, MetaError, Table, View, corrupted};
use cairn_block::{Cid, Multihash, Version};
use cairn_hash::varint;
use cairn_runtime::Clock;
use redb::TableDefinition;
use std::{
    ops::ControlFlow,
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
        let looks = !keys.is_empty() || !pinned.is_empty();
        self.meta.commit(looks, move |draft| {
            let now = clock.now();
            for key in &pinned {
                let value = draft.get(Table::Pins, key)?;
                let pin = value.map(|value| decode(key, &value)).transpose()?;
                let lasts = |pin: Pin| pin.kind == PinKind::Recursive && !is_expired(&pin, now);
                if !pin.is_some_and(lasts) {
                    // There is room for the one answer, here as below.
                    drop(sender.send(None));
                    return Ok(());
                }
            }
            let mut removed = Vec::with_capacity(keys.len());
            for key in keys {
                let was_there = draft.get(Table::Pins, &key)?.is_some();
                if was_there {
                    draft.remove(Table::Pins, key);
                }
                removed.push(was_there);
            }
            for (key, value, expires) in entries {
                if let Some(millis) = expires {
                    draft.put(Table::Expiries, expiry_key(millis, &key), Vec::new());
                }
                draft.put(Table::Pins, key, value);
            }
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
        let pins = self.meta.read(|view| {
            let find = |cid| {
                let key = key(cid);
                let value = view.get(Table::Pins, &key)?;
                let pin = value.map(|value| decode(&key, &value)).transpose()?;
                Ok(pin.filter(|pin| !is_expired(pin, now)))
            };
            cids.iter().map(find).collect()
        })?;
        Ok(pins)
    }

    /// How many pins there are of both kinds, expired ones that are not removed yet included.
    ///
    /// # Errors
    ///
    /// [`PinError::Meta`].
    pub fn count(&self) -> Result<u64, PinError> {
        Ok(self.meta.read(|view| view.count(Table::Pins))?)
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
        let end = (millis_of(now) + 1).to_be_bytes();
        let due = self.meta.read(|view| {
            let mut due = Vec::new();
            view.each_expiry(&end, |entry| {
                due.push(entry.to_vec());
                let enough = due.len() >= EXPIRED_COUNT_MAX;
                if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            Ok(due)
        })?;
        if due.is_empty() {
            return Ok(0);
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        self.meta.commit(true, move |draft| {
            let removed = remove_due(draft, due, now)?;
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
        match self.meta.read(|view| page(view, &after, wanted)) {
            Ok((pins, after)) => {
                self.after = after;
                (!pins.is_empty()).then_some(Ok(pins))
            }
            Err(error) => Some(Err(error.into())),
        }
    }
}

type Page = (Vec<Pin>, Option<Vec<u8>>);

/// Reads a page after a key; it is short only at the end of the table.
fn page(
    view: &View<'_>,
    after: &[u8],
    (kind, now): (Option<PinKind>, SystemTime),
) -> Result<Page, redb::Error> {
    let mut pins = Vec::new();
    let mut last = None;
    view.each_pin(after, |key, value| {
        let pin = decode(key, value)?;
        if kind.is_none_or(|kind| pin.kind == kind) && !is_expired(&pin, now) {
            pins.push(pin);
        }
        if pins.len() < PAGE_COUNT {
            return Ok(ControlFlow::Continue(()));
        }
        last = Some(key.to_vec());
        Ok(ControlFlow::Break(()))
    })?;
    Ok((pins, last))
}

/// Removes pins whose entry among the expiries is due, and the entries.
fn remove_due(
    draft: &mut Draft<'_>,
    due: Vec<Vec<u8>>,
    now: SystemTime,
) -> Result<u64, redb::Error> {
    let mut count = 0;
    for entry in due {
        let key = entry.get(8..).unwrap_or_default().to_vec();
        draft.remove(Table::Expiries, entry);
        let pin = draft.get(Table::Pins, &key)?.map(|value| decode(&key, &value)).transpose()?;
        // It may have been given more time, or been made permanent.
        if pin.is_some_and(|pin| is_expired(&pin, now)) {
            draft.remove(Table::Pins, key);
            count += 1;
        }
    }
    Ok(count)
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

/// The key and the value of a pin.
#[cfg(feature = "fuzz")]
pub(crate) fn encode(pin: &Pin) -> (Vec<u8>, Vec<u8>) {
    (key(&pin.cid), value(pin))
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
