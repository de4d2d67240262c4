//! An index whose words are anything, under checks that are right, for `cairn-fuzz`.
//!
//! Not here: what is done with it (`store/fuzz.rs`).

use super::{
    header::{self, PAGE_LEN},
    page::{self, ENTRY_COUNT},
};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of one change: what it changes, and two words.
const CHANGE_LEN: usize = 18;

/// Words of the header that can be changed; larger numbers mean entries.
const HEADER_WORDS: u16 = 32;

/// Applies `changes`, of [`CHANGE_LEN`] bytes each, to the bytes of an index.
pub(crate) fn changed(index: &[u8], changes: &[u8]) -> Vec<u8> {
    let word = |bytes: &[u8]| {
        let bytes = bytes.first_chunk().expect("invariant: a word has eight bytes");
        u64::from_le_bytes(*bytes)
    };
    let words: Vec<AtomicU64> = index.chunks_exact(8).map(|bytes| word(bytes).into()).collect();
    let slot_count = (index.len() as u64 / PAGE_LEN - 1) * ENTRY_COUNT;
    for change in changes.chunks_exact(CHANGE_LEN) {
        let at = u16::from_le_bytes([change[0], change[1]]);
        let (one, other) = (word(&change[2..]), word(&change[10..]));
        match at.checked_sub(HEADER_WORDS) {
            None => words[usize::from(at)].store(one, Ordering::Relaxed),
            Some(slot) => page::write(&words, u64::from(slot) % slot_count, (one, other)),
        }
    }
    header::seal(&words);
    words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect()
}

/// The changes that make the header and the entries of `index` what they are.
pub(crate) fn changes_of(index: &[u8]) -> Vec<Vec<u8>> {
    let header = index.chunks_exact(8).take(usize::from(HEADER_WORDS)).enumerate();
    let header = header.map(|(at, word)| (at, [word, &[0; 8]].concat()));
    let pages = index.chunks_exact(PAGE_LEN as usize).skip(1);
    let entries = pages.flat_map(|page| page.chunks_exact(16).take(ENTRY_COUNT as usize));
    let entries = entries.enumerate();
    let entries = entries.map(|(slot, words)| (slot + usize::from(HEADER_WORDS), words.to_vec()));
    let set = header.chain(entries).filter(|(_, words)| words.iter().any(|byte| *byte != 0));
    set.map(|(at, words)| [&(at as u16).to_le_bytes()[..], &words].concat()).collect()
}
