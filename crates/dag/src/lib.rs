//! Codecs, links, paths and walks over blocks.
//!
//! A block's links are what makes blocks a DAG: this crate reads them, follows them in order
//! while fetching far ahead, and names places in a DAG by path.
//!
//! Spec: <https://ipld.io/specs/codecs/>, pinned in `spec/PINS.toml`.
//! Invariants: pure over [`cairn_block::BlockStore`], no I/O of its own, no spawning; every
//! decoder checks a length before it trusts it; every walk is bounded in depth, width and memory.
//! Not here: what the bytes mean as files (`cairn-unixfs`), where blocks are kept
//! (`cairn-store`).

pub mod ahead;
pub mod car;
pub mod codec;
pub mod dag_cbor;
pub mod dag_jose;
pub mod dag_json;
pub mod dag_pb;
mod error;
pub mod git_raw;
pub mod git_root;
mod links;
mod node;
mod path;
pub mod pb;
pub mod selector;
mod walk;

pub use car::{CarDecoder, CarError};
pub use codec::CodecError;
pub use error::DagError;
pub use links::{is_leaf, links};
pub use node::{INTEGER_MAX, INTEGER_MIN, NESTING_MAX, Node};
pub use path::{IpfsPath, PathError, Root};
pub use selector::Selector;
pub use walk::{DEPTH_MAX, Visit, WalkOptions, walk};
