//! Why a DAG could not be read.

use crate::selector::SelectorError;
use cairn_block::{BlockError, Cid, codec};
use thiserror::Error;

/// Why a DAG could not be read.
///
/// Match on the variant, not on the text: messages may change in any release.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum DagError {
    /// A block is missing, corrupt or unreadable.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The bytes hash to the CID, but are not what its codec says.
    #[error("block {cid} is malformed: {reason}")]
    Malformed {
        /// The block refused.
        cid: Cid,
        /// What is wrong with it.
        reason: String,
    },
    /// No decoder for the block's codec here, so its links are not known.
    #[error("block {cid} has codec {}, which is not supported", codec_text(*codec))]
    Unsupported {
        /// The block refused.
        cid: Cid,
        /// Its codec's code.
        codec: u64,
    },
    /// Deeper than any honest DAG.
    #[error("block {cid} is more than {limit} links below the root")]
    TooDeep {
        /// The first block over the limit.
        cid: Cid,
        /// The limit, in links from the root.
        limit: usize,
    },
    /// The selector of a walk grew over its limits.
    #[error("block {cid}: {reason}")]
    Selector {
        /// Where.
        cid: Cid,
        /// Which limit.
        reason: Box<SelectorError>,
    },
    /// More links are waiting to be followed than memory is set aside for.
    #[error("block {cid} brings the links still to follow over the limit of {limit}")]
    TooWide {
        /// The block whose links do not fit.
        cid: Cid,
        /// The limit, in links.
        limit: usize,
    },
}

impl DagError {
    /// Says that `cid`'s bytes are not what its codec says.
    pub fn malformed(cid: &Cid, reason: &(impl ToString + ?Sized)) -> Self {
        Self::Malformed { cid: cid.clone(), reason: reason.to_string() }
    }

    /// Whether the cause is a block that is simply not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Block(error) if error.is_not_found())
    }
}

/// The codec's name, or its code if it has none.
fn codec_text(code: u64) -> String {
    codec::name_of(code).map_or_else(|| format!("{code:#x}"), ToOwned::to_owned)
}
