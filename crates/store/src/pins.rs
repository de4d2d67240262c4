//! Pins: which blocks must stay, and under what name.
#![expect(clippy::missing_errors_doc, clippy::unimplemented, reason = "signatures first")]
#![expect(unused_variables, clippy::missing_panics_doc, reason = "signatures first")]
use cairn_block::Cid;
use thiserror::Error;
/// Longest name of a pin, in bytes.
pub const PIN_NAME_LEN_MAX: usize = 255;
/// Why pins could not be read or changed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum PinError {
    /// Over [`PIN_NAME_LEN_MAX`].
    #[error("pin name of {len} bytes is over the limit of {PIN_NAME_LEN_MAX}")]
    NameTooLong {
        /// Its length in bytes.
        len: usize,
    },
}
/// How much a pin keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PinKind {
    /// The block and everything it links to.
    Recursive,
    /// The block alone.
    Direct,
}
/// One pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// What is kept, in the version it was pinned as.
    pub cid: Cid,
    /// How much of it.
    pub kind: PinKind,
    /// Its name; empty if it has none.
    pub name: String,
}
/// Streams pins page by page.
#[derive(Debug)]
pub struct PinPages {}
impl Iterator for PinPages {
    type Item = Result<Vec<Pin>, PinError>;
    fn next(&mut self) -> Option<Self::Item> {
        unimplemented!()
    }
}
/// The pins; clones share them. All calls block.
#[derive(Debug, Clone)]
pub struct Pins {}
impl Pins {
    /// Adds or replaces pins in one durable commit.
    pub fn add(&self, pins: &[Pin]) -> Result<(), PinError> {
        unimplemented!()
    }
    /// Removes pins in one durable commit; returns which were there.
    pub fn remove(&self, cids: &[Cid]) -> Result<Vec<bool>, PinError> {
        unimplemented!()
    }
    /// The pin of exactly this CID (of either version), if there is one.
    pub fn get(&self, cid: &Cid) -> Result<Option<Pin>, PinError> {
        unimplemented!()
    }
    /// Streams the pins of `kind`, or all of them.
    pub fn list(&self, kind: Option<PinKind>) -> PinPages {
        unimplemented!()
    }
}
