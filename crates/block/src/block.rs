//! A block: bytes with the CID that they hash to.
//!
//! The only ways to make a [`Block`] are to hash bytes, to check them against a CID, or (for a
//! store that has checked them before) [`Block::verified_before`], which `cargo xtask tidy`
//! allows in `cairn-store` alone.
//!
//! Invariant: the bytes of a `Block` hash to its CID.
//! Not here: what is inside the bytes (`cairn-dag`).

use crate::Cid;
use bytes::Bytes;
use cairn_hash::{DigestError, Multihash, code, digest, digest_many};
use std::sync::Arc;
use thiserror::Error;

/// Largest block this node accepts from a peer or writes to a store, in bytes (2 MiB).
///
/// Source: Bitswap 1.2, "Block Sizes" (peers may drop anything larger).
pub const BLOCK_LEN_MAX: usize = 2 * 1024 * 1024;

/// Longest data that an identity CID may carry, in bytes.
///
/// Source: IPIP-512 and Kubo's `verifcid`.
pub const IDENTITY_LEN_MAX: usize = 128;

/// Why a block could not be read, written or trusted.
///
/// Match on the variant, not on the text: messages may change in any release.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum BlockError {
    /// No copy in this store, nor (if the network was asked) from anybody asked.
    #[error("block {cid} was not found {place}")]
    NotFound {
        /// What was asked for.
        cid: Cid,
        /// Where it was looked for, as the message's end: `"locally (offline)"`.
        place: &'static str,
    },
    /// The bytes do not hash to the CID: a broken disk or a lying peer.
    #[error("block {cid} is corrupt: its bytes do not hash to it")]
    Corrupt {
        /// What the bytes should have been.
        cid: Cid,
    },
    /// Over [`BLOCK_LEN_MAX`].
    #[error("block {cid} is {len} bytes, over the limit of {BLOCK_LEN_MAX}")]
    TooLarge {
        /// The block refused.
        cid: Cid,
        /// Its length in bytes.
        len: usize,
    },
    /// The CID's hash function is not one that can be checked here.
    #[error("block {cid} cannot be checked: {source}")]
    Unsupported {
        /// The block refused.
        cid: Cid,
        /// Which function.
        source: DigestError,
    },
    /// The store refused; `op` is a verb such as `"read"` or `"sync"`.
    #[error("could not {op} blocks: {source}")]
    Io {
        /// What was being done.
        op: &'static str,
        /// What the system said; shared, since one failed batch fails many blocks.
        source: Arc<std::io::Error>,
    },
}

impl BlockError {
    /// Wraps what the system said while doing `op`.
    pub fn io(op: &'static str, source: std::io::Error) -> Self {
        Self::Io { op, source: Arc::new(source) }
    }

    /// Whether the same call may succeed later without anyone changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Io { .. })
    }

    /// Whether the block is simply not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// Verified bytes with their name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    cid: Cid,
    data: Bytes,
}

impl Block {
    /// Hashes `data` with sha2-256 and names it as a CIDv1 of `codec`.
    pub fn sha2_256(codec: u64, data: Bytes) -> Self {
        let cid = Cid::v1(codec, Multihash::sha2_256(cairn_hash::sha256(&data)));
        Self { cid, data }
    }

    /// Hashes `data` with the function `hash_code` and names it as a CIDv1 of `codec`.
    ///
    /// # Errors
    ///
    /// [`DigestError`] if the function is not supported.
    pub fn hash(codec: u64, hash_code: u64, data: Bytes) -> Result<Self, DigestError> {
        let cid = Cid::v1(codec, digest(hash_code, &data)?);
        Ok(Self { cid, data })
    }

    /// Hashes a batch in lanes; every block gets `codec`. The order is kept.
    ///
    /// # Errors
    ///
    /// [`DigestError`] if the function is not supported.
    pub fn hash_many(
        codec: u64,
        hash_code: u64,
        data: Vec<Bytes>,
    ) -> Result<Vec<Self>, DigestError> {
        let messages: Vec<&[u8]> = data.iter().map(AsRef::as_ref).collect();
        let hashes = digest_many(hash_code, &messages)?;
        let named = hashes.into_iter().zip(data);
        Ok(named.map(|(hash, data)| Self { cid: Cid::v1(codec, hash), data }).collect())
    }

    /// Checks that `data` hashes to `cid`.
    ///
    /// # Errors
    ///
    /// [`BlockError::Corrupt`], [`BlockError::TooLarge`] or [`BlockError::Unsupported`].
    pub fn verify(cid: Cid, data: Bytes) -> Result<Self, BlockError> {
        if data.len() > BLOCK_LEN_MAX {
            return Err(BlockError::TooLarge { cid, len: data.len() });
        }
        let expected = cid.multihash();
        let matches = if expected.code() == code::SHA2_256 && expected.digest().len() == 32 {
            cairn_hash::sha256(&data)[..] == *expected.digest()
        } else {
            let actual = digest(expected.code(), &data);
            let actual =
                actual.map_err(|source| BlockError::Unsupported { cid: cid.clone(), source })?;
            matches_truncated(expected, &actual)
        };
        if matches { Ok(Self { cid, data }) } else { Err(BlockError::Corrupt { cid }) }
    }

    /// Checks a batch, sha2-256 in lanes; the answers stand in the order of the questions.
    pub fn verify_many(blocks: Vec<(Cid, Bytes)>) -> Vec<Result<Self, BlockError>> {
        let in_lanes = |(cid, data): &(Cid, Bytes)| {
            let hash = cid.multihash();
            let plain = hash.code() == code::SHA2_256 && hash.digest().len() == 32;
            plain && data.len() <= BLOCK_LEN_MAX
        };
        let messages: Vec<&[u8]> =
            blocks.iter().filter(|block| in_lanes(block)).map(|(_, data)| &data[..]).collect();
        let mut digests = cairn_hash::sha256_many(&messages).into_iter();
        let check = |(cid, data): (Cid, Bytes)| {
            if !in_lanes(&(cid.clone(), data.clone())) {
                return Self::verify(cid, data);
            }
            let digest = digests.next();
            let matches = digest.is_some_and(|digest| digest[..] == *cid.multihash().digest());
            if matches { Ok(Self { cid, data }) } else { Err(BlockError::Corrupt { cid }) }
        };
        blocks.into_iter().map(check).collect()
    }

    /// Names bytes that this process has already checked against `cid`'s multihash.
    ///
    /// Only for stores that remember the check; `cargo xtask tidy` refuses any other use.
    pub fn verified_before(cid: Cid, data: Bytes) -> Self {
        Self { cid, data }
    }

    /// The same block named by another CID of the same multihash.
    ///
    /// # Errors
    ///
    /// [`BlockError::Corrupt`] if the multihash differs.
    pub fn rename(self, cid: Cid) -> Result<Self, BlockError> {
        if cid.multihash() == self.cid.multihash() {
            Ok(Self { cid, data: self.data })
        } else {
            Err(BlockError::Corrupt { cid })
        }
    }

    /// The block's name.
    pub fn cid(&self) -> &Cid {
        &self.cid
    }

    /// The block's bytes.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Splits the block into name and bytes.
    pub fn into_parts(self) -> (Cid, Bytes) {
        (self.cid, self.data)
    }
}

/// A digest may be cut short by its maker (`sha2-256` to 20 bytes, say); never to nothing.
fn matches_truncated(expected: &Multihash, actual: &Multihash) -> bool {
    const DIGEST_LEN_MIN: usize = 20;
    let (expected_digest, actual_digest) = (expected.digest(), actual.digest());
    if expected.code() == code::IDENTITY || expected_digest.len() == actual_digest.len() {
        return expected_digest == actual_digest;
    }
    expected_digest.len() >= DIGEST_LEN_MIN && actual_digest.starts_with(expected_digest)
}
