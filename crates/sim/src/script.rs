//! What a program does to a repository: operations, drawn from a seed.
//!
//! A new operation of the store is a variant here, its meaning in `model.rs` (before and after),
//! and its call in `session.rs`.
//!
//! Not here: what must hold (`promises.rs`).

use bytes::Bytes;
use cairn_block::{Block, codec};
use cairn_testkit::Random;

/// Blocks that scripts use.
pub(crate) const BLOCK_COUNT: usize = 120;

/// Further blocks, which only what follows a fault uses.
pub(crate) const FRESH_COUNT: usize = 4;

/// What repeats in blocks that shrink, in bytes.
const LINE_LEN: usize = 40;

/// Names of small values.
const NAME_COUNT: usize = 6;

/// One operation; blocks are numbers below `BLOCK_COUNT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Appends these blocks in one call.
    Append(Vec<usize>),
    /// Makes what was appended and deleted durable.
    Flush,
    /// Deletes a block.
    Delete(usize),
    /// Asks for blocks, their lengths and their pins.
    Read(Vec<usize>),
    /// Lists and counts blocks.
    List,
    /// Pins blocks in one commit, with a kind and a name drawn from the number.
    Pin(Vec<usize>, u64),
    /// Unpins blocks in one commit.
    Unpin(Vec<usize>),
    /// Sets values in one commit, or removes those given as `None`.
    Set(Vec<(String, Option<Vec<u8>>)>),
    /// Collects garbage: what is not among these blocks.
    Collect(Vec<usize>),
    /// Replaces the config file.
    Configure(u64),
    /// Notes a clean end and goes on.
    Close,
    /// Ends cleanly and starts again.
    Reopen,
    /// Is killed and starts again.
    Kill,
    /// Loses power, with this damage and seed, and starts again.
    LosePower(usize, u64),
}

/// Draws `count` operations; `power` says whether it may be lost among them.
pub fn script(seed: u64, count: usize, power: bool) -> Vec<Op> {
    let mut random = Random::new(seed ^ 0x5c21_9a7e);
    (0..count).map(|_| draw(&mut random, power)).collect()
}

fn draw(random: &mut Random, power: bool) -> Op {
    match random.below(if power { 109 } else { 105 }) {
        0..30 => Op::Append(some(random, 8)),
        30..42 => Op::Flush,
        42..52 => Op::Delete(random.below(BLOCK_COUNT)),
        52..58 => Op::Read(some(random, 12)),
        58..60 => Op::List,
        60..72 => Op::Pin(some(random, 3), random.number()),
        72..78 => Op::Unpin(some(random, 3)),
        78..85 => {
            let count = 1 + random.below(2);
            Op::Set((0..count).map(|_| value(random)).collect())
        }
        85..87 => Op::Configure(random.number()),
        87..90 => Op::Close,
        90..95 => Op::Reopen,
        95..100 => Op::Kill,
        100..105 => Op::Collect(some(random, BLOCK_COUNT)),
        _ => Op::LosePower(random.below(3), random.number()),
    }
}

fn some(random: &mut Random, count_max: usize) -> Vec<usize> {
    let count = 1 + random.below(count_max);
    let mut numbers: Vec<usize> = (0..count).map(|_| random.below(BLOCK_COUNT)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// The names of values that scripts use.
pub(crate) fn names() -> impl Iterator<Item = String> {
    (0..NAME_COUNT).map(name)
}

fn name(number: usize) -> String {
    format!("name {number}")
}

fn value(random: &mut Random) -> (String, Option<Vec<u8>>) {
    let name = name(random.below(NAME_COUNT));
    let len = random.below(300);
    let value = (random.below(4) > 0).then(|| random.bytes(len).to_vec());
    (name, value)
}

/// The blocks that scripts speak of: mostly small, some over a page, few over several; every
/// third repeats itself, so that it is kept compressed.
pub fn blocks() -> Vec<Block> {
    let block = |number: usize| {
        let mut random = Random::new(number as u64 ^ 0xb10c);
        let len = match number % 10 {
            0 => random.below(20_000),
            1 | 2 => random.below(6_000),
            _ => random.below(600),
        };
        let mut data = (number as u64).to_le_bytes().to_vec();
        if number.is_multiple_of(3) {
            let line = random.bytes(LINE_LEN);
            data.extend(line.iter().cycle().take(len));
        } else {
            data.extend_from_slice(&random.bytes(len));
        }
        Block::sha2_256(codec::RAW, Bytes::from(data))
    };
    (0..BLOCK_COUNT + FRESH_COUNT).map(block).collect()
}
