//! Walks the records of a segment.
//!
//! Used where the index cannot help: after a crash, for a rebuild, and to list blocks in the
//! order they lie. Headers are read through a window that is small when blocks are large (so
//! that their data is not read) and large when they are small.
//!
//! A full pack says at its end what lies in it (`footer.rs`), which spares the visit to each record;
//! where that is damaged, the headers serve.
//!
//! Invariants: memory is bounded by the window; damage costs the records it touches and no
//! others, because the walk searches for the next valid header.
//! Not here: whether the data is whole (`recover.rs` hashes what may be torn).

use super::{
    footer::Footer,
    record::{RECORD_HEADER_LEN_MAX, RECORD_MAGIC, Record},
    segment::Segment,
};
use crate::StoreError;
use std::sync::Arc;

/// Window when records are short.
const WINDOW_LEN_MAX: usize = 256 * 1024;

/// Window when records are longer than [`WINDOW_LEN_MAX`]: a header and little else.
const WINDOW_LEN_MIN: usize = 4096;

/// What the walk came by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A record whose header is whole and whose end is inside the segment.
    Record { offset: u64, record: Record },
    /// Bytes that are no record, with a valid record after them.
    Gap { offset: u64, len: u64 },
    /// Bytes that are no record, up to the end of the segment.
    Torn { offset: u64 },
}

/// A walk over one segment.
#[derive(Debug)]
pub(crate) struct Scan {
    segment: Arc<Segment>,
    offset: u64,
    end: u64,
    window: Vec<u8>,
    window_offset: u64,
    last_len: u64,
    footer: Option<Footer>,
}

impl Scan {
    /// Walks the records from `offset` (where one begins) to `end`, by their headers.
    pub(crate) fn new(segment: Arc<Segment>, offset: u64, end: u64) -> Self {
        let window = Vec::new();
        Self { segment, offset, end, window, window_offset: 0, last_len: 0, footer: None }
    }

    /// Walks the records of a pack that was synced, by its footer if it has one: records are named
    /// then whose headers may be damaged by now.
    pub(crate) fn synced(segment: Arc<Segment>, offset: u64, end: u64) -> Result<Self, StoreError> {
        let footer = Footer::find(&segment, end)?;
        Ok(Self { footer, ..Self::new(segment, offset, end) })
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// The next item, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Item>, StoreError> {
        while let Some(footer) = &mut self.footer {
            match footer.next()? {
                Some((offset, record)) if offset >= self.offset => {
                    self.offset = offset + record.len();
                    return Ok(Some(Item::Record { offset, record }));
                }
                Some(_) => {}
                None => self.footer = None,
            }
        }
        let offset = self.offset;
        if offset >= self.end {
            return Ok(None);
        }
        if let Some(record) = self.record_at(offset)? {
            self.last_len = record.len();
            self.offset = offset + record.len();
            return Ok(Some(Item::Record { offset, record }));
        }
        if let Some(next) = self.search(offset + 1)? {
            self.offset = next;
            Ok(Some(Item::Gap { offset, len: next - offset }))
        } else {
            self.offset = self.end;
            Ok(Some(Item::Torn { offset }))
        }
    }

    /// The record at `offset`, if its header is whole and its data ends in time.
    fn record_at(&mut self, offset: u64) -> Result<Option<Record>, StoreError> {
        self.fill(offset, RECORD_HEADER_LEN_MAX)?;
        let bytes = self.bytes_at(offset);
        let record = Record::decode(self.segment.id, offset, bytes);
        Ok(record.filter(|record| offset + record.len() <= self.end))
    }

    /// Where the next valid record begins, from `offset` on.
    fn search(&mut self, mut offset: u64) -> Result<Option<u64>, StoreError> {
        while offset < self.end {
            // Searching reads everything, so the window should be as large as it gets.
            self.last_len = 0;
            self.fill(offset, RECORD_MAGIC.len())?;
            let bytes = self.bytes_at(offset);
            if bytes.len() < RECORD_MAGIC.len() {
                return Ok(None);
            }
            let found = bytes.windows(RECORD_MAGIC.len()).position(|four| four == RECORD_MAGIC);
            let Some(found) = found else {
                offset += (bytes.len() - RECORD_MAGIC.len() + 1) as u64;
                continue;
            };
            offset += found as u64;
            if self.record_at(offset)?.is_some() {
                return Ok(Some(offset));
            }
            offset += 1;
        }
        Ok(None)
    }

    /// Sees to it that the window holds `len` bytes from `offset` on, or all up to the end.
    fn fill(&mut self, offset: u64, len: usize) -> Result<(), StoreError> {
        let have = self.bytes_at(offset).len() as u64;
        let want = (self.end - offset).min(len as u64);
        if have < want {
            let long = self.last_len > WINDOW_LEN_MAX as u64 / 4;
            let window_len = if long { WINDOW_LEN_MIN } else { WINDOW_LEN_MAX };
            self.window = self.segment.read(offset, window_len)?;
            self.window_offset = offset;
        }
        Ok(())
    }

    fn bytes_at(&self, offset: u64) -> &[u8] {
        let skip =
            offset.checked_sub(self.window_offset).and_then(|skip| usize::try_from(skip).ok());
        let bytes = skip.and_then(|skip| self.window.get(skip..)).unwrap_or_default();
        // The file may be longer than the walk, when another thread appends to it.
        let rest = usize::try_from(self.end - offset).unwrap_or(usize::MAX);
        &bytes[..bytes.len().min(rest)]
    }
}
