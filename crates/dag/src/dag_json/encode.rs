//! Data to JSON.
//!
//! Not here: strings (`text.rs`), the canonical form's rules (`dag_json.rs`).

use super::{BYTES, Flavour, Reserved, SLASH, reserved, text, text_of};
use crate::{
    CodecError, NESTING_MAX, Node,
    codec::{has_repeated_name, sorted},
    node::{INTEGER_MAX, INTEGER_MIN},
};

/// From here on floats have an exponent, as in ECMAScript.
const EXPONENT_FROM: f64 = 1e21;

/// Below this floats have an exponent.
const EXPONENT_BELOW: f64 = 1e-6;

pub(super) fn block(node: &Node, flavour: Flavour) -> Result<Vec<u8>, CodecError> {
    let mut encoder = Encoder { out: Vec::new(), flavour };
    encoder.value(node, 0)?;
    Ok(encoder.out)
}

struct Encoder {
    out: Vec<u8>,
    flavour: Flavour,
}

impl Encoder {
    fn value(&mut self, node: &Node, depth: usize) -> Result<(), CodecError> {
        if depth > NESTING_MAX {
            return self.fail("it is nested too deeply");
        }
        match node {
            Node::Null => self.put(b"null"),
            Node::Bool(true) => self.put(b"true"),
            Node::Bool(false) => self.put(b"false"),
            Node::Integer(number) if (INTEGER_MIN..=INTEGER_MAX).contains(number) => {
                self.put(number.to_string().as_bytes());
            }
            Node::Integer(_) => return self.fail("an integer does not fit into 64 bits"),
            Node::Float(number) if number.is_finite() => self.float(*number),
            Node::Float(_) => return self.fail("a float is not a number, or infinite"),
            Node::String(string) => text::put(&mut self.out, string),
            Node::Bytes(_) if self.flavour == Flavour::Plain => return self.fail("it has bytes"),
            Node::Link(_) if self.flavour == Flavour::Plain => return self.fail("it has links"),
            Node::Bytes(bytes) => {
                self.put(format!(r#"{{"{SLASH}":{{"{BYTES}":""#).as_bytes());
                self.put(text_of(bytes).as_bytes());
                self.put(br#""}}"#);
            }
            Node::Link(cid) => self.put(format!(r#"{{"{SLASH}":"{cid}"}}"#).as_bytes()),
            Node::List(items) => {
                self.put(b"[");
                for (index, item) in items.iter().enumerate() {
                    self.put(if index == 0 { b"" } else { b"," });
                    self.value(item, depth + 1)?;
                }
                self.put(b"]");
            }
            Node::Map(entries) => self.map(entries, depth + 1)?,
        }
        Ok(())
    }

    fn map(&mut self, entries: &[(String, Node)], depth: usize) -> Result<(), CodecError> {
        let ordered = match self.flavour {
            Flavour::Plain if has_repeated_name(entries) => {
                return self.fail("a map has the same name twice");
            }
            Flavour::Plain => entries.iter().collect(),
            Flavour::Dag => sorted(self.flavour.name(), entries, str::as_bytes)?,
        };
        if self.flavour == Flavour::Dag {
            self.check_reserved(&ordered)?;
        }
        self.put(b"{");
        for (index, (name, value)) in ordered.into_iter().enumerate() {
            self.put(if index == 0 { b"" } else { b"," });
            text::put(&mut self.out, name);
            self.put(b":");
            self.value(value, depth)?;
        }
        self.put(b"}");
        Ok(())
    }

    /// Refuses a map that would be read as a link, as bytes, or not at all.
    fn check_reserved(&self, ordered: &[&(String, Node)]) -> Result<(), CodecError> {
        let inner;
        let mut entries: Vec<(&str, &Node)> =
            ordered.iter().map(|(name, node)| (name.as_str(), node)).collect();
        // The inner map will be written in order, too.
        if let Some((SLASH, Node::Map(unordered))) = entries.first().copied() {
            let sorted = sorted(self.flavour.name(), unordered, str::as_bytes)?;
            let first = sorted.first().map(|entry| (*entry).clone());
            let rest = sorted.iter().skip(1).map(|(name, _)| (name.clone(), Node::Null));
            inner = Node::Map(first.into_iter().chain(rest).collect());
            entries[0] = (SLASH, &inner);
        }
        match reserved(entries.into_iter()) {
            Reserved::Not => Ok(()),
            _ => self.fail("a map begins with the reserved name /"),
        }
    }

    /// Writes the shortest digits that read as the same number, always with a point or exponent.
    fn float(&mut self, number: f64) {
        let size = number.abs();
        let text = if size != 0.0 && !(EXPONENT_BELOW..EXPONENT_FROM).contains(&size) {
            let text = format!("{number:e}");
            if size < 1.0 { text } else { text.replace('e', "e+") }
        } else {
            let text = format!("{number}");
            if text.contains('.') { text } else { format!("{text}.0") }
        };
        self.put(text.as_bytes());
    }

    fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn fail(&self, reason: &str) -> Result<(), CodecError> {
        Err(CodecError::form(self.flavour.name(), reason))
    }
}
