//! Changes inputs a little: bits, bytes, numbers, ranges, words, and pieces of other inputs.
//!
//! Invariants: equal numbers and equal inputs to begin with give equal results; what comes out
//! is at most [`INPUT_LEN_MAX`] bytes.
//! Not here: what is done with the result (`engine.rs`).

use crate::coverage;
use cairn_testkit::Random;

/// Longest input that is made, in bytes.
pub const INPUT_LEN_MAX: usize = 4096;

/// Most changes to one input.
const CHANGES_MAX: usize = 6;

/// Longest piece that one change takes out, repeats or takes from elsewhere, mostly.
const PIECE_LEN_MAX: usize = 32;

/// Shortest and longest run of letters and digits that counts as a word of a format.
const WORD_LENS: std::ops::RangeInclusive<usize> = 2..=24;

/// Bytes that formats give a meaning to.
const SPECIAL: &[u8] = &[
    0, 1, 0x12, 0x20, 0x2a, 0x58, 0x7f, 0x80, 0xa1, 0xd8, 0xff, b'"', b'/', b'.', b'-', b'%', b'=',
    b'\n', b'\r', b' ', b':', b',', b'*', b'[', b'{', b'\\',
];

/// Numbers at which something ends.
const EDGES: &[u64] = &[
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    1 << 16,
    0x001f_ffff,
    1 << 21,
    0x7fff_ffff,
    1 << 31,
    u32::MAX as u64,
    1 << 32,
    1 << 53,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

/// Makes inputs of others; equal numbers give equal inputs.
#[derive(Debug)]
pub struct Mutator {
    random: Random,
    words: Vec<Vec<u8>>,
}

impl Mutator {
    /// Starts from `seed`; the words of `examples` are put where they may matter.
    pub fn new(seed: u64, examples: &[Vec<u8>]) -> Self {
        let mut words: Vec<Vec<u8>> = examples
            .iter()
            .flat_map(|example| example.split(|byte| !byte.is_ascii_alphanumeric()))
            .filter(|word| WORD_LENS.contains(&word.len()))
            .map(<[u8]>::to_vec)
            .collect();
        words.sort();
        words.dedup();
        Self { random: Random::new(seed), words }
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.random.below(end)
    }

    /// Returns an input made of `from`, with pieces of `others` (of `from`, without any).
    pub fn input<I: AsRef<[u8]>>(&mut self, from: &[u8], others: &[I]) -> Vec<u8> {
        let mut input = from.to_vec();
        for _ in 0..=self.random.below(CHANGES_MAX) {
            let other = match others.len() {
                0 => from,
                count => others[self.random.below(count)].as_ref(),
            };
            self.change(&mut input, other);
        }
        input.truncate(INPUT_LEN_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.random.below(input.len() + 1);
        let len = self.random.below(input.len() - at + 1).min(1 + self.random.below(PIECE_LEN_MAX));
        let special = SPECIAL[self.random.below(SPECIAL.len())];
        let byte = self.random.number() as u8;
        match self.random.below(16) {
            0 => input.insert(at, special),
            1 => input.insert(at, byte),
            2 => drop(input.drain(at..at + len)),
            3 => {
                let copy = input[at..at + len].to_vec();
                let to = self.random.below(input.len() + 1);
                drop(input.splice(to..to, copy));
            }
            4 => {
                input.truncate(at);
                let from = self.random.below(other.len() + 1);
                input.extend_from_slice(&other[from..]);
            }
            5 => {
                let from = self.random.below(other.len() + 1);
                let end = (from + len.max(1)).min(other.len());
                drop(input.splice(at..at, other[from..end].iter().copied()));
            }
            6 | 7 => self.put_word(input, at),
            8 => self.put_number(input, at),
            9 => self.put_digits(input, at),
            10 | 11 => self.put_compared(input),
            12 if at < input.len() => input[at] = special,
            13 if at < input.len() => input[at] = byte,
            14 if at < input.len() => input[at] = input[at].wrapping_add(byte % 9).wrapping_sub(4),
            _ if at < input.len() => input[at] ^= 1 << (byte % 8),
            _ => input.push(special),
        }
    }

    /// A word of the format, in between or in place of what is there.
    fn put_word(&mut self, input: &mut Vec<u8>, at: usize) {
        if self.words.is_empty() {
            return input.push(b'0');
        }
        let word = self.words[self.random.below(self.words.len())].clone();
        let end = if self.random.below(2) == 0 { at } else { (at + word.len()).min(input.len()) };
        drop(input.splice(at..end, word));
    }

    /// A number near to an edge in binary, of any width and order.
    fn put_number(&mut self, input: &mut Vec<u8>, at: usize) {
        let number = self.near_an_edge();
        let width = 1 << self.random.below(4);
        put_bytes(input, at, number, width, self.random.below(2) == 0);
    }

    /// A number near to an edge in place of the decimal digits at or after `at`.
    fn put_digits(&mut self, input: &mut Vec<u8>, at: usize) {
        let digits = |byte: &u8| byte.is_ascii_digit();
        let start = at + input[at..].iter().position(digits).unwrap_or(input.len() - at);
        let len = input[start..].iter().take_while(|byte| digits(byte)).count();
        let text = self.near_an_edge().to_string().into_bytes();
        drop(input.splice(start..start + len, text));
    }

    fn near_an_edge(&mut self) -> u64 {
        let edge = EDGES[self.random.below(EDGES.len())];
        edge.wrapping_add(self.random.below(5) as u64).wrapping_sub(2)
    }

    /// What the last runs compared a number of the input with, in place of that number.
    fn put_compared(&mut self, input: &mut Vec<u8>) {
        let Some([left, right]) = coverage::compared(self.random.number()) else {
            return input.push(0);
        };
        let turned = self.random.below(2) == 0;
        let (from, to) = if turned { (right, left) } else { (left, right) };
        let near = to.wrapping_add(self.random.below(3) as u64).wrapping_sub(1);
        let to = if self.random.below(4) == 0 { near } else { to };
        let is_little = self.random.below(2) == 0;
        for width in [8, 4, 2, 1] {
            let needle = bytes_of(from, width, is_little);
            let places: Vec<usize> =
                (0..input.len()).filter(|at| input[*at..].starts_with(&needle)).collect();
            if !places.is_empty() && (width == 8 || from >> (8 * width) == 0) {
                let at = places[self.random.below(places.len())];
                return put_bytes(input, at, to, width, is_little);
            }
        }
        let (from, to) = (from.to_string(), to.to_string());
        let place = input.windows(from.len()).position(|window| window == from.as_bytes());
        if let Some(at) = place {
            drop(input.splice(at..at + from.len(), to.into_bytes()));
        }
    }
}

/// `number` in `width` bytes, at most 8.
fn bytes_of(number: u64, width: usize, is_little: bool) -> Vec<u8> {
    let mut bytes = number.to_le_bytes()[..width].to_vec();
    if !is_little {
        bytes.reverse();
    }
    bytes
}

fn put_bytes(input: &mut Vec<u8>, at: usize, number: u64, width: usize, is_little: bool) {
    let end = (at + width).min(input.len());
    drop(input.splice(at..end, bytes_of(number, width, is_little)));
}
