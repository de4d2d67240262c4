//! The links of a dag-cbor block, without the data around them.
//!
//! What a pin keeps must not hang on how strictly its blocks were written, so this takes what
//! historical encoders wrote and [`decode`](super::decode) refuses: indefinite lengths, long
//! numbers, other tags, any float, any name, text that is not text.
//!
//! Invariant: no recursion, and memory for the links and for one number a level that has more
//! items to come.

use super::{
    LINK_TAG,
    head::{BYTES, INDEFINITE, LIST, MAP, Reader, SIMPLE, TAG, TEXT},
};
use crate::CodecError;
use cairn_block::Cid;

/// Items still to come on one level.
#[derive(Debug, Clone, Copy)]
enum Open {
    Items(u64),
    /// Until a break.
    UntilBreak,
}

/// Returns the CIDs in a dag-cbor block, in order, repeated ones too.
///
/// # Errors
///
/// [`CodecError::Malformed`] for what is no CBOR at all, and for links that are no CIDs.
pub fn links(data: &[u8]) -> Result<Vec<Cid>, CodecError> {
    let mut reader = Reader::new(data, "dag-cbor");
    let mut links = Vec::new();
    let mut open = vec![Open::Items(1)];
    while let Some(level) = open.last_mut() {
        // The last item of a level leaves it, so a long chain of single items takes no memory.
        let until_break = match level {
            Open::Items(count @ (0 | 1)) => {
                let is_empty = *count == 0;
                open.pop();
                if is_empty {
                    continue;
                }
                false
            }
            Open::Items(count) => {
                *count -= 1;
                false
            }
            Open::UntilBreak => true,
        };
        let head = reader.head()?;
        let indefinite = head.info == INDEFINITE;
        match head.major {
            BYTES | TEXT | LIST | MAP if indefinite => open.push(Open::UntilBreak),
            BYTES | TEXT => {
                reader.take(head.number)?;
            }
            LIST => open.push(Open::Items(head.number)),
            MAP => match head.number.checked_mul(2) {
                Some(count) => open.push(Open::Items(count)),
                None => return reader.fail(head.offset, "more entries than the block holds"),
            },
            TAG if head.number == LINK_TAG => links.push(link(&mut reader)?),
            TAG => open.push(Open::Items(1)),
            SIMPLE if indefinite && until_break => {
                open.pop();
            }
            SIMPLE if indefinite => {
                return reader.fail(head.offset, "a break where nothing is open");
            }
            _ if indefinite => return reader.fail(head.offset, "an integer without a number"),
            _ => {}
        }
    }
    if reader.rest_len() > 0 {
        return reader.fail(reader.offset, "bytes behind the value");
    }
    Ok(links)
}

fn link(reader: &mut Reader<'_>) -> Result<Cid, CodecError> {
    let head = reader.head()?;
    if head.major != BYTES || head.info == INDEFINITE {
        return reader.fail(head.offset, "a link that is not bytes");
    }
    let bytes = reader.take(head.number)?;
    match bytes.split_first().map(|(first, cid)| (first, Cid::from_bytes(cid))) {
        Some((0, Ok(cid))) => Ok(cid),
        _ => reader.fail(head.offset, "a link that is not a CID"),
    }
}
