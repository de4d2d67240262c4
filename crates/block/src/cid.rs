//! The content identifier: a version, a codec and a multihash.
//!
//! Spec: <https://github.com/multiformats/cid>, pinned in `spec/PINS.toml`.
//! Invariants: a CIDv0 is always dag-pb with a 32-byte sha2-256 digest; two CIDs are equal
//! exactly when their binary forms are. Decoding allocates nothing that is not there.
//! Not here: blocks by CID (`block.rs`); the base encodings themselves (crate `multibase`).

use crate::codec;
use cairn_hash::{
    Multihash, MultihashError, code,
    varint::{self, VarintError},
};
use std::{fmt, str::FromStr};
use thiserror::Error;

pub use multibase::Base;

/// Longest textual CID that is parsed, in bytes: base2 of the longest binary form, and room.
const TEXT_LEN_MAX: usize = 1_400;

/// Why bytes or text are not a CID.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CidError {
    /// An integer of the prefix is broken.
    #[error("invalid cid: broken integer")]
    Varint(#[from] VarintError),
    /// The multihash is broken.
    #[error("invalid cid: {source}")]
    Multihash {
        /// What is wrong with it.
        #[from]
        source: MultihashError,
    },
    /// Neither 0 nor 1.
    #[error("invalid cid: version {version} is not known")]
    Version {
        /// The version found.
        version: u64,
    },
    /// A CIDv0 can only be dag-pb with sha2-256 at 32 bytes.
    #[error("invalid cid: version 0 needs dag-pb and a 32-byte sha2-256 digest")]
    NotV0,
    /// Bytes follow the CID.
    #[error("invalid cid: {len} bytes follow it")]
    Trailing {
        /// How many.
        len: usize,
    },
    /// The text is not in any known base.
    #[error("invalid cid: {reason}")]
    Text {
        /// What is wrong with the text.
        reason: &'static str,
    },
}

/// The two CID versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// A bare multihash, written in base58btc: `Qm…`.
    V0,
    /// Version, codec and multihash, written in any base, base32 by default.
    V1,
}

/// A content identifier.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cid {
    version: Version,
    codec: u64,
    hash: Multihash,
}

impl Cid {
    /// Makes a CIDv1.
    pub fn v1(codec: u64, hash: Multihash) -> Self {
        Self { version: Version::V1, codec, hash }
    }

    /// Makes a CIDv0, which is always dag-pb.
    ///
    /// # Errors
    ///
    /// [`CidError::NotV0`] if `hash` is not a 32-byte sha2-256.
    pub fn v0(hash: Multihash) -> Result<Self, CidError> {
        if hash.code() != code::SHA2_256 || hash.digest().len() != 32 {
            return Err(CidError::NotV0);
        }
        Ok(Self { version: Version::V0, codec: codec::DAG_PB, hash })
    }

    /// Makes the CID of `version`: the same block, named in the other form.
    ///
    /// # Errors
    ///
    /// [`CidError::NotV0`] if version 0 cannot name this codec and hash.
    pub fn with_version(&self, version: Version) -> Result<Self, CidError> {
        match version {
            Version::V1 => Ok(Self::v1(self.codec, self.hash.clone())),
            Version::V0 if self.codec == codec::DAG_PB => Self::v0(self.hash.clone()),
            Version::V0 => Err(CidError::NotV0),
        }
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The codec's multicodec code; dag-pb for every CIDv0.
    pub fn codec(&self) -> u64 {
        self.codec
    }

    /// The multihash, which is what stores look blocks up by.
    pub fn multihash(&self) -> &Multihash {
        &self.hash
    }

    /// The data itself if the digest is the data (an identity CID).
    pub fn inlined(&self) -> Option<&[u8]> {
        (self.hash.code() == code::IDENTITY).then(|| self.hash.digest())
    }

    /// Reads one binary CID from the front of `input`; returns it and the bytes after it.
    ///
    /// # Errors
    ///
    /// Any [`CidError`] but [`CidError::Trailing`] and [`CidError::Text`].
    pub fn decode(input: &[u8]) -> Result<(Self, &[u8]), CidError> {
        if input.starts_with(&[0x12, 0x20]) {
            let (hash, rest) = Multihash::decode(input)?;
            return Ok((Self::v0(hash)?, rest));
        }
        let (version, rest) = varint::decode(input)?;
        if version != 1 {
            return Err(CidError::Version { version });
        }
        let (codec, rest) = varint::decode(rest)?;
        let (hash, rest) = Multihash::decode(rest)?;
        Ok((Self::v1(codec, hash), rest))
    }

    /// Reads a binary CID that fills all of `input`.
    ///
    /// # Errors
    ///
    /// Any [`CidError`] but [`CidError::Text`].
    pub fn from_bytes(input: &[u8]) -> Result<Self, CidError> {
        let (cid, rest) = Self::decode(input)?;
        if rest.is_empty() { Ok(cid) } else { Err(CidError::Trailing { len: rest.len() }) }
    }

    /// Appends the binary form to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if self.version == Version::V1 {
            varint::encode(1, out);
            varint::encode(self.codec, out);
        }
        self.hash.encode(out);
    }

    /// Returns the binary form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode(&mut out);
        out
    }

    /// Returns how many bytes the binary form takes.
    pub fn encoded_len(&self) -> usize {
        let prefix = match self.version {
            Version::V0 => 0,
            Version::V1 => 1 + varint::encoded_len(self.codec),
        };
        prefix + self.hash.encoded_len()
    }

    /// Writes the CID in `base`; a CIDv0 has only one form, base58btc without prefix.
    pub fn to_text(&self, base: Base) -> String {
        match self.version {
            Version::V0 => Base::Base58Btc.encode(self.to_bytes()),
            Version::V1 => multibase::encode(base, self.to_bytes()),
        }
    }

    /// Parses a textual CID and tells which base it was written in.
    ///
    /// # Errors
    ///
    /// Any [`CidError`].
    pub fn parse_with_base(text: &str) -> Result<(Self, Base), CidError> {
        if text.len() > TEXT_LEN_MAX {
            return Err(CidError::Text { reason: "too long" });
        }
        if text.len() < 2 {
            return Err(CidError::Text { reason: "cid too short" });
        }
        if text.len() == 46 && text.starts_with("Qm") {
            let bytes = Base::Base58Btc
                .decode(text)
                .map_err(|_| CidError::Text { reason: "not base58btc" })?;
            return Ok((Self::from_bytes(&bytes)?, Base::Base58Btc));
        }
        let (base, bytes) = multibase::decode(text)
            .map_err(|_| CidError::Text { reason: "selected encoding not supported" })?;
        let cid = Self::from_bytes(&bytes)?;
        if cid.version == Version::V0 {
            return Err(CidError::Text { reason: "version 0 cannot have a multibase prefix" });
        }
        Ok((cid, base))
    }
}

impl FromStr for Cid {
    type Err = CidError;

    fn from_str(text: &str) -> Result<Self, CidError> {
        Self::parse_with_base(text).map(|(cid, _)| cid)
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_text(Base::Base32Lower))
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cid({self})")
    }
}
