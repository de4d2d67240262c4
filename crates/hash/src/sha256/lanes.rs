//! Feeds many messages to an engine that compresses several blocks at once.
//!
//! SHA-256 is sequential within a message, so speed comes from working on several messages side
//! by side. Messages end at different times; a lane whose message has ended takes the next one at
//! once, so lanes stay full until the messages run out. Message bytes are read where they lie:
//! only the last, padded block or two of each message are copied, into its lane's tail.
//!
//! Spec: FIPS 180-4, sections 5.1.1 (padding) and 6.2 (SHA-256).
//! Invariants: every message is in exactly one place: not yet taken, in one lane, carried over to
//! the next engine, or digested. Nothing here is `unsafe`; engines get slices of equal length.
//! Not here: which engine is used when (`sha256.rs`), the compression itself (the other files).

use super::SHA256_LEN;

/// Repeats a macro for 0 to 15, so that the engines' registers have constant indices.
///
/// The compiler does not unroll such loops by itself, and an array that is indexed by a variable
/// lies in memory. A closure would not do either: `array::map` lacks the engines' instructions,
/// so their closures would be called, not inlined.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! unroll16 {
    ($step:ident) => {
        $step!(0);
        $step!(1);
        $step!(2);
        $step!(3);
        $step!(4);
        $step!(5);
        $step!(6);
        $step!(7);
        $step!(8);
        $step!(9);
        $step!(10);
        $step!(11);
        $step!(12);
        $step!(13);
        $step!(14);
        $step!(15);
    };
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) use unroll16;

/// Length of a block in bytes.
pub(super) const BLOCK_LEN: usize = 64;

/// Where every message starts (FIPS 180-4, 5.3.3).
pub(super) const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The round constants (FIPS 180-4, 4.2.2).
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[rustfmt::skip]
pub(super) static K: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// Compresses blocks of `LANES` messages side by side.
pub(super) trait Engine<const LANES: usize>: Copy {
    /// Compresses all of `inputs[lane]` into column `lane` of `states`, for every lane.
    ///
    /// `states[word][lane]` is word `word` of that lane's state. All inputs have the same length,
    /// a multiple of [`BLOCK_LEN`].
    ///
    /// # Panics
    ///
    /// May panic if the lengths differ or are not whole blocks; never reads beyond an input.
    fn compress(self, states: &mut States<LANES>, inputs: &[&[u8]; LANES]);
}

/// The states of all lanes, word by word.
pub(super) type States<const LANES: usize> = [[u32; LANES]; 8];

/// The messages of one call and how far they have come.
pub(super) struct Work<'m> {
    messages: &'m [&'m [u8]],
    taken: usize,
    carried: Vec<Carried<'m>>,
    digests: Vec<[u8; SHA256_LEN]>,
}

/// A message that has left one engine in the middle.
struct Carried<'m> {
    lane: Lane<'m>,
    state: [u32; 8],
}

/// What is left of one message.
struct Lane<'m> {
    message: usize,
    /// Whole blocks of the message itself, not yet compressed.
    body: &'m [u8],
    /// The last, padded blocks.
    tail: [u8; 2 * BLOCK_LEN],
    /// Which part of `tail` is still to be compressed.
    tail_start: usize,
    tail_end: usize,
}

impl<'m> Work<'m> {
    pub(super) fn new(messages: &'m [&'m [u8]]) -> Self {
        let digests = vec![[0; SHA256_LEN]; messages.len()];
        Self { messages, taken: 0, carried: Vec::new(), digests }
    }

    /// The digests, once everything has been run.
    pub(super) fn finish(self) -> Vec<[u8; SHA256_LEN]> {
        debug_assert!(self.left() == 0, "invariant: every message has been digested");
        self.digests
    }

    /// How many messages are not digested.
    pub(super) fn left(&self) -> usize {
        self.messages.len() - self.taken + self.carried.len()
    }

    /// Digests every message that no lane has taken yet, as a whole.
    pub(super) fn digest_untaken(&mut self, digest: impl Fn(&[u8]) -> [u8; SHA256_LEN]) {
        let untaken = self.messages.iter().zip(&mut self.digests).skip(self.taken);
        for (message, slot) in untaken {
            *slot = digest(message);
        }
        self.taken = self.messages.len();
    }

    /// Works on `engine` while at least `lanes_min` of its lanes have a message.
    ///
    /// What is then left over in the lanes is carried over to the next call.
    pub(super) fn run<const LANES: usize>(&mut self, engine: impl Engine<LANES>, lanes_min: usize) {
        if self.left() < lanes_min.max(1) {
            return;
        }
        let mut states: States<LANES> = INITIAL.map(|word| [word; LANES]);
        let mut lanes: [Option<Lane<'m>>; LANES] = std::array::from_fn(|_| None);
        for (index, lane) in lanes.iter_mut().enumerate() {
            *lane = self.next(&mut states, index);
        }
        while lanes.iter().flatten().count() >= lanes_min.max(1) {
            let len = step(engine, &mut states, &lanes);
            for (index, lane) in lanes.iter_mut().enumerate() {
                let Some(current) = lane else { continue };
                current.advance(len);
                if current.input().is_empty() {
                    self.digests[current.message] = digest_of(column(&states, index));
                    *lane = self.next(&mut states, index);
                }
            }
        }
        for (index, lane) in lanes.into_iter().enumerate() {
            let state = column(&states, index);
            self.carried.extend(lane.map(|lane| Carried { lane, state }));
        }
    }

    /// Takes the next message, one carried over first, and sets its lane's state.
    fn next<const LANES: usize>(
        &mut self,
        states: &mut States<LANES>,
        lane: usize,
    ) -> Option<Lane<'m>> {
        let carried = self.carried.pop().or_else(|| self.take())?;
        for (row, word) in states.iter_mut().zip(carried.state) {
            row[lane] = word;
        }
        Some(carried.lane)
    }

    /// Takes the next message that nobody has begun.
    fn take(&mut self) -> Option<Carried<'m>> {
        let message = self.taken;
        let lane = Lane::new(message, self.messages.get(message)?);
        self.taken += 1;
        Some(Carried { lane, state: INITIAL })
    }
}

/// Compresses as many blocks as every busy lane has in one piece; returns how many bytes.
fn step<const LANES: usize>(
    engine: impl Engine<LANES>,
    states: &mut States<LANES>,
    lanes: &[Option<Lane<'_>>; LANES],
) -> usize {
    let mut shortest: Option<&[u8]> = None;
    for lane in lanes.iter().flatten() {
        let input = lane.input();
        if shortest.is_none_or(|found| input.len() < found.len()) {
            shortest = Some(input);
        }
    }
    let Some(shortest) = shortest else { return 0 };
    let len = shortest.len();
    // A lane without a message works on another one's bytes; nobody reads its state.
    let mut inputs = [shortest; LANES];
    for (input, lane) in inputs.iter_mut().zip(lanes) {
        if let Some(lane) = lane {
            *input = &lane.input()[..len];
        }
    }
    engine.compress(states, &inputs);
    len
}

impl<'m> Lane<'m> {
    fn new(message: usize, data: &'m [u8]) -> Self {
        let (body, rest) = data.split_at(data.len() - data.len() % BLOCK_LEN);
        let mut tail = [0; 2 * BLOCK_LEN];
        tail[..rest.len()].copy_from_slice(rest);
        tail[rest.len()] = 0x80;
        // The padding is one bit and the message's length in bits, in as few blocks as hold them.
        let tail_end = if rest.len() < BLOCK_LEN - 8 { BLOCK_LEN } else { 2 * BLOCK_LEN };
        tail[tail_end - 8..tail_end].copy_from_slice(&(data.len() as u64 * 8).to_be_bytes());
        Self { message, body, tail, tail_start: 0, tail_end }
    }

    /// What comes next, in one piece; empty when the message has ended.
    fn input(&self) -> &[u8] {
        if self.body.is_empty() { &self.tail[self.tail_start..self.tail_end] } else { self.body }
    }

    fn advance(&mut self, len: usize) {
        if self.body.is_empty() {
            self.tail_start += len;
        } else {
            self.body = &self.body[len..];
        }
    }
}

fn column<const LANES: usize>(states: &States<LANES>, lane: usize) -> [u32; 8] {
    states.map(|row| row[lane])
}

fn digest_of(state: [u32; 8]) -> [u8; SHA256_LEN] {
    let mut digest = [0; SHA256_LEN];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}
