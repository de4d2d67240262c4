//! Takes over what a Kubo repository holds: blocks, pins, MFS root, keys, config.
//!
//! [`migrate`] makes a repository of ours beside Kubo's, or adds to one that is there;
//! [`plan`] only tells what it would do. Either can be run again at any time: what is there is
//! not copied twice, so an interrupted migration goes on where it was.
//!
//! Invariants: the source is only read, never locked or written, so a read-only disk will do;
//! nothing is taken that does not hash to its name; pins are written once the blocks they keep
//! are durable; whatever is left out is told by name.
//! Not here: repositories of our own in older formats, how it looks (the `cairn` binary).

mod blocks;
mod check;
mod error;
mod files;
mod flatfs;
mod keys;
mod leveldb;
mod migrate;
mod pins;
mod report;
mod source;
mod swarm_key;

pub use error::MigrateError;
#[cfg(feature = "fuzz")]
pub use leveldb::fuzz::TARGETS as FUZZ_TARGETS;
pub use migrate::{MigrateOptions, migrate, plan};
pub use report::{BlockProgress, Event, Loss, Report};
