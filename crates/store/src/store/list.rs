//! Streams every block's name and length, or those of the blocks that refer to something.
//!
//! In the order of the packs, since reading headers one after the other is what disks are good
//! at; the index says which records still count.
//!
//! Invariant: memory is one window of one pack. A block that is moved, added or deleted
//! meanwhile may be listed or not; every other one is listed once.
//! Not here: the bytes (`read.rs`).

use super::{
    Fault, Inner,
    encoding::{Decoded, REFERENCE},
    index::{Entry, Index, Place},
    read::Located,
    record::{Record, RecordKind},
    reference::Reference,
    scan::{Item, Scan},
    segment::{Opened, Segment},
};
use crate::StoreError;
use bytes::Bytes;
use cairn_block::{Cid, Multihash};
use std::{collections::VecDeque, sync::Arc};

/// Streams every block's multihash and length in bytes. Each step may block.
///
/// Ends after the first error.
#[derive(Debug)]
pub struct List {
    inner: Arc<Inner>,
    numbers: Option<VecDeque<u32>>,
    scan: Option<Scan>,
}

impl List {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, numbers: None, scan: None }
    }

    /// The next record that counts, and where it is in the pack being walked.
    fn step(&mut self) -> Result<Option<(u64, Record)>, StoreError> {
        if self.numbers.is_none() {
            self.numbers = Some(self.inner.segments.numbers()?.into());
        }
        loop {
            let Some(scan) = &mut self.scan else {
                let numbers = self.numbers.as_mut().and_then(VecDeque::pop_front);
                let Some(number) = numbers else { return Ok(None) };
                self.scan = self.open(number)?;
                continue;
            };
            let Some(item) = scan.next()? else {
                self.scan = None;
                continue;
            };
            let Item::Record { offset, record } = item else { continue };
            let number = scan.segment().id.number;
            if record.kind == RecordKind::Block && self.counts(number, offset, &record)? {
                return Ok(Some((offset, record)));
            }
        }
    }

    fn end(&mut self) {
        self.numbers = Some(VecDeque::new());
        self.scan = None;
    }

    fn open(&self, number: u32) -> Result<Option<Scan>, StoreError> {
        let Opened::Whole(segment) = self.inner.segments.open(number)? else { return Ok(None) };
        let end = segment.len()?;
        Ok(Some(Scan::synced(segment, super::record::SEGMENT_HEADER_LEN as u64, end)?))
    }

    /// Whether the index points at this very record.
    fn counts(&self, number: u32, offset: u64, record: &Record) -> Result<bool, StoreError> {
        let place = Place::new(number, offset, record.len());
        self.inner.with_index(|index| points_at(index, &record.hash, place))
    }
}

fn points_at(index: &Index, hash: &Multihash, place: Place) -> Result<bool, Fault> {
    let entry = Entry { fingerprint: index.fingerprint(hash), place };
    Ok(entry.found(index)?.is_some())
}

impl Iterator for List {
    type Item = Result<(Multihash, u64), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.step();
        if item.is_err() {
            self.end();
        }
        let named = |(_, record): (u64, Record)| (record.hash, u64::from(record.block_len));
        item.map(|item| item.map(named)).transpose()
    }
}

/// A block whose bytes lie elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Referred {
    /// Its name.
    pub hash: Multihash,
    /// Where its bytes lie.
    pub reference: Reference,
    /// How many they are.
    pub len: u64,
}

/// Streams every block that is kept by reference. Each step may block, and reads past many
/// records that are not.
///
/// Ends after the first error.
#[derive(Debug)]
pub struct References {
    list: List,
}

impl References {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { list: List::new(inner) }
    }

    fn step(&mut self) -> Result<Option<Referred>, StoreError> {
        while let Some((offset, record)) = self.list.step()? {
            if record.flags != REFERENCE {
                continue;
            }
            let Some(scan) = &self.list.scan else { continue };
            if let Some(referred) = referred(scan.segment(), offset, record)? {
                return Ok(Some(referred));
            }
        }
        Ok(None)
    }
}

impl Iterator for References {
    type Item = Result<Referred, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.step();
        if item.is_err() {
            self.list.end();
        }
        item.transpose()
    }
}

/// What the record at `offset` refers to; `None` if its data is damaged, which a scrub tells.
fn referred(
    segment: &Segment,
    offset: u64,
    record: Record,
) -> Result<Option<Referred>, StoreError> {
    let data = segment.read(offset + u64::from(record.header_len), record.data_len as usize)?;
    let Ok(Decoded::Reference(reference)) = record.decode_data(Bytes::from(data)) else {
        return Ok(None);
    };
    let len = u64::from(record.block_len);
    Ok(Some(Referred { hash: record.hash, reference, len }))
}

impl Inner {
    pub(super) fn referred(&self, cid: &Cid) -> Result<Option<Referred>, StoreError> {
        let located = self.with_index(|index| self.locate(index, cid.multihash()))?;
        match located {
            Located::Here { found, record, segment } if record.flags == REFERENCE => {
                referred(&segment, found.place.offset(), record)
            }
            _ => Ok(None),
        }
    }
}
