//! `Node`: the one API that every surface uses.
//!
//! Here the store and the network meet: a block that is missing is fetched and kept, a file that
//! is added is cut, hashed, written, made durable and pinned, in this order. RPC, gateway and
//! command line are translations of these calls and hold no state of their own.
//!
//! Entry points: [`init()`], [`Node::open`], [`Node::add`], [`Node::blocks`], [`Node::resolve`].
//! Invariants: nothing is acknowledged before it is durable; nothing is contacted that the
//! operator has not named, or that was not learned of from those; the memory of every pipeline is
//! bounded; offline, a missing block is an error at once.
//! Not here: how anything looks from outside (`services/*`), what is stored how (`cairn-store`).

mod add;
mod backup;
mod block_ops;
mod blocks;
mod bootstrap;
pub mod config;
mod error;
#[cfg(feature = "fuzz")]
mod fuzz;
mod gc;
mod git;
mod heal;
mod identity;
mod import;
mod init;
mod local;
mod mfs;
mod node;
mod outside;
mod peering;
mod pins;
mod provide;
mod resources;
mod scrub;
mod tunnels;
mod verify;
mod web;

pub use add::{
    AddEntries, AddEntry, AddEntryError, AddEvent, AddKind, AddOptions, AddSummary, BlockSink,
    build,
};
pub use block_ops::{BlockRemoval, RepoStat};
pub use blocks::{Blocks, Fetch};
pub use cairn_store::{Copied, REPO_VERSION, Reference, References, Referred, SourceError, Swept};
pub use cairn_unixfs::{DirectoryEstimate, Layout, Mtime, Resolved};
pub use config::{Config, ConfigError, repo_path};
pub use error::{ErrorKind, NodeError};
#[cfg(feature = "fuzz")]
pub use fuzz::TARGETS as FUZZ_TARGETS;
pub use git::{GIT_OBJECTS_MAX, GitExport, GitImport, GitPack, git_root};
pub use identity::{Identity, public_key_base64};
pub use import::CarImport;
pub use init::{InitOptions, InitReport, init};
pub use local::{LocalWalkOptions, local_entries};
pub use mfs::{MfsCopy, MfsError, MfsFormat, MfsPath, MfsWrite};
pub use node::{Node, OpenOptions};
pub use peering::{PEERING_COUNT_MAX, Peerings};
pub use pins::{
    BadBlock, PinCheck, PinChecks, PinEntries, PinEntry, PinFilter, PinOptions, PinPage,
    PinPageStream, PinProgress, PinState,
};
pub use provide::{ProvideRound, ProvideStat};
pub use scrub::{ScrubSettings, ScrubStatus};
pub use tunnels::{
    CarriedStream, Place, STREAMS_MAX as TUNNEL_STREAMS_MAX, TUNNELS_MAX, Tunnel, TunnelError,
    TunnelInfo, Tunnels,
};
pub use verify::{Healing, Removal, Repair, VerifyEvent, VerifyFinding};
pub use web::web_entries;
