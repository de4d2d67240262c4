//! The repository.
#![expect(clippy::missing_errors_doc, clippy::unimplemented, reason = "signatures first")]
#![expect(unused_variables, clippy::missing_panics_doc, reason = "signatures first")]
use crate::{Pins, Store, StoreError};
use cairn_runtime::Vfs;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use thiserror::Error;
/// Why a repository could not be opened or changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RepoError {
    /// Nothing there.
    #[error("no repository at {path}; run `cairn init` to make one", path = path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Already there.
    #[error("a repository is already at {path}", path = path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// A Kubo repository.
    #[error("{path} is a Kubo repository; run `cairn migrate` to bring it over", path = path.display())]
    Kubo {
        /// Where.
        path: PathBuf,
    },
    /// Written by a newer version of this program.
    #[error("the repository at {path} has format {found}, newer than this program's", path = path.display())]
    Newer {
        /// Where.
        path: PathBuf,
        /// The format number found.
        found: u64,
    },
    /// Another process has it.
    #[error("the repository at {path} is in use by another process", path = path.display())]
    Locked {
        /// Where.
        path: PathBuf,
    },
    /// A file of it is not what it should be.
    #[error("{path} is damaged: {reason}", path = path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk refused.
    #[error("could not {op} {path}: {source}", path = path.display())]
    Io {
        /// What was being done.
        op: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The blocks could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}
/// How to open a repository.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OpenOptions {}
/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepoKind {
    /// No repository.
    Missing,
    /// One of ours, of this format number.
    Cairn(u64),
    /// One of Kubo's.
    Kubo,
}
/// What a repository holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepoStat {
    /// Bytes on disk.
    pub disk_len: u64,
    /// How many blocks.
    pub block_count: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Its format number.
    pub version: u64,
}
/// An open repository; dropping it gives the lock back.
#[derive(Debug)]
pub struct Repo {}
impl Repo {
    /// Looks what is at `path`.
    pub fn detect(vfs: &dyn Vfs, path: &Path) -> Result<RepoKind, RepoError> {
        unimplemented!()
    }
    /// Makes a repository.
    pub fn init(vfs: &Arc<dyn Vfs>, path: &Path, config: &Value) -> Result<(), RepoError> {
        unimplemented!()
    }
    /// Opens a repository and takes its lock.
    pub fn open(vfs: Arc<dyn Vfs>, path: &Path, options: OpenOptions) -> Result<Self, RepoError> {
        unimplemented!()
    }
    /// The blocks.
    pub fn store(&self) -> &Store {
        unimplemented!()
    }
    /// The pins.
    pub fn pins(&self) -> &Pins {
        unimplemented!()
    }
    /// The config file as it is now.
    pub fn config(&self) -> Result<Value, RepoError> {
        unimplemented!()
    }
    /// Replaces the config file at once, durably.
    pub fn replace_config(&self, config: &Value) -> Result<(), RepoError> {
        unimplemented!()
    }
    /// Reads the config of the repository at `path`, without its lock.
    pub fn read_config(vfs: &dyn Vfs, path: &Path) -> Result<Value, RepoError> {
        unimplemented!()
    }
    /// Where it is.
    pub fn path(&self) -> &Path {
        unimplemented!()
    }
    /// The directory of keys.
    pub fn keystore_path(&self) -> PathBuf {
        unimplemented!()
    }
    /// The RPC address of the daemon that has the repository at `path`, if one does.
    pub fn api_address(vfs: &dyn Vfs, path: &Path) -> Result<Option<String>, RepoError> {
        unimplemented!()
    }
    /// Writes the RPC address that clients find, or removes it.
    pub fn set_api_address(&self, address: Option<&str>) -> Result<(), RepoError> {
        unimplemented!()
    }
    /// Writes the gateway address that clients find, or removes it.
    pub fn set_gateway_address(&self, address: Option<&str>) -> Result<(), RepoError> {
        unimplemented!()
    }
    /// How much there is.
    pub fn stat(&self) -> Result<RepoStat, RepoError> {
        unimplemented!()
    }
    /// What was lost or repaired at opening, as sentences.
    pub fn losses(&self) -> Vec<String> {
        unimplemented!()
    }
}
