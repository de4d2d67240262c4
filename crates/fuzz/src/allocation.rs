//! How much memory a run takes: an allocator that counts, for each thread by itself.
//!
//! Invariants: what one thread allocates does not count for another; a single request over
//! [`REQUEST_LEN_MAX`] fails, so an absurd length ends the run instead of the machine.
//! Not here: how much a target may take (`engine.rs`).

#![expect(unsafe_code, reason = "an allocator is an unsafe trait")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    ptr,
};

/// Longest single piece of memory that there is, in bytes.
const REQUEST_LEN_MAX: usize = 1024 * 1024 * 1024;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Debug)]
struct Counting;

/// Runs `act`; also returns how many bytes this thread held at most beyond what it held before.
pub(crate) fn peak_of<T>(act: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = act();
    (result, usize::try_from(PEAK.get() - before).unwrap_or_default())
}

fn count(change: isize) {
    let live = LIVE.get() + change;
    LIVE.set(live);
    if live > PEAK.get() {
        PEAK.set(live);
    }
}

// SAFETY: memory comes from and goes back to `System`; a null pointer says that there is none.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > REQUEST_LEN_MAX {
            return ptr::null_mut();
        }
        count(layout.size().cast_signed());
        // SAFETY: the caller keeps the same promises that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() > REQUEST_LEN_MAX {
            return ptr::null_mut();
        }
        count(layout.size().cast_signed());
        // SAFETY: the caller keeps the same promises that `System` asks for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller keeps the same promises that `System` asks for.
        unsafe { System.dealloc(start, layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        if len > REQUEST_LEN_MAX {
            return ptr::null_mut();
        }
        count(len.cast_signed() - layout.size().cast_signed());
        // SAFETY: the caller keeps the same promises that `System` asks for.
        unsafe { System.realloc(start, layout, len) }
    }
}

#[cfg(test)]
mod tests {
    use super::peak_of;

    #[test]
    fn the_peak_counts_what_is_given_back_too() {
        let (kept, peak) = peak_of(|| {
            drop(vec![1_u8; 10_000]);
            vec![1_u8; 1_000]
        });
        assert_eq!((kept.len(), peak), (1_000, 10_000));
    }

    #[test]
    fn absurd_lengths_are_refused() {
        assert!(Vec::<u8>::new().try_reserve_exact(1 << 40).is_err());
    }
}
