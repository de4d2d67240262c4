//! Calls that fail: the Nth of them, once or from then on.
//!
//! Not here: what a program must do about it (`faults.rs` of the crate).

use std::io;

/// What a failing call says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The device failed: any call may say so.
    Broken,
    /// No space: what makes a file or a directory longer says so; a write leaves its first half.
    Full,
}

/// Which call fails.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// How it fails.
    pub kind: FaultKind,
    /// Its number among the calls that can fail so, from 1.
    pub nth: u64,
    /// Whether every later one fails as well.
    pub for_ever: bool,
}

/// The kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Reads, lengths, listings, openings.
    Look,
    /// What needs more space: creating, writing, extending.
    Grow,
    /// What needs none: renaming, removing, cutting.
    Change,
    Sync,
}

/// A fault under way.
#[derive(Debug)]
pub(super) struct Plan {
    fault: Fault,
    count: u64,
}

impl Plan {
    pub(super) fn new(fault: Fault) -> Self {
        Self { fault, count: 0 }
    }

    pub(super) fn hit(&self) -> bool {
        self.count >= self.fault.nth
    }

    pub(super) fn call_count(&self) -> u64 {
        self.count
    }

    /// Counts a call; says how it fails if it does.
    pub(super) fn count(&mut self, call: Call) -> Option<FaultKind> {
        if self.fault.kind == FaultKind::Full && call != Call::Grow {
            return None;
        }
        self.count += 1;
        let due = self.count == self.fault.nth || self.fault.for_ever && self.hit();
        due.then_some(self.fault.kind)
    }
}

impl FaultKind {
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Broken => io::Error::other("the simulated disk failed (EIO)"),
            Self::Full => io::Error::new(io::ErrorKind::StorageFull, "the simulated disk is full"),
        }
    }
}
