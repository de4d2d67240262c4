//! A bit a slot, in memory only.
//!
//! Not here: what each bit says (`index.rs`, `keep.rs`).

use std::sync::atomic::{AtomicU64, Ordering};

/// One bit for each slot of a table.
#[derive(Debug)]
pub(super) struct Bits(Box<[AtomicU64]>);

impl Bits {
    /// All unset.
    pub(super) fn new(count: u64) -> Self {
        let len = usize::try_from(count.div_ceil(64)).expect("invariant: the table fits memory");
        Self((0..len).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn get(&self, slot: u64) -> bool {
        self.0[(slot / 64) as usize].load(Ordering::Relaxed) >> (slot % 64) & 1 == 1
    }

    /// Sets or unsets a bit; answers what it was.
    pub(super) fn set(&self, slot: u64, value: bool) -> bool {
        let word = &self.0[(slot / 64) as usize];
        let bit = 1 << (slot % 64);
        if !value && word.load(Ordering::Relaxed) & bit == 0 {
            return false;
        }
        let old = if value {
            word.fetch_or(bit, Ordering::Relaxed)
        } else {
            word.fetch_and(!bit, Ordering::Relaxed)
        };
        old & bit != 0
    }

    /// Sets all bits, or none.
    pub(super) fn fill(&self, value: bool) {
        for word in &self.0 {
            if value {
                word.store(u64::MAX, Ordering::Relaxed);
            } else if word.load(Ordering::Relaxed) != 0 {
                word.store(0, Ordering::Relaxed);
            }
        }
    }

    /// Sets what is set in `other`, a table of the same size.
    pub(super) fn add(&self, other: &Self) {
        for (word, other) in self.0.iter().zip(&other.0) {
            let bits = other.load(Ordering::Relaxed);
            if bits != 0 {
                word.fetch_or(bits, Ordering::Relaxed);
            }
        }
    }
}
