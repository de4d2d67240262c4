//! Appends records to the current pack.
//!
//! One writer at a time, under the store's writer lock. A batch goes out as one vectored write of
//! headers (laid out here) and data (where it already is), and enters the index only after that.
//!
//! Invariants: the position only moves past what is written whole; at most
//! [`UNSYNCED_COUNT_MAX`] packs hold anything that is not synced, so recovery knows where to
//! hash. A failed write is cut off and costs nothing but itself.
//! Not here: when it becomes durable (`sync.rs`).

use super::{
    Fault, Inner,
    encoding::{Decoded, Payload, REFERENCE},
    footer::Ledger,
    form::{Form, Outside},
    index::{Fingerprint, Found, Index, Place, Position, State},
    read::Located,
    record::{
        RECORD_HEADER_LEN_MAX, Record, RecordKind, SEGMENT_HEADER_LEN, SEGMENT_LEN_MAX, Tombstone,
    },
    scrub::Corrupt,
    segment::Segment,
};
use crate::StoreError;
use cairn_block::{BLOCK_LEN_MAX, Block, BlockError, Cid, Multihash};
use std::{
    collections::HashSet,
    io::IoSlice,
    sync::{Arc, atomic::Ordering},
};
use tracing::debug;

/// Most packs with anything not synced; a third one waits for the first.
pub(super) const UNSYNCED_COUNT_MAX: usize = 2;

/// Most records that one write takes; each is two parts, and a system call takes 1024.
pub(super) const BATCH_COUNT_MAX: usize = 512;

/// After so many bytes the system is asked to start writing them out.
const START_SYNC_LEN: u64 = 8 * 1024 * 1024;

/// Where the next record goes.
#[derive(Debug, Default)]
pub(super) struct Writer {
    segment: Option<Arc<Segment>>,
    end: u64,
    /// What is in it.
    ledger: Ledger,
    /// The highest segment number there is, usable or not.
    last_number: u32,
    /// Packs with something not synced, the current one last.
    unsynced: Vec<Arc<Segment>>,
    names_synced_to: u32,
    written: u64,
    /// Up to where everything is synced, and what was written then; `None` before the first sync
    /// after a crash.
    synced: Option<(Position, u64)>,
    sync_started: u64,
    /// Whether the index file says on disk that it is being written to.
    noted_dirty: bool,
}

/// What a sync must do, taken under the writer lock.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) ticket: u64,
    pub(super) position: Position,
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) names: Option<u32>,
}

/// Records laid out but not written.
#[derive(Debug, Default)]
struct Batch<'a> {
    headers: Vec<u8>,
    records: Vec<Laid<'a>>,
    len: u64,
}

#[derive(Debug)]
struct Laid<'a> {
    header_len: usize,
    data: &'a [u8],
    place: Place,
    then: Then,
}

/// What the index is told of a record that was written.
#[derive(Debug, Clone, Copy)]
enum Then {
    Insert(Fingerprint),
    Replace(Found),
    /// It is a copy, to which the index is pointed when it is durable.
    Nothing,
}

impl Writer {
    /// Starts after what recovery found: the last pack with its end (if it can be appended to),
    /// the highest number, and the packs that may not be on disk yet.
    pub(super) fn new(
        last: Option<(Arc<Segment>, u64)>,
        last_number: u32,
        unsynced: Vec<Arc<Segment>>,
    ) -> Self {
        let written = u64::from(!unsynced.is_empty());
        let (segment, end) = last.map_or((None, 0), |(segment, end)| (Some(segment), end));
        let mut writer = Self {
            segment,
            end,
            ledger: Ledger::new(end),
            last_number,
            unsynced,
            written,
            sync_started: end,
            ..Self::default()
        };
        writer.synced = (written == 0).then(|| (writer.position(), written));
        writer
    }

    /// Up to where everything is synced, and how many bytes were written since.
    pub(super) fn since_sync(&self) -> Option<(Position, u64)> {
        self.synced.map(|(position, ticket)| (position, self.written - ticket))
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// The end of the last record.
    pub(super) fn position(&self) -> Position {
        match &self.segment {
            Some(segment) => Position::new(segment.id.number, self.end),
            None => Position::new(self.last_number, SEGMENT_LEN_MAX),
        }
    }

    /// The salt of the current pack.
    pub(super) fn salt(&self) -> Option<u64> {
        self.segment.as_ref().map(|segment| segment.id.salt)
    }

    pub(super) fn noted_dirty(&self) -> bool {
        self.noted_dirty
    }

    /// Gives the current pack up; the next write begins another one.
    pub(super) fn give_up_segment(&mut self) -> Option<Arc<Segment>> {
        self.segment.take()
    }

    /// The number of the current pack.
    pub(super) fn number(&self) -> Option<u32> {
        self.segment.as_ref().map(|segment| segment.id.number)
    }

    pub(super) fn note_clean(&mut self) {
        self.noted_dirty = false;
    }

    pub(super) fn pending(&self) -> Pending {
        let newest = self.segment.as_ref().map_or(0, |segment| segment.id.number);
        Pending {
            ticket: self.written,
            position: self.position(),
            segments: self.unsynced.clone(),
            names: (newest > self.names_synced_to).then_some(newest),
        }
    }

    /// Notes what a sync achieved.
    pub(super) fn note_synced(&mut self, pending: &Pending) {
        let all = self.written == pending.ticket;
        // The pack that was current then may hold later records.
        let current = pending.position.segment();
        self.unsynced.retain(|segment| !all && segment.id.number >= current);
        self.names_synced_to = self.names_synced_to.max(pending.names.unwrap_or_default());
        self.synced = Some((pending.position, pending.ticket));
    }

    /// Before the first write: notes on disk that the index may get ahead of its checkpoint.
    pub(super) fn note_dirty(&mut self, index: &Index) -> Result<(), StoreError> {
        if !self.noted_dirty {
            let was_clean = index.state() == State::Clean;
            index.set_state(State::Dirty);
            // A table that the next start makes anew may say on disk what it likes.
            if was_clean && !index.is_distrusted() {
                index.sync()?;
            }
            self.noted_dirty = true;
        }
        Ok(())
    }

    /// Whether records of `len` bytes, `header_len` of them headers, fit into the current pack
    /// and its footer.
    fn has_room(&self, (len, header_len): (u64, usize), len_max: u64) -> bool {
        let footer_len = self.ledger.reserved_with(header_len);
        self.segment.is_some() && self.end + len + footer_len <= len_max
    }
}

impl Inner {
    pub(super) fn append(
        &self,
        blocks: &[Block],
        outside: Option<Outside<'_>>,
    ) -> Result<(), StoreError> {
        let large = blocks.iter().find(|block| block.data().len() > BLOCK_LEN_MAX);
        if let Some(block) = large {
            let (cid, len) = (block.cid().clone(), block.data().len());
            return Err(BlockError::TooLarge { cid, len }.into());
        }
        let forms = self.forms(blocks, outside);
        let mut writer = self.writer();
        self.writable()?;
        let index = self.index_with_room(&writer, blocks.len() as u64)?;
        match self.append_with(&index, &mut writer, (blocks, &forms)) {
            Err(Fault::Garbled) => {
                self.rebuild_index(&writer)?;
                let index = self.index_with_room(&writer, blocks.len() as u64)?;
                let again = self.append_with(&index, &mut writer, (blocks, &forms));
                self.settle(again)
            }
            answer => self.settle(answer),
        }
    }

    fn append_with(
        &self,
        index: &Index,
        writer: &mut Writer,
        (blocks, forms): (&[Block], &[Form]),
    ) -> Result<(), Fault> {
        let mut batch = Batch::default();
        let mut seen = HashSet::with_capacity(blocks.len());
        index.warm(blocks.iter().map(|block| index.fingerprint(block.cid().multihash())));
        for (at, block) in blocks.iter().enumerate() {
            let hash = block.cid().multihash();
            if block.cid().inlined().is_some() || !seen.insert(hash) {
                continue;
            }
            let form = forms.get(at).unwrap_or(&Form::Plain);
            let then = match self.locate(index, hash)? {
                Located::Absent => Then::Insert(index.fingerprint(hash)),
                Located::Here { found, record, segment } => {
                    if self.is_good_enough(index, (found, &record, &segment), (block, form)) {
                        index.touch(found.slot);
                        continue;
                    }
                    Then::Replace(found)
                }
                Located::Broken { found } | Located::Stale { found } => Then::Replace(found),
            };
            self.lay(index, writer, &mut batch, (hash, form.payload(block), then))?;
        }
        self.write(index, writer, &mut batch)
    }

    pub(super) fn delete(&self, cid: &Cid) -> Result<bool, StoreError> {
        if cid.inlined().is_some() {
            return Ok(false);
        }
        let mut writer = self.writer();
        self.writable()?;
        match self.delete_with(&self.index(), &mut writer, cid.multihash()) {
            Err(Fault::Garbled) => {
                let index = self.rebuild_index(&writer)?;
                let again = self.delete_with(&index, &mut writer, cid.multihash());
                self.settle(again)
            }
            answer => self.settle(answer),
        }
    }

    fn delete_with(
        &self,
        index: &Index,
        writer: &mut Writer,
        hash: &Multihash,
    ) -> Result<bool, Fault> {
        let (Located::Here { found, .. } | Located::Broken { found }) = self.locate(index, hash)?
        else {
            return Ok(false);
        };
        let tombstone = Tombstone { hash: hash.clone(), before: None };
        self.append_tombstones(index, writer, &[tombstone])?;
        index.remove(found.slot);
        self.forget_corrupt(found.place);
        Ok(true)
    }

    /// Whether what is there will do. Bytes are better than any reference, the newest reference
    /// better than an older one.
    fn is_good_enough(
        &self,
        index: &Index,
        (found, record, segment): (Found, &Record, &Segment),
        (block, form): (&Block, &Form),
    ) -> bool {
        if record.flags != REFERENCE {
            return self.is_whole(index, (found, record, segment), block);
        }
        if self.is_corrupt(found.place) {
            return false;
        }
        match form {
            Form::AsItIs => true,
            Form::Reference(description) => {
                let offset = found.place.offset() + u64::from(record.header_len);
                let data = segment.read(offset, record.data_len as usize);
                data.is_ok_and(|data| data == *description)
            }
            Form::Plain | Form::Frame(_) => false,
        }
    }

    /// Whether the copy that is there can be relied on: a caller is told that the block is kept,
    /// which rot must not make untrue. What was not hashed since the start is compared.
    fn is_whole(
        &self,
        index: &Index,
        (found, record, segment): (Found, &Record, &Segment),
        block: &Block,
    ) -> bool {
        if self.is_corrupt(found.place) {
            return false;
        }
        if index.is_verified(found) {
            return true;
        }
        let offset = found.place.offset() + u64::from(record.header_len);
        let data = segment.read(offset, record.data_len as usize);
        // What this version cannot read is replaced by what it can.
        let kept = data.ok().and_then(|data| record.decode_data(data.into()).ok());
        let same = matches!(kept, Some(Decoded::Bytes(kept)) if kept == block.data());
        if same {
            index.note_verified(found);
        }
        same
    }

    /// Forgets a block whose copy is corrupt, unless another has taken its place.
    pub(super) fn drop_corrupt(&self, corrupt: &Corrupt) -> Result<bool, StoreError> {
        let mut writer = self.writer();
        self.writable()?;
        let index = self.index();
        let entry = corrupt.entry();
        let Ok(Some(found)) = entry.found(&index) else { return Ok(false) };
        if let Some(hash) = &corrupt.hash {
            // Without it a rebuild of the index would bring the block back.
            let tombstone = Tombstone { hash: hash.clone(), before: None };
            let removed = self.append_tombstones(&index, &mut writer, &[tombstone]);
            self.settle(removed)?;
        } else {
            writer.note_dirty(&index)?;
        }
        index.remove(found.slot);
        self.forget_corrupt(entry.place);
        Ok(true)
    }

    /// Writes up to [`BATCH_COUNT_MAX`] tombstones, whole or not at all.
    pub(super) fn append_tombstones(
        &self,
        index: &Index,
        writer: &mut Writer,
        tombstones: &[Tombstone],
    ) -> Result<(), Fault> {
        let len = tombstones.iter().map(|one| Record::len_for(&one.hash, 0)).sum();
        let segment = self.room_for(index, writer, &mut Batch::default(), len)?;
        segment.note_tombstones()?;
        let mut headers = Vec::new();
        for tombstone in tombstones {
            let offset = writer.end + headers.len() as u64;
            Record::encode_tombstone(segment.id, offset, tombstone, &mut headers);
        }
        Ok(self.write_parts(writer, (&[IoSlice::new(&headers)], len), &headers)?)
    }

    /// Writes the record of a note; `make` is asked for its bytes when its place is known, and
    /// they must be `len` long. Returns the place.
    pub(super) fn append_note_record(
        &self,
        writer: &mut Writer,
        len: usize,
        make: impl FnOnce(&Writer) -> Vec<u8>,
    ) -> Result<Position, StoreError> {
        let index = self.index();
        let record_len = Record::len_for(&Multihash::sha2_256([0; 32]), len);
        let room = self.room_for(&index, writer, &mut Batch::default(), record_len);
        let segment = self.settle(room)?;
        let bytes = make(writer);
        let (hash, position) = (Multihash::sha2_256(cairn_hash::sha256(&bytes)), writer.position());
        let mut header = Vec::new();
        let of = (&hash, bytes.len() as u32);
        Record::encode(segment.id, position.offset(), RecordKind::Note, of, &mut header);
        let parts = [IoSlice::new(&header), IoSlice::new(&bytes)];
        self.write_parts(writer, (&parts, record_len), &header)?;
        Ok(position)
    }

    /// Writes copies of records, of which the index is not told; returns where each went.
    pub(super) fn append_copies(
        &self,
        index: &Index,
        writer: &mut Writer,
        copies: &[(&Multihash, Payload<'_>)],
    ) -> Result<Vec<Place>, Fault> {
        let mut places = Vec::with_capacity(copies.len());
        let mut batch = Batch::default();
        for &(hash, payload) in copies {
            places.push(self.lay(index, writer, &mut batch, (hash, payload, Then::Nothing))?);
        }
        self.write(index, writer, &mut batch)?;
        Ok(places)
    }

    /// Lays a record out after the batch; returns where it will be.
    fn lay<'a>(
        &self,
        index: &Index,
        writer: &mut Writer,
        batch: &mut Batch<'a>,
        (hash, payload, then): (&Multihash, Payload<'a>, Then),
    ) -> Result<Place, Fault> {
        let len = Record::len_for(hash, payload.data.len());
        let segment = self.room_for(index, writer, batch, len)?;
        let offset = writer.end + batch.len;
        let place = Place::new(segment.id.number, offset, len);
        let headers = &mut batch.headers;
        let header_len = Record::encode_block(segment.id, offset, hash, payload, headers);
        batch.records.push(Laid { header_len, data: payload.data, place, then });
        batch.len += len;
        Ok(place)
    }

    /// Makes room for a record of `len` bytes after the batch: writes the batch out when it is
    /// full, and begins the next pack when the current one is.
    fn room_for(
        &self,
        index: &Index,
        writer: &mut Writer,
        batch: &mut Batch<'_>,
        len: u64,
    ) -> Result<Arc<Segment>, Fault> {
        writer.note_dirty(index)?;
        let lens = (batch.len + len, batch.headers.len() + RECORD_HEADER_LEN_MAX);
        let fits = writer.has_room(lens, self.segments.len_max);
        if !fits || batch.records.len() == BATCH_COUNT_MAX {
            self.write(index, writer, batch)?;
        }
        if !fits {
            self.roll(writer)?;
        }
        let segment = writer.segment.as_ref();
        Ok(Arc::clone(segment.expect("invariant: there is a pack with room now")))
    }

    /// Writes a batch and then tells the index.
    fn write(
        &self,
        index: &Index,
        writer: &mut Writer,
        batch: &mut Batch<'_>,
    ) -> Result<(), Fault> {
        let Batch { headers, records, len } = std::mem::take(batch);
        if records.is_empty() {
            return Ok(());
        }
        let mut rest = &headers[..];
        let mut parts = Vec::with_capacity(records.len() * 2);
        for record in &records {
            let (header, after) = rest.split_at(record.header_len);
            parts.extend([IoSlice::new(header), IoSlice::new(record.data)]);
            rest = after;
        }
        self.write_parts(writer, (&parts, len), &headers)?;
        for Laid { place, then, .. } in records {
            match then {
                Then::Insert(fingerprint) => index.insert(fingerprint, place)?,
                Then::Replace(old) => {
                    index.replace(old.slot, place);
                    self.forget_corrupt(old.place);
                }
                Then::Nothing => {}
            }
        }
        Ok(())
    }

    /// Writes `parts` of `len` bytes at the end of the current pack, whole or not at all; they are
    /// records with these headers.
    fn write_parts(
        &self,
        writer: &mut Writer,
        (parts, len): (&[IoSlice<'_>], u64),
        headers: &[u8],
    ) -> Result<(), StoreError> {
        let segment = writer.segment.as_ref().expect("invariant: made room before");
        if let Err(source) = segment.file.write_all_vectored_at(parts, writer.end) {
            // If cutting fails as well, the next write goes over the same bytes.
            drop(segment.file.set_len(writer.end));
            return Err(StoreError::io("write", &segment.path, source));
        }
        writer.end += len;
        writer.written += len;
        writer.ledger.note(headers, self.segments.len_max);
        if writer.end - writer.sync_started >= START_SYNC_LEN {
            segment.file.start_sync(writer.sync_started, writer.end - writer.sync_started);
            writer.sync_started = writer.end;
        }
        if writer.unsynced.last().is_none_or(|last| last.id.number != segment.id.number) {
            writer.unsynced.push(Arc::clone(segment));
        }
        self.written.store(writer.written, Ordering::Release);
        Ok(())
    }

    /// Closes the current pack, which is full, and begins the next one.
    fn roll(&self, writer: &mut Writer) -> Result<(), StoreError> {
        self.write_footer(writer);
        self.begin_pack(writer)
    }

    /// Begins the next pack.
    pub(super) fn begin_pack(&self, writer: &mut Writer) -> Result<(), StoreError> {
        while writer.unsynced.len() >= UNSYNCED_COUNT_MAX {
            let oldest = &writer.unsynced[0];
            oldest.file.sync_data().map_err(|source| self.fail(&oldest.path, source))?;
            writer.unsynced.remove(0);
        }
        let segment = self.segments.create(writer.last_number + 1)?;
        writer.last_number += 1;
        writer.end = SEGMENT_HEADER_LEN as u64;
        writer.ledger = Ledger::new(writer.end);
        writer.sync_started = 0;
        writer.unsynced.push(Arc::clone(&segment));
        writer.segment = Some(segment);
        Ok(())
    }

    /// Closes the current pack with what lies in it. Failing is no harm: the records say the same.
    fn write_footer(&self, writer: &mut Writer) {
        let Some(segment) = writer.segment.clone() else { return };
        let ledger = std::mem::take(&mut writer.ledger);
        let footer = ledger.finish(&segment, (writer.end, self.segments.len_max));
        let written = footer.and_then(|footer| {
            let Some(footer) = footer else { return Ok(()) };
            let part = (&[IoSlice::new(&footer)][..], footer.len() as u64);
            self.write_parts(writer, part, &[])
        });
        if let Err(error) = written {
            debug!(%error, "a pack has no footer");
        }
    }

    /// The index, with room for `more` entries.
    fn index_with_room(&self, writer: &Writer, more: u64) -> Result<Arc<Index>, StoreError> {
        let index = self.index();
        if index.has_room(more) {
            return Ok(index);
        }
        match index.grown(&*self.segments.vfs, more) {
            Ok(Ok(new)) => Ok(self.set_index(new)),
            Ok(Err(_garbled)) => {
                self.rebuild_index(writer)?;
                let grown = self.index().grown(&*self.segments.vfs, more)?;
                let grown = self.settle(grown.map_err(Fault::from))?;
                Ok(self.set_index(grown))
            }
            // A disk too full for a larger table may still take some blocks.
            Err(_) if index.has_any_room(more) => Ok(index),
            Err(error) => Err(error),
        }
    }
}
