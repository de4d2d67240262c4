//! The hash functions by code and by name.
//!
//! Source: the multicodec table (`table.csv`, tag `multihash`), pinned in `spec/PINS.toml`; the
//! rows are the ones that Kubo's `cid hashes` lists.
//! Not here: computing them (`digest.rs`).

/// The bytes themselves.
pub const IDENTITY: u64 = 0x00;
/// SHA-1, for git objects only.
pub const SHA1: u64 = 0x11;
/// SHA-256, what nearly every CID uses.
pub const SHA2_256: u64 = 0x12;
/// SHA-512.
pub const SHA2_512: u64 = 0x13;
/// BLAKE3 with any digest length; 32 bytes by default.
pub const BLAKE3: u64 = 0x1e;
/// SHA-256 of SHA-256, as Bitcoin uses it.
pub const DBL_SHA2_256: u64 = 0x56;
/// The first of 64 consecutive codes: blake2b-8 to blake2b-512.
pub const BLAKE2B_8: u64 = 0xb201;
/// The last of them.
pub const BLAKE2B_512: u64 = 0xb240;
/// The first of 32 consecutive codes: blake2s-8 to blake2s-256.
pub const BLAKE2S_8: u64 = 0xb241;
/// The last of them.
pub const BLAKE2S_256: u64 = 0xb260;

/// Every function that has a name of its own in the table; the blake2 families are ranges.
pub const NAMED: &[(u64, &str)] = &[
    (IDENTITY, "identity"),
    (SHA1, "sha1"),
    (SHA2_256, "sha2-256"),
    (SHA2_512, "sha2-512"),
    (0x14, "sha3-512"),
    (0x15, "sha3-384"),
    (0x16, "sha3-256"),
    (0x17, "sha3-224"),
    (0x18, "shake-128"),
    (0x19, "shake-256"),
    (0x1a, "keccak-224"),
    (0x1b, "keccak-256"),
    (0x1c, "keccak-384"),
    (0x1d, "keccak-512"),
    (BLAKE3, "blake3"),
    (0x20, "sha2-384"),
    (0x22, "murmur3-x64-64"),
    (DBL_SHA2_256, "dbl-sha2-256"),
];
