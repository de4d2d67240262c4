//! SHA-256 over eight messages at once, in the 32-bit lanes of AVX2 registers.
//!
//! For processors with neither AVX-512 nor the SHA extensions. Every register holds the same word
//! of eight messages; rotations are made of two shifts.
//!
//! Spec: FIPS 180-4, section 6.2.
//! Invariants: an [`Avx2`] exists only on a processor (and system) that has the instructions.
//! Not here: padding and the choice of messages (`lanes.rs`), sixteen lanes (`avx512.rs`).

use super::lanes::{BLOCK_LEN, Engine, K, States, unroll16};
use std::{
    arch::{
        is_x86_feature_detected,
        x86_64::{
            __m256i, _mm_set_epi64x, _mm256_add_epi32, _mm256_and_si256,
            _mm256_broadcastsi128_si256, _mm256_loadu_si256, _mm256_or_si256,
            _mm256_permute2x128_si256, _mm256_set1_epi32, _mm256_setzero_si256,
            _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_si256,
            _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32,
            _mm256_unpacklo_epi64, _mm256_xor_si256,
        },
    },
    ops::Range,
};

/// Length of what one register holds of a block, in bytes.
const HALF_LEN: usize = BLOCK_LEN / 2;

/// How many messages at once.
pub(super) const LANES: usize = 8;

/// Proof that the processor has AVX2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// Looks whether the processor has it.
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

impl Engine<LANES> for Avx2 {
    fn compress(self, states: &mut States<LANES>, inputs: &[&[u8]; LANES]) {
        // SAFETY: `self` exists only where `detect` found this feature.
        unsafe { compress(states, inputs) }
    }
}

/// Compresses all blocks of each input into its column of `states`.
#[target_feature(enable = "avx2")]
fn compress(states: &mut States<LANES>, inputs: &[&[u8]; LANES]) {
    let len = inputs[0].len();
    assert!(inputs.iter().all(|input| input.len() == len), "invariant: equal lengths");
    let mut state = [_mm256_setzero_si256(); 8];
    for (register, row) in state.iter_mut().zip(&*states) {
        // SAFETY: the row is 32 bytes long; alignment is not needed.
        *register = unsafe { _mm256_loadu_si256(row.as_ptr().cast()) };
    }
    for offset in (0..len - len % BLOCK_LEN).step_by(BLOCK_LEN) {
        let (low, high) = (offset..offset + HALF_LEN, offset + HALF_LEN..offset + BLOCK_LEN);
        rounds(&mut state, transpose(inputs, low), transpose(inputs, high));
    }
    for (register, row) in state.iter().zip(states) {
        // SAFETY: the row is 32 bytes long; alignment is not needed.
        unsafe { _mm256_storeu_si256(row.as_mut_ptr().cast(), *register) }
    }
}

/// Reads half a block as big-endian words.
#[target_feature(enable = "avx2")]
#[inline]
fn load(half: &[u8]) -> __m256i {
    assert!(half.len() == HALF_LEN, "invariant: whole blocks");
    // SAFETY: half a block is 32 bytes long, checked above; alignment is not needed.
    let words = unsafe { _mm256_loadu_si256(half.as_ptr().cast()) };
    let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    _mm256_shuffle_epi8(words, _mm256_broadcastsi128_si256(swap))
}

/// Turns eight rows of words into eight columns: `result[word]` has that word of each input.
#[target_feature(enable = "avx2")]
#[inline]
fn transpose(inputs: &[&[u8]; LANES], range: Range<usize>) -> [__m256i; LANES] {
    let mut rows = [_mm256_setzero_si256(); LANES];
    for (row, input) in rows.iter_mut().zip(inputs) {
        *row = load(&input[range.clone()]);
    }
    // Within each group of four rows: 4x4 words in both halves of the registers.
    let upper = transpose_words(rows[0], rows[1], rows[2], rows[3]);
    let lower = transpose_words(rows[4], rows[5], rows[6], rows[7]);
    let mut columns = rows;
    for word in 0..4 {
        columns[word] = _mm256_permute2x128_si256::<0x20>(upper[word], lower[word]);
        columns[4 + word] = _mm256_permute2x128_si256::<0x31>(upper[word], lower[word]);
    }
    columns
}

#[target_feature(enable = "avx2")]
#[inline]
fn transpose_words(a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> [__m256i; 4] {
    let (ab_low, ab_high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let (cd_low, cd_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(ab_low, cd_low),
        _mm256_unpackhi_epi64(ab_low, cd_low),
        _mm256_unpacklo_epi64(ab_high, cd_high),
        _mm256_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// Runs the 64 rounds over one block of every lane.
#[target_feature(enable = "avx2")]
#[inline]
fn rounds(state: &mut [__m256i; 8], low: [__m256i; 8], high: [__m256i; 8]) {
    let mut now = *state;
    let mut words = [_mm256_setzero_si256(); 16];
    words[..8].copy_from_slice(&low);
    words[8..].copy_from_slice(&high);
    macro_rules! round {
        ($constants:ident, $step:literal) => {
            // The variables turn by one place a round; indices turn instead of registers.
            let (a, b, c) = (now[(16 - $step) % 8], now[(17 - $step) % 8], now[(18 - $step) % 8]);
            let (e, f, g) = (now[(20 - $step) % 8], now[(21 - $step) % 8], now[(22 - $step) % 8]);
            let constant = _mm256_set1_epi32($constants[$step].cast_signed());
            let sum =
                _mm256_add_epi32(now[(23 - $step) % 8], _mm256_add_epi32(constant, words[$step]));
            let choose = _mm256_xor_si256(g, _mm256_and_si256(e, _mm256_xor_si256(f, g)));
            let sum = _mm256_add_epi32(sum, choose);
            let first = _mm256_add_epi32(sum, rotations::<6, 26, 11, 21, 25, 7>(e));
            let either = _mm256_and_si256(c, _mm256_or_si256(a, b));
            let majority = _mm256_or_si256(_mm256_and_si256(a, b), either);
            let second = _mm256_add_epi32(majority, rotations::<2, 30, 13, 19, 22, 10>(a));
            now[(19 - $step) % 8] = _mm256_add_epi32(now[(19 - $step) % 8], first);
            now[(23 - $step) % 8] = _mm256_add_epi32(first, second);
        };
    }
    let (parts, _) = K.as_chunks::<16>();
    let constants = &parts[0];
    macro_rules! first_round {
        ($step:literal) => {
            round!(constants, $step);
        };
    }
    unroll16!(first_round);
    for constants in &parts[1..] {
        macro_rules! later_round {
            ($step:literal) => {
                words[$step] = extend(
                    words[$step],
                    words[($step + 1) % 16],
                    words[($step + 9) % 16],
                    words[($step + 14) % 16],
                );
                round!(constants, $step);
            };
        }
        unroll16!(later_round);
    }
    for (before, after) in state.iter_mut().zip(now) {
        *before = _mm256_add_epi32(*before, after);
    }
}

/// The schedule's next word, from those 16, 15, 7 and 2 words before it.
#[target_feature(enable = "avx2")]
#[inline]
fn extend(w16: __m256i, w15: __m256i, w7: __m256i, w2: __m256i) -> __m256i {
    let sigma_0 = _mm256_xor_si256(
        _mm256_xor_si256(rotate::<7, 25>(w15), rotate::<18, 14>(w15)),
        _mm256_srli_epi32::<3>(w15),
    );
    let sigma_1 = _mm256_xor_si256(
        _mm256_xor_si256(rotate::<17, 15>(w2), rotate::<19, 13>(w2)),
        _mm256_srli_epi32::<10>(w2),
    );
    _mm256_add_epi32(_mm256_add_epi32(w16, sigma_0), _mm256_add_epi32(w7, sigma_1))
}

/// Exclusive or of three rotations to the right, each given with its complement to 32.
#[target_feature(enable = "avx2")]
#[inline]
fn rotations<
    const A: i32,
    const A_LEFT: i32,
    const B: i32,
    const B_LEFT: i32,
    const C: i32,
    const C_LEFT: i32,
>(
    word: __m256i,
) -> __m256i {
    let first_two = _mm256_xor_si256(rotate::<A, A_LEFT>(word), rotate::<B, B_LEFT>(word));
    _mm256_xor_si256(first_two, rotate::<C, C_LEFT>(word))
}

/// Rotates to the right; `LEFT` is 32 minus `RIGHT`, which stable Rust cannot compute here.
#[target_feature(enable = "avx2")]
#[inline]
fn rotate<const RIGHT: i32, const LEFT: i32>(word: __m256i) -> __m256i {
    const { assert!(RIGHT + LEFT == 32) }
    _mm256_or_si256(_mm256_srli_epi32::<RIGHT>(word), _mm256_slli_epi32::<LEFT>(word))
}
