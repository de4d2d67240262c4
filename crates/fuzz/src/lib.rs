//! What must hold of a decoder whatever the bytes, and a mutator that makes the bytes.
//!
//! Each target takes any bytes and panics when a property is broken: what was read is written
//! and read again as the same, strict formats to the same bytes.
//! Invariant: equal seeds give equal inputs. Inputs are at most [`INPUT_LEN_MAX`] bytes.
//! Not here: guidance by coverage, decoders of the crates above `cairn-unixfs`.

mod mutate;
mod targets;

pub use mutate::{INPUT_LEN_MAX, Mutator};
pub use targets::{TARGETS, Target};
