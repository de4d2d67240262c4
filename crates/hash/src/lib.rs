//! Multihashes, and SHA-256 over many messages at once.
//!
//! The first step of every way in and the last of every way out: `digest` names bytes, and
//! [`sha256_many`] does it for a whole batch in as many lanes as the processor has.
//!
//! Spec: <https://github.com/multiformats/multihash>, pinned in `spec/PINS.toml`.
//! Invariants: nothing here does I/O or reads the clock; `unsafe` is confined to the SHA-256
//! lanes under `sha256/`, each block with its reason.
//! Not here: CIDs (`cairn-block`), chunking (`cairn-chunk`).

pub mod code;
mod digest;
#[cfg(test)]
mod hex;
mod multihash;
mod murmur3;
mod sha256;
mod shake;
pub mod varint;

pub use digest::{DigestError, digest, digest_many, digest_sized};
pub use multihash::{DIGEST_LEN_MAX, Multihash, MultihashError};
pub use murmur3::murmur3_x64_64;
pub use sha256::{Backend, SHA256_LEN, Sha256, sha256, sha256_many, sha256_many_with};
