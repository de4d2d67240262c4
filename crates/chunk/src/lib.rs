//! Cuts bytes into chunks.
//!
//! The first step of every file's way in: where the cuts fall decides the leaves' CIDs, so they
//! must be exactly where Kubo puts them.
//!
//! Source: the `--chunker` syntax and its limits as Kubo documents them.
//! Invariants: pure; a cut depends on the bytes of the file alone, never on how they were read.
//! Not here: reading files (`cairn-node`), what a chunk becomes (`cairn-unixfs`).

use std::fmt;
use thiserror::Error;

/// Chunk length when nothing else is asked for, in bytes (256 KiB).
pub const CHUNK_LEN_DEFAULT: usize = 262_144;

/// Longest chunk, in bytes: the largest block (2 MiB) less 256 bytes for the leaf around it.
pub const CHUNK_LEN_MAX: usize = 2 * 1024 * 1024 - 256;

/// Why a `--chunker` value is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// No chunker of this name exists.
    #[error("unrecognized chunker option: {name}")]
    Unknown {
        /// The value given.
        name: String,
    },
    /// Kubo has it, this version does not.
    #[error("chunker {name} is not supported yet; use size-<bytes>")]
    NotSupported {
        /// The chunker's name without its numbers.
        name: &'static str,
    },
    /// Not `size-<number>`.
    #[error("incorrect chunker string format (expected size-{{size}}): {value}")]
    Format {
        /// The value given.
        value: String,
    },
    /// Zero or over [`CHUNK_LEN_MAX`].
    #[error("chunk size {len} is not between 1 and {CHUNK_LEN_MAX}")]
    Len {
        /// The length asked for, in bytes.
        len: u64,
    },
}

/// Which chunker to use, and its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChunkSpec {
    /// Every chunk has `len` bytes, but for the last.
    Fixed {
        /// Chunk length in bytes, from 1 to [`CHUNK_LEN_MAX`].
        len: usize,
    },
}

impl Default for ChunkSpec {
    fn default() -> Self {
        Self::Fixed { len: CHUNK_LEN_DEFAULT }
    }
}

impl ChunkSpec {
    /// Parses a `--chunker` value: `size-262144`, `default`, or nothing for the default.
    ///
    /// # Errors
    ///
    /// Any [`ChunkError`]; all of them are the user's to correct.
    pub fn parse(value: &str) -> Result<Self, ChunkError> {
        if value.is_empty() || value == "default" {
            return Ok(Self::default());
        }
        let (name, parameters) = value.split_once('-').unwrap_or((value, ""));
        match name {
            "size" => Self::parse_size(value, parameters),
            "rabin" => Err(ChunkError::NotSupported { name: "rabin" }),
            "buzhash" => Err(ChunkError::NotSupported { name: "buzhash" }),
            _ => Err(ChunkError::Unknown { name: value.to_owned() }),
        }
    }

    fn parse_size(value: &str, digits: &str) -> Result<Self, ChunkError> {
        let len: u64 =
            digits.parse().map_err(|_| ChunkError::Format { value: value.to_owned() })?;
        match usize::try_from(len) {
            Ok(len @ 1..=CHUNK_LEN_MAX) => Ok(Self::Fixed { len }),
            _ => Err(ChunkError::Len { len }),
        }
    }

    /// The longest chunk that can come out, in bytes: how much a reader must buffer.
    pub fn len_max(&self) -> usize {
        match self {
            Self::Fixed { len } => *len,
        }
    }
}

impl fmt::Display for ChunkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed { len } => write!(f, "size-{len}"),
        }
    }
}

/// Finds the cuts of one file; one per file, since content-defined chunkers keep state.
///
/// # Examples
///
/// ```
/// use cairn_chunk::{ChunkSpec, Cutter};
/// let mut cutter = Cutter::new(&ChunkSpec::parse("size-4")?);
/// assert_eq!(cutter.next(b"abc", false), None); // read more
/// assert_eq!(cutter.next(b"abcdef", false), Some(4));
/// assert_eq!(cutter.next(b"ef", true), Some(2));
/// assert_eq!(cutter.next(b"", true), None); // the end
/// # Ok::<(), cairn_chunk::ChunkError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cutter {
    spec: ChunkSpec,
}

impl Cutter {
    /// Starts a file.
    pub fn new(spec: &ChunkSpec) -> Self {
        Self { spec: *spec }
    }

    /// Returns how many bytes at the front of `buffered` are the next chunk.
    ///
    /// `None` asks for more bytes, or at `eof` says that nothing is left. With
    /// [`ChunkSpec::len_max`] bytes buffered there is always an answer. The caller drops the
    /// chunk's bytes from the front before it asks again.
    pub fn next(&mut self, buffered: &[u8], eof: bool) -> Option<usize> {
        match self.spec {
            ChunkSpec::Fixed { len } if buffered.len() >= len => Some(len),
            ChunkSpec::Fixed { .. } => (eof && !buffered.is_empty()).then_some(buffered.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK_LEN_MAX, ChunkError, ChunkSpec, Cutter};
    use proptest::prelude::{any, proptest};

    #[test]
    fn parses_what_kubo_parses() {
        let rows = [
            ("", 262_144),
            ("default", 262_144),
            ("size-262144", 262_144),
            ("size-1", 1),
            ("size-2096896", CHUNK_LEN_MAX),
        ];
        for (value, len) in rows {
            assert_eq!(ChunkSpec::parse(value), Ok(ChunkSpec::Fixed { len }), "{value}");
        }
        assert_eq!(ChunkSpec::default().to_string(), "size-262144");
    }

    #[test]
    fn refuses_with_the_reason() {
        let format = |value: &str| ChunkError::Format { value: value.to_owned() };
        let rows = [
            ("size-0", ChunkError::Len { len: 0 }),
            ("size-2096897", ChunkError::Len { len: 2_096_897 }),
            ("size", format("size")),
            ("size-", format("size-")),
            ("size--1", format("size--1")),
            ("size-1-2", format("size-1-2")),
            ("size-99999999999999999999", format("size-99999999999999999999")),
            ("rabin", ChunkError::NotSupported { name: "rabin" }),
            ("rabin-16-32-64", ChunkError::NotSupported { name: "rabin" }),
            ("buzhash", ChunkError::NotSupported { name: "buzhash" }),
            ("fast", ChunkError::Unknown { name: "fast".to_owned() }),
        ];
        for (value, error) in rows {
            assert_eq!(ChunkSpec::parse(value), Err(error), "{value}");
        }
    }

    proptest! {
        #[test]
        fn cuts_do_not_depend_on_how_the_file_is_read(
            data in proptest::collection::vec(any::<u8>(), 0..600),
            len in 1_usize..64,
            step in 1_usize..100,
        ) {
            let mut cutter = Cutter::new(&ChunkSpec::Fixed { len });
            let (mut buffered, mut cuts) = (Vec::new(), Vec::new());
            let mut input = data.chunks(step);
            let mut eof = false;
            loop {
                while let Some(cut) = cutter.next(&buffered, eof) {
                    cuts.push(buffered.drain(..cut).collect::<Vec<_>>());
                }
                if eof {
                    break;
                }
                match input.next() {
                    Some(piece) => buffered.extend_from_slice(piece),
                    None => eof = true,
                }
            }
            let expected: Vec<Vec<u8>> = data.chunks(len).map(<[u8]>::to_vec).collect();
            assert_eq!(cuts, expected);
        }
    }
}
