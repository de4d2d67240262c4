//! Cuts bytes into chunks.
//!
//! The first step of every file's way in: where the cuts fall decides the leaves' CIDs, so they
//! must be exactly where Kubo puts them.
//!
//! Source: the `--chunker` syntax and its limits as Kubo documents them.
//! Invariants: pure; a cut depends on the bytes of the file alone, never on how they were read.
//! Not here: reading files (`cairn-node`), what a chunk becomes (`cairn-unixfs`).

mod buzhash;
mod cutter;
mod fastcdc;
mod rabin;
mod scan;
mod spec;

pub use cutter::Cutter;
pub use spec::{CHUNK_LEN_DEFAULT, CHUNK_LEN_MAX, ChunkError, ChunkSpec, Lens};
