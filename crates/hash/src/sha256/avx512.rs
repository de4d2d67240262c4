//! SHA-256 over sixteen messages at once, in the 32-bit lanes of AVX-512 registers.
//!
//! Every register holds the same word of sixteen messages, so a round is the textbook's round
//! with vectors for words. Rotation and three-way logic are one instruction each here.
//!
//! Spec: FIPS 180-4, section 6.2.
//! Invariants: an [`Avx512`] exists only on a processor (and system) that has the instructions.
//! Not here: padding and the choice of messages (`lanes.rs`), eight lanes (`avx2.rs`).

use super::lanes::{BLOCK_LEN, Engine, K, States, unroll16};
use std::arch::{
    is_x86_feature_detected,
    x86_64::{
        __m512i, _mm_set_epi64x, _mm512_add_epi32, _mm512_broadcast_i32x4, _mm512_loadu_si512,
        _mm512_ror_epi32, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_shuffle_epi8,
        _mm512_shuffle_i32x4, _mm512_srli_epi32, _mm512_storeu_si512, _mm512_ternarylogic_epi32,
        _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    },
};

/// How many messages at once.
pub(super) const LANES: usize = 16;

/// Proof that the processor has AVX-512 F and BW.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    /// Looks whether the processor has them.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        found.then_some(Self(()))
    }
}

impl Engine<LANES> for Avx512 {
    fn compress(self, states: &mut States<LANES>, inputs: &[&[u8]; LANES]) {
        // SAFETY: `self` exists only where `detect` found these features.
        unsafe { compress(states, inputs) }
    }
}

/// Compresses all blocks of each input into its column of `states`.
#[target_feature(enable = "avx512f,avx512bw")]
fn compress(states: &mut States<LANES>, inputs: &[&[u8]; LANES]) {
    let len = inputs[0].len();
    assert!(inputs.iter().all(|input| input.len() == len), "invariant: equal lengths");
    let mut state = [_mm512_setzero_si512(); 8];
    for (register, row) in state.iter_mut().zip(&*states) {
        // SAFETY: the row is 64 bytes long; alignment is not needed.
        *register = unsafe { _mm512_loadu_si512(row.as_ptr().cast()) };
    }
    for offset in (0..len - len % BLOCK_LEN).step_by(BLOCK_LEN) {
        let mut blocks = [_mm512_setzero_si512(); LANES];
        macro_rules! load_lane {
            ($lane:literal) => {
                blocks[$lane] = load(&inputs[$lane][offset..offset + BLOCK_LEN]);
            };
        }
        unroll16!(load_lane);
        rounds(&mut state, transpose(&blocks));
    }
    for (register, row) in state.iter().zip(states) {
        // SAFETY: the row is 64 bytes long; alignment is not needed.
        unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), *register) }
    }
}

/// Reads one block as big-endian words.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn load(block: &[u8]) -> __m512i {
    assert!(block.len() == BLOCK_LEN, "invariant: whole blocks");
    // SAFETY: the block is 64 bytes long, checked above; alignment is not needed.
    let words = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
    let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    _mm512_shuffle_epi8(words, _mm512_broadcast_i32x4(swap))
}

/// Turns sixteen rows of words into sixteen columns: `result[word]` has that word of each block.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn transpose(rows: &[__m512i; LANES]) -> [__m512i; LANES] {
    // Within each group of four rows: 4x4 words in every 128-bit part.
    let first = transpose_words(rows[0], rows[1], rows[2], rows[3]);
    let second = transpose_words(rows[4], rows[5], rows[6], rows[7]);
    let third = transpose_words(rows[8], rows[9], rows[10], rows[11]);
    let fourth = transpose_words(rows[12], rows[13], rows[14], rows[15]);
    // Now part `p` of `first[w]` has word `4 * p + w` of the first four rows.
    let mut columns = [_mm512_setzero_si512(); LANES];
    for word in 0..4 {
        let parts = transpose_parts(first[word], second[word], third[word], fourth[word]);
        columns[word] = parts[0];
        columns[4 + word] = parts[1];
        columns[8 + word] = parts[2];
        columns[12 + word] = parts[3];
    }
    columns
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn transpose_words(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [__m512i; 4] {
    let (ab_low, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (cd_low, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(ab_low, cd_low),
        _mm512_unpackhi_epi64(ab_low, cd_low),
        _mm512_unpacklo_epi64(ab_high, cd_high),
        _mm512_unpackhi_epi64(ab_high, cd_high),
    ]
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn transpose_parts(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [__m512i; 4] {
    let (ab_even, ab_odd) =
        (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b));
    let (cd_even, cd_odd) =
        (_mm512_shuffle_i32x4::<0x88>(c, d), _mm512_shuffle_i32x4::<0xdd>(c, d));
    [
        _mm512_shuffle_i32x4::<0x88>(ab_even, cd_even),
        _mm512_shuffle_i32x4::<0x88>(ab_odd, cd_odd),
        _mm512_shuffle_i32x4::<0xdd>(ab_even, cd_even),
        _mm512_shuffle_i32x4::<0xdd>(ab_odd, cd_odd),
    ]
}

/// Runs the 64 rounds over one block of every lane.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn rounds(state: &mut [__m512i; 8], mut words: [__m512i; 16]) {
    let mut now = *state;
    macro_rules! round {
        ($constants:ident, $step:literal) => {
            // The variables turn by one place a round; indices turn instead of registers.
            let (a, b, c) = (now[(16 - $step) % 8], now[(17 - $step) % 8], now[(18 - $step) % 8]);
            let (e, f, g) = (now[(20 - $step) % 8], now[(21 - $step) % 8], now[(22 - $step) % 8]);
            let constant = _mm512_set1_epi32($constants[$step].cast_signed());
            let sum =
                _mm512_add_epi32(now[(23 - $step) % 8], _mm512_add_epi32(constant, words[$step]));
            let sum = _mm512_add_epi32(sum, _mm512_ternarylogic_epi32::<CHOOSE>(e, f, g));
            let first = _mm512_add_epi32(sum, big_sigma_1(e));
            let majority = _mm512_ternarylogic_epi32::<MAJORITY>(a, b, c);
            let second = _mm512_add_epi32(majority, big_sigma_0(a));
            now[(19 - $step) % 8] = _mm512_add_epi32(now[(19 - $step) % 8], first);
            now[(23 - $step) % 8] = _mm512_add_epi32(first, second);
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
        *before = _mm512_add_epi32(*before, after);
    }
}

/// Truth tables of the three-way functions.
const CHOOSE: i32 = 0xca;
const MAJORITY: i32 = 0xe8;
const XOR: i32 = 0x96;

/// The schedule's next word, from those 16, 15, 7 and 2 words before it.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn extend(w16: __m512i, w15: __m512i, w7: __m512i, w2: __m512i) -> __m512i {
    let sigma_0 = _mm512_ternarylogic_epi32::<XOR>(
        _mm512_ror_epi32::<7>(w15),
        _mm512_ror_epi32::<18>(w15),
        _mm512_srli_epi32::<3>(w15),
    );
    let sigma_1 = _mm512_ternarylogic_epi32::<XOR>(
        _mm512_ror_epi32::<17>(w2),
        _mm512_ror_epi32::<19>(w2),
        _mm512_srli_epi32::<10>(w2),
    );
    _mm512_add_epi32(_mm512_add_epi32(w16, sigma_0), _mm512_add_epi32(w7, sigma_1))
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn big_sigma_0(a: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<XOR>(
        _mm512_ror_epi32::<2>(a),
        _mm512_ror_epi32::<13>(a),
        _mm512_ror_epi32::<22>(a),
    )
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn big_sigma_1(e: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<XOR>(
        _mm512_ror_epi32::<6>(e),
        _mm512_ror_epi32::<11>(e),
        _mm512_ror_epi32::<25>(e),
    )
}
