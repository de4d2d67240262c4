//! The protobuf wire format: fields, one after the other, without a schema.
//!
//! Small enough that writing it here beats generated code: dag-pb and UnixFS need exact control
//! over the order of fields and over which zero values are written, since CIDs depend on it.
//!
//! Spec: <https://protobuf.dev/programming-guides/encoding/>.
//! Invariants: reading never allocates; a length is checked against what is there before use.
//! Not here: the messages themselves (`dag_pb.rs`, UnixFS `Data` in `cairn-unixfs`);
//! multiformats varints, which are stricter (`cairn_hash::varint`).

use thiserror::Error;

/// Most bytes that a protobuf varint may take: 64 bits of payload.
const VARINT_LEN_MAX: usize = 10;

/// Largest field number.
const FIELD_MAX: u64 = (1 << 29) - 1;

/// Why bytes are not a protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PbError {
    /// The message ends inside a field.
    #[error("message ends inside a field")]
    Truncated,
    /// An integer has more than 64 bits.
    #[error("integer of more than 64 bits")]
    Varint,
    /// The field number is 0 or too large.
    #[error("invalid field number {number}")]
    Field {
        /// The number found.
        number: u64,
    },
    /// Wire types 3 and 4 (groups) are not used by any format here; 6 and 7 do not exist.
    #[error("wire type {wire_type} is not supported")]
    WireType {
        /// The type found.
        wire_type: u8,
    },
}

/// One field's value, as the wire knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: bytes, text or a nested message.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

/// Reads the fields of one message in the order in which they stand.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Starts at the beginning of `message`.
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// Returns the next field's number and value, or `None` at the end.
    ///
    /// # Errors
    ///
    /// Any [`PbError`]; what follows is then meaningless.
    pub fn field(&mut self) -> Result<Option<(u64, Value<'a>)>, PbError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = key >> 3;
        if number == 0 || number > FIELD_MAX {
            return Err(PbError::Field { number });
        }
        let value = match (key & 7) as u8 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| PbError::Truncated)?;
                Value::Bytes(self.take(len)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            wire_type => return Err(PbError::WireType { wire_type }),
        };
        Ok(Some((number, value)))
    }

    /// Reads a bare varint, as packed repeated fields hold them.
    ///
    /// # Errors
    ///
    /// [`PbError::Truncated`] or [`PbError::Varint`].
    pub fn varint(&mut self) -> Result<u64, PbError> {
        let mut value: u64 = 0;
        for index in 0..VARINT_LEN_MAX {
            let (&byte, rest) = self.rest.split_first().ok_or(PbError::Truncated)?;
            self.rest = rest;
            if index == VARINT_LEN_MAX - 1 && byte > 1 {
                return Err(PbError::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(PbError::Varint)
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], PbError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(PbError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PbError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(PbError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }
}

/// Appends a bare varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends an integer field; `number` is below 16.
pub fn put_uint(out: &mut Vec<u8>, number: u8, value: u64) {
    out.push(number << 3);
    put_varint(out, value);
}

/// Appends a bytes, text or message field; `number` is below 16.
pub fn put_bytes(out: &mut Vec<u8>, number: u8, value: &[u8]) {
    put_len(out, number, value.len());
    out.extend_from_slice(value);
}

/// Appends what comes before the `len` bytes of a bytes field; `number` is below 16.
pub fn put_len(out: &mut Vec<u8>, number: u8, len: usize) {
    out.push(number << 3 | 2);
    put_varint(out, len as u64);
}

/// Appends a four-byte field; `number` is below 16.
pub fn put_fixed32(out: &mut Vec<u8>, number: u8, value: u32) {
    out.push(number << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Returns how many bytes [`put_varint`] appends for `value`.
pub fn varint_len(value: u64) -> usize {
    (64 - value.leading_zeros() as usize).div_ceil(7).max(1)
}

#[cfg(test)]
mod tests {
    use super::{Fields, PbError, Value, put_bytes, put_fixed32, put_uint, put_varint, varint_len};
    use proptest::prelude::{any, proptest};

    #[test]
    fn refuses_broken_messages() {
        let ones = [0xff; 11];
        let rows: &[(&str, &[u8], PbError)] = &[
            ("key cut off", &[0x80], PbError::Truncated),
            ("value cut off", &[0x08], PbError::Truncated),
            ("bytes cut off", &[0x0a, 3, 1, 2], PbError::Truncated),
            ("no length", &[0x0a], PbError::Truncated),
            ("fixed32 cut off", &[0x0d, 1, 2, 3], PbError::Truncated),
            ("fixed64 cut off", &[0x09, 1, 2, 3], PbError::Truncated),
            ("length of 2^64-1", &[10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], {
                PbError::Truncated
            }),
            ("65 bits", &[8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2], PbError::Varint),
            ("eleven bytes", &ones, PbError::Varint),
            ("field 0", &[0x00, 1], PbError::Field { number: 0 }),
            ("group", &[0x0b], PbError::WireType { wire_type: 3 }),
            ("wire type 7", &[0x0f], PbError::WireType { wire_type: 7 }),
        ];
        for (name, bytes, expected) in rows {
            assert_eq!(Fields::new(bytes).field(), Err(*expected), "{name}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(number in any::<u64>(), bytes: Vec<u8>, fixed in any::<u32>()) {
            let mut out = Vec::new();
            put_varint(&mut out, number);
            assert_eq!(out.len(), varint_len(number));
            out.clear();
            put_uint(&mut out, 1, number);
            put_bytes(&mut out, 15, &bytes);
            put_fixed32(&mut out, 3, fixed);
            let mut fields = Fields::new(&out);
            assert_eq!(fields.field(), Ok(Some((1, Value::Varint(number)))));
            assert_eq!(fields.field(), Ok(Some((15, Value::Bytes(&bytes)))));
            assert_eq!(fields.field(), Ok(Some((3, Value::Fixed32(fixed)))));
            assert_eq!(fields.field(), Ok(None));
        }

        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let mut fields = Fields::new(&bytes);
            while let Ok(Some(_)) = fields.field() {}
        }
    }
}
