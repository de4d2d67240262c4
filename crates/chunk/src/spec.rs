//! The `--chunker` syntax.
//!
//! Source: Kubo's `add --help` and ipfs/boxo `chunker/parse.go`, pinned in `spec/PINS.toml`.
//! Invariant: whatever is parsed has a longest chunk of at most [`CHUNK_LEN_MAX`] and a shortest
//! of at least the window that its hash looks at.
//! Not here: where the cuts fall (`cutter.rs`).

use crate::{fastcdc, rabin};
use std::fmt;
use thiserror::Error;

/// Chunk length when nothing else is asked for, in bytes (256 KiB).
pub const CHUNK_LEN_DEFAULT: usize = 262_144;

/// Longest chunk, in bytes: the largest block (2 MiB) less 256 bytes for the leaf around it.
pub const CHUNK_LEN_MAX: usize = 2 * 1024 * 1024 - 256;

/// What `fastcdc` alone means: around the default length, a quarter to four times as long.
const FASTCDC_DEFAULT: Lens =
    Lens { min: CHUNK_LEN_DEFAULT / 4, avg: CHUNK_LEN_DEFAULT, max: CHUNK_LEN_DEFAULT * 4 };

const SIZE_FORM: &str = "size-{size}";
const RABIN_FORM: &str = "rabin, rabin-{avg} or rabin-{min}-{avg}-{max}";
const FASTCDC_FORM: &str = "fastcdc, fastcdc-{avg} or fastcdc-{min}-{avg}-{max}";
const BUZHASH_FORM: &str = "buzhash";

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
    /// The name is known, what follows it is not as it should be.
    #[error("incorrect chunker string format (expected {expected}): {value}")]
    Format {
        /// The value given.
        value: String,
        /// What it may look like.
        expected: &'static str,
    },
    /// Zero or over [`CHUNK_LEN_MAX`].
    #[error("chunk size {len} is not between 1 and {CHUNK_LEN_MAX}")]
    Len {
        /// The length asked for, in bytes.
        len: u64,
    },
    /// The shortest, usual and longest lengths do not go together.
    #[error("chunk sizes {min}-{avg}-{max} of {name} must rise, from {floor} to {CHUNK_LEN_MAX}")]
    Bounds {
        /// The chunker.
        name: &'static str,
        /// Shortest, in bytes.
        min: u64,
        /// Usual, in bytes.
        avg: u64,
        /// Longest, in bytes.
        max: u64,
        /// The least that the shortest may be, in bytes.
        floor: usize,
    },
}

/// The lengths that a content-defined chunker keeps to, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lens {
    min: usize,
    avg: usize,
    max: usize,
}

impl Lens {
    /// Shortest chunk, but for a file's last.
    pub fn min(&self) -> usize {
        self.min
    }

    /// The length aimed at.
    pub fn avg(&self) -> usize {
        self.avg
    }

    /// Longest chunk.
    pub fn max(&self) -> usize {
        self.max
    }

    fn check(name: &'static str, floor: usize, lens: [u64; 3]) -> Result<Self, ChunkError> {
        let [min, avg, max] = lens;
        if min < floor as u64 || min >= avg || avg >= max || max > CHUNK_LEN_MAX as u64 {
            return Err(ChunkError::Bounds { name, min, avg, max, floor });
        }
        Ok(Self { min: min as usize, avg: avg as usize, max: max as usize })
    }
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
    /// Cuts by content, as Kubo does with `rabin`.
    Rabin(Lens),
    /// Cuts by content, as Kubo does with `buzhash`; its lengths are fixed.
    Buzhash,
    /// Cuts by content into chunks of more even length; Kubo has none of this kind.
    FastCdc(Lens),
}

impl Default for ChunkSpec {
    fn default() -> Self {
        Self::Fixed { len: CHUNK_LEN_DEFAULT }
    }
}

impl ChunkSpec {
    /// Parses a `--chunker` value: `size-262144`, `rabin-16384-65536-131072`, `buzhash`,
    /// `fastcdc-16384-65536-262144`, `default`, or nothing for the default.
    ///
    /// # Errors
    ///
    /// Any [`ChunkError`]; all of them are the user's to correct.
    pub fn parse(value: &str) -> Result<Self, ChunkError> {
        if value.is_empty() || value == "default" {
            return Ok(Self::default());
        }
        let mut parts = value.split('-');
        let name = parts.next().unwrap_or_default();
        let numbers: Vec<&str> = parts.collect();
        let wrong = |expected| ChunkError::Format { value: value.to_owned(), expected };
        match name {
            "size" => {
                let [digits] = numbers[..] else { return Err(wrong(SIZE_FORM)) };
                let len = digits.parse().map_err(|_| wrong(SIZE_FORM))?;
                match usize::try_from(len) {
                    Ok(len @ 1..=CHUNK_LEN_MAX) => Ok(Self::Fixed { len }),
                    _ => Err(ChunkError::Len { len }),
                }
            }
            "rabin" => {
                let lens = parse_lens(&numbers).map_err(|NoLens| wrong(RABIN_FORM))?;
                let lens = lens.unwrap_or_else(|| around(CHUNK_LEN_DEFAULT as u64));
                Ok(Self::Rabin(Lens::check("rabin", rabin::WINDOW_LEN, lens)?))
            }
            "fastcdc" => match parse_lens(&numbers).map_err(|NoLens| wrong(FASTCDC_FORM))? {
                None => Ok(Self::FastCdc(FASTCDC_DEFAULT)),
                Some(lens) => Ok(Self::FastCdc(Lens::check("fastcdc", fastcdc::WINDOW_LEN, lens)?)),
            },
            "buzhash" if numbers.is_empty() => Ok(Self::Buzhash),
            "buzhash" => Err(wrong(BUZHASH_FORM)),
            _ => Err(ChunkError::Unknown { name: value.to_owned() }),
        }
    }
}

/// Shortest, usual and longest length around one: a third of it less, a half more.
fn around(avg: u64) -> [u64; 3] {
    [avg / 3, avg, avg.saturating_add(avg / 2)]
}

/// The numbers behind a chunker's name are not lengths.
struct NoLens;

/// Reads no number, the usual length, or all three, each with its label or without.
fn parse_lens(numbers: &[&str]) -> Result<Option<[u64; 3]>, NoLens> {
    let labelled = |text: &str, label: &str| {
        let digits = match text.split_once(':') {
            Some((given, digits)) if given == label => digits,
            Some(_) => return Err(NoLens),
            None => text,
        };
        digits.parse().map_err(|_| NoLens)
    };
    match numbers {
        [] => Ok(None),
        [avg] => Ok(Some(around(avg.parse().map_err(|_| NoLens)?))),
        [min, avg, max] => {
            Ok(Some([labelled(min, "min")?, labelled(avg, "avg")?, labelled(max, "max")?]))
        }
        _ => Err(NoLens),
    }
}

impl fmt::Display for ChunkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed { len } => write!(f, "size-{len}"),
            Self::Buzhash => f.write_str("buzhash"),
            Self::Rabin(Lens { min, avg, max }) => write!(f, "rabin-{min}-{avg}-{max}"),
            Self::FastCdc(Lens { min, avg, max }) => write!(f, "fastcdc-{min}-{avg}-{max}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK_LEN_MAX, ChunkError, ChunkSpec, Lens};
    use super::{FASTCDC_FORM, RABIN_FORM, SIZE_FORM};

    #[test]
    fn parses_what_kubo_parses() {
        let rows = [
            ("", "size-262144"),
            ("default", "size-262144"),
            ("size-1", "size-1"),
            ("size-2096896", "size-2096896"),
            ("rabin", "rabin-87381-262144-393216"),
            ("rabin-65536", "rabin-21845-65536-98304"),
            ("rabin-16-32-64", "rabin-16-32-64"),
            ("rabin-min:16-avg:32-max:64", "rabin-16-32-64"),
            ("buzhash", "buzhash"),
            ("fastcdc", "fastcdc-65536-262144-1048576"),
            ("fastcdc-64-65-2096896", "fastcdc-64-65-2096896"),
        ];
        for (value, expected) in rows {
            let spec = ChunkSpec::parse(value).unwrap();
            assert_eq!(spec.to_string(), expected, "{value}");
            assert_eq!(ChunkSpec::parse(expected), Ok(spec), "{value}");
        }
        let lens = Lens { min: 16, avg: 32, max: CHUNK_LEN_MAX };
        assert_eq!(ChunkSpec::parse("rabin-16-32-2096896"), Ok(ChunkSpec::Rabin(lens)));
    }

    #[test]
    fn refuses_with_the_reason() {
        let format =
            |value: &str, expected| ChunkError::Format { value: value.to_owned(), expected };
        let rabin = |min, avg, max| ChunkError::Bounds { name: "rabin", min, avg, max, floor: 16 };
        let rows = [
            ("size-0", ChunkError::Len { len: 0 }),
            ("size-2096897", ChunkError::Len { len: 2_096_897 }),
            ("size", format("size", SIZE_FORM)),
            ("size-", format("size-", SIZE_FORM)),
            ("size--1", format("size--1", SIZE_FORM)),
            ("size-1-2", format("size-1-2", SIZE_FORM)),
            ("size-99999999999999999999", format("size-99999999999999999999", SIZE_FORM)),
            ("rabin-16-32", format("rabin-16-32", RABIN_FORM)),
            ("rabin-avg:16-32-64", format("rabin-avg:16-32-64", RABIN_FORM)),
            ("rabin-15-32-64", rabin(15, 32, 64)),
            ("rabin-32-32-64", rabin(32, 32, 64)),
            ("rabin-16-64-64", rabin(16, 64, 64)),
            ("rabin-16-32-2096897", rabin(16, 32, 2_096_897)),
            // Kubo takes these, and never cuts.
            ("rabin-0", rabin(0, 0, 0)),
            ("rabin-47", rabin(15, 47, 70)),
            ("rabin-18446744073709551615", rabin(u64::MAX / 3, u64::MAX, u64::MAX)),
            ("buzhash-1", format("buzhash-1", super::BUZHASH_FORM)),
            ("fastcdc-x", format("fastcdc-x", FASTCDC_FORM)),
            ("fast", ChunkError::Unknown { name: "fast".to_owned() }),
        ];
        for (value, error) in rows {
            assert_eq!(ChunkSpec::parse(value), Err(error), "{value}");
        }
        assert!(ChunkSpec::parse("fastcdc-63-128-256").is_err());
    }
}
