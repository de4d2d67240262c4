//! References: records of blocks whose bytes lie in somebody's file, or behind a URL.
//!
//! ```text
//! data of such a record, little-endian
//!    0  1  format, 1                        1  1  kind: 1 a file, 2 a URL
//!    2  2  zero                             4  8  offset of the block's bytes in it
//!   12  8  its length when it was added, all ones if unknown
//!   20  8  its time of change then, seconds since 1970, signed
//!   28  4  the nanoseconds, all ones if the time is unknown
//!   32  4  CRC-32 of everything but these four bytes
//!   36  …  the path, with `/`, below the root of files; or the URL; UTF-8
//! ```
//! The hash guards the bytes that are referred to, so the CRC is here for the description alone:
//! without it a power cut could leave half of one that looks whole.
//!
//! Invariants: decoding accepts exactly what encoding writes; a path stays below its root; what a
//! reference gives is hashed each time it is read, since its owner may change it at any moment.
//! Not here: opening files and asking servers ([`Sources`] is implemented by `cairn-node`).

use bytes::Bytes;
use std::{fmt, io, sync::Arc};

/// Longest path or URL, in bytes.
pub const LOCATION_LEN_MAX: usize = 4096;

/// Bytes before the path or URL.
const HEAD_LEN: usize = 36;

/// Where the CRC stands.
pub(super) const CHECK_AT: usize = 32;

const FORMAT: u8 = 1;
const FILE: u8 = 1;
const URL: u8 = 2;
const UNKNOWN_LEN: u64 = u64::MAX;
const UNKNOWN_NANOS: u32 = u32::MAX;

/// What a reference points into.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Location {
    /// A file, by its path below the root of files, segments parted by `/`.
    File(Arc<str>),
    /// Something that a web server has, by its `http://` or `https://` URL.
    Url(Arc<str>),
}

impl Location {
    /// A file's location, unless the path could lead anywhere else than below the root.
    pub fn file(path: &str) -> Option<Self> {
        let plain = |segment: &str| !matches!(segment, "" | "." | "..");
        let fits = path.len() <= LOCATION_LEN_MAX && !path.contains('\0');
        (fits && path.split('/').all(plain)).then(|| Self::File(path.into()))
    }

    /// A URL's location, unless it is one of another scheme, too long, or not plain ASCII.
    pub fn url(url: &str) -> Option<Self> {
        let is_web = url.starts_with("http://") || url.starts_with("https://");
        let fits = url.len() <= LOCATION_LEN_MAX && url.bytes().all(|byte| byte.is_ascii_graphic());
        (is_web && fits).then(|| Self::Url(url.into()))
    }

    /// The path or URL.
    pub fn text(&self) -> &str {
        match self {
            Self::File(text) | Self::Url(text) => text,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Where the bytes of a block lie.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// In what.
    pub location: Location,
    /// From which byte on.
    pub offset: u64,
    /// How long the whole was when it was added, if that was known.
    pub source_len: Option<u64>,
    /// When it had been changed last, in seconds since 1970 and nanoseconds, if that was known.
    pub source_mtime: Option<(i64, u32)>,
}

impl Reference {
    /// Lays it out as a record's data.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, text) = match &self.location {
            Location::File(path) => (FILE, path),
            Location::Url(url) => (URL, url),
        };
        let (secs, nanos) = self.source_mtime.unwrap_or((0, UNKNOWN_NANOS));
        let mut out = Vec::with_capacity(HEAD_LEN + text.len());
        out.extend_from_slice(&[FORMAT, kind, 0, 0]);
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.source_len.unwrap_or(UNKNOWN_LEN).to_le_bytes());
        out.extend_from_slice(&secs.to_le_bytes());
        out.extend_from_slice(&nanos.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(text.as_bytes());
        let check = check(&out);
        out[CHECK_AT..HEAD_LEN].copy_from_slice(&check.to_le_bytes());
        out
    }

    /// Reads a record's data; `None` if it is anything but a whole description.
    pub(super) fn decode(data: &[u8]) -> Option<Self> {
        let (head, text) = data.split_at_checked(HEAD_LEN)?;
        let written = u32::from_le_bytes(field(head, CHECK_AT)?);
        if written != check(data) || head[0] != FORMAT || head[2..4] != [0, 0] {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        let location = match head[1] {
            FILE => Location::file(text)?,
            URL => Location::url(text)?,
            _ => return None,
        };
        let len = u64::from_le_bytes(field(head, 12)?);
        let secs = i64::from_le_bytes(field(head, 20)?);
        let source_mtime = match u32::from_le_bytes(field(head, 28)?) {
            UNKNOWN_NANOS if secs == 0 => None,
            nanos @ 0..1_000_000_000 => Some((secs, nanos)),
            _ => return None,
        };
        Some(Self {
            location,
            offset: u64::from_le_bytes(field(head, 4)?),
            source_len: (len != UNKNOWN_LEN).then_some(len),
            source_mtime,
        })
    }
}

pub(super) fn check(data: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&data[..CHECK_AT]);
    hasher.update(&data[HEAD_LEN..]);
    hasher.finalize()
}

fn field<const LEN: usize>(bytes: &[u8], at: usize) -> Option<[u8; LEN]> {
    bytes.get(at..at + LEN)?.try_into().ok()
}

/// Why the bytes that a reference points at cannot be had.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SourceError {
    /// There is no such file any more.
    Missing,
    /// It is not what it was: shorter, or with other bytes.
    Changed,
    /// Something else, as a sentence.
    Other(String),
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("which is gone"),
            Self::Changed => f.write_str("which has changed since it was added"),
            Self::Other(reason) => write!(f, "which cannot be read: {reason}"),
        }
    }
}

impl SourceError {
    /// The kind of I/O error that this is.
    pub(super) fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Missing => io::ErrorKind::NotFound,
            Self::Changed => io::ErrorKind::InvalidData,
            Self::Other(_) => io::ErrorKind::Other,
        }
    }
}

/// Reads what references point at. Blocking; must come to an end whatever lies there.
pub trait Sources: fmt::Debug + Send + Sync {
    /// Reads exactly `len` bytes, at most `cairn_block::BLOCK_LEN_MAX`; whoever asks hashes them.
    ///
    /// # Errors
    ///
    /// [`SourceError`], also for fewer bytes than `len`.
    fn read(&self, reference: &Reference, len: usize) -> Result<Bytes, SourceError>;
}

#[cfg(test)]
mod tests {
    use super::{HEAD_LEN, LOCATION_LEN_MAX, Location, Reference, check};

    fn some() -> Vec<Reference> {
        let file = |path: &str| Location::file(path).unwrap();
        let long = "x".repeat(LOCATION_LEN_MAX);
        let rows = [
            (file("a"), 0, None, None),
            (file("a/b c/ü"), 7, Some(0), Some((0, 0))),
            (file(&long), u64::MAX, Some(1 << 40), Some((-1, 999_999_999))),
            (Location::url("http://h/a?b=c").unwrap(), 1 << 50, Some(5), None),
            (Location::url("https://[::1]:80/").unwrap(), 1, None, Some((i64::MAX, 1))),
        ];
        let of = |(location, offset, source_len, source_mtime)| Reference {
            location,
            offset,
            source_len,
            source_mtime,
        };
        rows.into_iter().map(of).collect()
    }

    #[test]
    fn descriptions_round_trip_and_every_changed_bit_is_noticed() {
        for reference in some() {
            let data = reference.encode();
            assert_eq!(Reference::decode(&data).as_ref(), Some(&reference));
            for len in 0..data.len().min(100) {
                assert_eq!(Reference::decode(&data[..len]), None, "{len}");
            }
            for bit in 0..data.len().min(100) * 8 {
                let mut broken = data.clone();
                broken[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Reference::decode(&broken), None, "{bit}");
            }
        }
    }

    #[test]
    fn only_one_spelling_is_accepted_even_with_a_right_checksum() {
        let with = |at: usize, bytes: &[u8]| {
            let mut data = some()[1].encode();
            data[at..at + bytes.len()].copy_from_slice(bytes);
            let check = check(&data);
            data[32..HEAD_LEN].copy_from_slice(&check.to_le_bytes());
            Reference::decode(&data)
        };
        assert!(with(0, &[1]).is_some());
        let rows: [(&str, usize, &[u8]); 6] = [
            ("a newer format", 0, &[2]),
            ("an unknown kind", 1, &[3]),
            ("something in the zeros", 2, &[1]),
            ("nanoseconds over a second", 28, &1_000_000_000_u32.to_le_bytes()),
            ("a path upwards", HEAD_LEN, b".."),
            ("not UTF-8", HEAD_LEN, &[0xff]),
        ];
        for (name, at, bytes) in rows {
            let of = if name == "a path upwards" { with(at, b"../") } else { with(at, bytes) };
            assert_eq!(of, None, "{name}");
        }
    }

    #[test]
    fn locations_stay_where_they_belong() {
        let long = "x".repeat(LOCATION_LEN_MAX + 1);
        for path in ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a\0b", &long] {
            assert_eq!(Location::file(path), None, "{path:?}");
        }
        let long = format!("http://{long}");
        for url in ["", "ftp://h/a", "file:///a", "HTTP://h", "http://h/a b", "http://h/ü", &long]
        {
            assert_eq!(Location::url(url), None, "{url:?}");
        }
    }
}
