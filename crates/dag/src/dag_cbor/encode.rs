//! Data to CBOR.
//!
//! Not here: the canonical form's rules (`dag_cbor.rs`).

use super::{
    Flavour, LINK_TAG,
    head::{BYTES, LIST, MAP, NEGATIVE, TAG, TEXT, UNSIGNED},
};
use crate::{
    CodecError, NESTING_MAX, Node,
    codec::{has_repeated_name, sorted},
};

pub(super) fn block(node: &Node, flavour: Flavour) -> Result<Vec<u8>, CodecError> {
    let mut encoder = Encoder { out: Vec::new(), flavour };
    encoder.item(node, 0)?;
    Ok(encoder.out)
}

struct Encoder {
    out: Vec<u8>,
    flavour: Flavour,
}

impl Encoder {
    fn item(&mut self, node: &Node, depth: usize) -> Result<(), CodecError> {
        if depth > NESTING_MAX {
            return self.fail("it is nested too deeply");
        }
        match node {
            Node::Null => self.out.push(0xf6),
            Node::Bool(false) => self.out.push(0xf4),
            Node::Bool(true) => self.out.push(0xf5),
            Node::Integer(number) => {
                let (major, number) =
                    if *number < 0 { (NEGATIVE, -1 - *number) } else { (UNSIGNED, *number) };
                match u64::try_from(number) {
                    Ok(number) => self.head(major, number),
                    Err(_) => return self.fail("an integer does not fit into 64 bits"),
                }
            }
            Node::Float(number) if number.is_finite() => {
                self.out.push(0xfb);
                self.out.extend_from_slice(&number.to_be_bytes());
            }
            Node::Float(_) => return self.fail("a float is not a number, or infinite"),
            Node::String(text) => self.text(text),
            Node::Bytes(bytes) => self.bytes(&[], bytes),
            Node::Link(_) if self.flavour == Flavour::Plain => {
                return self.fail("it has links");
            }
            Node::Link(cid) => {
                self.head(TAG, LINK_TAG);
                self.bytes(&[0], &cid.to_bytes());
            }
            Node::List(items) => {
                self.head(LIST, items.len() as u64);
                for item in items {
                    self.item(item, depth + 1)?;
                }
            }
            Node::Map(entries) => self.map(entries, depth + 1)?,
        }
        Ok(())
    }

    fn map(&mut self, entries: &[(String, Node)], depth: usize) -> Result<(), CodecError> {
        self.head(MAP, entries.len() as u64);
        let ordered = match self.flavour {
            Flavour::Plain if has_repeated_name(entries) => {
                return self.fail("a map has the same name twice");
            }
            Flavour::Plain => entries.iter().collect(),
            Flavour::Dag => {
                sorted(self.flavour.name(), entries, |name| (name.len(), name.as_bytes()))?
            }
        };
        for (name, value) in ordered {
            self.text(name);
            self.item(value, depth)?;
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.head(TEXT, text.len() as u64);
        self.out.extend_from_slice(text.as_bytes());
    }

    fn bytes(&mut self, prefix: &[u8], bytes: &[u8]) {
        self.head(BYTES, (prefix.len() + bytes.len()) as u64);
        self.out.extend_from_slice(prefix);
        self.out.extend_from_slice(bytes);
    }

    /// Writes the shortest form of the number.
    fn head(&mut self, major: u8, number: u64) {
        let major = major << 5;
        match number {
            0..24 => self.out.push(major + number as u8),
            24..=0xff => self.out.extend_from_slice(&[major + 24, number as u8]),
            0x100..=0xffff => {
                self.out.push(major + 25);
                self.out.extend_from_slice(&(number as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                self.out.push(major + 26);
                self.out.extend_from_slice(&(number as u32).to_be_bytes());
            }
            _ => {
                self.out.push(major + 27);
                self.out.extend_from_slice(&number.to_be_bytes());
            }
        }
    }

    fn fail(&self, reason: &str) -> Result<(), CodecError> {
        Err(CodecError::form(self.flavour.name(), reason))
    }
}
