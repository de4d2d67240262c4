//! The fastcdc chunker: a gear hash over 64 bytes, and chunks of nearly the same length.
//!
//! Shortly before the length aimed at, cuts turn from four times rarer than that length alone
//! would ask for to four times more frequent. Lengths so gather around the aim: next to no chunk
//! is forced at the longest length, where a cut depends on the start and not on the content.
//!
//! Kubo has no such chunker, so nothing has to agree with it but Cairn itself: table and limits
//! are part of the format from the first release on.
//!
//! Source: W. Xia et al., "`FastCDC`" (USENIX ATC 2016), normalized chunking. Unlike there, a place
//! is judged by the 64 bytes before it wherever the chunk began, and by comparing the hash with a
//! limit, so that the length aimed at need not be a power of two.
//! Not here: how a range is searched (`scan.rs`).

use crate::scan::Rolling;

/// Bytes of the window; no chunk can be shorter, but for a file's last.
pub(crate) const WINDOW_LEN: usize = 64;

/// How much rarer cuts are before the turn, and how much more frequent after it.
const NORMALIZATION: u64 = 4;

/// Where rare cuts turn into frequent ones: an eighth before the length aimed at, so that the
/// mean is near to it (264 KiB for the default of 256 KiB).
pub(crate) fn turn(len_avg: usize) -> usize {
    len_avg - len_avg / 8
}

/// A number for each byte: the first 256 of the generator below.
static GEAR: [u64; 256] = gear_table();

/// The hash, and the number below which it means a cut.
pub(crate) struct Gear {
    limit: u64,
}

impl Gear {
    /// Rare cuts, for places before the [`turn`].
    pub(crate) fn before(len_avg: usize) -> Self {
        Self { limit: u64::MAX / (len_avg.max(1) as u64).saturating_mul(NORMALIZATION) }
    }

    /// Frequent cuts, for places from the [`turn`] on.
    pub(crate) fn after(len_avg: usize) -> Self {
        Self { limit: u64::MAX / (len_avg as u64 / NORMALIZATION).max(1) }
    }
}

impl Rolling for Gear {
    const WINDOW_LEN: usize = WINDOW_LEN;
    type Hash = u64;

    fn start(&self, window: &[u8]) -> u64 {
        window.iter().fold(0, |hash, byte| self.roll(hash, 0, *byte))
    }

    fn roll(&self, hash: u64, _left: u8, entered: u8) -> u64 {
        // What is 64 bytes back has been shifted out.
        (hash << 1).wrapping_add(GEAR[usize::from(entered)])
    }

    fn cuts(&self, hash: u64) -> bool {
        hash < self.limit
    }
}

/// `SplitMix64` (G. Steele et al., 2014) from the eight bytes "cairncdc".
const fn gear_table() -> [u64; 256] {
    let mut table = [0; 256];
    let mut state = u64::from_le_bytes(*b"cairncdc");
    let mut index = 0;
    while index < 256 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[index] = number ^ (number >> 31);
        index += 1;
    }
    table
}
