//! One CAR file that is read from its beginning: a file, or a stream such as standard input.
//!
//! Invariants: of a stream nothing is read twice; of a file what nobody wants is passed over; the
//! end comes out only if the file ends where it may.
//! Not here: jumping about in a file (`lookup.rs`).

use crate::ArchiveError;
use bytes::Bytes;
use cairn_block::{Block, Cid};
use cairn_dag::{
    CarDecoder, CarError,
    car::{Section, V2Header},
};
use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

/// Bytes read at once where only the heads of sections are wanted.
const HEAD_READ_LEN: usize = 4 * 1024;

/// Bytes read at once where blocks are wanted, or nothing can be passed over.
const READ_LEN: usize = 1024 * 1024;

/// Bytes of blocks that are hashed together, and a block more.
const BATCH_LEN_MAX: usize = 8 * 1024 * 1024;

/// Blocks that are hashed together.
const BATCH_COUNT_MAX: usize = 4096;

/// What errors call standard input.
const STDIN: &str = "standard input";

/// A CAR file on its way in.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    reader: Reader,
    decoder: CarDecoder,
    memory: Vec<u8>,
    /// Why nothing more comes after the blocks that came.
    failed: Option<CarError>,
}

enum Reader {
    /// A file, its length, and where it is read next.
    File {
        file: File,
        len: u64,
        position: u64,
    },
    Stream(Box<dyn Read + Send>),
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { len, position, .. } => {
                f.debug_struct("File").field("len", len).field("position", position).finish()
            }
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// A block that was checked, and the section that it stood in.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) block: Block,
    pub(crate) offset: u64,
}

impl Source {
    /// Opens a file and reads its headers; `-` is standard input.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Io`] and [`ArchiveError::Broken`].
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        if path == Path::new("-") {
            return Self::of(PathBuf::from(STDIN), Reader::Stream(Box::new(io::stdin())));
        }
        let failed = |source| ArchiveError::io("open", path, source);
        let file = File::open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        let reader = if meta.is_file() {
            Reader::File { file, len: meta.len(), position: 0 }
        } else {
            Reader::Stream(Box::new(file))
        };
        Self::of(path.to_owned(), reader)
    }

    fn of(path: PathBuf, reader: Reader) -> Result<Self, ArchiveError> {
        let (decoder, memory) = (CarDecoder::new(), Vec::new());
        let mut source = Self { path, reader, decoder, memory, failed: None };
        while !source.decoder.read_header().map_err(|error| source.broken(error))? {
            if !source.fill(HEAD_READ_LEN)? {
                source.decoder.finish().map_err(|error| source.broken(error))?;
            }
        }
        Ok(source)
    }

    /// Where it was opened, or what it is called.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The roots that the header names.
    pub fn roots(&self) -> &[Cid] {
        self.decoder.roots()
    }

    /// The header of version 2, if it has one.
    pub fn v2(&self) -> Option<V2Header> {
        self.decoder.v2()
    }

    /// Where the decoder is: at the end, the length of the file up to an index.
    pub(crate) fn offset(&self) -> u64 {
        self.decoder.offset()
    }

    /// The next section, without its block; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Io`] and [`ArchiveError::Broken`].
    pub fn next_section(&mut self) -> Result<Option<Section>, ArchiveError> {
        loop {
            if let Some(section) =
                self.decoder.next_section().map_err(|error| self.broken(error))?
            {
                return Ok(Some(section));
            }
            if self.decoder.is_at_end() {
                return Ok(None);
            }
            let read_len = if self.pass_over()? { HEAD_READ_LEN } else { READ_LEN };
            if !self.fill(read_len)? {
                self.decoder.finish().map_err(|error| self.broken(error))?;
                return Ok(None);
            }
        }
    }

    /// Some blocks that follow each other, checked; none at the end.
    ///
    /// What is broken is told once the blocks before it have come out.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Io`] and [`ArchiveError::Broken`].
    pub(crate) fn next_batch(&mut self) -> Result<Vec<Found>, ArchiveError> {
        let (mut blocks, mut offsets, mut len) = (Vec::new(), Vec::new(), 0);
        while self.failed.is_none() && len < BATCH_LEN_MAX && blocks.len() < BATCH_COUNT_MAX {
            match self.next_unchecked() {
                Ok(Some((cid, data))) => {
                    len += data.len();
                    offsets.push(self.decoder.section_offset());
                    blocks.push((cid, data));
                }
                Ok(None) => break,
                Err(ArchiveError::Broken { source, .. }) => self.failed = Some(source),
                Err(error) => return Err(error),
            }
        }
        let mut found = Vec::with_capacity(blocks.len());
        for (checked, offset) in Block::verify_many(blocks).into_iter().zip(offsets) {
            match checked {
                Ok(block) => found.push(Found { block, offset }),
                Err(error) => {
                    self.failed = Some(CarError::Block { offset, reason: error.to_string() });
                    break;
                }
            }
        }
        match self.failed.clone() {
            Some(error) if found.is_empty() => Err(self.broken(error)),
            _ => Ok(found),
        }
    }

    fn next_unchecked(&mut self) -> Result<Option<(Cid, Bytes)>, ArchiveError> {
        loop {
            if let Some(block) = self.decoder.next_block().map_err(|error| self.broken(error))? {
                return Ok(Some(block));
            }
            if self.decoder.is_at_end() {
                return Ok(None);
            }
            if !self.fill(READ_LEN)? {
                self.decoder.finish().map_err(|error| self.broken(error))?;
                return Ok(None);
            }
        }
    }

    pub(crate) fn broken(&self, error: CarError) -> ArchiveError {
        ArchiveError::broken(&self.path, error)
    }

    /// Goes on behind what nobody wants; whether this is a file, where that can be done.
    fn pass_over(&mut self) -> Result<bool, ArchiveError> {
        let Reader::File { file, len, position } = &mut self.reader else { return Ok(false) };
        let ahead = self.decoder.skip_len().min(len.saturating_sub(*position));
        if ahead > 0 {
            *position += ahead;
            let sought = file.seek(SeekFrom::Start(*position));
            sought.map_err(|source| ArchiveError::io("read", &self.path, source))?;
            self.decoder.skipped(ahead);
        }
        Ok(true)
    }

    /// Reads a piece; whether there was any.
    fn fill(&mut self, read_len: usize) -> Result<bool, ArchiveError> {
        self.memory.resize(read_len, 0);
        loop {
            let read = match &mut self.reader {
                Reader::File { file, .. } => file.read(&mut self.memory),
                Reader::Stream(stream) => stream.read(&mut self.memory),
            };
            match read {
                Ok(len) => {
                    if let Reader::File { position, .. } = &mut self.reader {
                        *position += len as u64;
                    }
                    self.decoder.feed(&self.memory[..len]);
                    return Ok(len > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(ArchiveError::io("read", &self.path, source)),
            }
        }
    }
}
