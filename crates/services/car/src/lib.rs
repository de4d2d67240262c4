//! CAR files on disk, without a repository: list, check, index, take apart, put together.
//!
//! Files may be of any size. What passes through is read in order, a few MiB at a time; where a
//! question jumps about (a DAG below a root, a file to extract) a table of places is held, which
//! takes some 60 bytes a block.
//!
//! Invariants: a block that is written or shown as content was checked; results are written under
//! another name and moved to their place whole; errors name the file, the place in it and the
//! block. An index is written for others and checked on request; no answer relies on one.
//! Not here: the format (`cairn_dag::car`), extraction to files and how it all looks (the `cairn`
//! binary), repositories (`dag import` and `dag export`).

mod create;
mod error;
mod index;
mod inspect;
mod lookup;
mod output;
mod pieces;
mod select;
mod source;

pub use create::{CreateOptions, create};
pub use error::ArchiveError;
pub use index::{detach_index, to_v1, with_index};
pub use inspect::{Full, Inspection, Lens, inspect, verify};
pub use lookup::CarStore;
pub use output::{Output, Stop, Target};
pub use pieces::{Split, merge, split};
pub use select::{Selection, dag, filter, find_block, list, roots};
pub use source::Source;

use cairn_block::Multihash;

/// Most blocks that are remembered at once: to leave out what comes again, or to find them.
pub const BLOCKS_MAX: usize = 64 * 1024 * 1024;

/// A block's name, short enough to remember by the million: nobody finds two blocks whose digests
/// begin with the same 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    prefix: [u8; 16],
    code: u32,
    len: u8,
}

impl Key {
    pub(crate) fn of(hash: &Multihash) -> Self {
        let mut prefix = [0; 16];
        let digest = hash.digest();
        let len = digest.len().min(prefix.len());
        prefix[..len].copy_from_slice(&digest[..len]);
        Self { prefix, code: hash.code() as u32, len: digest.len() as u8 }
    }
}
