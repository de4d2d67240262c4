//! Codecs, links, paths and walks over blocks.
//!
//! A block's links are what makes blocks a DAG: this crate reads them, follows them in order
//! while fetching far ahead, and names places in a DAG by path.
//!
//! Spec: <https://ipld.io/specs/codecs/dag-pb/spec/>, pinned in `spec/PINS.toml`.
//! Invariants: pure over [`cairn_block::BlockStore`], no I/O of its own, no spawning; every
//! decoder checks a length before it trusts it; every walk is bounded in depth, width and memory.
//! Not here: what the bytes mean as files (`cairn-unixfs`), where blocks are kept
//! (`cairn-store`).

pub mod ahead;
pub mod dag_pb;
mod error;
mod links;
mod path;
pub mod pb;
mod walk;

pub use error::DagError;
pub use links::{is_leaf, links};
pub use path::{IpfsPath, PathError, Root};
pub use walk::{DEPTH_MAX, Visit, WalkOptions, walk};
