//! Blocks of a CAR file by their names, wherever they stand.
//!
//! The heads of all sections are read once, into a table; blocks are read when they are asked for,
//! and checked then.
//!
//! Not here: CAR files that are streams (`source.rs`): they cannot be read twice.

use crate::{ArchiveError, BLOCKS_MAX, Key, Source};
use bytes::Bytes;
use cairn_block::{Block, BlockError, BlockStore, Cid};
use std::{
    collections::HashMap,
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

/// A CAR file as a store that is only read.
#[derive(Debug)]
pub struct CarStore {
    file: File,
    path: PathBuf,
    roots: Vec<Cid>,
    places: HashMap<Key, Place>,
}

/// Where a block's bytes are.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    len: u32,
}

impl CarStore {
    /// Reads the heads of all sections.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Refused`] for a stream, or for more than [`BLOCKS_MAX`] blocks;
    /// [`ArchiveError::Io`] and [`ArchiveError::Broken`].
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        if path == Path::new("-") {
            let reason = "blocks are looked up in it, so it has to be a file";
            return Err(ArchiveError::refused(Path::new("standard input"), reason));
        }
        let file = File::open(path).map_err(|source| ArchiveError::io("open", path, source))?;
        let mut source = Source::open(path)?;
        let mut places = HashMap::new();
        while let Some(section) = source.next_section()? {
            if places.len() == BLOCKS_MAX {
                let reason = format!("it has more than {BLOCKS_MAX} blocks");
                return Err(ArchiveError::refused(path, reason));
            }
            let place = Place { offset: section.data_offset, len: section.data_len as u32 };
            places.entry(Key::of(section.cid.multihash())).or_insert(place);
        }
        Ok(Self { file, path: path.to_owned(), roots: source.roots().to_vec(), places })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The roots that the header names.
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// Whether there is such a block.
    pub fn has_block(&self, cid: &Cid) -> bool {
        cid.inlined().is_some() || self.places.contains_key(&Key::of(cid.multihash()))
    }

    fn read(&self, cid: &Cid) -> Result<Bytes, BlockError> {
        if let Some(data) = cid.inlined() {
            return Ok(Bytes::copy_from_slice(data));
        }
        let Some(place) = self.places.get(&Key::of(cid.multihash())) else {
            return Err(BlockError::NotFound { cid: cid.clone(), place: "in it" });
        };
        let mut data = vec![0; place.len as usize];
        let read = self.file.read_exact_at(&mut data, place.offset);
        read.map_err(|source| BlockError::io("read", source))?;
        Ok(data.into())
    }
}

impl BlockStore for CarStore {
    async fn get_many(&self, cids: &[Cid]) -> Vec<Result<Option<Block>, BlockError>> {
        let read: Vec<Result<Bytes, BlockError>> = cids.iter().map(|cid| self.read(cid)).collect();
        let there = cids.iter().zip(&read);
        let there =
            there.filter_map(|(cid, data)| Some((cid.clone(), data.as_ref().ok()?.clone())));
        let mut checked = Block::verify_many(there.collect()).into_iter();
        let answer = |data: Result<Bytes, BlockError>| match data {
            Ok(_) => checked.next().transpose(),
            Err(error) => Err(error),
        };
        read.into_iter().map(answer).collect()
    }

    async fn stat_many(&self, cids: &[Cid]) -> Result<Vec<Option<u64>>, BlockError> {
        let len = |cid: &Cid| match cid.inlined() {
            Some(data) => Some(data.len() as u64),
            None => self.places.get(&Key::of(cid.multihash())).map(|place| u64::from(place.len)),
        };
        Ok(cids.iter().map(len).collect())
    }

    async fn put_many(&self, _: Vec<Block>) -> Result<(), BlockError> {
        Err(BlockError::io("write", std::io::ErrorKind::ReadOnlyFilesystem.into()))
    }

    async fn sync(&self) -> Result<(), BlockError> {
        Ok(())
    }
}
