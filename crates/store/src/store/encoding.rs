//! What the data of a record is: the block itself, or what the block is made from.
//!
//! The flags of the record's header say which; the header has both lengths. The name of a block
//! does not depend on how it is kept, so a collection, a backup and a scrub take records as they
//! are, and only what hands bytes out decodes them.
//!
//! Invariants: decoding makes no more than the length that the header gives, which is bounded by
//! `BLOCK_LEN_MAX`, and exactly so much; what it makes is believed only once it hashes to the
//! name. Flags that are not known are refused, never guessed at.
//! Not here: when a block is compressed (`compress.rs`), what a reference says (`reference.rs`).

use super::{record::Record, reference::Reference};
use bytes::Bytes;
use cairn_block::{BLOCK_LEN_MAX, BlockError, Cid};
use std::{cell::RefCell, io};

/// The data is one zstd frame.
pub(super) const ZSTD: u16 = 1;

/// The data says where the bytes lie.
pub(super) const REFERENCE: u16 = 2;

/// The first bytes of a zstd frame, little-endian `0xfd2fb528`.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The data of a record that is to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payload<'a> {
    /// How to understand it.
    pub(super) flags: u16,
    /// Bytes of the block.
    pub(super) block_len: u32,
    pub(super) data: &'a [u8],
}

impl<'a> Payload<'a> {
    /// The block's own bytes.
    pub(super) fn plain(data: &'a [u8]) -> Self {
        Self { flags: 0, block_len: data.len() as u32, data }
    }

    /// A zstd frame of a block of `block_len` bytes.
    pub(super) fn zstd(frame: &'a [u8], block_len: usize) -> Self {
        Self { flags: ZSTD, block_len: block_len as u32, data: frame }
    }

    /// A description of where the `block_len` bytes of a block lie.
    pub(super) fn reference(description: &'a [u8], block_len: usize) -> Self {
        Self { flags: REFERENCE, block_len: block_len as u32, data: description }
    }
}

/// What a record's data comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decoded {
    /// The block's bytes, not verified yet.
    Bytes(Bytes),
    /// Where they lie.
    Reference(Reference),
}

/// Why a record's data gives no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecodeError {
    /// The data is not what was written.
    Corrupt,
    /// The flags are a newer version's.
    Unknown,
}

impl DecodeError {
    /// The answer to whoever asked for the block.
    pub(super) fn of(self, cid: &Cid) -> BlockError {
        match self {
            Self::Corrupt => BlockError::Corrupt { cid: cid.clone() },
            Self::Unknown => {
                let text = "the record was written by a newer version of this program";
                BlockError::io("read", io::Error::new(io::ErrorKind::Unsupported, text))
            }
        }
    }
}

impl Record {
    /// Makes the block's bytes, or the reference to them, from the record's data.
    pub(super) fn decode_data(&self, data: Bytes) -> Result<Decoded, DecodeError> {
        let decoded = match self.flags {
            0 => Some(Decoded::Bytes(data)),
            ZSTD => expand(&data, self.block_len as usize).map(Decoded::Bytes),
            REFERENCE => Reference::decode(&data).map(Decoded::Reference),
            _ => return Err(DecodeError::Unknown),
        };
        decoded.ok_or(DecodeError::Corrupt)
    }

    /// Bytes of memory that decoding the data may take.
    pub(super) fn decoded_len(&self) -> usize {
        let len =
            if self.flags == ZSTD { self.block_len.max(self.data_len) } else { self.data_len };
        len as usize
    }
}

/// Expands a frame to exactly `block_len` bytes.
fn expand(frame: &[u8], block_len: usize) -> Option<Bytes> {
    let block = expand_up_to(frame, block_len)?;
    (block.len() == block_len).then_some(block)
}

/// Expands what may be a frame, to any length that a block may have.
pub(super) fn expand_unknown(frame: &[u8]) -> Option<Bytes> {
    if frame.starts_with(&ZSTD_MAGIC) { expand_up_to(frame, BLOCK_LEN_MAX) } else { None }
}

fn expand_up_to(frame: &[u8], len_max: usize) -> Option<Bytes> {
    thread_local! {
        /// A context is 100 KiB that need not be set up for every block.
        static CONTEXT: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
            const { RefCell::new(None) };
    }
    if len_max > BLOCK_LEN_MAX {
        return None;
    }
    CONTEXT.with_borrow_mut(|context| {
        if context.is_none() {
            *context = zstd::bulk::Decompressor::new().ok();
        }
        let mut block = Vec::with_capacity(len_max);
        context.as_mut()?.decompress_to_buffer(frame, &mut block).ok()?;
        Some(Bytes::from(block))
    })
}

#[cfg(test)]
mod tests {
    use super::{DecodeError, Decoded, Payload, ZSTD, expand_unknown};
    use crate::store::record::{Record, RecordKind};
    use bytes::Bytes;
    use cairn_block::{BLOCK_LEN_MAX, Multihash};

    fn record(flags: u16, block_len: usize) -> Record {
        Record {
            kind: RecordKind::Block,
            flags,
            hash: Multihash::sha2_256([0; 32]),
            header_len: 54,
            data_len: 0,
            block_len: block_len as u32,
        }
    }

    fn frame(block: &[u8]) -> Bytes {
        zstd::bulk::compress(block, 3).unwrap().into()
    }

    #[test]
    fn a_frame_gives_its_block_and_nothing_else() {
        let block: Vec<u8> = (0..100_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let frame = frame(&block);
        let payload = Payload::zstd(&frame, block.len());
        assert_eq!((payload.flags, payload.block_len as usize), (ZSTD, block.len()));
        let decoded = record(ZSTD, block.len()).decode_data(frame.clone());
        assert!(decoded.is_ok_and(|decoded| decoded == Decoded::Bytes(block.clone().into())));
        for wrong in [0, 1, block.len() - 1, block.len() + 1, BLOCK_LEN_MAX, usize::MAX] {
            let decoded = record(ZSTD, wrong).decode_data(frame.clone());
            assert_eq!(decoded, Err(DecodeError::Corrupt), "{wrong}");
        }
        assert!(expand_unknown(&frame).is_some_and(|found| found == block));
        assert_eq!(expand_unknown(&block), None);
    }

    #[test]
    fn a_bomb_is_cut_off() {
        let huge = frame(&vec![0; 64 * BLOCK_LEN_MAX]);
        assert!(huge.len() < BLOCK_LEN_MAX, "it would fit a record: {}", huge.len());
        for len in [1000, BLOCK_LEN_MAX] {
            let decoded = record(ZSTD, len).decode_data(huge.clone());
            assert_eq!(decoded, Err(DecodeError::Corrupt), "{len}");
        }
        assert_eq!(expand_unknown(&huge), None);
        // Two frames in a row are no more than what they make together.
        let one = frame(&[7; 600]);
        let two = Bytes::from([&one[..], &one[..]].concat());
        assert_eq!(record(ZSTD, 600).decode_data(two), Err(DecodeError::Corrupt));
    }

    #[test]
    fn damaged_frames_and_unknown_flags_are_refused() {
        let block = b"so much for so little ".repeat(200);
        let frame = frame(&block);
        for len in 0..frame.len() {
            let cut = record(ZSTD, block.len()).decode_data(frame.slice(..len));
            assert_eq!(cut, Err(DecodeError::Corrupt), "{len}");
        }
        for bit in 0..frame.len() * 8 {
            let mut broken = frame.to_vec();
            broken[bit / 8] ^= 1 << (bit % 8);
            // It may expand to something else of that length, which does not hash to the name.
            match record(ZSTD, block.len()).decode_data(broken.into()) {
                Ok(Decoded::Bytes(bytes)) => assert_eq!(bytes.len(), block.len(), "{bit}"),
                Ok(Decoded::Reference(_)) => panic!("{bit}"),
                Err(error) => assert_eq!(error, DecodeError::Corrupt, "{bit}"),
            }
        }
        for flags in [1 << 15, ZSTD | 1 << 8, 3] {
            let decoded = record(flags, block.len()).decode_data(frame.clone());
            assert_eq!(decoded, Err(DecodeError::Unknown), "{flags:#x}");
        }
    }
}
