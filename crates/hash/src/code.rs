//! The hash functions by code and by name.
//!
//! Codes and names are those of the multicodec table (`table.csv`, tag `multihash`), pinned in
//! `spec/PINS.toml`. Which of them a CID may use is Kubo's choice (boxo `verifcid`, at
//! `8df89a7`): functions without known attacks, and SHA-1 because git objects need it.
//! A name here does not mean that the function is computed here; see [`crate::digest()`].
//!
//! Invariant: [`FUNCTIONS`] is in order of the codes, without repetition of codes or names.
//! Not here: computing them (`digest.rs`).

/// The bytes themselves.
pub const IDENTITY: u64 = 0x00;
/// SHA-1, for git objects only.
pub const SHA1: u64 = 0x11;
/// SHA-256, what nearly every CID uses.
pub const SHA2_256: u64 = 0x12;
/// SHA-512.
pub const SHA2_512: u64 = 0x13;
/// SHA3-512, which older names call plain `sha3`.
pub const SHA3_512: u64 = 0x14;
/// BLAKE3 with any digest length; 32 bytes by default.
pub const BLAKE3: u64 = 0x1e;
/// The first 64 bits of `MurmurHash3_x64_128`: not a cryptographic hash, for directory shards.
pub const MURMUR3_X64_64: u64 = 0x22;
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

/// Shortest digest that a CID may have, in bytes; identity is free of it.
///
/// Source: Kubo (boxo `verifcid`, `DefaultMinDigestSize`).
pub const DIGEST_LEN_MIN: usize = 20;

/// A hash function's row in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashFunction {
    /// The multicodec code.
    pub code: u64,
    /// The multicodec name.
    pub name: &'static str,
    /// Length of its digests in bytes, unless asked for otherwise; as long as the data if `None`.
    pub digest_len: Option<usize>,
    /// Whether a CID may use it.
    pub allowed: bool,
}

/// Returns the functions that a CID may use, in order of their codes, as `cid hashes` lists them.
pub fn table() -> impl Iterator<Item = &'static HashFunction> {
    FUNCTIONS.iter().filter(|function| function.allowed)
}

/// Returns a function's row, whether or not a CID may use it.
pub fn find(code: u64) -> Option<&'static HashFunction> {
    let index = FUNCTIONS.binary_search_by_key(&code, |function| function.code).ok()?;
    Some(&FUNCTIONS[index])
}

/// Returns a function's name.
pub fn name_of(code: u64) -> Option<&'static str> {
    find(code).map(|function| function.name)
}

/// Returns the code of a function, by its name in any case; `sha3` means sha3-512.
pub fn code_of(name: &str) -> Option<u64> {
    if name.eq_ignore_ascii_case("sha3") {
        return Some(SHA3_512);
    }
    let found = FUNCTIONS.iter().find(|function| function.name.eq_ignore_ascii_case(name));
    found.map(|function| function.code)
}

/// Returns whether a CID may use this function.
pub fn is_allowed(code: u64) -> bool {
    find(code).is_some_and(|function| function.allowed)
}

/// Every function that has a name here.
pub static FUNCTIONS: &[HashFunction] = &ALL;

const NAMED_BEFORE: [HashFunction; 28] = [
    HashFunction { code: IDENTITY, name: "identity", digest_len: None, allowed: true },
    allowed(SHA1, "sha1", 20),
    allowed(SHA2_256, "sha2-256", 32),
    allowed(SHA2_512, "sha2-512", 64),
    allowed(SHA3_512, "sha3-512", 64),
    allowed(0x15, "sha3-384", 48),
    allowed(0x16, "sha3-256", 32),
    allowed(0x17, "sha3-224", 28),
    named(0x18, "shake-128", 32),
    allowed(0x19, "shake-256", 64),
    allowed(0x1a, "keccak-224", 28),
    allowed(0x1b, "keccak-256", 32),
    allowed(0x1c, "keccak-384", 48),
    allowed(0x1d, "keccak-512", 64),
    allowed(BLAKE3, "blake3", 32),
    named(0x20, "sha2-384", 48),
    named(MURMUR3_X64_64, "murmur3-x64-64", 8),
    allowed(DBL_SHA2_256, "dbl-sha2-256", 32),
    named(0xd5, "md5", 16),
    named(0x1012, "sha2-256-trunc254-padded", 32),
    named(0x1013, "sha2-224", 28),
    named(0x1014, "sha2-512-224", 28),
    named(0x1015, "sha2-512-256", 32),
    named(0x1052, "ripemd-128", 16),
    named(0x1053, "ripemd-160", 20),
    named(0x1054, "ripemd-256", 32),
    named(0x1055, "ripemd-320", 40),
    named(0x1100, "x11", 64),
];

const NAMED_AFTER: [HashFunction; 1] = [named(0xb401, "poseidon-bls12_381-a2-fc1", 32)];

/// The names of a BLAKE2 family, one for each multiple of eight bits.
macro_rules! blake2_names {
    ($family:literal: $($bits:literal)*) => {
        [$(concat!($family, "-", $bits)),*]
    };
}

const BLAKE2B: [&str; 64] = blake2_names!("blake2b":
    8 16 24 32 40 48 56 64 72 80 88 96 104 112 120 128 136 144 152 160 168 176 184 192 200 208 216
    224 232 240 248 256 264 272 280 288 296 304 312 320 328 336 344 352 360 368 376 384 392 400 408
    416 424 432 440 448 456 464 472 480 488 496 504 512);

const BLAKE2S: [&str; 32] = blake2_names!("blake2s":
    8 16 24 32 40 48 56 64 72 80 88 96 104 112 120 128 136 144 152 160 168 176 184 192 200 208 216
    224 232 240 248 256);

const ALL: [HashFunction; 28 + 64 + 32 + 1] = {
    let mut all = [NAMED_BEFORE[0]; 28 + 64 + 32 + 1];
    let mut index = 0;
    while index < all.len() {
        all[index] = match index {
            0..28 => NAMED_BEFORE[index],
            28..92 => blake2(BLAKE2B_8, &BLAKE2B, index - 28),
            92..124 => blake2(BLAKE2S_8, &BLAKE2S, index - 92),
            _ => NAMED_AFTER[index - 124],
        };
        index += 1;
    }
    all
};

const fn allowed(code: u64, name: &'static str, digest_len: usize) -> HashFunction {
    HashFunction { code, name, digest_len: Some(digest_len), allowed: true }
}

const fn named(code: u64, name: &'static str, digest_len: usize) -> HashFunction {
    HashFunction { code, name, digest_len: Some(digest_len), allowed: false }
}

const fn blake2(first: u64, names: &[&'static str], index: usize) -> HashFunction {
    let digest_len = index + 1;
    let allowed = digest_len >= DIGEST_LEN_MIN;
    let code = first + index as u64;
    HashFunction { code, name: names[index], digest_len: Some(digest_len), allowed }
}

#[cfg(test)]
mod tests {
    use super::{FUNCTIONS, code_of, find, is_allowed, name_of, table};

    /// What `cid hashes --numeric` prints before the BLAKE2 families.
    const LISTED: &[(u64, &str)] = &[
        (0, "identity"),
        (17, "sha1"),
        (18, "sha2-256"),
        (19, "sha2-512"),
        (20, "sha3-512"),
        (21, "sha3-384"),
        (22, "sha3-256"),
        (23, "sha3-224"),
        (25, "shake-256"),
        (26, "keccak-224"),
        (27, "keccak-256"),
        (28, "keccak-384"),
        (29, "keccak-512"),
        (30, "blake3"),
        (86, "dbl-sha2-256"),
    ];

    #[test]
    fn lists_what_kubo_lists_in_its_order() {
        let mut expected: Vec<(u64, String)> =
            LISTED.iter().map(|&(code, name)| (code, name.to_owned())).collect();
        for bits in (160..=512).step_by(8) {
            expected.push((45569 + bits / 8 - 1, format!("blake2b-{bits}")));
        }
        for bits in (160..=256).step_by(8) {
            expected.push((45633 + bits / 8 - 1, format!("blake2s-{bits}")));
        }
        let listed: Vec<(u64, String)> =
            table().map(|function| (function.code, function.name.to_owned())).collect();
        assert_eq!(listed, expected);
    }

    #[test]
    fn every_row_is_found_by_code_and_by_name() {
        assert!(FUNCTIONS.is_sorted_by(|left, right| left.code < right.code), "order");
        for function in FUNCTIONS {
            assert_eq!(find(function.code), Some(function));
            assert_eq!(name_of(function.code), Some(function.name));
            assert_eq!(code_of(function.name), Some(function.code), "{}", function.name);
            let upper = function.name.to_uppercase();
            assert_eq!(code_of(&upper), Some(function.code), "{upper}");
        }
    }

    #[test]
    fn names_and_codes_that_are_none() {
        assert_eq!(code_of("sha3"), Some(0x14), "an older name");
        assert_eq!(code_of("sha2"), None);
        assert_eq!(code_of(""), None);
        assert_eq!(name_of(0x01), None);
        assert_eq!(name_of(0xb261), None);
        assert_eq!(name_of(u64::MAX), None);
    }

    #[test]
    fn allows_what_verifcid_allows() {
        let rows: &[(&str, bool)] = &[
            ("identity", true),
            ("sha1", true),
            ("sha2-256", true),
            ("shake-128", false),
            ("murmur3-x64-64", false),
            ("sha2-384", false),
            ("md5", false),
            ("blake2b-152", false),
            ("blake2b-160", true),
            ("blake2s-152", false),
            ("blake2s-160", true),
        ];
        for &(name, allowed) in rows {
            assert_eq!(code_of(name).map(is_allowed), Some(allowed), "{name}");
        }
        assert!(!is_allowed(0xffff), "unknown");
    }
}
