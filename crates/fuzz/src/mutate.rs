//! Changes seeds a little: bits, bytes, ranges, and pieces of other seeds.
//!
//! Not here: what is done with the result (`targets.rs`).

use cairn_testkit::Random;

/// Longest input that is made, in bytes.
pub const INPUT_LEN_MAX: usize = 1024;

/// Most changes to one seed.
const CHANGES_MAX: usize = 6;

/// Bytes that formats give a meaning to.
const SPECIAL: &[u8] = &[0, 1, 0x12, 0x20, 0x2a, 0x58, 0x7f, 0x80, 0xa1, 0xd8, 0xff, b'"', b'/'];

/// Makes inputs of seeds; equal numbers give equal inputs.
#[derive(Debug)]
pub struct Mutator {
    random: Random,
}

impl Mutator {
    /// Starts from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed) }
    }

    /// Returns the next input made of `seeds`.
    pub fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.pick(seeds);
        for _ in 0..=self.random.below(CHANGES_MAX) {
            self.change(&mut input, seeds);
        }
        input.truncate(INPUT_LEN_MAX);
        input
    }

    fn pick(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        if seeds.is_empty() { Vec::new() } else { seeds[self.random.below(seeds.len())].clone() }
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.random.below(input.len() + 1);
        let len = self.random.below(input.len() - at + 1).min(1 + self.random.below(16));
        let special = SPECIAL[self.random.below(SPECIAL.len())];
        let bit = self.random.below(8);
        match self.random.below(7) {
            0 => input.insert(at, special),
            1 => input.insert(at, self.random.number() as u8),
            2 => drop(input.drain(at..at + len)),
            3 => {
                let copy = input[at..at + len].to_vec();
                drop(input.splice(at..at, copy));
            }
            4 => {
                let other = self.pick(seeds);
                let from = self.random.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            5 if at < input.len() => input[at] = special,
            _ if at < input.len() => input[at] ^= 1 << bit,
            _ => input.push(special),
        }
    }
}
