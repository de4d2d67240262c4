//! How fast the chunkers are, and how much of two similar inputs they find to be the same.
//!
//! Run: `cargo run --release -p cairn-chunk --example chunk_speed`
//! Question: does a content-defined chunker cost less than 0.6 of what adding costs besides?
//! Adding 1 GiB in fixed chunks takes about 1.3 s of CPU, so more than 1.4 GB/s is enough.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a measurement reads the clock, divides and prints"
)]

use cairn_chunk::{ChunkSpec, Cutter};
use cairn_testkit::Random;
use std::{collections::HashSet, time::Instant};

/// Bytes that are cut.
const LEN: usize = 256 * 1024 * 1024;

/// Bytes between two changes in the second input: four chunks of the usual length.
const CHANGE_DISTANCE: usize = 1024 * 1024;

fn chunks<'a>(spec: &ChunkSpec, mut data: &'a [u8]) -> Vec<&'a [u8]> {
    let mut cutter = Cutter::new(spec);
    let mut chunks = Vec::new();
    while let Some(cut) = cutter.next(data, true) {
        chunks.push(&data[..cut]);
        data = &data[cut..];
    }
    chunks
}

fn main() {
    let old = Random::new(1).bytes(LEN);
    let mut new = Vec::with_capacity(LEN);
    for piece in old.chunks(CHANGE_DISTANCE) {
        // A few bytes more than there were, so that everything behind them has moved.
        new.extend_from_slice(b"changed");
        new.extend_from_slice(piece);
    }
    println!("| chunker | GB/s | mean KiB | longest | second input stored |");
    println!("|---|---|---|---|---|");
    for name in [
        "size-262144",
        "buzhash",
        "rabin",
        "fastcdc",
        "rabin-16384-65536-262144",
        "fastcdc-16384-65536-262144",
    ] {
        let spec = ChunkSpec::parse(name).expect("invariant: the names above are chunkers");
        let start = Instant::now();
        let first = chunks(&spec, &old);
        let speed = LEN as f64 / start.elapsed().as_secs_f64() / 1e9;
        let mean = LEN / first.len() / 1024;
        let longest = first.iter().filter(|chunk| chunk.len() == spec.len_max()).count();
        let longest = longest as f64 * 100.0 / first.len() as f64;
        let known: HashSet<&[u8]> = first.into_iter().collect();
        let fresh = chunks(&spec, &new).into_iter().filter(|chunk| !known.contains(chunk));
        let share = fresh.map(<[u8]>::len).sum::<usize>() as f64 / new.len() as f64 * 100.0;
        println!("| {name} | {speed:.2} | {mean} | {longest:.1} % | {share:.1} % |");
    }
}
