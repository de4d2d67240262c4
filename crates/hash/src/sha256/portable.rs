//! SHA-256 of one message at a time, on any processor.
//!
//! Whole messages go through `ring`, whose assembly picks the processor's best instructions by
//! itself; with the SHA extensions it is as fast as one lane of `shani.rs`. A message that leaves wider lanes in the middle cannot enter `ring`, which starts only
//! at the beginning; its rest goes through the `sha2` crate's compression function.
//!
//! Spec: FIPS 180-4, section 6.2.
//! Not here: the lanes (`lanes.rs`).

use super::lanes::{BLOCK_LEN, Engine, States};
use super::{SHA256_LEN, Sha256};

/// Compresses one message's blocks, from any state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

impl Engine<1> for Portable {
    fn compress(self, states: &mut States<1>, inputs: &[&[u8]; 1]) {
        let (blocks, _) = inputs[0].as_chunks::<BLOCK_LEN>();
        let mut state = states.map(|[word]| word);
        sha2::block_api::compress256(&mut state, blocks);
        *states = state.map(|word| [word]);
    }
}

/// Digests one whole message.
pub(super) fn digest(data: &[u8]) -> [u8; SHA256_LEN] {
    let mut state = Sha256::default();
    state.update(data);
    state.finish()
}
