//! Decides what becomes of each pack, and has it done.
//!
//! Packs without anything live come first, since emptying them needs no space; then those where
//! garbage is scattered; then those that are worth copying from, the emptiest first.
//!
//! Invariant: memory is one pass's entries, [`ENTRY_COUNT_MAX`] or those of one pack.
//! Not here: how (`vacate.rs`, `retire.rs`).

use super::{SweepObserver, Swept, retire, vacate};
use crate::{
    StoreError,
    store::{
        Inner,
        index::Entry,
        record::SEGMENT_HEADER_LEN,
        segment::{Opened, Segment},
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tracing::debug;

/// A pack is copied from when at least one part in so many of it is garbage.
const WORTH_COPYING: u64 = 4;

/// The current pack is closed, so that it can be collected, for this much garbage.
const WORTH_CLOSING_LEN: u64 = 1024 * 1024;

/// Entries that are gathered in one pass over the index.
const ENTRY_COUNT_MAX: u64 = 1024 * 1024;

/// What the index says of a record's length is so much too much on average.
const LEN_BOUND_EXCESS: u64 = 32;

/// Room that must be left after copying.
const SPARE_LEN: u64 = 16 * 1024 * 1024;

/// What is in a pack.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    len: u64,
    kept_len: u64,
    kept_count: u64,
    dead_count: u64,
}

impl Tally {
    /// Bytes of garbage, entries or not.
    fn garbage_len(self) -> u64 {
        self.len.saturating_sub(self.kept_len)
    }

    fn is_worth_copying(self) -> bool {
        self.garbage_len() * WORTH_COPYING >= self.len
    }

    fn entry_count(self) -> u64 {
        self.kept_count + self.dead_count
    }
}

/// What to do with a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// Nothing in it is live: empty it.
    Drop,
    /// Make its garbage unreachable where it lies.
    Retire,
    /// Copy what is live, then empty it.
    Copy,
}

#[derive(Debug)]
struct Job {
    segment: Arc<Segment>,
    tally: Tally,
    fate: Fate,
}

/// See [`super::Collection::sweep`].
pub(super) fn sweep(inner: &Inner, observer: &mut dyn SweepObserver) -> Result<Swept, StoreError> {
    let tallies = tallies(inner)?;
    let current = close_current(inner, &tallies)?;
    let mut jobs = plan(inner, tallies, current)?;
    jobs.sort_by_key(|job| (job.fate, job.tally.kept_len));
    let mut swept = Swept::default();
    let mut jobs = jobs.into_iter().peekable();
    while jobs.peek().is_some() {
        let mut group = Vec::new();
        let mut count = 0;
        while let Some(job) =
            jobs.next_if(|job| count == 0 || count + job.tally.entry_count() <= ENTRY_COUNT_MAX)
        {
            count += job.tally.entry_count();
            group.push(job);
        }
        let mut entries = gather(inner, &group)?;
        for job in group {
            let entries = entries.remove(&job.segment.id.number).unwrap_or_default();
            run(inner, &job, &entries, (observer, &mut swept))?;
            if swept.stopped {
                return Ok(swept);
            }
        }
    }
    inner.flush()?;
    Ok(swept)
}

fn run(
    inner: &Inner,
    job: &Job,
    entries: &[Entry],
    (observer, swept): (&mut dyn SweepObserver, &mut Swept),
) -> Result<(), StoreError> {
    let Job { segment, tally, fate } = job;
    let no_room = *fate == Fate::Copy && !has_room(inner, tally.kept_len)?;
    swept.short_of_space |= no_room;
    debug!(path = %segment.path.display(), ?fate, no_room, ?tally, "collecting");
    let done = if *fate == Fate::Retire || no_room {
        retire::run(inner, segment, entries, (observer, swept))
    } else {
        vacate::run(inner, segment, entries, (observer, swept))
    };
    match done {
        Err(error) if error.is_full() => {
            swept.short_of_space = true;
            Ok(())
        }
        done => done,
    }
}

fn has_room(inner: &Inner, len: u64) -> Result<bool, StoreError> {
    let dir = &inner.segments.dir;
    let free = inner.segments.vfs.free_len(dir);
    let free = free.map_err(|source| StoreError::io("measure", dir, source))?;
    Ok(free.is_none_or(|free| free >= len + SPARE_LEN))
}

/// Counts what is live and dead in each pack.
fn tallies(inner: &Inner) -> Result<HashMap<u32, Tally>, StoreError> {
    inner.with_index(|index| {
        let mut tallies: HashMap<u32, Tally> = HashMap::new();
        index.each_entry(|entry, slot| {
            let tally = tallies.entry(entry.place.segment()).or_default();
            if index.is_kept(slot) {
                tally.kept_count += 1;
                tally.kept_len += entry.place.len_bound() - LEN_BOUND_EXCESS;
            } else {
                tally.dead_count += 1;
            }
            Ok(())
        })?;
        Ok(tallies)
    })
}

/// Begins a new pack if the current one has much garbage; returns the number of the current one.
fn close_current(inner: &Inner, tallies: &HashMap<u32, Tally>) -> Result<u32, StoreError> {
    let Some(number) = inner.writer().number() else { return Ok(u32::MAX) };
    let Opened::Whole(segment) = inner.segments.open(number)? else { return Ok(number) };
    let mut tally = tallies.get(&number).copied().unwrap_or_default();
    tally.len = content_len(&segment)?;
    let worth = tally.garbage_len() >= WORTH_CLOSING_LEN && tally.is_worth_copying()
        || tally.garbage_len() > 0 && tally.kept_count == 0;
    if !worth {
        return Ok(number);
    }
    let mut writer = inner.writer();
    if writer.number() != Some(number) {
        return Ok(number);
    }
    // Without a footer: what it would list is copied out of the pack in a moment.
    match inner.begin_pack(&mut writer) {
        Ok(()) => Ok(number + 1),
        // Emptying it will make room for the next one.
        Err(error) if error.is_full() && tally.kept_count == 0 => {
            writer.give_up_segment();
            Ok(u32::MAX)
        }
        Err(error) if error.is_full() => Ok(number),
        Err(error) => Err(error),
    }
}

fn content_len(segment: &Segment) -> Result<u64, StoreError> {
    Ok(segment.len()?.saturating_sub(SEGMENT_HEADER_LEN as u64))
}

/// The packs that something is to be done about; in the current one, garbage is only retired.
fn plan(
    inner: &Inner,
    mut tallies: HashMap<u32, Tally>,
    current: u32,
) -> Result<Vec<Job>, StoreError> {
    let mut jobs = Vec::new();
    for number in inner.segments.numbers()?.into_iter().filter(|number| *number <= current) {
        let Opened::Whole(segment) = inner.segments.open(number)? else { continue };
        let mut tally = tallies.remove(&number).unwrap_or_default();
        tally.len = content_len(&segment)?;
        let fate = if number == current || !tally.is_worth_copying() {
            Fate::Retire
        } else if tally.kept_count == 0 {
            Fate::Drop
        } else {
            Fate::Copy
        };
        if tally.len > 0 && (fate != Fate::Retire || tally.dead_count > 0) {
            jobs.push(Job { segment, tally, fate });
        }
    }
    Ok(jobs)
}

/// The entries of some packs, in the order of their places.
fn gather(inner: &Inner, jobs: &[Job]) -> Result<BTreeMap<u32, Vec<Entry>>, StoreError> {
    let mut entries = inner.with_index(|index| {
        let mut entries: BTreeMap<u32, Vec<Entry>> = BTreeMap::new();
        for job in jobs {
            entries.insert(job.segment.id.number, Vec::new());
        }
        index.each_entry(|entry, _slot| {
            if let Some(entries) = entries.get_mut(&entry.place.segment()) {
                entries.push(entry);
            }
            Ok(())
        })?;
        Ok(entries)
    })?;
    for entries in entries.values_mut() {
        entries.sort_unstable_by_key(|entry| entry.place);
    }
    Ok(entries)
}
