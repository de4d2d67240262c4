//! Makes garbage unreachable where it lies, in packs that are mostly live.
//!
//! Each block gets a tombstone, so that an index made anew does not bring it back. The space of
//! its data goes back to the file system at once if it is long enough for that; the rest waits
//! until the pack is worth copying from.
//!
//! Invariant: space is given back only after the tombstones are durable and the notes settled,
//! and readers believe what they read only if the entry is still there after they read it
//! (`read.rs`).
//! Not here: which packs (`plan.rs`).

use super::{CHUNK_COUNT, SweepObserver, Swept, headers::Headers};
use crate::{
    StoreError,
    store::{
        Inner,
        index::{Entry, Place},
        record::{Record, Tombstone},
        segment::Segment,
    },
};
use std::sync::Arc;

/// Data shorter than this is not worth a hole of its own.
const HOLE_LEN_MIN: u64 = 16 * 1024;

/// The file systems' blocks are no larger than this.
const HOLE_ALIGN: u64 = 4096;

/// Forgets the garbage among `entries` of `segment`.
pub(super) fn run(
    inner: &Inner,
    segment: &Arc<Segment>,
    entries: &[Entry],
    (observer, swept): (&mut dyn SweepObserver, &mut Swept),
) -> Result<(), StoreError> {
    let mut headers = Headers::new(segment);
    let mut holes = Vec::new();
    for chunk in entries.chunks(CHUNK_COUNT) {
        if !observer.goes_on() {
            swept.stopped = true;
            break;
        }
        let mut dead = Vec::new();
        for &entry in chunk {
            if is_dead(inner, entry)?
                && let Some(record) = headers.read(entry.place)?
            {
                dead.push((entry, record));
            }
        }
        for (place, record) in retire(inner, dead)? {
            swept.block_count += 1;
            observer.removed(&record.hash);
            holes.extend(hole(place, &record));
        }
    }
    if holes.is_empty() {
        return Ok(());
    }
    inner.settle_notes(segment.id.number)?;
    for (offset, len) in holes {
        let punched = segment.file.punch(offset, len);
        if punched.map_err(|source| StoreError::io("shrink", &segment.path, source))? {
            swept.freed_len += len;
        }
    }
    Ok(())
}

/// A first look, without the writer lock.
fn is_dead(inner: &Inner, entry: Entry) -> Result<bool, StoreError> {
    inner.with_index(|index| {
        let found = entry.found(index)?;
        Ok(found.is_some_and(|found| !index.is_kept(found.slot)))
    })
}

/// Writes tombstones for what is still dead, and removes it; returns that.
fn retire(inner: &Inner, dead: Vec<(Entry, Record)>) -> Result<Vec<(Place, Record)>, StoreError> {
    if dead.is_empty() {
        return Ok(Vec::new());
    }
    let mut writer = inner.writer();
    inner.writable()?;
    let mut still = Vec::with_capacity(dead.len());
    for (entry, record) in dead {
        let found = inner.look_locked(&writer, |index| entry.found(index))?;
        if found.is_some_and(|found| !inner.index().is_kept(found.slot)) {
            still.push((entry, record));
        }
    }
    if still.is_empty() {
        return Ok(Vec::new());
    }
    let tombstone = |(_, record): &(Entry, Record)| {
        let hash = record.hash.clone();
        Tombstone { hash, before: None }
    };
    let tombstones: Vec<Tombstone> = still.iter().map(tombstone).collect();
    inner.settle(inner.append_tombstones(&inner.index(), &mut writer, &tombstones))?;
    let mut retired = Vec::with_capacity(still.len());
    for (entry, record) in still {
        let found = inner.look_locked(&writer, |index| entry.found(index))?;
        if let Some(found) = found {
            inner.index().remove(found.slot);
            inner.forget_corrupt(entry.place);
            retired.push((entry.place, record));
        }
    }
    Ok(retired)
}

/// The part of a record's data that can be given back.
fn hole(place: Place, record: &Record) -> Option<(u64, u64)> {
    let data = place.offset() + u64::from(record.header_len);
    let start = data.next_multiple_of(HOLE_ALIGN);
    let end = (data + u64::from(record.data_len)) / HOLE_ALIGN * HOLE_ALIGN;
    let len = end.saturating_sub(start);
    (len >= HOLE_LEN_MIN).then_some((start, len))
}
