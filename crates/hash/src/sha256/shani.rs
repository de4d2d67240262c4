//! SHA-256 by the x86 SHA extensions, one or two messages at once.
//!
//! One message waits on the latency of `sha256rnds2`; a second one fills the gaps at almost no
//! cost. The working variables lie in two registers as the instructions want them: ABEF and CDGH.
//!
//! Spec: FIPS 180-4, section 6.2; Intel SDM volume 2, `SHA256RNDS2`, `SHA256MSG1`, `SHA256MSG2`.
//! Invariants: a [`ShaNi`] exists only on a processor that has the instructions.
//! Not here: padding and the choice of messages (`lanes.rs`).

use super::lanes::{BLOCK_LEN, Engine, K, States, unroll16};
use std::arch::{
    is_x86_feature_detected,
    x86_64::{
        __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_loadu_si128, _mm_set_epi32,
        _mm_set_epi64x, _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32,
        _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
    },
};

/// Proof that the processor has the SHA extensions.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShaNi(());

impl ShaNi {
    /// Looks whether the processor has them.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1");
        found.then_some(Self(()))
    }
}

impl<const LANES: usize> Engine<LANES> for ShaNi {
    fn compress(self, states: &mut States<LANES>, inputs: &[&[u8]; LANES]) {
        // SAFETY: `self` exists only where `detect` found these features.
        unsafe { compress(states, inputs) }
    }
}

/// Compresses all blocks of each input into its column of `states`.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn compress<const LANES: usize>(states: &mut States<LANES>, inputs: &[&[u8]; LANES]) {
    let len = inputs[0].len();
    assert!(inputs.iter().all(|input| input.len() == len), "invariant: equal lengths");
    let mut abef = [_mm_setzero_si128(); LANES];
    let mut cdgh = [_mm_setzero_si128(); LANES];
    for lane in 0..LANES {
        let word = |index: usize| states[index][lane].cast_signed();
        abef[lane] = _mm_set_epi32(word(0), word(1), word(4), word(5));
        cdgh[lane] = _mm_set_epi32(word(2), word(3), word(6), word(7));
    }
    for offset in (0..len - len % BLOCK_LEN).step_by(BLOCK_LEN) {
        let mut blocks = [[_mm_setzero_si128(); 4]; LANES];
        for lane in 0..LANES {
            blocks[lane] = load(&inputs[lane][offset..offset + BLOCK_LEN]);
        }
        rounds(&mut abef, &mut cdgh, blocks);
    }
    for lane in 0..LANES {
        let words = [
            _mm_extract_epi32::<3>(abef[lane]),
            _mm_extract_epi32::<2>(abef[lane]),
            _mm_extract_epi32::<3>(cdgh[lane]),
            _mm_extract_epi32::<2>(cdgh[lane]),
            _mm_extract_epi32::<1>(abef[lane]),
            _mm_extract_epi32::<0>(abef[lane]),
            _mm_extract_epi32::<1>(cdgh[lane]),
            _mm_extract_epi32::<0>(cdgh[lane]),
        ];
        for (row, word) in states.iter_mut().zip(words) {
            row[lane] = word.cast_unsigned();
        }
    }
}

/// Reads one block as four registers of big-endian words.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
#[inline]
fn load(block: &[u8]) -> [__m128i; 4] {
    assert!(block.len() == BLOCK_LEN, "invariant: whole blocks");
    let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let (quarters, _) = block.as_chunks::<16>();
    let mut words = [_mm_setzero_si128(); 4];
    for (words, quarter) in words.iter_mut().zip(quarters) {
        // SAFETY: the quarter is 16 bytes long; alignment is not needed.
        *words = _mm_shuffle_epi8(unsafe { _mm_loadu_si128(quarter.as_ptr().cast()) }, swap);
    }
    words
}

/// Runs the 64 rounds over one block of every lane, four rounds a turn.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
#[inline]
fn rounds<const LANES: usize>(
    abef: &mut [__m128i; LANES],
    cdgh: &mut [__m128i; LANES],
    mut schedule: [[__m128i; 4]; LANES],
) {
    let (abef_before, cdgh_before) = (*abef, *cdgh);
    let (constants, _) = K.as_chunks::<4>();
    macro_rules! four_rounds {
        ($turn:literal) => {
            // SAFETY: four constants are 16 bytes long; alignment is not needed.
            let constants = unsafe { _mm_loadu_si128(constants[$turn].as_ptr().cast()) };
            for lane in 0..LANES {
                let words = &mut schedule[lane];
                let current = words[$turn % 4];
                let sum = _mm_add_epi32(current, constants);
                cdgh[lane] = _mm_sha256rnds2_epu32(cdgh[lane], abef[lane], sum);
                let sum = _mm_shuffle_epi32::<0x0e>(sum);
                abef[lane] = _mm_sha256rnds2_epu32(abef[lane], cdgh[lane], sum);
                if $turn < 12 {
                    // A ring of four registers: the oldest becomes the one of 16 words later.
                    let newest = words[($turn + 3) % 4];
                    let middle = _mm_alignr_epi8::<4>(newest, words[($turn + 2) % 4]);
                    let next = _mm_sha256msg1_epu32(current, words[($turn + 1) % 4]);
                    let next = _mm_add_epi32(next, middle);
                    words[$turn % 4] = _mm_sha256msg2_epu32(next, newest);
                }
            }
        };
    }
    unroll16!(four_rounds);
    for lane in 0..LANES {
        abef[lane] = _mm_add_epi32(abef[lane], abef_before[lane]);
        cdgh[lane] = _mm_add_epi32(cdgh[lane], cdgh_before[lane]);
    }
}
