//! The index file's first page: its shape, and how far it can be trusted.
//!
//! Two positions in the packs matter. *Durable*: everything before it has been synced, so needs
//! no hashing after a crash. *Checkpoint*: the index file on disk has everything before it, so
//! reading the packs from there brings it up to date; never after *durable*. A third one says from
//! where on the packs may hold notes that the metadata database lacks.
//!
//! Invariant: a header that does not check is no header, and the index is rebuilt.
//! Not here: entries (`page.rs`), when the positions move (`sync.rs`).

use super::{Index, page::fold};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a page.
pub(super) const PAGE_LEN: u64 = 4096;

/// Read as a number, so that a machine of the other byte order rebuilds the index.
const MAGIC: u64 = u64::from_be_bytes(*b"cairnix1");

const SHAPE_CHECK: usize = 4;
const CHECKPOINT: usize = 8;
const CHECKPOINT_SALT: usize = 9;
const CHECKPOINT_CHECK: usize = 10;
const DURABLE: usize = 11;
const STATE: usize = 12;
pub(super) const LIVE: usize = 13;
pub(super) const USED: usize = 14;
const CUT: usize = 15;
const DISTRUSTED: usize = 16;
const NOTES: usize = 17;
const NOTES_SEQUENCE: usize = 18;
const NOTES_CHECK: usize = 19;

/// Stands for a sequence number that is not known.
const UNKNOWN: u64 = u64::MAX;

/// A place between records: segment number and offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(u64);

impl Position {
    /// Before every record.
    pub(crate) const START: Self = Self(0);

    pub(crate) fn new(segment: u32, offset: u64) -> Self {
        Self(u64::from(segment) << 32 | offset)
    }

    pub(crate) fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(crate) fn offset(self) -> u64 {
        self.0 & 0xffff_ffff
    }
}

impl From<u64> for Position {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl From<Position> for u64 {
    fn from(position: Position) -> Self {
        position.0
    }
}

/// What the last process left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It closed the store; the checkpoint is the end of the packs.
    Clean,
    /// It was writing.
    Dirty,
    /// A sync failed: what this process wrote after [`Index::cut`] must not be believed.
    SyncFailed,
}

/// Writes the header of an empty table.
pub(super) fn write(words: &[AtomicU64], pages: u64, seeds: [u64; 2]) {
    let shape = [MAGIC, pages, seeds[0], seeds[1]];
    for (word, value) in words.iter().zip(shape) {
        word.store(value, Ordering::Relaxed);
    }
    words[SHAPE_CHECK].store(check(&shape), Ordering::Relaxed);
    set_checkpoint(words, Position::START, 0);
    words[STATE].store(1, Ordering::Relaxed);
}

/// Reads pages of entries and seeds, if the header is whole and fits the file.
pub(super) fn read(words: &[AtomicU64]) -> Option<(u64, [u64; 2])> {
    let word = |at: usize| words[at].load(Ordering::Relaxed);
    let shape = [word(0), word(1), word(2), word(3)];
    let pages = words.len() as u64 * 8 / PAGE_LEN - 1;
    let whole = shape[0] == MAGIC
        && shape[1] == pages
        && pages > 0
        && word(SHAPE_CHECK) == check(&shape)
        && word(CHECKPOINT_CHECK) == check(&[word(CHECKPOINT), word(CHECKPOINT_SALT)]);
    whole.then_some((pages, [shape[2], shape[3]]))
}

/// Copies what moves; the checkpoint only if the new table is synced before it is used.
pub(super) fn copy(from: &[AtomicU64], to: &[AtomicU64], synced: bool) {
    let word = |at: usize| from[at].load(Ordering::Relaxed);
    if synced {
        set_checkpoint(to, Position(word(CHECKPOINT)), word(CHECKPOINT_SALT));
    }
    to[DURABLE].store(word(DURABLE), Ordering::Relaxed);
    to[STATE].store(word(STATE), Ordering::Relaxed);
    to[CUT].store(word(CUT), Ordering::Relaxed);
    for at in [NOTES, NOTES_SEQUENCE, NOTES_CHECK] {
        to[at].store(word(at), Ordering::Relaxed);
    }
}

fn set_checkpoint(words: &[AtomicU64], position: Position, salt: u64) {
    words[CHECKPOINT].store(position.0, Ordering::Relaxed);
    words[CHECKPOINT_SALT].store(salt, Ordering::Relaxed);
    words[CHECKPOINT_CHECK].store(check(&[position.0, salt]), Ordering::Relaxed);
}

/// Makes the checks of a header right, whatever it says.
#[cfg(feature = "fuzz")]
pub(super) fn seal(words: &[AtomicU64]) {
    let word = |at: usize| words[at].load(Ordering::Relaxed);
    let shape = [word(0), word(1), word(2), word(3)];
    words[SHAPE_CHECK].store(check(&shape), Ordering::Relaxed);
    set_checkpoint(words, Position(word(CHECKPOINT)), word(CHECKPOINT_SALT));
    words[NOTES_CHECK].store(check(&[word(NOTES), word(NOTES_SEQUENCE)]), Ordering::Relaxed);
}

fn check(words: &[u64]) -> u64 {
    let mix = |sum: u64, word: &u64| fold(sum ^ word, 0x8ebc_6af0_9c88_c6e3).wrapping_add(1);
    words.iter().fold(0x5896_5cc7_5374_cc39, mix)
}

impl Index {
    /// Up to where the file on disk is complete, and the salt of that segment.
    pub(crate) fn checkpoint(&self) -> (Position, u64) {
        let word = |at: usize| self.map.words()[at].load(Ordering::Relaxed);
        (Position(word(CHECKPOINT)), word(CHECKPOINT_SALT))
    }

    /// Moves the checkpoint; the table was synced after everything before it was inserted.
    pub(crate) fn set_checkpoint(&self, position: Position, salt: u64) {
        set_checkpoint(self.map.words(), position, salt);
    }

    /// Up to where the packs are known to be synced.
    pub(crate) fn durable(&self) -> Position {
        Position(self.map.words()[DURABLE].load(Ordering::Relaxed))
    }

    /// Remembers a successful sync.
    pub(crate) fn set_durable(&self, position: Position) {
        self.map.words()[DURABLE].store(position.0, Ordering::Relaxed);
    }

    /// Notes that a sync failed, and from where on this process wrote without a good one.
    pub(crate) fn set_sync_failed(&self, cut: Position) {
        self.map.words()[CUT].store(cut.0, Ordering::Relaxed);
        self.set_state(State::SyncFailed);
    }

    /// Up to where the packs count after a failed sync.
    pub(crate) fn cut(&self) -> Position {
        Position(self.map.words()[CUT].load(Ordering::Relaxed))
    }

    /// Up to where the notes in the packs are settled, and the last one's number if it is known;
    /// `None` if nothing is known. The number counts only after a clean end.
    pub(crate) fn notes(&self) -> Option<(Position, Option<u64>)> {
        let word = |at: usize| self.map.words()[at].load(Ordering::Relaxed);
        let (position, sequence) = (word(NOTES), word(NOTES_SEQUENCE));
        let whole = word(NOTES_CHECK) == check(&[position, sequence]);
        whole.then(|| (Position(position), (sequence != UNKNOWN).then_some(sequence)))
    }

    /// Remembers that the notes before `position` are settled.
    pub(crate) fn set_notes(&self, position: Position, sequence: Option<u64>) {
        let (words, sequence) = (self.map.words(), sequence.unwrap_or(UNKNOWN));
        words[NOTES].store(position.0, Ordering::Relaxed);
        words[NOTES_SEQUENCE].store(sequence, Ordering::Relaxed);
        words[NOTES_CHECK].store(check(&[position.0, sequence]), Ordering::Relaxed);
    }

    /// Whether a sync of the table failed, so that pages of it may never reach the disk.
    pub(crate) fn is_distrusted(&self) -> bool {
        self.map.words()[DISTRUSTED].load(Ordering::Relaxed) != 0
    }

    /// Notes that a sync of the table failed.
    pub(crate) fn distrust(&self) {
        self.map.words()[DISTRUSTED].store(1, Ordering::Relaxed);
    }

    /// What the last process left behind.
    pub(crate) fn state(&self) -> State {
        match self.map.words()[STATE].load(Ordering::Relaxed) {
            0 => State::Clean,
            2 => State::SyncFailed,
            _ => State::Dirty,
        }
    }

    /// Notes what this process is doing; `Clean` also notes the counts.
    pub(crate) fn set_state(&self, state: State) {
        let words = self.map.words();
        if state == State::Clean {
            words[LIVE].store(self.live(), Ordering::Relaxed);
            words[USED].store(self.used.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let number = match state {
            State::Clean => 0,
            State::Dirty => 1,
            State::SyncFailed => 2,
        };
        words[STATE].store(number, Ordering::Relaxed);
    }
}
