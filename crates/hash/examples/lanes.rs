//! How many bytes a second each SHA-256 backend digests, by batch size and message length.
//!
//! 4 KiB is a small file, 256 KiB a leaf block of a large one. `single` is what one message after
//! the other costs; `chosen` is what `sha256_many` does by itself and should be the best of each
//! row, or next to it. All cases take turns in every round, so that a change of the processor's
//! clock touches them alike, and the median round counts. Compare numbers of one machine only.
//!
//! Run: `cargo run --release -p cairn-hash --example lanes`.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a measurement reads the clock, divides and prints"
)]

use cairn_hash::{Backend, sha256_many, sha256_many_with};
use std::{hint::black_box, time::Instant};

/// Rounds over all cases; the median is printed.
const ROUNDS: usize = 15;
/// How much one measurement digests, at least, in bytes.
const MEASURED_LEN: usize = 4 << 20;

/// One batch of equal messages.
struct Batch {
    count: usize,
    message_len: usize,
}

fn main() {
    let backends = Backend::available();
    let data: Vec<u8> =
        (0..8_u32 << 20).map(|index| (index.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    let batches: Vec<Batch> = [4 << 10, 256 << 10]
        .into_iter()
        .flat_map(|message_len| {
            [1, 2, 4, 8, 9, 10, 12, 16, 24, 32].map(|count| Batch { count, message_len })
        })
        .collect();
    let mut times = vec![vec![Vec::new(); backends.len() + 1]; batches.len()];
    for _ in 0..ROUNDS {
        for (batch, times) in batches.iter().zip(&mut times) {
            let messages: Vec<&[u8]> =
                data.chunks_exact(batch.message_len).take(batch.count).collect();
            for (index, times) in times.iter_mut().enumerate() {
                times.push(rate(&messages, backends.get(index).copied()));
            }
        }
    }
    print!("{:>8} {:>8}", "messages", "of KiB");
    for backend in &backends {
        print!(" {:>8}", backend.name());
    }
    println!(" {:>8}   (GB/s, medians of {ROUNDS})", "chosen");
    for (batch, times) in batches.iter().zip(times) {
        print!("{:>8} {:>8}", batch.count, batch.message_len >> 10);
        for mut rates in times {
            rates.sort_by(f64::total_cmp);
            print!(" {:>8.2}", rates[ROUNDS / 2]);
        }
        println!();
    }
}

/// Bytes digested in a nanosecond: gigabytes in a second.
fn rate(messages: &[&[u8]], backend: Option<Backend>) -> f64 {
    let batch_len: usize = messages.iter().map(|message| message.len()).sum();
    let repeats = MEASURED_LEN.div_ceil(batch_len);
    let start = Instant::now();
    for _ in 0..repeats {
        let messages = black_box(messages);
        match backend {
            Some(backend) => drop(black_box(sha256_many_with(backend, messages))),
            None => drop(black_box(sha256_many(messages))),
        }
    }
    (batch_len * repeats) as f64 / start.elapsed().as_nanos() as f64
}
