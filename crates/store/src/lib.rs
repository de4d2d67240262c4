//! The repository on disk: packs of blocks with their index, pins, keys, config, lock.
//!
//! [`Repo`] owns the directory and its lock; [`Store`] keeps blocks; [`Pins`] remembers what must
//! stay. A block is acknowledged when it is on disk, not before.
//!
//! Invariants: all I/O goes through `cairn_runtime::Vfs`, but for the bytes that records refer to,
//! which a [`Sources`] reads; nothing that [`Store::flush`] or a pin
//! commit has acknowledged is lost by a crash or a power cut; bytes that do not hash to their CID
//! never leave. The packs are the truth: the index is rebuilt from them whenever in doubt, and
//! they take every change of the metadata first.
//! Not here: what a config key means (`cairn-node`), fetching what is missing (`cairn-network`).

mod backup;
mod error;
mod meta;
mod pins;
mod repo;
mod store;

pub use backup::{Copied, Progress};
pub use error::StoreError;
pub use meta::{MFS_ROOT_KEY, Meta, MetaError, MetaReset};
pub use pins::{PIN_NAME_LEN_MAX, Pin, PinError, PinKind, PinPages, Pins};
pub use repo::{OpenOptions, REPO_VERSION, Repo, RepoError, RepoKind, RepoStat};
#[cfg(feature = "fuzz")]
pub use store::fuzz::TARGETS as FUZZ_TARGETS;
pub use store::{
    Collection, Compression, Corrupt, CorruptKind, Damage, LOCATION_LEN_MAX, Lease, List, Location,
    Mark, Reference, References, Referred, Scrub, ScrubPosition, ScrubStep, SourceError, Sources,
    Store, StoreStat, SweepObserver, Swept,
};
