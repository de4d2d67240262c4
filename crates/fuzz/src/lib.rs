//! What must hold of a decoder whatever the bytes, and an engine that looks for bytes for which
//! it does not.
//!
//! Each target takes any bytes and panics when a property is broken: what was read is written
//! and read again as the same, strict formats to the same bytes, within the memory that the
//! input explains. `cargo xtask fuzz` builds the decoders with LLVM's counters and lets the
//! [`Engine`] search; tests replay what it kept (`corpus/`), and some thousand changes of it.
//!
//! Why not a fuzzer that exists: cargo-fuzz, fuzzcheck and bolero's guided engines need nightly
//! or clang, and libafl is a framework of over a hundred packages. What is needed here is a loop,
//! an allocator that counts and one binary for all targets, on stable Rust.
//!
//! Invariant: equal seeds, corpora and builds give equal inputs, of [`INPUT_LEN_MAX`] at most.
//! Not here: properties of what other crates keep private (the module `fuzz` of each).

mod allocation;
mod check;
mod corpus;
mod coverage;
mod engine;
mod mutate;
mod shorten;
mod targets;

pub use check::{Failure, check};
pub use coverage::counter_count;
pub use engine::{Engine, Observer, Outcome, fewest_of};
pub use mutate::{INPUT_LEN_MAX, Mutator};
pub use shorten::shorten;
pub use targets::{Target, targets};
