//! Reads the blocks of a CAR v1 file, for vectors.

use bytes::Bytes;
use cairn_block::{Block, BlockError, Cid};
use cairn_hash::varint;

/// Returns the file's blocks, checked, in order; its header is skipped.
///
/// # Errors
///
/// [`BlockError`] for a block that does not hash to its CID.
///
/// # Panics
///
/// If the file is broken otherwise.
pub fn car_blocks(file: &[u8]) -> Result<Vec<Block>, BlockError> {
    const BROKEN: &str = "a CAR of vectors is whole";
    let (header_len, rest) = varint::decode(file).expect(BROKEN);
    let mut rest = &rest[header_len as usize..];
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let (len, after) = varint::decode(rest).expect(BROKEN);
        let (section, after) = after.split_at(len as usize);
        let (cid, data) = Cid::decode(section).expect(BROKEN);
        blocks.push(Block::verify(cid, Bytes::copy_from_slice(data))?);
        rest = after;
    }
    Ok(blocks)
}
