//! Reads every record and hashes every block that counts, whether or not anybody asked for it.
//!
//! Bits rot where nobody reads, so somebody has to. A scrub goes through the packs in large
//! sequential windows and hashes them in lanes; where bytes are no record it asks the index what
//! should lie there. A name that was lost with its header is found again by the index's
//! fingerprint, in the header's remains or by hashing the data, and the data with it if whole.
//!
//! Invariants: no lock is held while reading or hashing; a step reads at most [`WINDOW_LEN`] and
//! the caller decides when the next one comes; what nothing points at (deleted blocks, the gaps
//! that garbage collection leaves) is no damage; nothing is changed here.
//! Not here: what is lost (`scrub/lost.rs`), healing and pace (`cairn-node`).

mod lost;

use super::{
    Fault, Inner,
    encoding::{DecodeError, Decoded},
    index::{Entry, Found, Index, Place},
    record::{BLOCK_RECORD_LEN_MAX, RECORD_HEADER_LEN_MAX, RECORD_MAGIC, Record, RecordKind},
    segment::{Opened, Segment},
};
use crate::StoreError;
use bytes::Bytes;
use cairn_block::{Block, BlockError, Cid, Multihash, codec};
use std::{collections::VecDeque, fmt, ops::Range, path::PathBuf, sync::Arc};

/// Bytes read and hashed in one step (4 MiB).
const WINDOW_LEN: u64 = 4 * 1024 * 1024;

/// Where a window cannot be read, it is read in pieces of so many bytes.
const PIECE_LEN: usize = 64 * 1024;

/// Where a scrub stands: what it needs to go on after a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScrubPosition {
    /// The pack's number.
    pub segment: u32,
    /// The offset in it.
    pub offset: u64,
}

/// What one step of a scrub found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ScrubStep {
    /// Bytes read from disk.
    pub read_len: u64,
    /// Blocks looked at, whole or not.
    pub block_count: u64,
    /// Those that are not whole.
    pub corrupt: Vec<Corrupt>,
}

/// A block that is here and cannot be used: what `repo verify` lists.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Corrupt {
    /// Its name; `None` if that is lost, too.
    pub hash: Option<Multihash>,
    /// What is wrong.
    pub kind: CorruptKind,
    /// The pack that should hold it.
    pub path: PathBuf,
    /// Where in the pack.
    pub offset: u64,
    /// Its bytes, where only the header around them was damaged.
    pub salvaged: Option<Block>,
    lost: Entry,
}

/// What is wrong with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CorruptKind {
    /// Its bytes do not hash to its name.
    Bytes,
    /// The bytes around it are damaged.
    Header,
    /// The disk cannot read it; another attempt may.
    Unreadable,
    /// Its pack is gone, or ends before it.
    Missing,
}

impl fmt::Display for CorruptKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "its bytes do not hash to it",
            Self::Header => "its record's header is damaged",
            Self::Unreadable => "the disk cannot read it",
            Self::Missing => "its pack is missing or cut short",
        })
    }
}

/// A pass over all blocks that were there when it began.
///
/// Blocks that are added, moved or deleted meanwhile may be looked at or not.
#[derive(Debug)]
pub struct Scrub {
    inner: Arc<Inner>,
    from: ScrubPosition,
    packs: Option<VecDeque<Pack>>,
    walk: Option<Walk>,
    /// Entries of the index without a whole record, still to be looked at.
    lost: VecDeque<Entry>,
    total_len: u64,
    done_len: u64,
    swept: bool,
}

#[derive(Debug, Clone, Copy)]
struct Pack {
    number: u32,
    len: u64,
}

/// A walk through one pack.
#[derive(Debug)]
struct Walk {
    segment: Arc<Segment>,
    start: u64,
    offset: u64,
    end: u64,
    /// Where the bytes that are no record began.
    gap: Option<u64>,
    gaps: Vec<Range<u64>>,
    unreadable: Vec<Range<u64>>,
}

/// A block that counts, as it was read.
struct Read {
    found: Found,
    record: Record,
    data: Bytes,
}

impl Scrub {
    pub(super) fn new(inner: Arc<Inner>, from: Option<ScrubPosition>) -> Self {
        Self {
            inner,
            from: from.unwrap_or_default(),
            packs: None,
            walk: None,
            lost: VecDeque::new(),
            total_len: 0,
            done_len: 0,
            swept: false,
        }
    }

    /// Bytes of all packs when the scrub began; zero before the first step.
    pub fn total_len(&self) -> u64 {
        self.total_len
    }

    /// Bytes of packs that are behind it.
    pub fn done_len(&self) -> u64 {
        self.done_len.min(self.total_len)
    }

    /// Where another scrub can go on, or `None` at the end. A pack in which damage was found is
    /// looked at again from its start.
    pub fn position(&self) -> Option<ScrubPosition> {
        if let Some(walk) = &self.walk {
            let damaged = walk.gap.is_some() || !walk.gaps.is_empty();
            let offset = if damaged { walk.start } else { walk.offset };
            return Some(ScrubPosition { segment: walk.segment.id.number, offset });
        }
        match &self.packs {
            None => Some(self.from),
            Some(packs) => match packs.front() {
                Some(pack) => Some(ScrubPosition { segment: pack.number, offset: 0 }),
                None if self.swept && self.lost.is_empty() => None,
                None => Some(ScrubPosition { segment: u32::MAX, offset: 0 }),
            },
        }
    }

    /// Looks at the next few MiB; `None` when everything has been looked at. Blocking.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if the packs cannot be listed or opened; what cannot be read is no
    /// error but [`CorruptKind::Unreadable`]. The same step can be tried again.
    pub fn step(&mut self) -> Result<Option<ScrubStep>, StoreError> {
        let mut step = ScrubStep::default();
        if !self.lost.is_empty() {
            self.inner.look_at_lost(&mut self.lost, &mut step)?;
            return Ok(Some(step));
        }
        let mut packs = match self.packs.take() {
            Some(packs) => packs,
            None => self.begin()?,
        };
        if self.walk.is_none() {
            let opened = self.open_next(&mut packs);
            self.packs = Some(packs);
            if !opened? {
                return self.sweep(step);
            }
        } else {
            self.packs = Some(packs);
        }
        let Some(mut walk) = self.walk.take() else { return Ok(Some(step)) };
        let before = walk.offset;
        let looked = self.inner.look_at_window(&mut walk, &mut step);
        self.done_len += walk.offset - before;
        if looked.is_err() || walk.offset < walk.end {
            self.walk = Some(walk);
            looked?;
            return Ok(Some(step));
        }
        if let Some(gap) = walk.gap.take() {
            walk.gaps.push(gap..walk.end);
        }
        if !walk.gaps.is_empty() {
            self.lost = self.inner.lost_in(&walk)?;
        }
        Ok(Some(step))
    }

    /// Takes stock of the packs.
    fn begin(&mut self) -> Result<VecDeque<Pack>, StoreError> {
        let segments = &self.inner.segments;
        let mut packs = VecDeque::new();
        for number in segments.numbers()? {
            let path = segments.path(number);
            let len = segments.vfs.len(&path);
            let len = len.map_err(|source| StoreError::io("measure", &path, source))?;
            let len = len.unwrap_or_default();
            self.total_len += len;
            if number < self.from.segment {
                self.done_len += len;
            } else {
                packs.push_back(Pack { number, len });
            }
        }
        Ok(packs)
    }

    /// Opens the next pack that can be read as records; whether there is one.
    fn open_next(&mut self, packs: &mut VecDeque<Pack>) -> Result<bool, StoreError> {
        while let Some(pack) = packs.pop_front() {
            let Opened::Whole(segment) = self.inner.segments.open(pack.number)? else {
                // The sweep at the end asks what should have been in it.
                self.done_len += pack.len;
                continue;
            };
            let end = self.inner.written_end(&segment)?;
            let start = super::record::SEGMENT_HEADER_LEN as u64;
            let offset = if pack.number == self.from.segment { self.from.offset } else { 0 };
            let offset = offset.clamp(start, end.max(start));
            self.done_len += offset;
            let (gap, gaps, unreadable) = (None, Vec::new(), Vec::new());
            self.walk = Some(Walk { segment, start, offset, end, gap, gaps, unreadable });
            return Ok(true);
        }
        Ok(false)
    }

    /// The last step: entries that point at no pack, or behind the end of one.
    fn sweep(&mut self, mut step: ScrubStep) -> Result<Option<ScrubStep>, StoreError> {
        if self.swept {
            return Ok(None);
        }
        self.lost = self.inner.lost_without_record()?;
        self.swept = true;
        self.done_len = self.total_len;
        self.inner.look_at_lost(&mut self.lost, &mut step)?;
        Ok(Some(step))
    }
}

impl Inner {
    /// How far a pack holds whole records: the current one may have half a batch after that.
    fn written_end(&self, segment: &Segment) -> Result<u64, StoreError> {
        let position = self.writer().position();
        let len = segment.len()?;
        let current = position.segment() == segment.id.number;
        Ok(if current { len.min(position.offset()) } else { len })
    }

    /// Reads a window and hashes what is in it.
    fn look_at_window(&self, walk: &mut Walk, step: &mut ScrubStep) -> Result<(), StoreError> {
        let start = walk.offset;
        let bytes = walk.read_window();
        step.read_len += bytes.len() as u64;
        let mut at = 0;
        let mut records = Vec::new();
        while let Some(next) = walk.next_record(&bytes, start, at) {
            at = match next {
                Next::Record(record, after) => {
                    let data = bytes.slice(at + record.header_len as usize..after);
                    records.push((walk.offset, record, data));
                    after
                }
                Next::Skip(after) => after,
            };
            walk.offset = start + at as u64;
        }
        if bytes.is_empty() {
            // The file ends before its time; the rest is a gap.
            walk.gap.get_or_insert(walk.offset);
            walk.offset = walk.end;
        }
        let reads = self.with_index(|index| counting(index, walk, &records))?;
        step.block_count += reads.len() as u64;
        self.hash(walk, reads, step)
    }

    /// Hashes blocks and notes which are whole.
    fn hash(&self, walk: &Walk, reads: Vec<Read>, step: &mut ScrubStep) -> Result<(), StoreError> {
        let mut group = Vec::new();
        let mut group_len = 0;
        for Read { found, record, data } in reads {
            group_len += record.decoded_len();
            match record.decode_data(data) {
                Ok(Decoded::Bytes(data)) => group.push((found, record.hash, data)),
                // What it refers to is not the store's to keep whole.
                Ok(Decoded::Reference(_)) => self.forget_corrupt(found.place),
                Err(DecodeError::Corrupt) => {
                    self.found_corrupt(walk, (found, record.hash), step)?;
                }
                // What a newer version wrote is that version's to check.
                Err(DecodeError::Unknown) => {}
            }
            if group_len as u64 >= WINDOW_LEN {
                self.hash_group(walk, std::mem::take(&mut group), step)?;
                group_len = 0;
            }
        }
        self.hash_group(walk, group, step)
    }

    fn hash_group(
        &self,
        walk: &Walk,
        group: Vec<(Found, Multihash, Bytes)>,
        step: &mut ScrubStep,
    ) -> Result<(), StoreError> {
        let named = |(_, hash, data): &(Found, Multihash, Bytes)| {
            (Cid::v1(codec::RAW, hash.clone()), data.clone())
        };
        let verified = Block::verify_many(group.iter().map(named).collect());
        for ((found, hash, _), answer) in group.into_iter().zip(verified) {
            match answer {
                Ok(_) => {
                    self.index().note_verified(found);
                    self.forget_corrupt(found.place);
                }
                Err(BlockError::Corrupt { .. }) => self.found_corrupt(walk, (found, hash), step)?,
                // A hash function that is not known here says nothing about the bytes.
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn found_corrupt(
        &self,
        walk: &Walk,
        (found, hash): (Found, Multihash),
        step: &mut ScrubStep,
    ) -> Result<(), StoreError> {
        let place = found.place;
        let lost = Entry { fingerprint: self.index().fingerprint(&hash), place };
        // It may have been moved or deleted while it was read.
        if self.with_index(|index| Ok(lost.found(index)?.is_some()))? {
            self.note_corrupt(place, &hash);
            step.corrupt.push(walk.corrupt(lost, hash));
        }
        Ok(())
    }
}

/// What the bytes at a place in the window are.
enum Next {
    /// A whole record, and where the next one begins.
    Record(Record, usize),
    /// No record up to here.
    Skip(usize),
}

impl Walk {
    fn read_window(&mut self) -> Bytes {
        let len = WINDOW_LEN.min(self.end - self.offset) as usize;
        if let Ok(bytes) = self.segment.read(self.offset, len) {
            return bytes.into();
        }
        // The disk cannot read some of it: the rest should still be looked at.
        let mut bytes = vec![0; len];
        for (number, piece) in bytes.chunks_mut(PIECE_LEN).enumerate() {
            let offset = self.offset + (number * PIECE_LEN) as u64;
            if self.segment.read_at(piece, offset).is_err() {
                piece.fill(0);
                self.unreadable.push(offset..offset + piece.len() as u64);
            }
        }
        bytes.into()
    }

    /// Looks at the bytes from `at` on; `None` when the window holds no more.
    fn next_record(&mut self, bytes: &Bytes, start: u64, at: usize) -> Option<Next> {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let offset = start + at as u64;
        let is_last = start + bytes.len() as u64 >= self.end;
        if let Some(record) = Record::decode(self.segment.id, offset, rest) {
            if record.len() <= rest.len() as u64 {
                if let Some(gap) = self.gap.take() {
                    self.gaps.push(gap..offset);
                }
                let after = at + record.len() as usize;
                return Some(Next::Record(record, after));
            }
            // It goes on in the next window, unless it never ends.
            if !is_last && at > 0 {
                return None;
            }
        } else if !is_last && rest.len() < RECORD_HEADER_LEN_MAX && at > 0 {
            return None;
        }
        self.gap.get_or_insert(offset);
        let found = rest[1..].windows(RECORD_MAGIC.len()).position(|four| four == RECORD_MAGIC);
        let end = bytes.len();
        let kept = if is_last { end } else { (end - (RECORD_MAGIC.len() - 1)).max(at + 1) };
        Some(Next::Skip(found.map_or(kept, |found| at + 1 + found)))
    }

    /// Reports a block whose record is whole and whose bytes are not.
    fn corrupt(&self, lost: Entry, hash: Multihash) -> Corrupt {
        let offset = lost.place.offset();
        let end = offset + lost.place.len_bound();
        let hit = |range: &Range<u64>| range.start < end && offset < range.end;
        let unreadable = self.unreadable.iter().any(hit);
        let kind = if unreadable { CorruptKind::Unreadable } else { CorruptKind::Bytes };
        let path = self.segment.path.clone();
        Corrupt { hash: Some(hash), kind, path, offset, salvaged: None, lost }
    }
}

/// Those of the records that the index points at.
fn counting(
    index: &Index,
    walk: &Walk,
    records: &[(u64, Record, Bytes)],
) -> Result<Vec<Read>, Fault> {
    let mut reads = Vec::with_capacity(records.len());
    for (offset, record, data) in records {
        if record.kind != RecordKind::Block {
            continue;
        }
        let place = Place::new(walk.segment.id.number, *offset, record.len());
        let lost = Entry { fingerprint: index.fingerprint(&record.hash), place };
        if let Some(found) = lost.found(index)? {
            reads.push(Read { found, record: record.clone(), data: data.clone() });
        }
    }
    Ok(reads)
}

const _: () = assert!(BLOCK_RECORD_LEN_MAX < WINDOW_LEN, "a window holds a whole record");
