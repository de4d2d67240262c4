//! Opening: brings index and packs to agree, whatever the last process or the power did.
//!
//! After a clean end nothing is read. After a crash the packs are read from the index's checkpoint
//! on: up to the durable position only headers, behind it the data is hashed as well, since a
//! power cut may have left headers without data. Without a usable index everything is read.
//! What is torn at the very end was never acknowledged, and is cut off.
//!
//! Invariants: a record is indexed only if its header is whole and its data was synced or hashes
//! right; nothing before the durable position is ever cut or removed; damage there is named.
//! Not here: what the next writes do (`writer.rs`).

use super::{
    Damage,
    encoding::{DecodeError, Decoded},
    index::{Garbled, Index, Place, Position, State},
    record::{Record, RecordKind, SEGMENT_HEADER_LEN, SEGMENT_LEN_MAX, Tombstone},
    scan::{Item, Scan},
    segment::{Opened, Segment, Segments},
    writer::{UNSYNCED_COUNT_MAX, Writer},
};
use crate::StoreError;
use bytes::Bytes;
use cairn_block::{Block, BlockError, Cid, Multihash, codec};
use cairn_runtime::Vfs;
use std::{collections::HashSet, path::Path, sync::Arc};
use tracing::{info, warn};

/// Bytes of data that are hashed together.
const VERIFY_LEN_MAX: usize = 4 * 1024 * 1024;

/// Records that are hashed together.
const VERIFY_COUNT_MAX: usize = 1024;

/// What a store starts with.
pub(super) struct Recovered {
    pub(super) index: Index,
    pub(super) writer: Writer,
    pub(super) damage: Vec<Damage>,
    /// Whether the last process closed the store, and nothing has touched it since.
    pub(super) clean: bool,
}

/// Opens the packs and their index.
pub(super) fn open(segments: &Segments, index_path: &Path) -> Result<Recovered, StoreError> {
    let mut index = Index::open(&*segments.vfs, index_path)?;
    if let Some(failed) = index.take_if(|index| index.state() == State::SyncFailed) {
        cut_after_failed_sync(segments, &failed)?;
    }
    let index = index.filter(|index| !index.is_distrusted());
    let numbers = remove_unbegun(segments)?;
    let mut damage = missing(segments, &numbers);
    let last = numbers.last().copied();
    let Some((index, start)) = trusted(segments, index, last, &mut damage)? else {
        info!(path = %index_path.display(), "no usable index, reading the packs");
        return reopen(segments, Replay::from_packs(segments, index_path, &numbers)?, damage);
    };
    if index.state() == State::Clean && end_is_at(segments, start, last)? {
        let last = open_last(segments, last)?;
        let writer = Writer::new(last, start.segment(), Vec::new());
        return Ok(Recovered { index, writer, damage, clean: true });
    }
    if index.forget_from(start, &emptied(segments, &numbers)?) == Err(Garbled) {
        warn!(path = %index_path.display(), "the index is damaged, reading the packs");
        return reopen(segments, Replay::from_packs(segments, index_path, &numbers)?, damage);
    }
    index.set_state(State::Dirty);
    let durable = index.durable();
    let replay = Replay::new(segments, index, (start, durable));
    reopen(segments, replay, damage)
}

/// Makes an index from the packs up to `end`, all of which this process has seen whole.
pub(super) fn rebuild(
    segments: &Segments,
    index_path: &Path,
    end: Position,
) -> Result<(Index, Vec<Damage>), StoreError> {
    let index = Index::create(&*segments.vfs, index_path, 0)?;
    index.install(&*segments.vfs, false)?;
    let mut replay = Replay::new(segments, index, (Position::START, end));
    replay.end = end;
    replay.run(&segments.numbers()?)?;
    Ok((replay.index, replay.damage))
}

/// Runs a replay up to the end of the packs, and finds out where to write next.
fn reopen(
    segments: &Segments,
    mut replay: Replay<'_>,
    mut damage: Vec<Damage>,
) -> Result<Recovered, StoreError> {
    let numbers = segments.numbers()?;
    replay.run(&numbers)?;
    let last_number = numbers.last().copied().unwrap_or_default();
    let last = if replay.last_is_damaged { None } else { open_last(segments, Some(last_number))? };
    let from = replay.durable.segment();
    let mut unsynced = Vec::new();
    for &number in numbers.iter().filter(|number| **number >= from) {
        if let Opened::Whole(segment) = segments.open(number)? {
            unsynced.push(segment);
        }
    }
    damage.append(&mut replay.damage);
    let writer = Writer::new(last, last_number, unsynced);
    Ok(Recovered { index: replay.index, writer, damage, clean: false })
}

/// The index, with the position to read the packs from; `None` if it is of no use.
fn trusted(
    segments: &Segments,
    index: Option<Index>,
    last: Option<u32>,
    damage: &mut Vec<Damage>,
) -> Result<Option<(Index, Position)>, StoreError> {
    let Some(index) = index else { return Ok(None) };
    let (checkpoint, salt) = index.checkpoint();
    if checkpoint == Position::START {
        return Ok(Some((index, checkpoint)));
    }
    let number = checkpoint.segment();
    // A collection may empty the pack that the checkpoint is in: the index still has all before.
    if matches!(segments.open(number)?, Opened::Emptied(id) if id.salt == salt) {
        return Ok(Some((index, checkpoint)));
    }
    if let Opened::Whole(segment) = segments.open(number)?
        && segment.id.salt == salt
    {
        if segment.len()? >= checkpoint.offset() {
            return Ok(Some((index, checkpoint)));
        }
        let text = format!("shorter than the {} bytes that were synced", checkpoint.offset());
        damage.push(Damage { path: segments.path(number), text });
    } else if last.is_none_or(|last| last < number) {
        let text = "missing; the index knows it".to_owned();
        damage.push(Damage { path: segments.path(number), text });
    }
    Ok(None)
}

fn end_is_at(
    segments: &Segments,
    position: Position,
    last: Option<u32>,
) -> Result<bool, StoreError> {
    let Some(last) = last else { return Ok(position == Position::START) };
    if last != position.segment() {
        return Ok(false);
    }
    match segments.open(last)? {
        Opened::Whole(segment) => Ok(segment.len()? == position.offset()),
        Opened::Emptied(_) | Opened::Missing | Opened::Damaged => Ok(false),
    }
}

fn open_last(
    segments: &Segments,
    last: Option<u32>,
) -> Result<Option<(Arc<Segment>, u64)>, StoreError> {
    let Some(number) = last.filter(|number| *number > 0) else { return Ok(None) };
    let Opened::Whole(segment) = segments.open(number)? else { return Ok(None) };
    let end = segment.len()?;
    Ok(Some((segment, end)))
}

/// After a failed sync the kernel may show bytes that are not on disk: what that process wrote
/// after its last good sync, and so never acknowledged, goes. So does the index: on disk it would
/// go on saying where to cut when more was acknowledged behind that.
fn cut_after_failed_sync(segments: &Segments, index: &Index) -> Result<(), StoreError> {
    let cut = index.cut();
    for number in segments.numbers()? {
        if number > cut.segment() {
            segments.remove(number)?;
        } else if number == cut.segment()
            && let Opened::Whole(segment) = segments.open(number)?
            && segment.len()? > cut.offset()
        {
            let done = segment.file.set_len(cut.offset());
            done.map_err(|source| StoreError::io("cut", &segment.path, source))?;
        }
    }
    write_again(segments, index.durable())
}

/// Writes the packs' bytes from `start` on once more, as they are: the system takes pages whose
/// sync failed for written, and would leave them out of the next one.
fn write_again(segments: &Segments, start: Position) -> Result<(), StoreError> {
    for number in segments.numbers()?.into_iter().filter(|number| *number >= start.segment()) {
        let Opened::Whole(segment) = segments.open(number)? else { continue };
        let mut offset = if number == start.segment() { start.offset() } else { 0 };
        loop {
            let bytes = segment.read(offset, VERIFY_LEN_MAX)?;
            if bytes.is_empty() {
                break;
            }
            let written = segment.file.write_all_at(&bytes, offset);
            written.map_err(|source| StoreError::io("write", &segment.path, source))?;
            offset += bytes.len() as u64;
        }
    }
    Ok(())
}

/// Removes a last pack that has no header yet, as a crash at its creation leaves it.
fn remove_unbegun(segments: &Segments) -> Result<Vec<u32>, StoreError> {
    let mut numbers = segments.numbers()?;
    while let Some(&last) = numbers.last() {
        if !matches!(segments.open(last)?, Opened::Damaged) {
            break;
        }
        let path = segments.path(last);
        let len = segments.vfs.len(&path);
        let len = len.map_err(|source| StoreError::io("measure", &path, source))?;
        if len.unwrap_or_default() > SEGMENT_HEADER_LEN as u64 {
            break;
        }
        segments.remove(last)?;
        numbers.pop();
    }
    Ok(numbers)
}

/// The packs that a collection has emptied, or was emptying when it was interrupted.
fn emptied(segments: &Segments, numbers: &[u32]) -> Result<HashSet<u32>, StoreError> {
    let mut emptied = HashSet::new();
    for &number in numbers {
        if matches!(segments.open(number)?, Opened::Emptied(_)) {
            segments.empty_again(number)?;
            emptied.insert(number);
        }
    }
    Ok(emptied)
}

/// Removes an index that is of no use, durably and before there is another: a power cut must not
/// bring back what it says of checkpoints and failed syncs.
fn forget_index(vfs: &dyn Vfs, path: &Path) -> Result<(), StoreError> {
    let removed = vfs.remove(path).and_then(|()| match path.parent() {
        Some(dir) => vfs.sync_dir(dir),
        None => Ok(()),
    });
    removed.map_err(|source| StoreError::io("remove", path, source))
}

/// Names the packs whose numbers are skipped.
fn missing(segments: &Segments, numbers: &[u32]) -> Vec<Damage> {
    let mut damage = Vec::new();
    let mut expected = 1;
    for &number in numbers {
        for gone in expected..number {
            damage.push(Damage { path: segments.path(gone), text: "missing".to_owned() });
        }
        expected = number + 1;
    }
    damage
}

/// Reads packs into an index.
struct Replay<'a> {
    segments: &'a Segments,
    index: Index,
    start: Position,
    /// Up to here the data needs no hashing.
    durable: Position,
    end: Position,
    batch: Vec<(Position, Record, Bytes)>,
    batch_len: usize,
    /// The end of the last record that counts, in the pack being read.
    good_end: u64,
    last_is_damaged: bool,
    /// Some of the pack being read was torn, so its footer says too much.
    is_torn: bool,
    /// Whether a record of the pack being read was made void.
    has_voided: bool,
    damage: Vec<Damage>,
}

impl<'a> Replay<'a> {
    fn new(segments: &'a Segments, index: Index, (start, durable): (Position, Position)) -> Self {
        Self {
            segments,
            index,
            start,
            durable,
            end: Position::new(u32::MAX, 0),
            batch: Vec::new(),
            batch_len: 0,
            good_end: 0,
            last_is_damaged: false,
            is_torn: false,
            has_voided: false,
            damage: Vec::new(),
        }
    }

    /// A replay of everything into a new index; what may be unsynced is in the last packs.
    fn from_packs(
        segments: &'a Segments,
        index_path: &Path,
        numbers: &[u32],
    ) -> Result<Self, StoreError> {
        forget_index(&*segments.vfs, index_path)?;
        let index = Index::create(&*segments.vfs, index_path, 0)?;
        index.install(&*segments.vfs, false)?;
        let first = numbers.len().saturating_sub(UNSYNCED_COUNT_MAX);
        let first = numbers.get(first).copied().unwrap_or_default();
        Ok(Self::new(segments, index, (Position::START, Position::new(first, 0))))
    }

    fn run(&mut self, numbers: &[u32]) -> Result<(), StoreError> {
        let first = self.start.segment();
        for &number in numbers.iter().filter(|number| **number >= first) {
            let is_last = Some(&number) == numbers.last();
            match self.segments.open(number)? {
                Opened::Whole(segment) => self.read(&segment, is_last)?,
                Opened::Missing | Opened::Emptied(_) => {}
                Opened::Damaged => {
                    self.last_is_damaged = is_last;
                    self.lost(
                        number,
                        "its header is damaged, so none of it can be read".to_owned(),
                    );
                }
            }
        }
        Ok(())
    }

    /// Reads one pack.
    fn read(&mut self, segment: &Arc<Segment>, is_last: bool) -> Result<(), StoreError> {
        let number = segment.id.number;
        let from_start = number != self.start.segment();
        let start = if from_start { SEGMENT_HEADER_LEN as u64 } else { self.start.offset() };
        let len = segment.len()?;
        let end = if number == self.end.segment() { self.end.offset().min(len) } else { len };
        self.good_end = start;
        self.is_torn = false;
        let mut scan = if number < self.durable.segment() {
            Scan::synced(Arc::clone(segment), start, end)?
        } else {
            Scan::new(Arc::clone(segment), start, end)
        };
        while let Some(item) = scan.next()? {
            match item {
                Item::Record { offset, record } => self.take(segment, offset, record)?,
                Item::Gap { offset, len } => {
                    self.is_torn = true;
                    self.lost(number, format!("{len} bytes from {offset} on are damaged"));
                }
                Item::Torn { offset } => self.torn(number, (offset, end)),
            }
        }
        self.index_batch(segment)?;
        if std::mem::take(&mut self.has_voided) {
            // Were the power to go once more, and with it the index, the next start would hash the
            // last packs only, and take a record that is whole again in this one at its word.
            let synced = segment.file.sync_data();
            synced.map_err(|source| StoreError::io("sync", &segment.path, source))?;
        }
        if is_last && number != self.end.segment() && self.good_end < end {
            self.cut(segment, end)?;
        }
        Ok(())
    }

    fn torn(&mut self, number: u32, (offset, end): (u64, u64)) {
        if Position::new(number, offset) < self.durable {
            self.lost(number, format!("{} bytes from {offset} on are damaged", end - offset));
        }
    }

    /// Cuts off the end of the last pack, unless it was synced once.
    fn cut(&mut self, segment: &Segment, end: u64) -> Result<(), StoreError> {
        let number = segment.id.number;
        if Position::new(number, self.good_end) < self.durable {
            self.last_is_damaged = true;
            return Ok(());
        }
        info!(path = %segment.path.display(), len = end - self.good_end, "cutting off a torn end");
        let cut = segment.file.set_len(self.good_end);
        cut.map_err(|source| StoreError::io("cut", &segment.path, source))
    }

    fn lost(&mut self, number: u32, text: String) {
        self.damage.push(Damage { path: self.segments.path(number), text });
    }

    /// Takes one record: at once, or with a batch whose data is hashed.
    fn take(
        &mut self,
        segment: &Arc<Segment>,
        offset: u64,
        record: Record,
    ) -> Result<(), StoreError> {
        let position = Position::new(segment.id.number, offset);
        if position < self.durable && self.batch.is_empty() {
            return self.apply(position, &record);
        }
        let data = segment.read(offset + u64::from(record.header_len), record.data_len as usize)?;
        self.batch_len += record.decoded_len();
        self.batch.push((position, record, data.into()));
        if self.batch_len >= VERIFY_LEN_MAX || self.batch.len() >= VERIFY_COUNT_MAX {
            self.index_batch(segment)?;
        }
        Ok(())
    }

    /// Hashes the batch and applies what is whole.
    fn index_batch(&mut self, segment: &Segment) -> Result<(), StoreError> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_len = 0;
        let proofs: Vec<_> =
            batch.iter().map(|(_, record, data)| proof(record, data.clone())).collect();
        let named = |((_, record, _), proof): (&(Position, Record, Bytes), &Proof)| {
            let Proof::Hash(bytes) = proof else { return None };
            Some((Cid::v1(codec::RAW, record.hash.clone()), bytes.clone()))
        };
        let blocks = batch.iter().zip(&proofs).filter_map(named).collect();
        let mut verified = Block::verify_many(blocks).into_iter();
        for ((position, record, _), proof) in batch.iter().zip(&proofs) {
            let is_torn = match proof {
                Proof::Hash(_) => {
                    matches!(verified.next(), Some(Err(BlockError::Corrupt { .. })))
                }
                Proof::Torn => true,
                Proof::Nothing => record.kind == RecordKind::Footer && self.is_torn,
            };
            if is_torn {
                self.is_torn = true;
                let (path, offset) = (segment.path.display(), position.offset());
                info!(%path, offset, "dropping a record that was cut short by a crash");
                void(segment, offset, record)?;
                self.has_voided = true;
            } else {
                self.apply(*position, record)?;
            }
        }
        Ok(())
    }

    /// Brings the index up to date with a record.
    fn apply(&mut self, position: Position, record: &Record) -> Result<(), StoreError> {
        self.good_end = position.offset() + record.len();
        match record.kind {
            RecordKind::Block => {
                let place = Place::new(position.segment(), position.offset(), record.len());
                self.insert(&record.hash, place)
            }
            RecordKind::Tombstone => record.tombstone().map_or(Ok(()), |one| self.remove(&one)),
            RecordKind::Footer
            | RecordKind::Void
            | RecordKind::Note
            | RecordKind::FormerFooter
            | RecordKind::Unknown => Ok(()),
        }
    }

    fn insert(&mut self, hash: &Multihash, place: Place) -> Result<(), StoreError> {
        let fingerprint = self.index.fingerprint(hash);
        let mut after = None;
        while let Some(found) = self.sound(self.index.find(fingerprint, after))? {
            if found.place == place {
                return Ok(());
            }
            if self.is_of(found.place, hash)? {
                self.index.replace(found.slot, place);
                return Ok(());
            }
            after = Some(found.slot);
        }
        if !self.index.has_room(1) {
            let grown = self.index.grown(&*self.segments.vfs, 1)?;
            self.index = self.sound(grown)?;
        }
        self.sound(self.index.insert(fingerprint, place))
    }

    fn remove(&mut self, tombstone: &Tombstone) -> Result<(), StoreError> {
        let fingerprint = self.index.fingerprint(&tombstone.hash);
        let mut after = None;
        while let Some(found) = self.sound(self.index.find(fingerprint, after))? {
            let is_before = tombstone.before.is_none_or(|number| found.place.segment() < number);
            if is_before && self.is_of(found.place, &tombstone.hash)? {
                self.index.remove(found.slot);
            }
            after = Some(found.slot);
        }
        Ok(())
    }

    /// Whether the record at `place` is this block's, or so damaged that it may as well be.
    fn is_of(&self, place: Place, hash: &Multihash) -> Result<bool, StoreError> {
        let Opened::Whole(segment) = self.segments.open(place.segment())? else {
            return Ok(true);
        };
        let header = segment.read(place.offset(), super::record::RECORD_HEADER_LEN_MAX)?;
        let record = Record::decode(segment.id, place.offset(), &header);
        Ok(record.is_none_or(|record| record.hash == *hash))
    }

    /// Pages were checked before a replay begins, and are checked again as they are touched.
    fn sound<T>(&self, answer: Result<T, Garbled>) -> Result<T, StoreError> {
        answer.map_err(|Garbled| {
            let source = std::io::Error::other("the index changed while it was being read");
            StoreError::io("read", &self.segments.dir.with_file_name("index"), source)
        })
    }
}

/// Makes a torn record one that is skipped: what is synced after it would otherwise vouch for it
/// at the next start, and the block would count as present.
///
/// A footer behind it is whole all the same, and a note that counts it must go on to count: what
/// seems torn may be garbage whose space a collection has given back.
fn void(segment: &Segment, offset: u64, record: &Record) -> Result<(), StoreError> {
    let kind = match record.kind {
        RecordKind::Footer => RecordKind::FormerFooter,
        _ => RecordKind::Void,
    };
    let mut header = Vec::new();
    Record::encode(segment.id, offset, kind, (&record.hash, record.data_len), &mut header);
    let written = segment.file.write_all_at(&header, offset);
    written.map_err(|source| StoreError::io("write", &segment.path, source))
}

/// What tells whether a record's data is whole.
enum Proof {
    /// The hash of these bytes.
    Hash(Bytes),
    /// It is not, whatever it was.
    Torn,
    /// Nothing more: it holds no block, has a checksum of its own, or a newer version wrote it.
    Nothing,
}

fn proof(record: &Record, data: Bytes) -> Proof {
    if data.len() < record.data_len as usize {
        return Proof::Torn;
    }
    match record.kind {
        RecordKind::Block => {}
        RecordKind::Note if record.flags == 0 => return Proof::Hash(data),
        _ => return Proof::Nothing,
    }
    match record.decode_data(data) {
        Ok(Decoded::Bytes(bytes)) => Proof::Hash(bytes),
        Err(DecodeError::Corrupt) => Proof::Torn,
        Ok(Decoded::Reference(_)) | Err(DecodeError::Unknown) => Proof::Nothing,
    }
}

const _: () = assert!(SEGMENT_LEN_MAX < u32::MAX as u64);
