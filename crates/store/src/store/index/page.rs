//! Entries and their page's check.
//!
//! The check finds a page that rotted or was torn by a power cut; it is an XOR over the entries,
//! so that changing one entry costs two multiplications and not a pass over the page.
//!
//! Not here: where an entry goes (`index.rs`).

use std::sync::atomic::{AtomicU64, Ordering};

/// Words of a page.
pub(super) const PAGE_WORDS: usize = 512;

/// Entries of a page; the last 16 bytes are its check.
pub(super) const ENTRY_COUNT: u64 = 255;

/// Mixes two words into one.
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// An entry's share of its page's check; an empty one's is zero.
fn share(slot: u64, print: u64, place: u64) -> u64 {
    if place == 0 && print == 0 {
        return 0;
    }
    let slot = slot.wrapping_mul(0xd6e8_feb8_6659_fd93);
    fold(print ^ 0xa076_1d64_78bd_642f ^ slot, place ^ 0xe703_7ed1_a0b4_28db)
}

/// The two words of an entry: fingerprint and place.
pub(super) fn entry(words: &[AtomicU64], slot: u64) -> &[AtomicU64; 2] {
    let at = first_word(slot / ENTRY_COUNT) + (slot % ENTRY_COUNT) as usize * 2;
    words[at..at + 2].try_into().expect("invariant: two words")
}

/// Changes an entry and its page's check; one writer at a time.
pub(super) fn write(words: &[AtomicU64], slot: u64, (print, place): (u64, u64)) {
    let [old_print, old_place] = entry(words, slot);
    let old = share(slot, old_print.load(Ordering::Relaxed), old_place.load(Ordering::Relaxed));
    // A reader that sees the new place must see the new fingerprint.
    old_print.store(print, Ordering::Relaxed);
    old_place.store(place, Ordering::Release);
    let check = &words[first_word(slot / ENTRY_COUNT) + PAGE_WORDS - 2];
    let sum = check.load(Ordering::Relaxed) ^ old ^ share(slot, print, place);
    check.store(sum, Ordering::Relaxed);
}

/// Reads an entry and its page's check.
pub(super) fn touch(words: &[AtomicU64], slot: u64) -> u64 {
    let check = &words[first_word(slot / ENTRY_COUNT) + PAGE_WORDS - 2];
    entry(words, slot)[1].load(Ordering::Relaxed) ^ check.load(Ordering::Relaxed)
}

/// Writes the check of an empty page, which is not zero: a page that never reached the disk
/// must not look like one without entries.
pub(super) fn init(words: &[AtomicU64], number: u64) {
    words[first_word(number) + PAGE_WORDS - 2].store(empty_check(number), Ordering::Relaxed);
}

fn empty_check(number: u64) -> u64 {
    fold(number ^ 0x2d35_8dcc_aa6c_78a5, 0x8bb8_4b93_962e_acc9)
}

/// Whether a page's check holds.
pub(super) fn is_whole(words: &[AtomicU64], number: u64) -> bool {
    let first = number * ENTRY_COUNT;
    let sum = (first..first + ENTRY_COUNT).fold(empty_check(number), |sum, slot| {
        let [print, place] = entry(words, slot);
        sum ^ share(slot, print.load(Ordering::Relaxed), place.load(Ordering::Acquire))
    });
    words[first_word(number) + PAGE_WORDS - 2].load(Ordering::Relaxed) == sum
}

/// The first word of a page of entries; page 0 of the file is the header.
fn first_word(number: u64) -> usize {
    (number as usize + 1) * PAGE_WORDS
}
