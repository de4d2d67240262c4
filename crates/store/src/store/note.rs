//! Notes: changes of the metadata, kept in the packs behind the blocks that they depend on.
//!
//! ```text
//! note    0  1  version, 1                 1  8  number, one more than the last note's
//!         9  8  position up to which everything was synced when it was written
//!        17  8  bytes of records between that position and the note
//!        25  …  the change (`meta/change.rs`)
//! ```
//! One `fdatasync` makes blocks and note durable together. The metadata database takes the
//! changes over later, many at a time: they are then *settled*, and their notes are garbage.
//!
//! Invariants: a note counts only if it hashes to its name and every record since the position
//! that it names is whole, so a change that a crash caught under way is there with all that it
//! needs, or not at all, and says so at every later start as well. Whoever gives the bytes of
//! records back settles the notes first ([`Inner::settle_notes`]).
//! Not here: what a change means, when notes are settled (`crate::meta`).

use super::{
    Inner, Store,
    index::{Index, Position},
    record::{Record, RecordKind, SEGMENT_HEADER_LEN},
    recover::Recovered,
    scan::{Item, Scan},
    segment::{Opened, Segment},
    sync::distance,
    writer::Writer,
};
use crate::StoreError;
use cairn_block::{BLOCK_LEN_MAX, Multihash};
use std::{
    fmt,
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
};
use tracing::{info, warn};

/// Longest change that a note holds, in bytes.
pub(crate) const NOTE_LEN_MAX: usize = BLOCK_LEN_MAX - HEADER_LEN;

/// Bytes of a note before the change.
const HEADER_LEN: usize = 25;

const VERSION: u8 = 1;

/// A note that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) number: u64,
    pub(crate) position: Position,
    pub(crate) change: Vec<u8>,
}

/// Takes over what the notes say: the metadata database.
pub(crate) trait Settle: fmt::Debug + Send + Sync {
    /// Makes every change durable without its note.
    fn settle(&self) -> Result<(), StoreError>;
}

/// What is known of the notes in the packs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct NotesKnown {
    /// Where those begin that are not settled; `None` if all are.
    pub(crate) from: Option<Position>,
    /// The number of the last one. `None` until they were read after a crash: what `from` says is
    /// then a lower bound.
    pub(crate) last: Option<u64>,
}

/// What changes with each note.
#[derive(Debug, Default)]
struct State {
    known: NotesKnown,
    /// Nothing before this is counted by a note that is not settled; `None` if that is not known.
    rests_from: Option<Position>,
}

/// The notes of an open store.
#[derive(Debug, Default)]
pub(super) struct Notes {
    state: Mutex<State>,
    settler: OnceLock<Weak<dyn Settle>>,
}

impl Notes {
    /// What is known after opening.
    pub(super) fn after(recovered: &Recovered) -> Self {
        let end = recovered.writer.position();
        let (from, last) = recovered.index.notes().unwrap_or((Position::START, None));
        let last = last.filter(|_| recovered.clean);
        let from = (last.is_none() || from < end).then_some(from.min(end));
        let known = NotesKnown { from, last };
        Self { state: Mutex::new(State { known, rests_from: None }), ..Self::default() }
    }

    /// Notes in the index where notes are to be read from, if `end` is all that there is.
    pub(super) fn write_down(&self, index: &Index, end: Position) {
        let NotesKnown { from, last } = self.state().known;
        index.set_notes(from.unwrap_or(end), last);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a note that is not settled may lie in pack `number`, or count its records.
    fn may_rest_on(&self, number: u32) -> bool {
        let state = self.state();
        state.known.from.is_some() && state.rests_from.is_none_or(|from| from.segment() <= number)
    }
}

impl Store {
    /// Says who settles notes.
    pub(crate) fn set_settler(&self, settler: Weak<dyn Settle>) {
        self.inner.notes.settler.set(settler).unwrap_or(());
    }

    pub(crate) fn notes_known(&self) -> NotesKnown {
        self.inner.notes.state().known
    }

    /// Says what reading the notes has found.
    pub(crate) fn notes_read(&self, known: NotesKnown) {
        *self.inner.notes.state() = State { known, rests_from: None };
    }

    /// About how many bytes a start would have to look through for notes.
    pub(crate) fn notes_distance(&self) -> u64 {
        let end = self.inner.writer().position();
        let from = self.inner.notes.state().known.from;
        from.map_or(0, |from| distance(from, end, self.inner.segments.len_max))
    }

    /// Appends a note; durable, with all that was appended before, after [`Store::flush`].
    ///
    /// One caller at a time, who flushes before the next note.
    ///
    /// # Errors
    ///
    /// As [`Store::append`]; nothing is written then.
    pub(crate) fn append_note(&self, number: u64, change: &[u8]) -> Result<(), StoreError> {
        let inner = &self.inner;
        if inner.writer().since_sync().is_none() {
            // What the crash left is whole now, and no later start shall doubt it.
            inner.flush()?;
        }
        let mut writer = inner.writer();
        inner.writable()?;
        let make = |writer: &Writer| encode(writer, number, change);
        let position = inner.append_note_record(&mut writer, HEADER_LEN + change.len(), make)?;
        let mut state = inner.notes.state();
        if state.known.from.is_none() {
            state.known.from = Some(position);
            // Later notes count from later syncs.
            state.rests_from = writer.since_sync().map(|(synced, _)| synced);
        }
        state.known.last = Some(number);
        Ok(())
    }

    /// Says that every note is settled, up to number `last`. All of them are flushed, and nobody
    /// appends one meanwhile.
    pub(crate) fn notes_settled(&self, last: u64) {
        let inner = &self.inner;
        inner.notes.state().known = NotesKnown { from: None, last: Some(last) };
        let writer = inner.writer();
        let index = inner.index();
        index.set_notes(index.durable(), Some(last));
        drop(writer);
    }

    /// Says that settled notes are superseded by something that has no note: the next start must
    /// ask the database which of them are settled, unless there is another clean end.
    pub(crate) fn notes_superseded(&self) -> Result<(), StoreError> {
        let mut writer = self.inner.writer();
        self.inner.writable()?;
        writer.note_dirty(&self.inner.index())
    }

    /// Shows the notes from `from` on whose number is above `after`, in order, until `visit` has
    /// enough; returns the highest number seen.
    pub(crate) fn read_notes(
        &self,
        (from, after): (Position, u64),
        visit: &mut dyn FnMut(Note) -> ControlFlow<()>,
    ) -> Result<u64, StoreError> {
        let inner = &self.inner;
        let (end, mut highest) = (inner.writer().position(), after);
        let mut walk = Records::new(inner, (from, end))?;
        while let Some((segment, offset, record)) = walk.next()? {
            if record.kind != RecordKind::Note || record.flags != 0 {
                continue;
            }
            let position = Position::new(segment.id.number, offset);
            let start = offset + u64::from(record.header_len);
            let bytes = segment.read(start, record.data_len as usize)?;
            let Some(read) = decode(&bytes, &record.hash) else {
                warn!(path = %segment.path.display(), offset, "a change of the metadata is damaged");
                continue;
            };
            if read.number <= after {
                continue;
            }
            highest = highest.max(read.number);
            if !inner.is_whole_since((read.synced, position), read.since_len)? {
                info!(path = %segment.path.display(), offset, "a crash caught a change under way");
                continue;
            }
            let change = bytes[HEADER_LEN..].to_vec();
            if visit(Note { number: read.number, position, change }).is_break() {
                break;
            }
        }
        Ok(highest)
    }
}

impl Inner {
    /// Settles the notes before bytes of pack `number` are given back that they may rest on: what
    /// they rest on is counted at the next start. Afterwards it does not matter what becomes of
    /// records that were written to that pack before the call.
    pub(super) fn settle_notes(&self, number: u32) -> Result<(), StoreError> {
        // Whatever note comes from now on counts from behind this.
        self.flush()?;
        let settler = self.notes.settler.get().and_then(Weak::upgrade);
        match settler {
            Some(settler) if self.notes.may_rest_on(number) => settler.settle(),
            _ => Ok(()),
        }
    }

    /// Whether there are whole records of `len` bytes between two positions.
    fn is_whole_since(&self, between: (Position, Position), len: u64) -> Result<bool, StoreError> {
        let mut found = 0;
        let mut walk = Records::new(self, between)?;
        while let Some((_, _, record)) = walk.next()? {
            if record.kind != RecordKind::Void {
                found += record.len();
            }
        }
        Ok(found >= len)
    }
}

/// A walk over the records between two positions.
struct Records<'a> {
    inner: &'a Inner,
    numbers: std::vec::IntoIter<u32>,
    between: (Position, Position),
    scan: Option<Scan>,
}

impl<'a> Records<'a> {
    fn new(inner: &'a Inner, between: (Position, Position)) -> Result<Self, StoreError> {
        let (from, to) = between;
        let mut numbers = inner.segments.numbers()?;
        numbers.retain(|number| (from.segment()..=to.segment()).contains(number));
        Ok(Self { inner, numbers: numbers.into_iter(), between, scan: None })
    }

    fn next(&mut self) -> Result<Option<(Arc<Segment>, u64, Record)>, StoreError> {
        loop {
            let Some(scan) = &mut self.scan else {
                let Some(number) = self.numbers.next() else { return Ok(None) };
                self.scan = self.open(number)?;
                continue;
            };
            match scan.next()? {
                Some(Item::Record { offset, record }) => {
                    return Ok(Some((Arc::clone(scan.segment()), offset, record)));
                }
                Some(Item::Gap { .. } | Item::Torn { .. }) => {}
                None => self.scan = None,
            }
        }
    }

    fn open(&self, number: u32) -> Result<Option<Scan>, StoreError> {
        let Opened::Whole(segment) = self.inner.segments.open(number)? else { return Ok(None) };
        let (from, to) = self.between;
        let mut start = SEGMENT_HEADER_LEN as u64;
        if number == from.segment() {
            start = start.max(from.offset());
        }
        let mut end = segment.len()?;
        if number == to.segment() {
            end = end.min(to.offset());
        }
        Ok(Some(Scan::new(segment, start, end)))
    }
}

/// What stands before the change.
pub(super) struct Head {
    pub(super) number: u64,
    synced: Position,
    since_len: u64,
}

fn encode(writer: &Writer, number: u64, change: &[u8]) -> Vec<u8> {
    let (synced, since_len) = writer.since_sync().expect("invariant: synced before the first note");
    let mut bytes = Vec::with_capacity(HEADER_LEN + change.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&u64::from(synced).to_le_bytes());
    bytes.extend_from_slice(&since_len.to_le_bytes());
    bytes.extend_from_slice(change);
    bytes
}

pub(super) fn decode(bytes: &[u8], name: &Multihash) -> Option<Head> {
    let whole = *name == Multihash::sha2_256(cairn_hash::sha256(bytes));
    let (head, _) = bytes.split_first_chunk::<HEADER_LEN>().filter(|_| whole)?;
    let word = |at: usize| {
        u64::from_le_bytes(head[at..at + 8].try_into().expect("invariant: eight bytes"))
    };
    let (number, synced, since_len) = (word(1), Position::from(word(9)), word(17));
    (head[0] == VERSION).then_some(Head { number, synced, since_len })
}
