//! Why a JOSE object was neither made nor believed nor opened.
//!
//! Not here: errors of the codec itself (`codec.rs`).

use crate::CodecError;
use thiserror::Error;

/// Why a JOSE object was neither made nor believed nor opened. No message holds anything secret.
///
/// Match on the variant, not on the text: messages may change in any release.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoseError {
    /// The block is no dag-jose.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The key is none, or none for this.
    #[error("the key cannot be used: {reason}")]
    Key {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The object is none of this kind.
    #[error("the object is not {expected}")]
    Kind {
        /// What it should be.
        expected: &'static str,
    },
    /// No signature is this key's and right.
    #[error("no right signature of this key")]
    Signature,
    /// No recipient's part can be opened with this key; the last one's reason.
    #[error("it cannot be decrypted: {reason}")]
    Decrypt {
        /// Why.
        reason: String,
    },
}

impl JoseError {
    pub(super) fn key<T>(reason: &'static str) -> Result<T, Self> {
        Err(Self::Key { reason })
    }

    pub(super) fn decrypt<T>(reason: impl Into<String>) -> Result<T, Self> {
        Err(Self::Decrypt { reason: reason.into() })
    }
}
