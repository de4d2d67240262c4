//! Which entries a collection must leave alone.
//!
//! Three bits an entry: *marked*, a collection reached it from the roots; *touched*, it was
//! written, or asked to stay, since the last collection began; *held*, it was touched before
//! that, by or beside somebody whose lease lasts. An entry without any of them is garbage.
//!
//! Invariants: all of it happens under the store's writer lock, so that a growing table loses no
//! bit; a doubt (two blocks of one fingerprint, a table made anew) keeps an entry.
//! Not here: leases and the collection itself (`gc.rs`).

use super::{Fingerprint, Garbled, Index};

/// What earlier touches mean for the collection that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Nobody is at work: they mean nothing.
    Nothing,
    /// Those since the last collection count.
    Touched,
    /// Those since the last collection count, and what was held until now.
    All,
}

/// What marking found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// No such block.
    Absent,
    /// There, and reached for the first time.
    First,
    /// There, and reached before.
    Again,
}

impl Index {
    /// Begins a collection: nothing is marked or touched.
    pub(crate) fn turn(&self, hold: Hold) {
        if hold != Hold::All {
            self.held.fill(false);
        }
        if hold != Hold::Nothing {
            self.held.add(&self.touched);
        }
        self.touched.fill(false);
        self.marked.fill(false);
    }

    /// Notes that an entry was asked to stay.
    pub(crate) fn touch(&self, slot: u64) {
        self.touched.set(slot, true);
    }

    /// Marks every entry of this fingerprint.
    pub(crate) fn mark(&self, fingerprint: Fingerprint) -> Result<Mark, Garbled> {
        self.each(fingerprint, |slot| !self.marked.set(slot, true))
    }

    /// Touches every entry of this fingerprint.
    pub(crate) fn touch_print(&self, fingerprint: Fingerprint) -> Result<Mark, Garbled> {
        self.each(fingerprint, |slot| !self.touched.set(slot, true))
    }

    fn each(&self, fingerprint: Fingerprint, first: impl Fn(u64) -> bool) -> Result<Mark, Garbled> {
        let mut mark = Mark::Absent;
        let mut after = None;
        while let Some(found) = self.find(fingerprint, after)? {
            after = Some(found.slot);
            let new = first(found.slot);
            mark = if new || mark == Mark::First { Mark::First } else { Mark::Again };
        }
        Ok(mark)
    }

    /// Whether an entry has to stay.
    pub(crate) fn is_kept(&self, slot: u64) -> bool {
        self.marked.get(slot) || self.touched.get(slot) || self.held.get(slot)
    }
}
