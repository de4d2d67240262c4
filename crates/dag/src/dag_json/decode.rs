//! JSON to data.
//!
//! Not here: strings (`text.rs`), what is accepted and why (`dag_json.rs`).

use super::{Flavour, Reserved, bytes_of, reserved};
use crate::{
    CodecError, NESTING_MAX, Node,
    codec::has_repeated_name,
    node::{INTEGER_MAX, INTEGER_MIN},
};

/// Longest text of an integer that can fit: a sign and the digits of 2⁶⁴.
const INTEGER_LEN_MAX: usize = 21;

pub(super) fn block(data: &[u8], flavour: Flavour) -> Result<Node, CodecError> {
    let codec = flavour.name();
    let text = std::str::from_utf8(data).map_err(|error| CodecError::Malformed {
        codec,
        offset: error.valid_up_to(),
        reason: "text that is not UTF-8",
    })?;
    let mut reader = Reader { text, offset: 0, flavour };
    let node = reader.value(0)?;
    reader.space();
    if reader.offset < text.len() {
        return reader.fail(reader.offset, "bytes behind the value");
    }
    Ok(node)
}

/// Reads through a block.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) offset: usize,
    flavour: Flavour,
}

impl Reader<'_> {
    pub(super) fn fail<T>(&self, offset: usize, reason: &'static str) -> Result<T, CodecError> {
        Err(CodecError::Malformed { codec: self.flavour.name(), offset, reason })
    }

    /// The next byte; 0 at the end, where no value can go on either.
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.offset).copied().unwrap_or(0)
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.offset += 1;
        }
    }

    /// Takes the next byte if it is this one.
    fn skip(&mut self, byte: u8) -> bool {
        let is = self.peek() == byte;
        self.offset += usize::from(is);
        is
    }

    fn value(&mut self, depth: usize) -> Result<Node, CodecError> {
        self.space();
        match self.peek() {
            b'{' => self.map(depth + 1),
            b'[' => self.list(depth + 1),
            b'"' => self.string().map(Node::String),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Node::Bool(true)),
            b'f' => self.word("false", Node::Bool(false)),
            b'n' => self.word("null", Node::Null),
            _ if self.offset == self.text.len() => {
                self.fail(self.offset, "the block ends too early")
            }
            _ => self.fail(self.offset, "not a value"),
        }
    }

    fn word(&mut self, word: &str, node: Node) -> Result<Node, CodecError> {
        if !self.text[self.offset..].starts_with(word) {
            return self.fail(self.offset, "not a value");
        }
        self.offset += word.len();
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Node, CodecError> {
        self.open(depth)?;
        let mut items = Vec::new();
        self.space();
        if self.skip(b']') {
            return Ok(Node::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.space();
            if self.skip(b']') {
                return Ok(Node::List(items));
            }
            if !self.skip(b',') {
                return self.fail(self.offset, "neither , nor ] after an item");
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Node, CodecError> {
        let start = self.offset;
        self.open(depth)?;
        let mut entries = Vec::new();
        self.space();
        if self.skip(b'}') {
            return Ok(Node::Map(entries));
        }
        loop {
            self.space();
            if self.peek() != b'"' {
                return self.fail(self.offset, "a map's name that is not text");
            }
            let name = self.string()?;
            self.space();
            if !self.skip(b':') {
                return self.fail(self.offset, "no : after a map's name");
            }
            let value = self.value(depth)?;
            entries.push((name, value));
            self.space();
            if self.skip(b'}') {
                return self.finish_map(entries, start);
            }
            if !self.skip(b',') {
                return self.fail(self.offset, "neither , nor } after an entry");
            }
        }
    }

    fn finish_map(&self, entries: Vec<(String, Node)>, start: usize) -> Result<Node, CodecError> {
        let in_order = entries.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !in_order && has_repeated_name(&entries) {
            return self.fail(start, "a map with the same name twice");
        }
        if self.flavour == Flavour::Plain {
            return Ok(Node::Map(entries));
        }
        let by_ref = entries.iter().map(|(name, node)| (name.as_str(), node));
        match reserved(by_ref) {
            Reserved::Not => Ok(Node::Map(entries)),
            Reserved::Forbidden => {
                self.fail(start, "a map that begins with / and is neither link nor bytes")
            }
            Reserved::Bytes(text) => match bytes_of(text) {
                Some(bytes) => Ok(Node::Bytes(bytes)),
                None => self.fail(start, "bytes that are not base64 without padding"),
            },
            Reserved::Link(text) => match text.parse() {
                Ok(cid) => Ok(Node::link(cid)),
                Err(_) => self.fail(start, "a link that is not a CID"),
            },
        }
    }

    fn open(&mut self, depth: usize) -> Result<(), CodecError> {
        if depth > NESTING_MAX {
            return self.fail(self.offset, "nested too deeply");
        }
        self.offset += 1;
        Ok(())
    }

    /// Source: RFC 8259, section 6.
    fn number(&mut self) -> Result<Node, CodecError> {
        let start = self.offset;
        self.skip(b'-');
        let leading_zero = self.peek() == b'0';
        let digit_count = self.digits();
        if digit_count == 0 || (leading_zero && digit_count > 1) {
            return self.fail(start, "not a number");
        }
        let mut float = false;
        if self.skip(b'.') {
            float = true;
            if self.digits() == 0 {
                return self.fail(start, "not a number");
            }
        }
        if matches!(self.peek(), b'e' | b'E') {
            float = true;
            self.offset += 1;
            if !self.skip(b'+') {
                self.skip(b'-');
            }
            if self.digits() == 0 {
                return self.fail(start, "not a number");
            }
        }
        let text = &self.text[start..self.offset];
        if float {
            return match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Node::Float(number)),
                _ => self.fail(start, "a float that is infinite"),
            };
        }
        let number = (text.len() <= INTEGER_LEN_MAX).then(|| text.parse::<i128>().ok()).flatten();
        match number.filter(|number| (INTEGER_MIN..=INTEGER_MAX).contains(number)) {
            Some(number) => Ok(Node::Integer(number)),
            None => self.fail(start, "an integer that does not fit into 64 bits"),
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.offset;
        while self.peek().is_ascii_digit() {
            self.offset += 1;
        }
        self.offset - start
    }
}
