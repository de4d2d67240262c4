//! Unsigned varints: the length-prefix-free integers every other format here is built from.
//!
//! Seven bits per byte, least significant group first; the high bit says "more follows".
//! Used by CIDs, multihashes, CAR sections and every libp2p frame.
//!
//! Spec: <https://github.com/multiformats/unsigned-varint>, commit pinned in `spec/PINS.toml`.
//! Invariants: decoding never allocates, never reads past nine bytes, and accepts exactly one
//! encoding of each number, so equal numbers have equal bytes and hashes over them agree.
//! Not here: protobuf varints (`cairn-dag` has its own, which may be ten bytes long).

use thiserror::Error;

/// Most bytes one varint may take: 63 bits of payload.
///
/// Source: unsigned-varint, "Practical maximum".
pub const VARINT_LEN_MAX: usize = 9;

/// Why bytes are not a varint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VarintError {
    /// The input ended inside the number; the only case in which more input may help.
    #[error("varint is cut off after {len} bytes")]
    Truncated {
        /// How many bytes there were.
        len: usize,
    },
    /// Over [`VARINT_LEN_MAX`] bytes.
    #[error("varint is longer than {VARINT_LEN_MAX} bytes")]
    TooLong,
    /// A shorter encoding of the same number exists.
    #[error("varint of {len} bytes is not minimal")]
    NotMinimal {
        /// Length of the encoding refused.
        len: usize,
    },
}

/// Reads one varint from the front of `input`; returns the number and the bytes after it.
///
/// Looks at no more than [`VARINT_LEN_MAX`] bytes, whatever the length of `input`.
///
/// # Errors
///
/// [`VarintError::Truncated`] asks for more input and is the only one a stream reader may retry;
/// [`VarintError::TooLong`] and [`VarintError::NotMinimal`] mean the sender is wrong.
///
/// # Examples
///
/// ```
/// let (codec, rest) = cairn_hash::varint::decode(&[0xac, 0x02, b'x'])?;
/// assert_eq!((codec, rest), (300, &b"x"[..]));
/// # Ok::<(), cairn_hash::varint::VarintError>(())
/// ```
pub fn decode(input: &[u8]) -> Result<(u64, &[u8]), VarintError> {
    let mut value = 0;
    let mut rest = input;
    for index in 0..VARINT_LEN_MAX {
        let Some((&byte, tail)) = rest.split_first() else {
            return Err(VarintError::Truncated { len: index });
        };
        rest = tail;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let minimal = byte != 0 || index == 0;
            return if minimal {
                Ok((value, rest))
            } else {
                Err(VarintError::NotMinimal { len: index + 1 })
            };
        }
    }
    Err(VarintError::TooLong)
}

/// Appends `value` to `out`, in the one form that [`decode`] accepts.
///
/// Values of 2⁶³ and more take ten bytes, which no decoder of this format reads back; no codec,
/// length or hash code comes near them.
pub fn encode(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Returns how many bytes [`encode`] appends for `value`.
pub fn encoded_len(value: u64) -> usize {
    (64 - value.leading_zeros() as usize).div_ceil(7).max(1)
}

#[cfg(test)]
mod tests {
    use super::{VARINT_LEN_MAX, VarintError, decode, encode, encoded_len};

    /// unsigned-varint README, the table under "Spec" (and the practical maximum below it).
    const VECTORS: &[(u64, &[u8])] = &[
        (0, &[0x00]),
        (1, &[0x01]),
        (127, &[0x7f]),
        (128, &[0x80, 0x01]),
        (255, &[0xff, 0x01]),
        (300, &[0xac, 0x02]),
        (16384, &[0x80, 0x80, 0x01]),
        (i64::MAX as u64, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
    ];

    const REJECTED: &[(&str, &[u8], VarintError)] = &[
        ("empty", &[], VarintError::Truncated { len: 0 }),
        ("dangling continuation", &[0x80], VarintError::Truncated { len: 1 }),
        ("one as two bytes", &[0x81, 0x00], VarintError::NotMinimal { len: 2 }),
        ("ten bytes", &[0xff; VARINT_LEN_MAX + 1], VarintError::TooLong),
    ];

    #[test]
    fn decodes_and_encodes_the_spec_table() {
        for &(number, bytes) in VECTORS {
            assert_eq!(decode(bytes), Ok((number, &[][..])), "{bytes:02x?}");
            let mut out = Vec::new();
            encode(number, &mut out);
            assert_eq!(out, bytes, "{number}");
            assert_eq!(encoded_len(number), bytes.len(), "{number}");
        }
    }

    #[test]
    fn rejects_what_the_spec_forbids() {
        for &(name, bytes, expected) in REJECTED {
            assert_eq!(decode(bytes), Err(expected), "{name}");
        }
    }
}
