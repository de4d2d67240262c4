//! The end of a full pack: what lies in it, so that an index is rebuilt without visiting it.
//!
//! ```text
//! footer    parts, then a trailer; all are records of kind 3 named by the SHA-256 of their data
//! part      for each record from the pack's first on, without gaps:
//!           kind, length of the multihash, flags (2), varint length of the data,
//!           varint length of the block, multihash
//! trailer   8 offset of the first part, 4 number of parts; the last bytes of the pack
//! ```
//! A pack of blocks of 256 KiB has a footer of 40 KiB, one of blocks of 4 KiB 2.4 MiB. When
//! records are so short that reading it would be no faster than reading them, there is none.
//!
//! The writer takes down what it writes; what was in the pack before the process began is read
//! when the pack is full. A footer is written like any record, and so a crash treats it like one:
//! who reads packs that may be torn does not ask for it (`recover.rs`).
//!
//! Invariants: memory is at most what a footer may take, [`len_max`], while writing, and one part
//! while reading; what a footer says is believed only as far as it hashes right and adds up.
//! Not here: when a pack is full (`writer.rs`), walking it (`scan.rs`).

use super::{
    record::{RECORD_PREFIX_LEN, Record, RecordKind, SEGMENT_HEADER_LEN, u32_at},
    scan::{Item, Scan},
    segment::Segment,
};
use crate::StoreError;
use cairn_hash::{Multihash, sha256, varint};
use std::sync::Arc;

/// A footer takes at most one part in so many of a pack.
const SHARE: u64 = 32;

/// Bytes of a part, but for the last entry that it took.
const PART_LEN: usize = 512 * 1024;

/// Bytes of the trailer's data.
const TRAILER_LEN: usize = 12;

/// Longest footer of packs of this length.
fn len_max(pack_len_max: u64) -> u64 {
    pack_len_max / SHARE
}

/// What the process has written to the current pack.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// What lies before this was written by others.
    from: u64,
    parts: Vec<Vec<u8>>,
    len: u64,
    /// There was too much.
    is_void: bool,
}

impl Ledger {
    /// Begins at the end of what a pack holds already.
    pub(super) fn new(from: u64) -> Self {
        Self { from, ..Self::default() }
    }

    /// Takes down records by their headers, which lie one behind the other in `headers`.
    pub(super) fn note(&mut self, mut headers: &[u8], pack_len_max: u64) {
        while !headers.is_empty() && !self.is_void {
            let (header, rest) = headers.split_at(RECORD_PREFIX_LEN + usize::from(headers[5]));
            let (data_len, block_len) = (u32_at(header, 8), u32_at(header, 12));
            let hash = &header[RECORD_PREFIX_LEN..];
            self.push(&header[4..8], (data_len, block_len), hash, pack_len_max);
            headers = rest;
        }
    }

    fn push(
        &mut self,
        head: &[u8],
        (data_len, block_len): (u32, u32),
        hash: &[u8],
        pack_len_max: u64,
    ) {
        if self.parts.last().is_none_or(|part| part.len() >= PART_LEN) {
            self.parts.push(Vec::new());
        }
        let part = self.parts.last_mut().expect("invariant: there is one now");
        let before = part.len();
        part.extend_from_slice(head);
        varint::encode(u64::from(data_len), part);
        varint::encode(u64::from(block_len), part);
        part.extend_from_slice(hash);
        self.len += (part.len() - before) as u64;
        if self.len > len_max(pack_len_max) {
            *self = Self { from: self.from, is_void: true, ..Self::default() };
        }
    }

    /// Room that the footer will take, about, when records with headers of `header_len` bytes
    /// have been added.
    pub(super) fn reserved_with(&self, header_len: usize) -> u64 {
        let parts_len = (self.parts.len() as u64 + 4) * part_record_len(0);
        let len = self.len + header_len as u64 + parts_len + self.from / SHARE;
        if self.is_void { 0 } else { len }
    }

    /// Lays the footer of a pack out, for its end; `None` if it is not worth its room.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if what was there before cannot be read.
    pub(super) fn finish(
        self,
        segment: &Arc<Segment>,
        (end, pack_len_max): (u64, u64),
    ) -> Result<Option<Vec<u8>>, StoreError> {
        if self.is_void {
            return Ok(None);
        }
        let Some(mut before) = read_before(segment, self.from, pack_len_max)? else {
            return Ok(None);
        };
        if before.len + self.len == 0 {
            return Ok(None);
        }
        before.parts.extend(self.parts);
        let parts = before.parts;
        let len: u64 = parts.iter().map(|part| part_record_len(part.len())).sum();
        let len = len + part_record_len(TRAILER_LEN);
        if len > len_max(pack_len_max) || end + len > pack_len_max {
            return Ok(None);
        }
        let mut out = Vec::with_capacity(len as usize);
        let mut trailer = end.to_le_bytes().to_vec();
        trailer.extend_from_slice(&(parts.len() as u32).to_le_bytes());
        for data in parts.iter().chain([&trailer]) {
            let (offset, hash) = (end + out.len() as u64, Multihash::sha2_256(sha256(data)));
            let named = (&hash, data.len() as u32);
            Record::encode(segment.id, offset, RecordKind::Footer, named, &mut out);
            out.extend_from_slice(data);
        }
        Ok(Some(out))
    }
}

/// What lies before `from`; `None` if that has no end or does not fit.
fn read_before(
    segment: &Arc<Segment>,
    from: u64,
    pack_len_max: u64,
) -> Result<Option<Ledger>, StoreError> {
    let mut ledger = Ledger::default();
    let mut scan = Scan::new(Arc::clone(segment), SEGMENT_HEADER_LEN as u64, from);
    while let Some(item) = scan.next()? {
        let Item::Record { record, .. } = item else { return Ok(None) };
        let [low, high] = record.flags.to_le_bytes();
        let hash = record.hash.to_bytes();
        let head = [record.kind.code(), hash.len() as u8, low, high];
        ledger.push(&head, (record.data_len, record.block_len), &hash, pack_len_max);
        if ledger.is_void {
            return Ok(None);
        }
    }
    Ok(Some(ledger))
}

/// Bytes of the record of a part.
fn part_record_len(len: usize) -> u64 {
    Record::len_for(&Multihash::sha2_256([0; 32]), len)
}

/// A footer that is being read.
#[derive(Debug)]
pub(super) struct Footer {
    segment: Arc<Segment>,
    /// Where the parts begin, and the records end.
    start: u64,
    /// Where the next part is, and how many there are.
    next: (u64, u32),
    part: Vec<u8>,
    /// What of the part was read.
    read: usize,
    /// Where the next record is.
    offset: u64,
}

impl Footer {
    /// Looks for a footer at `end`.
    pub(super) fn find(segment: &Arc<Segment>, end: u64) -> Result<Option<Self>, StoreError> {
        let len = part_record_len(TRAILER_LEN);
        let Some(offset) = end.checked_sub(len) else { return Ok(None) };
        let Some((trailer, _)) = read_part(segment, offset, end)? else { return Ok(None) };
        let Ok(trailer) = <[u8; TRAILER_LEN]>::try_from(trailer) else { return Ok(None) };
        let (start, count) = trailer.split_at(8);
        let start = u64::from_le_bytes(start.try_into().expect("invariant: eight bytes"));
        let count = u32::from_le_bytes(count.try_into().expect("invariant: four bytes"));
        Ok((start < offset).then(|| Self {
            segment: Arc::clone(segment),
            start,
            next: (start, count),
            part: Vec::new(),
            read: 0,
            offset: SEGMENT_HEADER_LEN as u64,
        }))
    }

    /// The next record; `None` at the end of them, or where the footer is damaged.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Record)>, StoreError> {
        if self.read == self.part.len() {
            let (at, count) = self.next;
            if count == 0 {
                return Ok(None);
            }
            let Some((part, end)) = read_part(&self.segment, at, u64::MAX)? else {
                return Ok(None);
            };
            (self.part, self.read, self.next) = (part, 0, (end, count - 1));
        }
        let Some((record, len)) = decode(&self.part[self.read..]) else { return Ok(None) };
        let offset = self.offset;
        let end = offset + record.len();
        if end > self.start {
            return Ok(None);
        }
        self.read += len;
        self.offset = end;
        Ok(Some((offset, record)))
    }
}

/// Reads a part at `offset`, with where it ends: at most at `end`.
fn read_part(
    segment: &Segment,
    offset: u64,
    end: u64,
) -> Result<Option<(Vec<u8>, u64)>, StoreError> {
    let header = segment.read(offset, part_record_len(0) as usize)?;
    let Some(record) = Record::decode(segment.id, offset, &header) else { return Ok(None) };
    let part_end = offset + record.len();
    if record.kind != RecordKind::Footer || part_end > end {
        return Ok(None);
    }
    let data = segment.read(offset + u64::from(record.header_len), record.data_len as usize)?;
    let whole = record.hash == Multihash::sha2_256(sha256(&data));
    Ok(whole.then_some((data, part_end)))
}

/// Reads an entry from the front of `bytes`, with its length.
pub(super) fn decode(bytes: &[u8]) -> Option<(Record, usize)> {
    let &[kind, hash_len, low, high, ref rest @ ..] = bytes else { return None };
    let (data_len, rest) = varint::decode(rest).ok()?;
    let (block_len, rest) = varint::decode(rest).ok()?;
    let (hash, rest) = rest.split_at_checked(usize::from(hash_len))?;
    let (hash, after) = Multihash::decode(hash).ok()?;
    let record = Record {
        kind: RecordKind::of(kind),
        flags: u16::from_le_bytes([low, high]),
        hash,
        header_len: (RECORD_PREFIX_LEN + usize::from(hash_len)) as u32,
        data_len: u32::try_from(data_len).ok()?,
        block_len: u32::try_from(block_len).ok()?,
    };
    after.is_empty().then_some((record, bytes.len() - rest.len()))
}
