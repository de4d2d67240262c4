//! JSON strings.
//!
//! Source: RFC 8259, section 7.

use super::decode::Reader;
use crate::CodecError;

impl Reader<'_> {
    /// Reads a string, from its first quotation mark to behind its last.
    pub(super) fn string(&mut self) -> Result<String, CodecError> {
        let start = self.offset;
        self.offset += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.offset..];
            let plain = rest.bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < 0x20);
            let Some(plain) = plain else {
                return self.fail(start, "a string without end");
            };
            out.push_str(&rest[..plain]);
            self.offset += plain;
            match rest.as_bytes()[plain] {
                b'"' => {
                    self.offset += 1;
                    return Ok(out);
                }
                b'\\' => out.push(self.escape()?),
                _ => return self.fail(self.offset, "a control character in a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, CodecError> {
        let start = self.offset;
        let letter = self.text.as_bytes().get(start + 1).copied();
        self.offset += 2;
        Ok(match letter {
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.code_point(start),
            _ => return self.fail(start, "an unknown escape in a string"),
        })
    }

    /// Reads the digits behind `\u`, and those of the second half if they are a surrogate.
    fn code_point(&mut self, start: usize) -> Result<char, CodecError> {
        let Some(first) = self.hex() else {
            return self.fail(start, "an unknown escape in a string");
        };
        let mut point = first;
        if (0xd800..0xdc00).contains(&first) && self.text[self.offset..].starts_with("\\u") {
            self.offset += 2;
            if let Some(second @ 0xdc00..0xe000) = self.hex() {
                point = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            }
        }
        match char::from_u32(point) {
            Some(point) => Ok(point),
            None => self.fail(start, "half a surrogate pair in a string"),
        }
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.offset..self.offset + 4)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        self.offset += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

/// Writes a string with its quotation marks and no more escapes than it needs.
pub(super) fn put(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
