//! Reads the headers of records at known places, in order.
//!
//! Not here: walking records whose places are not known (`scan.rs`).

use crate::{
    StoreError,
    store::{
        index::Place,
        record::{RECORD_HEADER_LEN_MAX, Record},
        segment::Segment,
    },
};

/// Read at once where records are short.
const WINDOW_LEN: usize = 128 * 1024;

/// Records up to this long are read with their neighbours.
const SHORT_LEN: u64 = 8 * 1024;

/// A reader of headers.
#[derive(Debug)]
pub(super) struct Headers<'a> {
    segment: &'a Segment,
    window: Vec<u8>,
    offset: u64,
}

impl<'a> Headers<'a> {
    pub(super) fn new(segment: &'a Segment) -> Self {
        Self { segment, window: Vec::new(), offset: 0 }
    }

    /// The header of the record at `place`, or `None` if it is damaged.
    pub(super) fn read(&mut self, place: Place) -> Result<Option<Record>, StoreError> {
        let offset = place.offset();
        if self.at(offset).len() < RECORD_HEADER_LEN_MAX {
            let short = place.len_bound() <= SHORT_LEN;
            let len = if short { WINDOW_LEN } else { RECORD_HEADER_LEN_MAX };
            self.window = self.segment.read(offset, len)?;
            self.offset = offset;
        }
        Ok(Record::decode(self.segment.id, offset, self.at(offset)))
    }

    fn at(&self, offset: u64) -> &[u8] {
        let skip = offset.checked_sub(self.offset).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.window.get(skip..)).unwrap_or_default()
    }
}
