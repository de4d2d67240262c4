//! The `Data` message inside each UnixFS node.
//!
//! Spec: <https://specs.ipfs.tech/unixfs/#data>, pinned in `spec/PINS.toml`.
//! Invariants: fields are written in the order of their numbers, block sizes unpacked, and
//! exactly those that are `Some`; reading accepts packed ones and skips unknown fields.
//! Not here: the dag-pb node around it (`cairn_dag::dag_pb`).

use bytes::Bytes;
use cairn_dag::{
    dag_pb::LINKS_MAX,
    pb::{self, Fields, PbError, Value},
};
use thiserror::Error;

/// Nanoseconds in a second.
const NANOS: u32 = 1_000_000_000;

/// The bits of a mode that are permissions; the rest is reserved.
const PERMISSIONS: u32 = 0o7777;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// A leaf of a file, as old versions wrote them.
    Raw,
    /// A directory whose entries are the node's links.
    Directory,
    /// A file, or a part of one.
    File,
    /// Not in use by anyone.
    Metadata,
    /// A symlink; the data is its target.
    Symlink,
    /// One node of a directory that is a hash trie.
    HamtShard,
}

impl DataType {
    const ALL: [Self; 6] =
        [Self::Raw, Self::Directory, Self::File, Self::Metadata, Self::Symlink, Self::HamtShard];

    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw | Self::File => "file",
            Self::Directory | Self::HamtShard => "directory",
            Self::Metadata => "metadata node",
            Self::Symlink => "symlink",
        }
    }
}

/// When a file was changed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mtime {
    /// Seconds since 1970, negative before.
    pub secs: i64,
    /// Nanoseconds after that second, below 10⁹.
    pub nanos: u32,
}

/// What a root node may say about its file besides its content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Unix permissions; zero is not written.
    pub mode: Option<u32>,
    /// Last change.
    pub mtime: Option<Mtime>,
}

impl Metadata {
    /// Whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.permissions().is_none() && self.mtime.is_none()
    }

    fn permissions(&self) -> Option<u32> {
        self.mode.map(|mode| mode & PERMISSIONS).filter(|mode| *mode != 0)
    }
}

/// Why bytes are not a `Data` message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DataError {
    /// Not a protobuf message.
    #[error("data: {0}")]
    Pb(#[from] PbError),
    /// A known field has another wire type.
    #[error("data: field {number} has the wrong type")]
    Field {
        /// The field's number.
        number: u64,
    },
    /// No `Type`, or one that does not exist.
    #[error("data: no valid type")]
    Type,
    /// More block sizes than a node can have links.
    #[error("data: more than {LINKS_MAX} block sizes")]
    TooManySizes,
}

/// The message; see the specification for which fields go with which type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// What the node is.
    pub kind: DataType,
    /// A leaf's bytes, a symlink's target, or a shard's bit field.
    pub data: Option<Bytes>,
    /// Length of the file below this node, in bytes.
    pub filesize: Option<u64>,
    /// The part of it below each link, in bytes.
    pub blocksizes: Vec<u64>,
    /// A shard's hash function.
    pub hash_type: Option<u64>,
    /// A shard's width.
    pub fanout: Option<u64>,
    /// Unix permissions, and reserved bits above them.
    pub mode: Option<u32>,
    /// Last change.
    pub mtime: Option<Mtime>,
}

impl Data {
    /// A message with nothing but its type.
    pub fn new(kind: DataType) -> Self {
        Self {
            kind,
            data: None,
            filesize: None,
            blocksizes: Vec::new(),
            hash_type: None,
            fanout: None,
            mode: None,
            mtime: None,
        }
    }

    /// Adds what `metadata` says, leaving out what is not written.
    #[must_use]
    pub fn with_metadata(mut self, metadata: &Metadata) -> Self {
        self.mode = metadata.permissions();
        self.mtime = metadata.mtime;
        self
    }

    /// Returns the message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let data_len = self.data.as_ref().map_or(0, Bytes::len);
        let mut out = Vec::with_capacity(data_len + self.blocksizes.len() * 5 + 48);
        pb::put_uint(&mut out, 1, self.kind as u64);
        if let Some(data) = &self.data {
            pb::put_bytes(&mut out, 2, data);
        }
        if let Some(filesize) = self.filesize {
            pb::put_uint(&mut out, 3, filesize);
        }
        for size in &self.blocksizes {
            pb::put_uint(&mut out, 4, *size);
        }
        let rest = [(5, self.hash_type), (6, self.fanout), (7, self.mode.map(u64::from))];
        for (number, value) in rest {
            if let Some(value) = value {
                pb::put_uint(&mut out, number, value);
            }
        }
        if let Some(mtime) = self.mtime {
            let mut message = Vec::new();
            pb::put_uint(&mut message, 1, mtime.secs.cast_unsigned());
            if mtime.nanos > 0 {
                pb::put_fixed32(&mut message, 2, mtime.nanos);
            }
            pb::put_bytes(&mut out, 8, &message);
        }
        out
    }

    /// Reads a message; the data shares memory with `bytes`.
    ///
    /// # Errors
    ///
    /// Any [`DataError`].
    pub fn decode(bytes: &Bytes) -> Result<Self, DataError> {
        let mut message = Self::new(DataType::Raw);
        let mut kind = None;
        let mut fields = Fields::new(bytes);
        while let Some((number, value)) = fields.field()? {
            match (number, value) {
                (1, Value::Varint(code)) => {
                    let code = usize::try_from(code).map_err(|_| DataError::Type)?;
                    kind = Some(*DataType::ALL.get(code).ok_or(DataError::Type)?);
                }
                (2, Value::Bytes(data)) => message.data = Some(bytes.slice_ref(data)),
                (3, Value::Varint(size)) => message.filesize = Some(size),
                (4, Value::Varint(size)) => message.push_size(size)?,
                (4, Value::Bytes(packed)) => {
                    let mut sizes = Fields::new(packed);
                    while !sizes.is_empty() {
                        message.push_size(sizes.varint()?)?;
                    }
                }
                (5, Value::Varint(code)) => message.hash_type = Some(code),
                (6, Value::Varint(fanout)) => message.fanout = Some(fanout),
                (7, Value::Varint(mode)) => message.mode = Some(mode as u32),
                (8, Value::Bytes(mtime)) => message.mtime = decode_mtime(mtime)?,
                (1..=8, _) => return Err(DataError::Field { number }),
                _ => {}
            }
        }
        message.kind = kind.ok_or(DataError::Type)?;
        Ok(message)
    }

    /// The permissions, if any are written.
    pub fn permissions(&self) -> Option<u32> {
        Metadata { mode: self.mode, mtime: None }.permissions()
    }

    fn push_size(&mut self, size: u64) -> Result<(), DataError> {
        if self.blocksizes.len() == LINKS_MAX {
            return Err(DataError::TooManySizes);
        }
        self.blocksizes.push(size);
        Ok(())
    }
}

/// Reads the nested message; an impossible time is no time, since content matters more.
fn decode_mtime(message: &[u8]) -> Result<Option<Mtime>, DataError> {
    let (mut secs, mut nanos) = (None, Some(0));
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.field()? {
        match (number, value) {
            (1, Value::Varint(value)) => secs = Some(value.cast_signed()),
            (2, Value::Fixed32(value)) => nanos = Some(value).filter(|nanos| *nanos < NANOS),
            (1 | 2, _) => return Err(DataError::Field { number: 8 }),
            _ => {}
        }
    }
    Ok(secs.zip(nanos).map(|(secs, nanos)| Mtime { secs, nanos }))
}

#[cfg(test)]
mod tests;
