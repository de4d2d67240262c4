//! CBOR to data.
//!
//! Not here: what is accepted and why (`dag_cbor.rs`).

use super::{
    Flavour, LINK_TAG,
    head::{BYTES, Head, INDEFINITE, LIST, NEGATIVE, Reader, SIMPLE, TAG, TEXT, UNSIGNED},
};
use crate::{CodecError, NESTING_MAX, Node, codec::has_repeated_name};
use cairn_block::Cid;

/// Entries that memory is set aside for before they are seen.
const RESERVED_MAX: u64 = 64;

pub(super) fn block(data: &[u8], flavour: Flavour) -> Result<Node, CodecError> {
    let mut decoder = Decoder { reader: Reader::new(data, flavour.name()), flavour };
    let node = decoder.item(0)?;
    if decoder.reader.rest_len() > 0 {
        return decoder.reader.fail(decoder.reader.offset, "bytes behind the value");
    }
    Ok(node)
}

struct Decoder<'a> {
    reader: Reader<'a>,
    flavour: Flavour,
}

impl Decoder<'_> {
    fn item(&mut self, depth: usize) -> Result<Node, CodecError> {
        let head = self.reader.head()?;
        if head.info == INDEFINITE {
            return self.reader.fail(head.offset, "indefinite length");
        }
        if head.major == SIMPLE {
            return self.simple(head);
        }
        if head.is_wasteful() {
            return self.reader.fail(head.offset, "a number longer than needed");
        }
        match head.major {
            UNSIGNED => Ok(Node::Integer(i128::from(head.number))),
            NEGATIVE => Ok(Node::Integer(-1 - i128::from(head.number))),
            BYTES => Ok(Node::Bytes(self.reader.take(head.number)?.to_vec())),
            TEXT => self.text(head).map(Node::String),
            TAG => self.link(head),
            LIST => self.list(head, depth + 1),
            _ => self.map(head, depth + 1),
        }
    }

    fn list(&mut self, head: Head, depth: usize) -> Result<Node, CodecError> {
        self.check_nest(head, 1, depth)?;
        let mut items = Vec::with_capacity(head.number.min(RESERVED_MAX) as usize);
        for _ in 0..head.number {
            items.push(self.item(depth)?);
        }
        Ok(Node::List(items))
    }

    fn map(&mut self, head: Head, depth: usize) -> Result<Node, CodecError> {
        self.check_nest(head, 2, depth)?;
        let mut entries: Vec<(String, Node)> =
            Vec::with_capacity(head.number.min(RESERVED_MAX) as usize);
        let mut in_order = true;
        for _ in 0..head.number {
            let key = self.key()?;
            // In order, as nearly all blocks are, no name can stand twice.
            let after = |last: &(String, Node)| {
                (last.0.len(), last.0.as_bytes()) < (key.len(), key.as_bytes())
            };
            in_order &= entries.last().is_none_or(after);
            let value = self.item(depth)?;
            entries.push((key, value));
        }
        if !in_order && has_repeated_name(&entries) {
            return self.reader.fail(head.offset, "a map with the same name twice");
        }
        Ok(Node::Map(entries))
    }

    fn key(&mut self) -> Result<String, CodecError> {
        let head = self.reader.head()?;
        if head.major != TEXT || head.info == INDEFINITE {
            return self.reader.fail(head.offset, "a map's name that is not text");
        }
        if head.is_wasteful() {
            return self.reader.fail(head.offset, "a number longer than needed");
        }
        self.text(head)
    }

    fn text(&mut self, head: Head) -> Result<String, CodecError> {
        match std::str::from_utf8(self.reader.take(head.number)?) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => self.reader.fail(head.offset, "text that is not UTF-8"),
        }
    }

    fn simple(&mut self, head: Head) -> Result<Node, CodecError> {
        let float = match head.info {
            20 => return Ok(Node::Bool(false)),
            21 => return Ok(Node::Bool(true)),
            // Undefined is no value of the data model; old blocks have it for null.
            22 | 23 => return Ok(Node::Null),
            25 => half(head.number as u16),
            26 => f64::from(f32::from_bits(head.number as u32)),
            27 => f64::from_bits(head.number),
            _ => return self.reader.fail(head.offset, "an unknown simple value"),
        };
        if !float.is_finite() {
            return self.reader.fail(head.offset, "a float that is not a number, or infinite");
        }
        Ok(Node::Float(float))
    }

    fn link(&mut self, head: Head) -> Result<Node, CodecError> {
        if head.number != LINK_TAG || self.flavour == Flavour::Plain {
            return self.reader.fail(head.offset, "an unknown tag");
        }
        let content = self.reader.head()?;
        if content.major != BYTES || content.info == INDEFINITE || content.is_wasteful() {
            return self.reader.fail(content.offset, "a link that is not bytes");
        }
        let bytes = self.reader.take(content.number)?;
        match bytes.split_first() {
            Some((0, cid)) => match Cid::from_bytes(cid) {
                Ok(cid) => Ok(Node::link(cid)),
                Err(_) => self.reader.fail(content.offset, "a link that is not a CID"),
            },
            _ => self.reader.fail(content.offset, "a link without the leading zero"),
        }
    }

    /// Refuses lists and maps that are too deep, or longer than the block could hold.
    fn check_nest(&self, head: Head, len_min: u64, depth: usize) -> Result<(), CodecError> {
        if depth > NESTING_MAX {
            return self.reader.fail(head.offset, "nested too deeply");
        }
        match head.number.checked_mul(len_min) {
            Some(len) if len <= self.reader.rest_len() as u64 => Ok(()),
            _ => self.reader.fail(head.offset, "more entries than the block holds"),
        }
    }
}

/// Widens a float of 16 bits. Source: RFC 8949, appendix D.
fn half(bits: u16) -> f64 {
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    let value = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (fraction + 1024.0) * 2_f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -value } else { value }
}
