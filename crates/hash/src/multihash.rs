//! The self-describing digest: a hash function's code, a length, and the digest.
//!
//! Digests of up to 32 bytes (nearly all) are kept inline, so a [`Multihash`] of sha2-256 is
//! cloned without touching the heap; longer ones are shared.
//!
//! Spec: <https://github.com/multiformats/multihash>, pinned in `spec/PINS.toml`.
//! Invariant: two values are equal exactly when their encodings are.
//! Not here: computing digests (`digest.rs`).

use crate::varint::{self, VarintError};
use std::{fmt, sync::Arc};
use thiserror::Error;

/// Longest digest that is read or made, in bytes.
///
/// Source: Kubo's `verifcid` (identity digests and hashes of up to 128 bytes).
pub const DIGEST_LEN_MAX: usize = 128;

/// Longest digest kept without the heap, in bytes.
const INLINE_LEN: usize = 32;

/// Why bytes are not a multihash.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MultihashError {
    /// The code or the length is not a varint.
    #[error("multihash has a broken integer")]
    Varint(#[from] VarintError),
    /// The digest is shorter than its length says.
    #[error("multihash digest is {actual} bytes, its header says {expected}")]
    Truncated {
        /// What the header says, in bytes.
        expected: u64,
        /// What there is, in bytes.
        actual: usize,
    },
    /// Over [`DIGEST_LEN_MAX`].
    #[error("multihash digest of {len} bytes is over the limit of {DIGEST_LEN_MAX}")]
    TooLong {
        /// Length the header asks for, in bytes.
        len: u64,
    },
}

/// A digest with the code of the function that made it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Multihash {
    code: u64,
    digest: Digest,
}

/// `Inline` holds every digest of at most [`INLINE_LEN`] bytes and `Heap` every longer one, so
/// the derived comparisons see equal digests as equal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Digest {
    Inline { bytes: [u8; INLINE_LEN], len: u8 },
    Heap(Arc<[u8]>),
}

impl Multihash {
    /// Wraps an existing digest; the code need not be one that [`crate::digest()`] can compute.
    ///
    /// # Errors
    ///
    /// [`MultihashError::TooLong`] over [`DIGEST_LEN_MAX`] bytes.
    pub fn wrap(code: u64, digest: &[u8]) -> Result<Self, MultihashError> {
        if digest.len() > DIGEST_LEN_MAX {
            return Err(MultihashError::TooLong { len: digest.len() as u64 });
        }
        let digest = if digest.len() <= INLINE_LEN {
            let mut bytes = [0; INLINE_LEN];
            bytes[..digest.len()].copy_from_slice(digest);
            Digest::Inline { bytes, len: digest.len() as u8 }
        } else {
            Digest::Heap(digest.into())
        };
        Ok(Self { code, digest })
    }

    /// Wraps a sha2-256 digest.
    pub fn sha2_256(digest: [u8; 32]) -> Self {
        let digest = Digest::Inline { bytes: digest, len: 32 };
        Self { code: crate::code::SHA2_256, digest }
    }

    /// Reads one multihash from the front of `input`; returns it and the bytes after it.
    ///
    /// # Errors
    ///
    /// Any [`MultihashError`]; nothing is allocated for a digest that is not there.
    pub fn decode(input: &[u8]) -> Result<(Self, &[u8]), MultihashError> {
        let (code, rest) = varint::decode(input)?;
        let (len, rest) = varint::decode(rest)?;
        if len > DIGEST_LEN_MAX as u64 {
            return Err(MultihashError::TooLong { len });
        }
        let Some((digest, rest)) = rest.split_at_checked(len as usize) else {
            return Err(MultihashError::Truncated { expected: len, actual: rest.len() });
        };
        Ok((Self::wrap(code, digest)?, rest))
    }

    /// The hash function's multicodec code.
    pub fn code(&self) -> u64 {
        self.code
    }

    /// The digest, without code and length.
    pub fn digest(&self) -> &[u8] {
        match &self.digest {
            Digest::Inline { bytes, len } => &bytes[..usize::from(*len)],
            Digest::Heap(bytes) => bytes,
        }
    }

    /// Appends code, length and digest to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let digest = self.digest();
        varint::encode(self.code, out);
        varint::encode(digest.len() as u64, out);
        out.extend_from_slice(digest);
    }

    /// Returns code, length and digest as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode(&mut out);
        out
    }

    /// Returns how many bytes [`Multihash::encode`] appends.
    pub fn encoded_len(&self) -> usize {
        let len = self.digest().len();
        varint::encoded_len(self.code) + varint::encoded_len(len as u64) + len
    }
}

impl fmt::Debug for Multihash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Multihash({:#x}, ", self.code)?;
        for byte in self.digest() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::{Multihash, MultihashError};
    use crate::varint::VarintError;

    #[test]
    fn round_trips_at_every_length() {
        let bytes: Vec<u8> = (0..=128).collect();
        for len in 0..=128 {
            let hash = Multihash::wrap(0x13, &bytes[..len]).unwrap();
            let mut encoded = hash.to_bytes();
            assert_eq!(encoded.len(), hash.encoded_len(), "{len}");
            encoded.push(7);
            assert_eq!(Multihash::decode(&encoded), Ok((hash, &[7][..])), "{len}");
        }
    }

    #[test]
    fn rejects_broken_encodings() {
        let rows: &[(&str, &[u8], MultihashError)] = &[
            ("empty", &[], VarintError::Truncated { len: 0 }.into()),
            ("no length", &[0x12], VarintError::Truncated { len: 0 }.into()),
            ("short", &[0x12, 2, 1], MultihashError::Truncated { expected: 2, actual: 1 }),
            ("long", &[0x12, 0x81, 0x01], MultihashError::TooLong { len: 129 }),
        ];
        for (name, bytes, expected) in rows {
            assert_eq!(Multihash::decode(bytes).as_ref().err(), Some(expected), "{name}");
        }
    }
}
