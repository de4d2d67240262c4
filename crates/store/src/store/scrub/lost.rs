//! Entries of the index without a whole record: which they are, and what can be saved of them.
//!
//! A damaged header hides the block's name, but the index still has the name's fingerprint: a
//! name read from the remains, or made by hashing the data, is the right one if it fits.
//!
//! Invariants: at most [`LOST_COUNT_MAX`] entries are remembered, and one step reads no more than
//! a window of them; a name is believed only if its fingerprint is the entry's, data only if it
//! hashes to the name.
//! Not here: records with a whole header (`scrub.rs`).

use super::{Corrupt, CorruptKind, ScrubStep, WINDOW_LEN, Walk};
use crate::{
    StoreError,
    store::{
        Inner,
        encoding::expand_unknown,
        index::{Entry, Place},
        record::{RECORD_PREFIX_LEN, Record},
        segment::{Opened, Segment},
    },
};
use bytes::Bytes;
use cairn_block::{Block, Cid, Multihash, codec};
use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    io,
    sync::Arc,
};

/// Most entries of one search that are remembered; the next scrub finds the others.
const LOST_COUNT_MAX: usize = 1024 * 1024;

impl Corrupt {
    pub(in crate::store) fn entry(&self) -> Entry {
        self.lost
    }
}

impl Inner {
    /// The entries that point into the gaps of a walk, in order.
    pub(super) fn lost_in(&self, walk: &Walk) -> Result<VecDeque<Entry>, StoreError> {
        let number = walk.segment.id.number;
        self.lost_where(|place| {
            let offset = place.offset();
            let after = walk.gaps.partition_point(|gap| gap.end <= offset);
            let within = walk.gaps.get(after).is_some_and(|gap| gap.contains(&offset));
            Ok(place.segment() == number && within)
        })
    }

    /// The entries whose pack is gone, has no header, or ends before them.
    pub(super) fn lost_without_record(&self) -> Result<VecDeque<Entry>, StoreError> {
        let ends: RefCell<HashMap<u32, u64>> = RefCell::default();
        self.lost_where(|place| {
            let number = place.segment();
            if ends.borrow().get(&number).is_some_and(|end| place.offset() < *end) {
                return Ok(false);
            }
            // Measured anew: it may have grown since an entry before this one.
            let end = match self.segments.open(number)? {
                Opened::Whole(segment) => segment.len()?,
                Opened::Emptied(_) | Opened::Missing | Opened::Damaged => 0,
            };
            ends.borrow_mut().insert(number, end);
            Ok(place.offset() >= end)
        })
    }

    fn lost_where(
        &self,
        is_lost: impl Fn(Place) -> Result<bool, StoreError>,
    ) -> Result<VecDeque<Entry>, StoreError> {
        let mut lost = self.with_index(|index| {
            let mut lost = Vec::new();
            index.each_entry(|entry, _slot| {
                if lost.len() < LOST_COUNT_MAX && is_lost(entry.place)? {
                    lost.push(entry);
                }
                Ok(())
            })?;
            Ok(lost)
        })?;
        lost.sort_unstable_by_key(|lost| lost.place);
        Ok(lost.into())
    }

    /// Looks at what is left of some entries.
    pub(super) fn look_at_lost(
        &self,
        lost: &mut VecDeque<Entry>,
        step: &mut ScrubStep,
    ) -> Result<(), StoreError> {
        while step.read_len < WINDOW_LEN
            && let Some(entry) = lost.pop_front()
        {
            if !self.with_index(|index| Ok(entry.found(index)?.is_some()))? {
                continue;
            }
            let next = lost.front().filter(|next| next.place.segment() == entry.place.segment());
            let next = next.map(|next| next.place.offset());
            let corrupt = self.remains(entry, next, step)?;
            if let Some(hash) = &corrupt.hash {
                self.note_corrupt(entry.place, hash);
            }
            step.block_count += 1;
            step.corrupt.push(corrupt);
        }
        Ok(())
    }

    /// Finds out what an entry stood for; `next` is where the record after it may begin.
    fn remains(
        &self,
        lost: Entry,
        next: Option<u64>,
        step: &mut ScrubStep,
    ) -> Result<Corrupt, StoreError> {
        let (place, offset) = (lost.place, lost.place.offset());
        let path = self.segments.path(place.segment());
        let corrupt = |kind, hash, salvaged| {
            Ok(Corrupt { hash, kind, path: path.clone(), offset, salvaged, lost })
        };
        let Some(segment) = self.segments.open_raw(place.segment())? else {
            return corrupt(CorruptKind::Missing, None, None);
        };
        let bytes = match segment.read(offset, place.len_bound() as usize) {
            Ok(bytes) => Bytes::from(bytes),
            Err(_) => return corrupt(CorruptKind::Unreadable, None, None),
        };
        step.read_len += bytes.len() as u64;
        if bytes.is_empty() {
            return corrupt(CorruptKind::Missing, None, None);
        }
        if let Some(record) = Record::decode(segment.id, offset, &bytes)
            && record.len() > bytes.len() as u64
        {
            return corrupt(CorruptKind::Missing, Some(record.hash), None);
        }
        let fits = |hash: &Multihash| self.index().fingerprint(hash) == lost.fingerprint;
        let len = next.and_then(|next| usize::try_from(next.checked_sub(offset)?).ok());
        let (hash, salvaged) = salvage(&bytes, len, fits);
        corrupt(CorruptKind::Header, hash, salvaged)
    }
}

/// The name, and the block if its bytes are whole, in what is left of a record of perhaps
/// `record_len` bytes.
fn salvage(
    bytes: &Bytes,
    record_len: Option<usize>,
    fits: impl Fn(&Multihash) -> bool,
) -> (Option<Multihash>, Option<Block>) {
    let after_prefix = bytes.get(RECORD_PREFIX_LEN..).unwrap_or_default();
    let written = Multihash::decode(after_prefix).ok().map(|(hash, _)| hash).filter(&fits);
    let plain_len = Multihash::sha2_256([0; 32]).encoded_len();
    let hash_len = written.as_ref().map_or(plain_len, Multihash::encoded_len);
    let start = RECORD_PREFIX_LEN + hash_len;
    let field = |at: usize| {
        let four = bytes.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(four)).ok()
    };
    let lens = [field(8), field(12), record_len.and_then(|len| len.checked_sub(start))];
    for len in lens.into_iter().flatten() {
        let Some(data) = start.checked_add(len).and_then(|end| bytes.get(start..end)) else {
            continue;
        };
        let plain = bytes.slice_ref(data);
        let expanded = expand_unknown(data);
        for data in [Some(plain), expanded].into_iter().flatten() {
            let hash = match &written {
                Some(hash) => hash.clone(),
                None => Multihash::sha2_256(cairn_hash::sha256(&data)),
            };
            let block = Block::verify(Cid::v1(codec::RAW, hash.clone()), data);
            if fits(&hash)
                && let Ok(block) = block
            {
                return (Some(hash), Some(block));
            }
        }
    }
    (written, None)
}

impl crate::store::segment::Segments {
    /// Opens a pack even if its header cannot be read; its records cannot be checked then.
    fn open_raw(&self, number: u32) -> Result<Option<Arc<Segment>>, StoreError> {
        match self.open(number)? {
            Opened::Whole(segment) => Ok(Some(segment)),
            Opened::Emptied(_) | Opened::Missing => Ok(None),
            Opened::Damaged => {
                let path = self.path(number);
                let id = crate::store::record::SegmentId { number, salt: 0 };
                match self.vfs.open(&path, cairn_runtime::Create::ReadOnly) {
                    Ok(file) => Ok(Some(Arc::new(Segment::new(id, path, file)))),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(source) => Err(StoreError::io("open", &path, source)),
                }
            }
        }
    }
}
