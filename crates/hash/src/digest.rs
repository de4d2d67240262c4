//! Computes a digest by the hash function's code.
//!
//! Everything that Kubo's `--hash` and `--mhlen` may ask for, and what else the multicodec table
//! names and a crate implements. A shorter digest than the function's own is its beginning, as
//! multihash has it; only BLAKE3 has longer ones.
//!
//! Spec: <https://github.com/multiformats/multihash> for truncation; each function's own.
//! Invariants: an unknown code is an error, never a panic; digests are at most
//! [`DIGEST_LEN_MAX`] bytes long.
//! Not here: the codes and names (`code.rs`), SHA-256 itself (`sha256.rs`), whether a CID may
//! use the function (`code::is_allowed`).

use crate::shake::{SHAKE_128_RATE, SHAKE_256_RATE, shake};
use crate::{DIGEST_LEN_MAX, Multihash, code, murmur3_x64_64, sha256, sha256_many};
use sha2::Digest as _;
use thiserror::Error;

/// Why a digest could not be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DigestError {
    /// No implementation of this function here.
    #[error("hash function {code:#x} is not supported")]
    Unsupported {
        /// The multicodec code asked for.
        code: u64,
    },
    /// The function has no digest that long; the data is, in case of identity.
    #[error("digest of {len} bytes is too long for hash function {code:#x}, which has {max}")]
    TooLong {
        /// The function's multicodec code.
        code: u64,
        /// Length of the digest in bytes.
        len: usize,
        /// Longest digest of this function, in bytes.
        max: usize,
    },
    /// A digest of no bytes was asked for.
    #[error("digest of hash function {code:#x} cannot be empty")]
    Empty {
        /// The function's multicodec code.
        code: u64,
    },
    /// An identity digest is as long as the data, so no other length can be had.
    #[error("identity digest of {data_len} bytes cannot be made {len} bytes long")]
    IdentityLen {
        /// Length asked for, in bytes.
        len: usize,
        /// Length of the data, in bytes.
        data_len: usize,
    },
}

/// Computes the digest of `data` at the function's default length.
///
/// # Errors
///
/// [`DigestError::Unsupported`] for a code that this crate does not implement;
/// [`DigestError::TooLong`] for identity of more than [`DIGEST_LEN_MAX`] bytes.
///
/// # Examples
///
/// ```
/// use cairn_hash::{code, digest};
///
/// let hash = digest(code::code_of("blake2b-160").expect("a known name"), b"abc")?;
/// assert_eq!(hash.digest()[..4], [0x38, 0x42, 0x64, 0xf6]);
/// # Ok::<(), cairn_hash::DigestError>(())
/// ```
pub fn digest(code: u64, data: &[u8]) -> Result<Multihash, DigestError> {
    match code {
        code::IDENTITY => identity(data),
        code::SHA2_256 => Ok(Multihash::sha2_256(sha256(data))),
        _ => {
            let len = code::find(code)
                .and_then(|function| function.digest_len)
                .ok_or(DigestError::Unsupported { code })?;
            digest_sized(code, len, data)
        }
    }
}

/// Computes the first `len` bytes of the digest of `data`.
///
/// # Errors
///
/// As [`digest()`]; [`DigestError::TooLong`] and [`DigestError::Empty`] for a length that the
/// function does not have, [`DigestError::IdentityLen`] if identity is not asked for the data's
/// own length.
pub fn digest_sized(code: u64, len: usize, data: &[u8]) -> Result<Multihash, DigestError> {
    if code == code::IDENTITY {
        if len != data.len() {
            return Err(DigestError::IdentityLen { len, data_len: data.len() });
        }
        return identity(data);
    }
    if len == 0 {
        return Err(DigestError::Empty { code });
    }
    let mut out = [0; DIGEST_LEN_MAX];
    let max = fill(code, data, &mut out).ok_or(DigestError::Unsupported { code })?;
    if len > max {
        return Err(DigestError::TooLong { code, len, max });
    }
    wrap(code, &out[..len])
}

/// Computes the digests of many messages, in the same order; sha2-256 in lanes.
///
/// # Errors
///
/// As [`digest()`], for the first message that cannot be digested.
pub fn digest_many(code: u64, messages: &[&[u8]]) -> Result<Vec<Multihash>, DigestError> {
    if code == code::SHA2_256 {
        return Ok(sha256_many(messages).into_iter().map(Multihash::sha2_256).collect());
    }
    messages.iter().map(|message| digest(code, message)).collect()
}

fn identity(data: &[u8]) -> Result<Multihash, DigestError> {
    wrap(code::IDENTITY, data)
}

fn wrap(code: u64, digest: &[u8]) -> Result<Multihash, DigestError> {
    let too_long = DigestError::TooLong { code, len: digest.len(), max: DIGEST_LEN_MAX };
    Multihash::wrap(code, digest).map_err(|_| too_long)
}

/// Writes the function's longest digest to the front of `out`; returns how long that is.
fn fill(code: u64, data: &[u8], out: &mut [u8; DIGEST_LEN_MAX]) -> Option<usize> {
    let len = match code {
        code::SHA2_256 => put(out, &sha256(data)),
        code::DBL_SHA2_256 => put(out, &sha256(&sha256(data))),
        code::BLAKE3 => {
            blake3::Hasher::new().update(data).finalize_xof().fill(out);
            DIGEST_LEN_MAX
        }
        code::MURMUR3_X64_64 => put(out, &murmur3_x64_64(data).to_be_bytes()),
        code::BLAKE2B_8..=code::BLAKE2B_512 => {
            let len = (code - code::BLAKE2B_8) as usize + 1;
            let hash = blake2b_simd::Params::new().hash_length(len).hash(data);
            put(out, hash.as_bytes())
        }
        code::BLAKE2S_8..=code::BLAKE2S_256 => {
            let len = (code - code::BLAKE2S_8) as usize + 1;
            let hash = blake2s_simd::Params::new().hash_length(len).hash(data);
            put(out, hash.as_bytes())
        }
        // The specified output has no end; these are the lengths that multihash gives them.
        0x18 => {
            shake::<SHAKE_128_RATE>(data, &mut out[..32]);
            32
        }
        0x19 => {
            shake::<SHAKE_256_RATE>(data, &mut out[..64]);
            64
        }
        _ => return fill_by_trait(code, data, out),
    };
    Some(len)
}

/// As [`fill`], for the functions whose crates share one interface.
fn fill_by_trait(code: u64, data: &[u8], out: &mut [u8; DIGEST_LEN_MAX]) -> Option<usize> {
    let len = match code {
        code::SHA1 => put(out, &sha1::Sha1::digest(data)),
        code::SHA2_512 => put(out, &sha2::Sha512::digest(data)),
        code::SHA3_512 => put(out, &sha3::Sha3_512::digest(data)),
        0x15 => put(out, &sha3::Sha3_384::digest(data)),
        0x16 => put(out, &sha3::Sha3_256::digest(data)),
        0x17 => put(out, &sha3::Sha3_224::digest(data)),
        0x1a => put(out, &sha3::Keccak224::digest(data)),
        0x1b => put(out, &sha3::Keccak256::digest(data)),
        0x1c => put(out, &sha3::Keccak384::digest(data)),
        0x1d => put(out, &sha3::Keccak512::digest(data)),
        0x20 => put(out, &sha2::Sha384::digest(data)),
        0x1013 => put(out, &sha2::Sha224::digest(data)),
        0x1014 => put(out, &sha2::Sha512_224::digest(data)),
        0x1015 => put(out, &sha2::Sha512_256::digest(data)),
        0x1052 => put(out, &ripemd::Ripemd128::digest(data)),
        0x1053 => put(out, &ripemd::Ripemd160::digest(data)),
        0x1054 => put(out, &ripemd::Ripemd256::digest(data)),
        0x1055 => put(out, &ripemd::Ripemd320::digest(data)),
        _ => return None,
    };
    Some(len)
}

fn put(out: &mut [u8; DIGEST_LEN_MAX], digest: &[u8]) -> usize {
    out[..digest.len()].copy_from_slice(digest);
    digest.len()
}

#[cfg(test)]
mod tests;
