//! CIDs, verified blocks, and what a block store promises.
//!
//! Everything above this crate speaks in these three words. A [`Block`] in hand *is* verified
//! (design: check once, at the door), so no caller checks again and none can forget to.
//!
//! Spec: <https://github.com/multiformats/cid>, pinned in `spec/PINS.toml`.
//! Invariants: pure; no I/O, no clock, no spawning. Blocks are kept by [`Multihash`], so CIDv0,
//! CIDv1 and any codec find the same bytes.
//! Not here: what is inside a block (`cairn-dag`, `cairn-unixfs`), stores (`cairn-store`).

mod block;
mod cid;
pub mod codec;
mod memory;
mod store;

pub use block::{BLOCK_LEN_MAX, Block, BlockError, IDENTITY_LEN_MAX};
pub use cairn_hash::Multihash;
pub use cid::{Base, Cid, CidError, Version};
pub use memory::MemoryStore;
pub use store::{BlockStore, BlockStoreExt};
