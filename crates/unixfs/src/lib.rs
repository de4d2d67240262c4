//! Files, directories and symlinks as UnixFS DAGs: build them, read a range, list, find by path.
//!
//! What is built has the CID that Kubo gives the same input, to the byte: same layout, same
//! fields, same point at which a directory becomes a HAMT.
//!
//! Spec: <https://specs.ipfs.tech/unixfs/>, pinned in `spec/PINS.toml`.
//! Invariants: pure over [`cairn_block::BlockStore`]; building hashes but stores nothing, the
//! new blocks go out as values; reading is bounded in depth, width and memory, never fetches a
//! leaf outside the range asked for, and believes no size that it has not seen.
//! Not here: cutting files into chunks (`cairn-chunk`), dag-pb itself (`cairn-dag`).

mod data;
mod directory;
mod edit;
mod entry;
mod error;
mod file;
mod hamt;
mod leaf;
mod list;
mod options;
mod part;
mod read;
mod resolve;

pub use data::{Data, DataError, DataType, Metadata, Mtime};
pub use directory::DirectoryBuilder;
pub use edit::{DirectoryEditor, FileEditor, Written, leaves_of};
pub use entry::{Entry, EntryKind};
pub use error::UnixfsError;
pub use file::FileBuilder;
pub use hamt::{FANOUT_DEFAULT, FANOUT_MAX, FANOUT_MIN};
pub use leaf::{
    LEAF_PREFIX_LEN_MAX, LEAF_SUFFIX_LEN_MAX, leaf, leaf_codec, leaf_of, leaf_prefix, leaf_suffix,
    leaf_with_metadata, symlink,
};
pub use list::{DirEntry, find, list};
pub use options::{
    Child, DIRECTORY_LEN_MAX, DirectoryEstimate, Layout, MAX_LINKS_DEFAULT, MAX_LINKS_LIMIT,
    Options,
};
pub use part::{ByteSpan, PartOptions, Scope, part, resolve_with_blocks};
pub use read::{FILE_DEPTH_MAX, read, read_within};
pub use resolve::{Resolved, resolve, resolve_from};
