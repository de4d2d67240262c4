//! The Rabin chunker: a polynomial fingerprint over 16 bytes.
//!
//! The fingerprint is the window read as a polynomial over two elements, modulo one that is
//! irreducible. Shifting a byte in moves eight bits above the degree, which a table reduces;
//! another table has what a byte weighs that is about to leave.
//!
//! Source: M. O. Rabin, "Fingerprinting by Random Polynomials" (1981); window and polynomial are
//! those of Kubo (ipfs/boxo `chunker/rabin.go`, pinned in `spec/PINS.toml`), and so part of the
//! format.
//! Not here: how a range is searched (`scan.rs`).

use crate::scan::Rolling;

/// Bytes of the window; no chunk can be shorter, but for a file's last.
pub(crate) const WINDOW_LEN: usize = 16;

/// The polynomial, a bit for each power.
const POLYNOMIAL: u64 = 17_437_180_132_763_653;

/// Its degree.
const DEGREE: u32 = 53;

/// What the eight bits above the degree come to, together with themselves, so that they vanish.
static OVERFLOW: [u64; 256] = overflow_table();

/// What a byte has become when 15 more have come after it.
static LEAVING: [u64; 256] = leaving_table();

/// The fingerprint, and the bits of it that must be zero for a cut.
pub(crate) struct Rabin {
    mask: u64,
}

impl Rabin {
    /// Cuts once in `len_avg` bytes, rounded down to a power of two.
    pub(crate) fn new(len_avg: usize) -> Self {
        Self { mask: (1 << len_avg.max(1).ilog2()) - 1 }
    }
}

impl Rolling for Rabin {
    const WINDOW_LEN: usize = WINDOW_LEN;
    type Hash = u64;

    fn start(&self, window: &[u8]) -> u64 {
        window.iter().fold(0, |hash, byte| append(hash, *byte))
    }

    fn roll(&self, hash: u64, left: u8, entered: u8) -> u64 {
        append(hash ^ LEAVING[usize::from(left)], entered)
    }

    fn cuts(&self, hash: u64) -> bool {
        hash & self.mask == 0
    }
}

fn append(hash: u64, byte: u8) -> u64 {
    // The fingerprint has 53 bits, so the index has eight.
    let overflow = OVERFLOW[(hash >> (DEGREE - 8)) as usize & 0xff];
    (hash << 8 | u64::from(byte)) ^ overflow
}

/// The remainder of a polynomial of degree below 63.
const fn remainder(mut value: u64) -> u64 {
    while value >> DEGREE != 0 {
        value ^= POLYNOMIAL << (value.ilog2() - DEGREE);
    }
    value
}

const fn overflow_table() -> [u64; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let above = (byte as u64) << DEGREE;
        table[byte] = remainder(above) | above;
        byte += 1;
    }
    table
}

const fn leaving_table() -> [u64; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u64;
        let mut shifts = 1;
        while shifts < WINDOW_LEN {
            value = remainder(value << 8);
            shifts += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
}
