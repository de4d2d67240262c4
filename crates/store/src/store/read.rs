//! Finds and reads records.
//!
//! The leaves of a file lie next to each other in a pack, so a batch is sorted by place and
//! neighbours are read with one call into one buffer, of which each block is a slice.
//!
//! Invariants: what leaves has been hashed since the start or is hashed here, in lanes; a record
//! that does not hash to its name is reported, remembered, and replaced by the next put.
//! Not here: healing from the network (`cairn-node`).

use super::{
    Fault, Inner,
    encoding::{DecodeError, Decoded},
    index::{Found, Index},
    record::{RECORD_HEADER_LEN_MAX, Record, RecordKind},
    reference::{Reference, SourceError},
    segment::{Opened, Segment},
};
use crate::StoreError;
use bytes::Bytes;
use cairn_block::{BLOCK_LEN_MAX, Block, BlockError, Cid, Multihash};
use std::{
    collections::{HashMap, hash_map::Entry},
    io,
    sync::Arc,
};

/// Longest span that is read with one call (4 MiB).
const SPAN_LEN_MAX: u64 = 4 * 1024 * 1024;

/// Records no further apart than this are read with one call; less than a page fault costs.
const SPAN_GAP_MAX: u64 = 4096;

/// Entries of the index that are brought into the processor's caches together.
const WARM_COUNT: usize = 256;

/// How often a block is read again that was moved while it was read.
const RETRY_COUNT: usize = 3;

type Answer = Result<Option<Block>, BlockError>;

/// What the index and the record's header say about a multihash.
#[derive(Debug)]
pub(super) enum Located {
    /// No record.
    Absent,
    /// A record with a whole header.
    Here { found: Found, record: Record, segment: Arc<Segment> },
    /// An entry whose record's header is damaged.
    Broken { found: Found },
    /// An entry whose record is gone, with its pack or in a power cut.
    Stale { found: Found },
}

/// A block that was asked for, and its first candidate.
#[derive(Debug)]
struct Wanted {
    at: usize,
    found: Found,
}

/// Bytes read for a question and not hashed yet.
#[derive(Debug)]
struct Unverified {
    at: usize,
    found: Found,
    data: Bytes,
}

impl Inner {
    /// Looks up a multihash and reads its record's header.
    pub(super) fn locate(&self, index: &Index, hash: &Multihash) -> Result<Located, Fault> {
        match self.locate_in(index, hash)? {
            Located::Broken { .. } | Located::Stale { .. } => {
                // A collection may have moved it between the two looks; its entry came first.
                self.locate_in(&self.index(), hash)
            }
            located => Ok(located),
        }
    }

    fn locate_in(&self, index: &Index, hash: &Multihash) -> Result<Located, Fault> {
        let fingerprint = index.fingerprint(hash);
        let mut located = Located::Absent;
        let mut after = None;
        while let Some(found) = index.find(fingerprint, after)? {
            after = Some(found.slot);
            let Some(segment) = self.segment_of(found)? else {
                located = Located::Stale { found };
                continue;
            };
            let mut header = [0; RECORD_HEADER_LEN_MAX];
            let len = segment.read_at(&mut header, found.place.offset())?;
            if len == 0 {
                located = Located::Stale { found };
                continue;
            }
            match Record::decode(segment.id, found.place.offset(), &header[..len]) {
                Some(record) if record.kind == RecordKind::Block && record.hash == *hash => {
                    return Ok(Located::Here { found, record, segment });
                }
                Some(_other_block) => {}
                None => located = Located::Broken { found },
            }
        }
        Ok(located)
    }

    /// The segment of a candidate; `None` if the file is gone or unreadable, and with it the block.
    fn segment_of(&self, found: Found) -> Result<Option<Arc<Segment>>, StoreError> {
        match self.segments.open(found.place.segment())? {
            Opened::Whole(segment) => Ok(Some(segment)),
            Opened::Emptied(_) | Opened::Missing | Opened::Damaged => Ok(None),
        }
    }

    pub(super) fn lens(&self, cids: &[Cid]) -> Result<Vec<Option<u64>>, StoreError> {
        let len = |cid: &Cid| {
            if let Some(data) = cid.inlined() {
                return Ok(Some(data.len() as u64));
            }
            self.with_index(|index| match self.locate(index, cid.multihash())? {
                Located::Here { found, record, .. } if !self.is_corrupt(found.place) => {
                    Ok(Some(u64::from(record.block_len)))
                }
                _ => Ok(None),
            })
        };
        cids.iter().map(len).collect()
    }

    /// What the index says; see [`super::Store::contains`].
    pub(super) fn has(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        self.with_index(|index| {
            let mut packs = HashMap::new();
            let mut has = |cid: &Cid| match cid.inlined() {
                Some(_) => Ok(true),
                None => self.has_with(index, cid.multihash(), &mut packs),
            };
            let mut answers = Vec::with_capacity(cids.len());
            for cids in cids.chunks(WARM_COUNT) {
                index.warm(cids.iter().map(|cid| index.fingerprint(cid.multihash())));
                for cid in cids {
                    answers.push(has(cid)?);
                }
            }
            Ok(answers)
        })
    }

    /// Whether there is an entry in a pack that can be read; `packs` remembers which can.
    fn has_with(
        &self,
        index: &Index,
        hash: &Multihash,
        packs: &mut HashMap<u32, bool>,
    ) -> Result<bool, Fault> {
        let fingerprint = index.fingerprint(hash);
        let mut after = None;
        while let Some(found) = index.find(fingerprint, after)? {
            after = Some(found.slot);
            let readable = match packs.entry(found.place.segment()) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => *new.insert(self.segment_of(found)?.is_some()),
            };
            if readable && !self.is_corrupt(found.place) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn read_many(&self, cids: &[Cid]) -> Vec<Answer> {
        let mut answers = self.read_once(cids);
        for (cid, answer) in cids.iter().zip(&mut answers) {
            for _ in 0..RETRY_COUNT {
                if !matches!(answer, Err(BlockError::Corrupt { .. })) || !self.has_changed(cid) {
                    break;
                }
                *answer = self.read_once(std::slice::from_ref(cid)).pop().unwrap_or(Ok(None));
            }
        }
        answers
    }

    fn read_once(&self, cids: &[Cid]) -> Vec<Answer> {
        let answers = self.with_index(|index| self.read_with(index, cids));
        answers.unwrap_or_else(|error| {
            let error = BlockError::from(error);
            cids.iter().map(|_| Err(error.clone())).collect()
        })
    }

    /// Whether a block that was just found corrupt has another record by now, or none: what was
    /// read may have been given back in between.
    fn has_changed(&self, cid: &Cid) -> bool {
        let located = self.with_index(|index| self.locate(index, cid.multihash()));
        match located {
            Ok(Located::Here { found, .. }) => !self.is_corrupt(found.place),
            Ok(Located::Absent) => true,
            _ => false,
        }
    }

    fn read_with(&self, index: &Index, cids: &[Cid]) -> Result<Vec<Answer>, Fault> {
        let mut answers = Vec::with_capacity(cids.len());
        let mut wanted = Vec::with_capacity(cids.len());
        for (at, cid) in cids.iter().enumerate() {
            if let Some(data) = cid.inlined() {
                let data = Bytes::copy_from_slice(data);
                answers.push(Block::verify(cid.clone(), data).map(Some));
                continue;
            }
            answers.push(Ok(None));
            let found = index.find(index.fingerprint(cid.multihash()), None)?;
            wanted.extend(found.map(|found| Wanted { at, found }));
        }
        wanted.sort_unstable_by_key(|wanted| wanted.found.place);
        let mut unverified = Vec::new();
        for span in wanted.chunk_by(span_limit()) {
            match self.read_span(index, cids, span, &mut answers) {
                Ok(mut read) => unverified.append(&mut read),
                Err(Fault::Garbled) => return Err(Fault::Garbled),
                Err(Fault::Store(error)) => {
                    let error = BlockError::from(error);
                    for wanted in span {
                        answers[wanted.at] = Err(error.clone());
                    }
                }
            }
        }
        self.verify(index, cids, &unverified, &mut answers);
        Ok(answers)
    }

    /// Reads records that lie together; answers what was hashed before, returns the rest.
    fn read_span(
        &self,
        index: &Index,
        cids: &[Cid],
        span: &[Wanted],
        answers: &mut [Answer],
    ) -> Result<Vec<Unverified>, Fault> {
        let [first, .., last] = span else {
            return self.read_single(index, cids, &span[0], answers);
        };
        let start = first.found.place.offset();
        let len = last.found.place.offset() + last.found.place.len_bound() - start;
        let mut unverified = Vec::with_capacity(span.len());
        let Some(segment) = self.segment_of(first.found)? else {
            for wanted in span {
                unverified.extend(self.read_single(index, cids, wanted, answers)?);
            }
            return Ok(unverified);
        };
        let bytes = Bytes::from(segment.read(start, len as usize)?);
        for wanted in span {
            let offset = wanted.found.place.offset();
            let cid = &cids[wanted.at];
            match slice(&segment, offset, &bytes.slice_ref(tail(&bytes, offset - start)), cid) {
                Some(read) => self.sort_out(index, cid, (wanted, read), (answers, &mut unverified)),
                None => unverified.extend(self.read_single(index, cids, wanted, answers)?),
            }
        }
        Ok(unverified)
    }

    /// Reads one record, or answers that there is none or none whole.
    fn read_single(
        &self,
        index: &Index,
        cids: &[Cid],
        wanted: &Wanted,
        answers: &mut [Answer],
    ) -> Result<Vec<Unverified>, Fault> {
        let cid = &cids[wanted.at];
        let mut unverified = Vec::new();
        if let Some(segment) = self.segment_of(wanted.found)? {
            let place = wanted.found.place;
            let bytes = Bytes::from(segment.read(place.offset(), place.len_bound() as usize)?);
            if let Some(read) = slice(&segment, place.offset(), &bytes, cid) {
                self.sort_out(index, cid, (wanted, read), (answers, &mut unverified));
                return Ok(unverified);
            }
        }
        // Not the first candidate, then; this is as rare as damage.
        answers[wanted.at] = match self.locate(index, cid.multihash())? {
            Located::Absent | Located::Stale { .. } => Ok(None),
            Located::Broken { .. } => Err(BlockError::Corrupt { cid: cid.clone() }),
            Located::Here { found, record, segment } => {
                let offset = found.place.offset();
                let bytes = Bytes::from(segment.read(offset, record.len() as usize)?);
                // Without it the header is whole and the file ends before the data does.
                let decoded = match slice(&segment, offset, &bytes, cid) {
                    Some((record, data)) => record.decode_data(data),
                    None => Err(DecodeError::Corrupt),
                };
                match decoded {
                    Ok(Decoded::Bytes(data)) => {
                        unverified.push(Unverified { at: wanted.at, found, data });
                        Ok(None)
                    }
                    Ok(Decoded::Reference(reference)) => {
                        self.read_referred(cid, &reference, record.block_len).map(Some)
                    }
                    Err(error) => Err(self.undecodable(found, cid, error)),
                }
            }
        };
        Ok(unverified)
    }

    /// Notes a record whose data gives no block; returns the answer.
    fn undecodable(&self, found: Found, cid: &Cid, error: DecodeError) -> BlockError {
        if error == DecodeError::Corrupt {
            self.note_corrupt(found.place, cid.multihash());
        }
        error.of(cid)
    }

    fn sort_out(
        &self,
        index: &Index,
        cid: &Cid,
        (wanted, (record, data)): (&Wanted, (Record, Bytes)),
        (answers, unverified): (&mut [Answer], &mut Vec<Unverified>),
    ) {
        let &Wanted { at, found } = wanted;
        let data = match record.decode_data(data) {
            Ok(Decoded::Bytes(data)) => data,
            Ok(Decoded::Reference(reference)) => {
                answers[at] = self.read_referred(cid, &reference, record.block_len).map(Some);
                return;
            }
            Err(error) => {
                answers[at] = Err(self.undecodable(found, cid, error));
                return;
            }
        };
        // Asked after reading: an entry that is still there was not collected before, and its
        // bytes are what was hashed.
        let current = std::ptr::eq(index, &raw const *self.index());
        if current && index.is_verified(found) && !self.is_corrupt(found.place) {
            answers[at] = Ok(Some(Block::verified_before(cid.clone(), data)));
        } else {
            unverified.push(Unverified { at, found, data });
        }
    }

    /// Reads a block whose bytes lie elsewhere. They are hashed each time: their owner may change
    /// them at any moment, and a length and a time that stay the same prove nothing.
    fn read_referred(
        &self,
        cid: &Cid,
        reference: &Reference,
        block_len: u32,
    ) -> Result<Block, BlockError> {
        self.referred_block(cid, reference, block_len).map_err(|error| {
            let text = format!("block {cid} refers to {}, {error}", reference.location);
            BlockError::io("read", io::Error::new(error.kind(), text))
        })
    }

    pub(super) fn referred_block(
        &self,
        cid: &Cid,
        reference: &Reference,
        block_len: u32,
    ) -> Result<Block, SourceError> {
        let Some(sources) = self.sources.get() else {
            return Err(SourceError::Other("nothing outside the repository is open".to_owned()));
        };
        let len = block_len as usize;
        if len > BLOCK_LEN_MAX {
            return Err(SourceError::Other("its length is over the limit of a block".to_owned()));
        }
        let bytes = sources.read(reference, len)?;
        Block::verify(cid.clone(), bytes).map_err(|error| match error {
            BlockError::Corrupt { .. } => SourceError::Changed,
            other => SourceError::Other(other.to_string()),
        })
    }

    /// Hashes what was read for the first time, and answers.
    fn verify(
        &self,
        index: &Index,
        cids: &[Cid],
        unverified: &[Unverified],
        answers: &mut [Answer],
    ) {
        let named = |read: &Unverified| (cids[read.at].clone(), read.data.clone());
        let verified = Block::verify_many(unverified.iter().map(named).collect());
        for (read, answer) in unverified.iter().zip(verified) {
            match &answer {
                Ok(_) => index.note_verified(read.found),
                Err(BlockError::Corrupt { .. }) => {
                    self.note_corrupt(read.found.place, cids[read.at].multihash());
                }
                Err(_) => {}
            }
            answers[read.at] = answer.map(Some);
        }
    }
}

/// Says of two wanted records in order whether they are read together. Stateful: it follows the
/// pairs of one pass, to bound the span.
fn span_limit() -> impl FnMut(&Wanted, &Wanted) -> bool {
    let mut start = None;
    move |left, right| {
        let (left, right) = (left.found.place, right.found.place);
        let first = *start.get_or_insert(left.offset());
        let end = right.offset() + right.len_bound();
        let together = left.segment() == right.segment()
            && right.offset() <= left.offset() + left.len_bound() + SPAN_GAP_MAX
            && end - first <= SPAN_LEN_MAX;
        if !together {
            start = Some(right.offset());
        }
        together
    }
}

fn tail(bytes: &[u8], skip: u64) -> &[u8] {
    usize::try_from(skip).ok().and_then(|skip| bytes.get(skip..)).unwrap_or_default()
}

/// The record at the front of `bytes` and its data, if it is whole and `cid`'s.
fn slice(segment: &Segment, offset: u64, bytes: &Bytes, cid: &Cid) -> Option<(Record, Bytes)> {
    let record = Record::decode(segment.id, offset, bytes)?;
    let ours = record.kind == RecordKind::Block
        && record.hash == *cid.multihash()
        && record.len() <= bytes.len() as u64;
    let data = ours.then(|| bytes.slice(record.header_len as usize..record.len() as usize))?;
    Some((record, data))
}
