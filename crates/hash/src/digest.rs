//! Computes a digest by the hash function's code.
//!
//! Not here: the codes and names (`code.rs`), SHA-256 itself (`sha256.rs`).

use crate::{Multihash, code, sha256_many};
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
}

/// Computes the digest of `data` at the function's default length.
///
/// # Errors
///
/// [`DigestError::Unsupported`] for a code that this crate does not implement.
pub fn digest(code: u64, data: &[u8]) -> Result<Multihash, DigestError> {
    match code {
        code::SHA2_256 => Ok(Multihash::sha2_256(crate::sha256(data))),
        code::IDENTITY => {
            Multihash::wrap(code, data).map_err(|_| DigestError::Unsupported { code })
        }
        _ => Err(DigestError::Unsupported { code }),
    }
}

/// Computes the digests of many messages, in the same order; sha2-256 in lanes.
///
/// # Errors
///
/// As [`digest`].
pub fn digest_many(code: u64, messages: &[&[u8]]) -> Result<Vec<Multihash>, DigestError> {
    if code == code::SHA2_256 {
        return Ok(sha256_many(messages).into_iter().map(Multihash::sha2_256).collect());
    }
    messages.iter().map(|message| digest(code, message)).collect()
}
