//! Generators and contract suites, for tests only.
//!
//! Everything random comes from a seed that the failure message can print, so that a failure
//! happens again.
//!
//! Invariant: never a dependency of anything but tests (`[dev-dependencies]`).
//! Not here: faults of disk, clock and network.

mod car;
mod contract;
mod gather;
mod import;
mod random;
mod samples;
mod slow;
mod tree;
mod until;

pub use futures::executor::block_on;

pub use car::car_blocks;
pub use contract::blockstore_contract;
pub use gather::gather;
pub use import::{Imported, import, import_file};
pub use random::Random;
pub use samples::{Sample, samples};
pub use slow::SlowStore;
pub use tree::{TreeEntry, TreeKind, TreeShape, tree};
pub use until::until;
