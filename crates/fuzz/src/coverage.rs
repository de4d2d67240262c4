//! Which code an input reached, and what it was compared with, told by the compiler's counters.
//!
//! `cargo xtask fuzz` builds the workspace's crates, but not this one, with LLVM's
//! `sancov-module` pass: each edge of the code counts in a byte of its own, each comparison of
//! integers calls a function here. Built without it (tests) there are no counters, and
//! [`visit`] sees nothing.
//!
//! Spec: <https://clang.llvm.org/docs/SanitizerCoverage.html>, "Inline 8bit-counters" and "Tracing
//! data flow".
//! Invariants: the callbacks neither allocate nor lock, since they run inside of everything;
//! counters and comparisons are read between runs only.
//! Not here: what counts as new (`corpus.rs`).

#![expect(unsafe_code, reason = "counters and callbacks are reached by symbols and raw pointers")]

use std::{
    slice,
    sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

/// Comparisons that are remembered; a power of two.
const COMPARED_COUNT_MAX: usize = 256;

/// Counters that are looked at together.
const LINE_LEN: usize = 64;

/// Where the counters begin, and how many there are.
static COUNTERS: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static COUNTER_COUNT: AtomicUsize = AtomicUsize::new(0);

/// The last comparisons that were not of equals, round and round.
static COMPARED: [[AtomicU64; 2]; COMPARED_COUNT_MAX] =
    [const { [AtomicU64::new(0), AtomicU64::new(0)] }; COMPARED_COUNT_MAX];
static COMPARED_NEXT: AtomicUsize = AtomicUsize::new(0);

/// How many counters there are; 0 if this was built without.
pub fn counter_count() -> usize {
    COUNTER_COUNT.load(Relaxed)
}

/// Calls `see` with the number and the count of each counter that is not 0, and makes it 0.
pub(crate) fn visit(mut see: impl FnMut(usize, u8)) {
    let start = COUNTERS.load(Relaxed);
    if start.is_null() {
        return;
    }
    // SAFETY: the compiler's constructor gave these bounds of a section that stays for good, and
    // the code that counts there is not running: `engine.rs` calls this between runs.
    let counters = unsafe { slice::from_raw_parts_mut(start, counter_count()) };
    for (at, line) in counters.chunks_mut(LINE_LEN).enumerate() {
        // Nearly all of them are 0, so bytes are looked at only where one is not.
        if line.iter().fold(0, |any, byte| any | byte) == 0 {
            continue;
        }
        for (index, count) in line.iter_mut().enumerate().filter(|(_, count)| **count != 0) {
            see(at * LINE_LEN + index, *count);
            *count = 0;
        }
    }
}

/// A pair of different numbers that the last runs compared; `chance` chooses.
pub(crate) fn compared(chance: u64) -> Option<[u64; 2]> {
    let known = COMPARED_NEXT.load(Relaxed).min(COMPARED_COUNT_MAX) as u64;
    let pair = &COMPARED[chance.checked_rem(known)? as usize];
    Some([pair[0].load(Relaxed), pair[1].load(Relaxed)])
}

fn note(left: u64, right: u64) {
    if left != right {
        let pair = &COMPARED[COMPARED_NEXT.fetch_add(1, Relaxed) % COMPARED_COUNT_MAX];
        pair[0].store(left, Relaxed);
        pair[1].store(right, Relaxed);
    }
}

/// Takes the bounds of the counters; each object file's constructor gives the same ones.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    COUNTERS.store(start, Relaxed);
    COUNTER_COUNT.store(stop as usize - start as usize, Relaxed);
}

/// Defines the callbacks for comparisons of one width.
macro_rules! comparisons {
    ($($name:ident, $with_constant:ident: $number:ty;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name(left: $number, right: $number) {
            note(left.into(), right.into());
        }

        #[unsafe(no_mangle)]
        extern "C" fn $with_constant(constant: $number, value: $number) {
            note(value.into(), constant.into());
        }
    )*};
}

comparisons! {
    __sanitizer_cov_trace_cmp1, __sanitizer_cov_trace_const_cmp1: u8;
    __sanitizer_cov_trace_cmp2, __sanitizer_cov_trace_const_cmp2: u16;
    __sanitizer_cov_trace_cmp4, __sanitizer_cov_trace_const_cmp4: u32;
    __sanitizer_cov_trace_cmp8, __sanitizer_cov_trace_const_cmp8: u64;
}

/// Notes `value` with one of the cases it is switched on, another one each time.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_trace_switch(value: u64, cases: *const u64) {
    // SAFETY: the compiler gives an array: how many cases there are, their width, the cases.
    let count = unsafe { *cases };
    let turn = COMPARED_NEXT.load(Relaxed) as u64;
    if let Some(index) = turn.checked_rem(count) {
        // SAFETY: `index` is less than the number of cases, which begin behind two numbers.
        note(value, unsafe { *cases.add(2 + index as usize) });
    }
}
