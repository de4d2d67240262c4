//! LevelDB's log: records in blocks of 32 KiB, each with a checksum, cut where a block ends.
//!
//! The manifest has the same form. Invariant: a record that cannot be read is the end if nothing
//! that can be read follows (a crash cut it off), and damage otherwise.
//! Not here: what is in a record of the manifest (`manifest.rs`).

use super::{Bytes, Entry, masked_crc};
use crate::{MigrateError, files};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Bytes of a block.
const BLOCK_LEN: usize = 32 * 1024;

/// Bytes before each part of a record: checksum, length, kind.
const HEADER_LEN: usize = 7;

/// Longest record that is put together, in bytes.
const RECORD_LEN_MAX: usize = 256 * 1024 * 1024;

/// Reads records one after the other.
#[derive(Debug)]
pub(super) struct LogReader {
    path: PathBuf,
    file: File,
    block: Vec<u8>,
    at: usize,
    torn: bool,
}

/// A part of a record.
enum Part {
    Data { first: bool, last: bool, data: Vec<u8> },
    End,
    Broken,
}

impl LogReader {
    pub(super) fn open(path: &Path) -> Result<Self, MigrateError> {
        Ok(Self::new(path.to_owned(), files::open(path)?))
    }

    /// Reads a file that is open; the path is for messages.
    pub(super) fn new(path: PathBuf, file: File) -> Self {
        Self { path, file, block: Vec::new(), at: 0, torn: false }
    }

    /// The next record, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, MigrateError> {
        let mut record: Option<Vec<u8>> = None;
        loop {
            let (last, data) = match self.part()? {
                Part::Data { first, last, data } if first == record.is_none() => (last, data),
                Part::Data { .. } => return Err(self.damaged("a record in it has no beginning")),
                Part::Broken if self.goes_on()? => {
                    return Err(self.damaged("a record in the middle of it is broken"));
                }
                Part::Broken => {
                    self.torn = true;
                    return Ok(None);
                }
                Part::End => {
                    self.torn |= record.is_some();
                    return Ok(None);
                }
            };
            let whole = record.get_or_insert_default();
            if whole.len() + data.len() > RECORD_LEN_MAX {
                return Err(self.damaged("a record is too long"));
            }
            whole.extend_from_slice(&data);
            if last {
                return Ok(record);
            }
        }
    }

    /// The path, if the last record was cut off.
    pub(super) fn torn(&self) -> Option<PathBuf> {
        self.torn.then(|| self.path.clone())
    }

    pub(super) fn damaged(&self, reason: &str) -> MigrateError {
        MigrateError::damaged(&self.path, reason)
    }

    fn part(&mut self) -> Result<Part, MigrateError> {
        loop {
            let rest = self.block.get(self.at..).unwrap_or_default();
            if rest.len() < HEADER_LEN {
                // What is left of a full block is filled up with zeros; of the last, torn.
                let torn = self.block.len() < BLOCK_LEN && !rest.is_empty();
                if torn {
                    return Ok(Part::Broken);
                }
                if !self.load()? {
                    return Ok(Part::End);
                }
                continue;
            }
            match read_part(rest) {
                // Space that was reserved and not used.
                Some((0, _)) => self.at = self.block.len(),
                Some((len, part)) => {
                    self.at += len;
                    return Ok(part);
                }
                None => return Ok(Part::Broken),
            }
        }
    }

    /// Reads the next block; `false` at the end.
    fn load(&mut self) -> Result<bool, MigrateError> {
        self.block.clear();
        self.at = 0;
        let mut block = Read::by_ref(&mut self.file).take(BLOCK_LEN as u64);
        let read = block.read_to_end(&mut self.block);
        read.map_err(|source| MigrateError::io("read", &self.path, source))?;
        Ok(!self.block.is_empty())
    }

    /// Whether anything that can be read follows what cannot.
    fn goes_on(&mut self) -> Result<bool, MigrateError> {
        let rest = self.block.get(self.at + 1..).unwrap_or_default();
        let follows = |at: usize| matches!(read_part(&rest[at..]), Some((_, Part::Data { .. })));
        Ok((0..rest.len()).any(follows) || self.load()?)
    }
}

/// Reads the part of a record that begins here, and answers how many bytes it takes; none if the
/// rest of the block is not used.
fn read_part(bytes: &[u8]) -> Option<(usize, Part)> {
    let mut header = Bytes(bytes.get(..HEADER_LEN)?);
    let (crc, low, high, kind) = (header.u32()?, header.byte()?, header.byte()?, header.byte()?);
    let len = usize::from(u16::from_le_bytes([low, high]));
    if bytes.iter().all(|byte| *byte == 0) {
        return Some((0, Part::End));
    }
    let (first, last) = match kind {
        1 => (true, true),
        2 => (true, false),
        3 => (false, false),
        4 => (false, true),
        _ => return None,
    };
    // The checksum covers the kind, too.
    let checked = bytes.get(HEADER_LEN - 1..HEADER_LEN + len)?;
    let data = checked[1..].to_vec();
    (crc == masked_crc(checked)).then_some((HEADER_LEN + len, Part::Data { first, last, data }))
}

/// Takes a record of a database's log apart: changes that were made together.
pub(super) fn batch(record: &[u8]) -> Option<Vec<Entry>> {
    let mut record = Bytes(record);
    let first = record.u64()?;
    let count = record.u32()?;
    let mut entries = Vec::new();
    for index in 0..u64::from(count) {
        let sequence = first.checked_add(index)?;
        let kind = record.byte()?;
        let key = record.prefixed()?.to_vec();
        let value = match kind {
            0 => None,
            1 => Some(record.prefixed()?.to_vec()),
            _ => return None,
        };
        entries.push(Entry { key, sequence, value });
    }
    record.is_empty().then_some(entries)
}
