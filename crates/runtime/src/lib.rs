//! The one place that spawns, reads the clock and opens files.
//!
//! Everything that reaches outside the process for time, threads or disk goes through here, so
//! that a test can own all three: [`Tasks`] owns background work, [`Clock`] tells the time,
//! [`Vfs`] is the disk, [`Budget`] divides the memory, and [`blocking`] keeps slow work off the async
//! threads. [`duration_of`] reads durations as users write them.
//!
//! Invariants: no task without an owner; no wall-clock call outside `clock.rs`; `unsafe` only in
//! `vfs/map.rs`, with its reason.
//! Not here: the network (`cairn-network`), what is stored (`cairn-store`).

mod blocking;
mod budget;
mod clock;
mod duration;
mod files;
mod process;
mod tasks;
pub mod vfs;

pub use blocking::{BlockingLanes, blocking};
pub use budget::Budget;
pub use clock::Clock;
pub use duration::{duration_of, nanoseconds_of};
pub use files::{open_files_max, raise_open_files};
pub use process::ProcessStat;
pub use tasks::Tasks;
pub use vfs::{Create, Map, MemoryVfs, RealVfs, Vfs, VfsExt, VfsFile};
