//! SHA-256 by the Armv8 SHA-2 instructions, one or two messages at once.
//!
//! As with the x86 ones, one message waits on the instructions' latency and a second one fills
//! the gaps. The working variables lie in two registers: ABCD and EFGH.
//!
//! Spec: FIPS 180-4, section 6.2; Arm ARM, `SHA256H`, `SHA256H2`, `SHA256SU0`, `SHA256SU1`.
//! Invariants: an [`Armv8`] exists only on a processor that has the instructions.
//! Not here: padding and the choice of messages (`lanes.rs`).

use super::lanes::{BLOCK_LEN, Engine, K, States, unroll16};
use std::arch::{
    aarch64::{
        uint32x4_t, vaddq_u32, vdupq_n_u32, vgetq_lane_u32, vld1q_u8, vld1q_u32,
        vreinterpretq_u32_u8, vrev32q_u8, vsha256h2q_u32, vsha256hq_u32, vsha256su0q_u32,
        vsha256su1q_u32,
    },
    is_aarch64_feature_detected,
};

/// Proof that the processor has the SHA-2 instructions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Armv8(());

impl Armv8 {
    /// Looks whether the processor has them.
    pub(super) fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("sha2").then_some(Self(()))
    }
}

impl<const LANES: usize> Engine<LANES> for Armv8 {
    fn compress(self, states: &mut States<LANES>, inputs: &[&[u8]; LANES]) {
        // SAFETY: `self` exists only where `detect` found this feature.
        unsafe { compress(states, inputs) }
    }
}

/// Compresses all blocks of each input into its column of `states`.
#[target_feature(enable = "neon,sha2")]
fn compress<const LANES: usize>(states: &mut States<LANES>, inputs: &[&[u8]; LANES]) {
    let len = inputs[0].len();
    assert!(inputs.iter().all(|input| input.len() == len), "invariant: equal lengths");
    let mut abcd = [vdupq_n_u32(0); LANES];
    let mut efgh = [vdupq_n_u32(0); LANES];
    for lane in 0..LANES {
        let word = |index: usize| states[index][lane];
        abcd[lane] = load_words(&[word(0), word(1), word(2), word(3)]);
        efgh[lane] = load_words(&[word(4), word(5), word(6), word(7)]);
    }
    for offset in (0..len - len % BLOCK_LEN).step_by(BLOCK_LEN) {
        let mut blocks = [[vdupq_n_u32(0); 4]; LANES];
        for lane in 0..LANES {
            blocks[lane] = load_block(&inputs[lane][offset..offset + BLOCK_LEN]);
        }
        rounds(&mut abcd, &mut efgh, blocks);
    }
    for lane in 0..LANES {
        let words = [
            vgetq_lane_u32::<0>(abcd[lane]),
            vgetq_lane_u32::<1>(abcd[lane]),
            vgetq_lane_u32::<2>(abcd[lane]),
            vgetq_lane_u32::<3>(abcd[lane]),
            vgetq_lane_u32::<0>(efgh[lane]),
            vgetq_lane_u32::<1>(efgh[lane]),
            vgetq_lane_u32::<2>(efgh[lane]),
            vgetq_lane_u32::<3>(efgh[lane]),
        ];
        for (row, word) in states.iter_mut().zip(words) {
            row[lane] = word;
        }
    }
}

#[target_feature(enable = "neon,sha2")]
#[inline]
fn load_words(words: &[u32; 4]) -> uint32x4_t {
    // SAFETY: the array is 16 bytes long and aligned.
    unsafe { vld1q_u32(words.as_ptr()) }
}

/// Reads one block as four registers of big-endian words.
#[target_feature(enable = "neon,sha2")]
#[inline]
fn load_block(block: &[u8]) -> [uint32x4_t; 4] {
    assert!(block.len() == BLOCK_LEN, "invariant: whole blocks");
    let (quarters, _) = block.as_chunks::<16>();
    let mut words = [vdupq_n_u32(0); 4];
    for (words, quarter) in words.iter_mut().zip(quarters) {
        // SAFETY: the quarter is 16 bytes long; bytes need no alignment.
        let bytes = unsafe { vld1q_u8(quarter.as_ptr()) };
        *words = vreinterpretq_u32_u8(vrev32q_u8(bytes));
    }
    words
}

/// Runs the 64 rounds over one block of every lane, four rounds a turn.
#[target_feature(enable = "neon,sha2")]
#[inline]
fn rounds<const LANES: usize>(
    abcd: &mut [uint32x4_t; LANES],
    efgh: &mut [uint32x4_t; LANES],
    mut schedule: [[uint32x4_t; 4]; LANES],
) {
    let (abcd_before, efgh_before) = (*abcd, *efgh);
    let (constants, _) = K.as_chunks::<4>();
    macro_rules! four_rounds {
        ($turn:literal) => {
            let constants = load_words(&constants[$turn]);
            for lane in 0..LANES {
                let words = &mut schedule[lane];
                let current = words[$turn % 4];
                let sum = vaddq_u32(current, constants);
                let abcd_old = abcd[lane];
                abcd[lane] = vsha256hq_u32(abcd_old, efgh[lane], sum);
                efgh[lane] = vsha256h2q_u32(efgh[lane], abcd_old, sum);
                if $turn < 12 {
                    // A ring of four registers: the oldest becomes the one of 16 words later.
                    let next = vsha256su0q_u32(current, words[($turn + 1) % 4]);
                    words[$turn % 4] =
                        vsha256su1q_u32(next, words[($turn + 2) % 4], words[($turn + 3) % 4]);
                }
            }
        };
    }
    unroll16!(four_rounds);
    for lane in 0..LANES {
        abcd[lane] = vaddq_u32(abcd[lane], abcd_before[lane]);
        efgh[lane] = vaddq_u32(efgh[lane], efgh_before[lane]);
    }
}
