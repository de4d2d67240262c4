//! Empties a pack: forgets its garbage, copies what is live, gives the space back.
//!
//! Invariants: an entry moves to a copy that is durable; between the first copy and the moving
//! there is no checkpoint, since one would be after the copies and before the index has them. The
//! pack is emptied only when no entry points into it, and its tombstones are carried on while
//! packs before it may hold what they deleted, and its notes are settled.
//! Not here: which packs (`plan.rs`).

use super::{CHUNK_COUNT, SweepObserver, Swept, headers::Headers};
use crate::{
    StoreError,
    store::{
        Inner,
        encoding::Payload,
        index::{Entry, Place},
        record::{Record, RecordKind, SEGMENT_HEADER_LEN, Tombstone},
        scan::{Item, Scan},
        segment::{Opened, Segment},
        writer::BATCH_COUNT_MAX,
    },
};
use bytes::Bytes;
use std::sync::{Arc, PoisonError};

/// Bytes of live records that are copied under one hold of the writer lock.
const COPY_LEN: u64 = 512 * 1024;

/// Copies that wait to be made durable together, in number and in bytes.
const MOVE_COUNT_MAX: usize = 64 * 1024;
const MOVE_LEN_MAX: u64 = 128 * 1024 * 1024;

/// Bytes of copies that are written before they are brought to the disk: whoever syncs a few
/// bytes behind them waits for all of them.
const UNSYNCED_LEN_MAX: u64 = 4 * 1024 * 1024;

/// A live record, read.
struct Live {
    entry: Entry,
    record: Record,
    bytes: Bytes,
}

impl Live {
    /// The data as it is: how a block is kept does not matter here, and may not even be known.
    fn payload(&self) -> Payload<'_> {
        let Record { flags, block_len, .. } = self.record;
        Payload { flags, block_len, data: &self.bytes }
    }
}

/// An entry and where its record was copied to.
struct Move {
    entry: Entry,
    to: Place,
}

/// Empties `segment`, whose entries are `entries`.
pub(super) fn run(
    inner: &Inner,
    segment: &Arc<Segment>,
    entries: &[Entry],
    (observer, swept): (&mut dyn SweepObserver, &mut Swept),
) -> Result<(), StoreError> {
    let mut live = Vec::new();
    let mut headers = Headers::new(segment);
    for chunk in entries.chunks(CHUNK_COUNT) {
        if !observer.goes_on() {
            swept.stopped = true;
            return Ok(());
        }
        let dead = forget_dead(inner, chunk, &mut live)?;
        swept.block_count += dead.len() as u64;
        for place in dead {
            inner.forget_corrupt(place);
            if let Some(record) = headers.read(place)? {
                observer.removed(&record.hash);
            }
        }
    }
    let mut rest = &live[..];
    let mut lost = 0;
    while !rest.is_empty() {
        if !observer.goes_on() {
            swept.stopped = true;
            return Ok(());
        }
        rest = move_some(inner, segment, rest, (&mut lost, swept))?;
    }
    if lost > 0 {
        // Damaged records are not copied, and so that a repair can find them they stay.
        return Ok(());
    }
    carry_tombstones(inner, segment)?;
    empty(inner, segment, swept)
}

/// Removes the entries of a chunk that nobody keeps; returns their places, and adds the others
/// to `live`.
fn forget_dead(
    inner: &Inner,
    chunk: &[Entry],
    live: &mut Vec<Entry>,
) -> Result<Vec<Place>, StoreError> {
    let mut writer = inner.writer();
    inner.writable()?;
    let mut dead = Vec::new();
    let index = inner.index();
    writer.note_dirty(&index)?;
    for &entry in chunk {
        let found = inner.look_locked(&writer, |index| entry.found(index))?;
        let Some(found) = found else { continue };
        let index = inner.index();
        if index.is_kept(found.slot) {
            live.push(entry);
        } else {
            index.remove(found.slot);
            dead.push(entry.place);
        }
    }
    Ok(dead)
}

/// Copies the first of `entries`, makes the copies durable and moves the entries; returns those
/// that are left.
fn move_some<'a>(
    inner: &Inner,
    segment: &Arc<Segment>,
    entries: &'a [Entry],
    (lost, swept): (&mut u64, &mut Swept),
) -> Result<&'a [Entry], StoreError> {
    let checkpoint = inner.sync.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut rest, mut moves, mut moved_len, mut synced_len) = (entries, Vec::new(), 0, 0);
    while !rest.is_empty() && moves.len() < MOVE_COUNT_MAX && moved_len < MOVE_LEN_MAX {
        let (now, after) = rest.split_at(batch_count(rest));
        rest = after;
        let live = read(segment, now)?;
        *lost += (now.len() - live.len()) as u64;
        moved_len += live.iter().map(|live| live.record.len()).sum::<u64>();
        copy(inner, live, &mut moves)?;
        if moved_len - synced_len >= UNSYNCED_LEN_MAX {
            inner.flush()?;
            synced_len = moved_len;
        }
    }
    inner.flush()?;
    for chunk in moves.chunks(CHUNK_COUNT) {
        let writer = inner.writer();
        for Move { entry, to } in chunk {
            let found = inner.look_locked(&writer, |index| entry.found(index))?;
            // Without one it was deleted or replaced meanwhile, in a record after the copy.
            let Some(found) = found else { continue };
            inner.move_corrupt(entry.place, *to);
            inner.index().relocate(found.slot, *to);
        }
    }
    drop(checkpoint);
    swept.copied_len += moved_len;
    inner.checkpoint_if_due();
    Ok(rest)
}

/// How many entries are copied together: those of [`COPY_LEN`], and at least one.
fn batch_count(entries: &[Entry]) -> usize {
    let Some(first) = entries.first() else { return 0 };
    let end = first.place.offset() + COPY_LEN;
    let count = entries.partition_point(|entry| entry.place.offset() < end);
    count.min(BATCH_COUNT_MAX)
}

/// Reads records that lie within [`COPY_LEN`]; leaves out those that are damaged.
fn read(segment: &Arc<Segment>, entries: &[Entry]) -> Result<Vec<Live>, StoreError> {
    let mut live = Vec::with_capacity(entries.len());
    let apart = |left: &Entry, right: &Entry| {
        right.place.offset() <= left.place.offset() + left.place.len_bound()
    };
    for run in entries.chunk_by(apart) {
        let (first, last) = (run[0].place, run[run.len() - 1].place);
        let len = last.offset() + last.len_bound() - first.offset();
        let bytes = Bytes::from(segment.read(first.offset(), len as usize)?);
        for &entry in run {
            let start = (entry.place.offset() - first.offset()) as usize;
            let rest = bytes.get(start..).unwrap_or_default();
            let record = Record::decode(segment.id, entry.place.offset(), rest);
            let whole = record.filter(|record| {
                record.kind == RecordKind::Block && record.len() <= rest.len() as u64
            });
            if let Some(record) = whole {
                let data = start + record.header_len as usize..start + record.len() as usize;
                live.push(Live { entry, bytes: bytes.slice(data), record });
            }
        }
    }
    Ok(live)
}

/// Appends copies of the records whose entries are still there.
fn copy(inner: &Inner, live: Vec<Live>, moves: &mut Vec<Move>) -> Result<(), StoreError> {
    let mut writer = inner.writer();
    inner.writable()?;
    let mut still = Vec::with_capacity(live.len());
    for live in live {
        if inner.look_locked(&writer, |index| live.entry.found(index))?.is_some() {
            still.push(live);
        }
    }
    let copies: Vec<_> = still.iter().map(|live| (&live.record.hash, live.payload())).collect();
    let index = inner.index();
    let places = inner.settle(inner.append_copies(&index, &mut writer, &copies))?;
    moves.extend(still.iter().zip(places).map(|(live, to)| Move { entry: live.entry, to }));
    Ok(())
}

/// Writes the tombstones of `segment` again that are about packs that are still there.
///
/// The block may have been written again since: what is carried is about the packs before this
/// one only, and the records of this one go with it.
fn carry_tombstones(inner: &Inner, segment: &Arc<Segment>) -> Result<(), StoreError> {
    let Some(oldest) = oldest(inner)?.filter(|oldest| *oldest < segment.id.number) else {
        return Ok(());
    };
    if !segment.has_tombstones() {
        return Ok(());
    }
    let (start, end) = (SEGMENT_HEADER_LEN as u64, segment.len()?);
    let mut scan = Scan::synced(Arc::clone(segment), start, end)?;
    let mut tombstones = Vec::new();
    while let Some(item) = scan.next()? {
        let Item::Record { record, .. } = item else { continue };
        let Some(tombstone) = record.tombstone() else { continue };
        let before = tombstone.before.unwrap_or(segment.id.number);
        if oldest < before {
            tombstones.push(Tombstone { before: Some(before), ..tombstone });
        }
        if tombstones.len() == CHUNK_COUNT {
            write_tombstones(inner, &std::mem::take(&mut tombstones))?;
        }
    }
    write_tombstones(inner, &tombstones)?;
    inner.flush()
}

/// The first pack that holds anything.
fn oldest(inner: &Inner) -> Result<Option<u32>, StoreError> {
    for number in inner.segments.numbers()? {
        if !matches!(inner.segments.open(number)?, Opened::Emptied(_)) {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

fn write_tombstones(inner: &Inner, tombstones: &[Tombstone]) -> Result<(), StoreError> {
    if tombstones.is_empty() {
        return Ok(());
    }
    let mut writer = inner.writer();
    inner.writable()?;
    let written = inner.append_tombstones(&inner.index(), &mut writer, tombstones);
    inner.settle(written)
}

/// Gives the pack's space back, unless some entry still needs it.
fn empty(inner: &Inner, segment: &Arc<Segment>, swept: &mut Swept) -> Result<(), StoreError> {
    let number = segment.id.number;
    // Nothing is added to a pack that is not the current one, so nobody needs to wait for this.
    let unused = inner.with_index(|index| {
        let mut used = false;
        index.each_entry(|entry, _slot| {
            used |= entry.place.segment() == number;
            Ok(())
        })?;
        Ok(!used)
    })?;
    if !unused {
        return Ok(());
    }
    let len = segment.len()?.saturating_sub(SEGMENT_HEADER_LEN as u64);
    // Notes may lie in it, or count its records.
    inner.settle_notes(number)?;
    inner.segments.empty(segment)?;
    swept.freed_len += len;
    Ok(())
}
