//! LevelDB's tables: sorted entries in blocks, and an index of the blocks.
//!
//! Invariants: every block's checksum is checked before anything in it is read; a block is at
//! most [`BLOCK_LEN_MAX`] bytes, compressed or not.
//! Not here: filters, which only say where a key is not.

use super::{
    Bytes, Entry,
    manifest::{TableFile, user_key},
    masked_crc,
};
use crate::{MigrateError, files};
use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

/// Longest block, in bytes. Blocks are cut at some KiB; one value longer than that makes a block
/// of its own.
const BLOCK_LEN_MAX: u64 = 16 * 1024 * 1024;

/// Bytes at the end of a table: two handles, zeros, the magic number.
pub(super) const FOOTER_LEN: usize = 48;

/// The last eight bytes of a table.
pub(super) const MAGIC: u64 = 0xdb47_7524_8b80_fb57;

/// Bytes after a block: kind of compression, checksum.
const TRAILER_LEN: usize = 5;

/// Reads a table's entries in order, from a key on.
#[derive(Debug)]
pub(super) struct TableCursor {
    path: PathBuf,
    file: File,
    index: BlockCursor,
    block: Option<BlockCursor>,
    from: Vec<u8>,
}

impl TableCursor {
    /// Opens a table of the database in `dir` at the first entry whose key is `from` or after.
    pub(super) fn open(dir: &Path, table: &TableFile, from: &[u8]) -> Result<Self, MigrateError> {
        let number = table.number;
        let mut path = dir.join(format!("{number:06}.ldb"));
        let older = dir.join(format!("{number:06}.sst"));
        if !files::exists(&path)? && files::exists(&older)? {
            path = older;
        }
        let file = files::open(&path)?;
        Self::new(path, file, from)
    }

    /// Reads a table that is open; the path is for messages.
    pub(super) fn new(path: PathBuf, file: File, from: &[u8]) -> Result<Self, MigrateError> {
        let len = file.metadata().map_err(|source| MigrateError::io("read", &path, source))?.len();
        let damaged = |reason| MigrateError::damaged(&path, reason);
        let at = len.checked_sub(FOOTER_LEN as u64).ok_or_else(|| damaged("it is too short"))?;
        let mut footer = [0; FOOTER_LEN];
        let read = file.read_exact_at(&mut footer, at);
        read.map_err(|source| MigrateError::io("read", &path, source))?;
        let index = index_handle(&footer).ok_or_else(|| damaged("it does not end as a table"))?;
        let index = read_block(&file, &path, index)?;
        Ok(Self { path, file, index, block: None, from: from.to_vec() })
    }

    /// The next entry.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, MigrateError> {
        loop {
            while let Some(block) = &mut self.block {
                let damaged = || MigrateError::damaged(&self.path, "an entry makes no sense");
                match block.next().map_err(|Garbled| damaged())? {
                    Some(value) => {
                        let entry = entry(&block.key, &block.data[value]).ok_or_else(damaged)?;
                        if entry.key >= self.from {
                            return Ok(Some(entry));
                        }
                    }
                    None => self.block = None,
                }
            }
            let damaged = || MigrateError::damaged(&self.path, "its index makes no sense");
            let Some(value) = self.index.next().map_err(|Garbled| damaged())? else {
                return Ok(None);
            };
            // The index names each block by a key that is not before its last.
            if user_key(&self.index.key).ok_or_else(damaged)? < self.from.as_slice() {
                continue;
            }
            let handle = handle(&mut Bytes(&self.index.data[value])).ok_or_else(damaged)?;
            self.block = Some(read_block(&self.file, &self.path, handle)?);
        }
    }
}

/// Where a block lies.
#[derive(Debug, Clone, Copy)]
struct Handle {
    offset: u64,
    len: u64,
}

fn handle(bytes: &mut Bytes<'_>) -> Option<Handle> {
    Some(Handle { offset: bytes.varint()?, len: bytes.varint()? })
}

fn index_handle(footer: &[u8; FOOTER_LEN]) -> Option<Handle> {
    let (mut handles, mut magic) = (Bytes(&footer[..40]), Bytes(&footer[40..]));
    (magic.u64()? == MAGIC).then_some(())?;
    handle(&mut handles)?;
    handle(&mut handles)
}

fn read_block(file: &File, path: &Path, handle: Handle) -> Result<BlockCursor, MigrateError> {
    let damaged = |reason| MigrateError::damaged(path, reason);
    if handle.len > BLOCK_LEN_MAX {
        return Err(damaged("a block is too long"));
    }
    let len = handle.len as usize;
    let mut bytes = vec![0; len + TRAILER_LEN];
    file.read_exact_at(&mut bytes, handle.offset).map_err(|source| match source.kind() {
        std::io::ErrorKind::UnexpectedEof => damaged("a block lies behind its end"),
        _ => MigrateError::io("read", path, source),
    })?;
    let mut trailer = Bytes(&bytes[len..]);
    let (kind, crc) = (trailer.byte(), trailer.u32());
    if crc != Some(masked_crc(&bytes[..=len])) {
        return Err(damaged("the checksum of a block is wrong"));
    }
    bytes.truncate(len);
    let data = match kind {
        Some(0) => bytes,
        Some(1) => decompress(&bytes).ok_or_else(|| damaged("a block cannot be decompressed"))?,
        _ => return Err(damaged("a block is compressed in an unknown way")),
    };
    BlockCursor::new(data).ok_or_else(|| damaged("a block makes no sense"))
}

fn decompress(bytes: &[u8]) -> Option<Vec<u8>> {
    let len = snap::raw::decompress_len(bytes).ok()?;
    (len as u64 <= BLOCK_LEN_MAX).then_some(())?;
    snap::raw::Decoder::new().decompress_vec(bytes).ok()
}

fn entry(internal: &[u8], value: &[u8]) -> Option<Entry> {
    let key = user_key(internal)?.to_vec();
    let tag = Bytes(&internal[key.len()..]).u64()?;
    let value = match tag & 0xff {
        0 => None,
        1 => Some(value.to_vec()),
        _ => return None,
    };
    Some(Entry { key, sequence: tag >> 8, value })
}

/// Reads the entries of one block, whose keys share beginnings.
#[derive(Debug)]
pub(super) struct BlockCursor {
    data: Vec<u8>,
    /// Where the entries end and the restart points begin.
    limit: usize,
    at: usize,
    /// The key of the entry that was read last.
    key: Vec<u8>,
}

/// An entry cannot be read.
#[derive(Debug)]
pub(super) struct Garbled;

impl BlockCursor {
    pub(super) fn new(data: Vec<u8>) -> Option<Self> {
        let end = data.len().checked_sub(4)?;
        let restarts = Bytes(&data[end..]).u32()? as usize;
        let limit = end.checked_sub(restarts.checked_mul(4)?)?;
        Some(Self { data, limit, at: 0, key: Vec::new() })
    }

    /// Reads the next entry; answers where its value lies in the data.
    pub(super) fn next(&mut self) -> Result<Option<std::ops::Range<usize>>, Garbled> {
        if self.at >= self.limit {
            return Ok(None);
        }
        let mut rest = Bytes(&self.data[self.at..self.limit]);
        let mut number = || rest.varint().and_then(|number| usize::try_from(number).ok());
        let (Some(shared), Some(own), Some(value_len)) = (number(), number(), number()) else {
            return Err(Garbled);
        };
        let own = rest.take(own).ok_or(Garbled)?;
        rest.take(value_len).ok_or(Garbled)?;
        if shared > self.key.len() {
            return Err(Garbled);
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(own);
        self.at = self.limit - rest.0.len();
        Ok(Some(self.at - value_len..self.at))
    }
}
