//! Streams every block's name and length.
//!
//! In the order of the packs, since reading headers one after the other is what disks are good
//! at; the index says which records still count.
//!
//! Invariant: memory is one window of one pack. A block that is moved, added or deleted
//! meanwhile may be listed or not; every other one is listed once.
//! Not here: the bytes (`read.rs`).

use super::{
    Fault, Inner,
    index::{Entry, Index, Place},
    record::{Record, RecordKind},
    scan::{Item, Scan},
    segment::Opened,
};
use crate::StoreError;
use cairn_block::Multihash;
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

    fn step(&mut self) -> Result<Option<(Multihash, u64)>, StoreError> {
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
                return Ok(Some((record.hash, u64::from(record.block_len))));
            }
        }
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
            self.numbers = Some(VecDeque::new());
            self.scan = None;
        }
        item.transpose()
    }
}
