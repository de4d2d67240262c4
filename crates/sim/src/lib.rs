//! Seeded faults of the disk, and the proof that nothing acknowledged is lost.
//!
//! [`SimDisk`] is a disk in memory that loses power, fails at any call and rots. A [`Session`]
//! works on it and compares every answer with a [`model`]. Around them are the trials:
//! [`power_cuts`], [`second_cuts`], [`faults`], [`sequences`], [`corrupted_reads`]; and, of a whole
//! node with a tree of files, [`mfs_cuts`].
//!
//! Invariants: never a dependency of anything but tests; every random choice comes from a seed
//! that a failure names.
//! Not here: kills of the real binary (`tests/tests/kill.rs`).

mod cuts;
mod disk;
mod faults;
mod mfs;
pub mod model;
mod promises;
mod rot;
mod script;
mod sequences;
mod session;
mod tally;

pub use cuts::{power_cuts, second_cuts};
pub use disk::{
    Contents, DAMAGE_NAMES, Fault, FaultKind, PAGE_LEN, PowerCuts, SECTOR_LEN, SimDisk,
};
pub use faults::faults;
pub use mfs::mfs_cuts;
pub use promises::Since;
pub use rot::corrupted_reads;
pub use script::{Op, blocks, script};
pub use sequences::sequences;
pub use session::{Outcome, Session};
pub use tally::{Tally, spread};
