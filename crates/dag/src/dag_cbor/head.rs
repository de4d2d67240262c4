//! The first bytes of every CBOR item: its major type and a number.
//!
//! Source: RFC 8949, section 3.
//! Invariant: nothing is read beyond the block, and no length is believed that its rest does not
//! hold.
//! Not here: what the number means (`decode.rs`, `links.rs`).

use crate::CodecError;

/// Integers from zero up.
pub(super) const UNSIGNED: u8 = 0;
/// Integers below zero.
pub(super) const NEGATIVE: u8 = 1;
/// Bytes.
pub(super) const BYTES: u8 = 2;
/// Text.
pub(super) const TEXT: u8 = 3;
/// Lists.
pub(super) const LIST: u8 = 4;
/// Maps.
pub(super) const MAP: u8 = 5;
/// Tags.
pub(super) const TAG: u8 = 6;
/// Floats and simple values.
pub(super) const SIMPLE: u8 = 7;

/// The additional information that means an indefinite length.
pub(super) const INDEFINITE: u8 = 31;

/// The head of an item.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) major: u8,
    /// The low five bits of the first byte.
    pub(super) info: u8,
    /// The number; 0 for [`INDEFINITE`].
    pub(super) number: u64,
    /// Where the item begins.
    pub(super) offset: usize,
}

impl Head {
    /// Whether the number could have been shorter.
    pub(super) fn is_wasteful(&self) -> bool {
        match self.info {
            24 => self.number < 24,
            25 => self.number <= 0xff,
            26 => self.number <= 0xffff,
            27 => self.number <= 0xffff_ffff,
            _ => false,
        }
    }
}

/// Reads through a block.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    data: &'a [u8],
    pub(super) offset: usize,
    codec: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8], codec: &'static str) -> Self {
        Self { data, offset: 0, codec }
    }

    pub(super) fn fail<T>(&self, offset: usize, reason: &'static str) -> Result<T, CodecError> {
        Err(CodecError::Malformed { codec: self.codec, offset, reason })
    }

    /// Bytes that are left.
    pub(super) fn rest_len(&self) -> usize {
        self.data.len() - self.offset
    }

    pub(super) fn head(&mut self) -> Result<Head, CodecError> {
        let offset = self.offset;
        let first = self.take(1)?[0];
        let (major, info) = (first >> 5, first & 31);
        let number = match info {
            0..=23 => u64::from(info),
            24..=27 => {
                let bytes = self.take(1 << (info - 24))?;
                bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
            }
            INDEFINITE => 0,
            _ => return self.fail(offset, "reserved additional information"),
        };
        Ok(Head { major, info, number, offset })
    }

    /// Takes the next `len` bytes.
    pub(super) fn take(&mut self, len: u64) -> Result<&'a [u8], CodecError> {
        match usize::try_from(len) {
            Ok(len) if len <= self.rest_len() => {
                let bytes = &self.data[self.offset..self.offset + len];
                self.offset += len;
                Ok(bytes)
            }
            _ => self.fail(self.data.len(), "the block ends too early"),
        }
    }
}
