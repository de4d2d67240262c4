//! How to build, and the step from bytes to a named block that every builder shares.
//!
//! Not here: reading these from a command line (`cairn-rpc`).

use crate::{
    DataType, UnixfsError,
    hamt::{FANOUT_DEFAULT, FANOUT_MAX, FANOUT_MIN},
};
use bytes::Bytes;
use cairn_block::{Block, Cid, IDENTITY_LEN_MAX, Version};
use cairn_hash::code;

/// Links in an inner node of a file, unless told otherwise: 8192 bytes at 47 a link.
pub const MAX_LINKS_DEFAULT: usize = 174;

/// Most links that an inner node may be asked to have, so that it fits into a block.
pub const MAX_LINKS_LIMIT: usize = 8192;

/// A directory whose names and CIDs take more than this many bytes becomes a HAMT (256 KiB).
pub const DIRECTORY_LEN_MAX: usize = 262_144;

/// How a directory's length is estimated to decide when it becomes a HAMT (IPIP-499).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DirectoryEstimate {
    /// The sum of the lengths of names and CIDs.
    #[default]
    Links,
    /// The exact length of the block that it would be.
    Block,
    /// Not at all: only the number of entries decides.
    Disabled,
}

/// How the leaves of a file are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// All leaves equally deep.
    #[default]
    Balanced,
    /// The first leaves near to the root.
    Trickle,
}

/// How to build; the default is Kubo's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The CIDs' version.
    pub cid_version: Version,
    /// The hash function's multicodec code; anything but sha2-256 needs version 1.
    pub hash_code: u64,
    /// Leaves are the bytes themselves, not wrapped into UnixFS.
    pub raw_leaves: bool,
    /// How the leaves are joined.
    pub layout: Layout,
    /// Most links of a file's inner node, at least 2.
    pub max_links: usize,
    /// A directory of more entries becomes a HAMT; 0 leaves it to the size alone.
    pub max_directory_links: usize,
    /// A directory estimated longer than this becomes a HAMT, in bytes.
    pub directory_len_max: usize,
    /// How a directory's length is estimated.
    pub directory_estimate: DirectoryEstimate,
    /// Width of a HAMT's nodes: a power of two from 8 to 1024.
    pub hamt_fanout: usize,
    /// Blocks of at most this many bytes become identity CIDs; 0 means none. Up to 128.
    pub inline_limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cid_version: Version::V0,
            hash_code: code::SHA2_256,
            raw_leaves: false,
            layout: Layout::default(),
            max_links: MAX_LINKS_DEFAULT,
            max_directory_links: 0,
            directory_len_max: DIRECTORY_LEN_MAX,
            directory_estimate: DirectoryEstimate::default(),
            hamt_fanout: FANOUT_DEFAULT,
            inline_limit: 0,
        }
    }
}

/// A finished part of a DAG, as its parent links to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its root.
    pub cid: Cid,
    /// How many bytes of the file it holds; 0 for anything but a file.
    pub data_len: u64,
    /// The length of all its blocks, in bytes (`Tsize`; repeated blocks count each time).
    pub total_len: u64,
}

impl Child {
    /// A leaf: one block.
    pub fn leaf(cid: Cid, data_len: usize, encoded_len: usize) -> Self {
        Self { cid, data_len: data_len as u64, total_len: encoded_len as u64 }
    }
}

impl Options {
    /// CIDv1 with raw leaves, as `--cid-version=1` means.
    pub fn v1() -> Self {
        Self { cid_version: Version::V1, raw_leaves: true, ..Self::default() }
    }

    /// Checks every field against its range.
    ///
    /// # Errors
    ///
    /// [`UnixfsError::Options`], or [`UnixfsError::Digest`] for a hash that cannot be computed.
    pub fn check(&self) -> Result<(), UnixfsError> {
        let fanout = self.hamt_fanout;
        let reason = if !(2..=MAX_LINKS_LIMIT).contains(&self.max_links) {
            "max links of a file must be between 2 and 8192"
        } else if !fanout.is_power_of_two() || !(FANOUT_MIN..=FANOUT_MAX).contains(&fanout) {
            "hamt fanout must be a power of two between 8 and 1024"
        } else if self.inline_limit > IDENTITY_LEN_MAX {
            "inline limit must be at most 128"
        } else if self.cid_version == Version::V0 && self.hash_code != code::SHA2_256 {
            "cid version 0 needs sha2-256"
        } else if self.hash_code == code::IDENTITY {
            "the identity hash is chosen by the inline limit only"
        } else {
            cairn_hash::digest(self.hash_code, &[])?;
            return Ok(());
        };
        Err(UnixfsError::Options { reason })
    }

    /// What a wrapped leaf calls itself: as in Kubo, the trickle layout keeps the old type.
    pub fn leaf_type(&self) -> DataType {
        match self.layout {
            Layout::Balanced => DataType::File,
            Layout::Trickle => DataType::Raw,
        }
    }

    /// Hashes and names one block.
    ///
    /// # Errors
    ///
    /// [`UnixfsError::Digest`] if the hash function is not supported.
    pub fn block(&self, codec: u64, data: Bytes) -> Result<Block, UnixfsError> {
        let hash_code = if self.inlines(&data) { code::IDENTITY } else { self.hash_code };
        self.name(Block::hash(codec, hash_code, data)?)
    }

    /// Hashes a batch in lanes; the order is kept.
    ///
    /// # Errors
    ///
    /// As [`Options::block`].
    pub fn blocks(&self, codec: u64, data: Vec<Bytes>) -> Result<Vec<Block>, UnixfsError> {
        if self.inline_limit == 0 {
            let blocks = Block::hash_many(codec, self.hash_code, data)?;
            return blocks.into_iter().map(|block| self.name(block)).collect();
        }
        let (small, large): (Vec<_>, Vec<_>) =
            data.into_iter().enumerate().partition(|(_, data)| self.inlines(data));
        let (indexes, large): (Vec<usize>, Vec<Bytes>) = large.into_iter().unzip();
        let large = Block::hash_many(codec, self.hash_code, large)?;
        let mut blocks: Vec<(usize, Block)> = Vec::with_capacity(small.len() + large.len());
        for (index, data) in small {
            blocks.push((index, self.block(codec, data)?));
        }
        for (index, block) in indexes.into_iter().zip(large) {
            blocks.push((index, self.name(block)?));
        }
        blocks.sort_unstable_by_key(|(index, _)| *index);
        Ok(blocks.into_iter().map(|(_, block)| block).collect())
    }

    fn inlines(&self, data: &Bytes) -> bool {
        self.inline_limit > 0 && data.len() <= self.inline_limit
    }

    /// Version 0 where it can name the block: it has no raw leaves and no identity.
    fn name(&self, block: Block) -> Result<Block, UnixfsError> {
        if self.cid_version == Version::V1 {
            return Ok(block);
        }
        match block.cid().with_version(Version::V0) {
            Ok(cid) => Ok(block.rename(cid)?),
            Err(_) => Ok(block),
        }
    }
}
