//! The repository: the directory that makes a node, and the lock on it.
//!
//! ```text
//! config       the node's settings, JSON, mode 0600        version    format number, 2
//! repo.lock    held by one process at a time               api, gateway   a running daemon's addresses
//! blocks/      000001.pack and so on                       index      derived from the packs
//! meta.redb    pins and other metadata                     meta.made  says that it was written once
//! keystore/    mode 0700
//! ```
//!
//! Invariants: `config` is replaced whole or not at all, and is written last by `init`, so that
//! an interrupted one can be run again; one process at a time writes; a repository of Kubo's, or
//! of a newer format, is left alone.
//! Not here: what the settings mean (`cairn-node`).

use crate::{
    Meta, MetaError, MetaReset, Pins, Store, StoreError, meta::NOTE_COUNT_MAX,
    store::SEGMENT_LEN_MAX,
};
use cairn_runtime::{Clock, Create, Vfs, VfsExt as _, VfsFile};
use serde_json::Value;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use thiserror::Error;
use tracing::warn;

/// The format that this program writes: packs may hold notes, which older programs do not read.
///
/// Format 1 is opened as well, and becomes this one.
pub const REPO_VERSION: u64 = 2;

/// The config's file.
pub(crate) const CONFIG: &str = "config";

/// Longest config file that is read, in bytes.
const CONFIG_LEN_MAX: usize = 16 * 1024 * 1024;

/// Longest version or address file that is read, in bytes.
const LINE_LEN_MAX: usize = 4096;

/// From this version on, Kubo's repositories have `blocks/SHARDING`.
const KUBO_VERSION_MIN: u64 = 5;

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
    #[error(
        "{path} is a Kubo repository; run `cairn migrate` to bring its contents over",
        path = path.display()
    )]
    Kubo {
        /// Where.
        path: PathBuf,
    },
    /// Written by a newer version of this program.
    #[error(
        "the repository at {path} has format {found}, and this program knows up to {REPO_VERSION}; \
         use the newer program",
        path = path.display()
    )]
    Newer {
        /// Where.
        path: PathBuf,
        /// The format number found.
        found: u64,
    },
    /// Another process has it.
    #[error("the repository at {path} is in use by another process (a daemon? `cairn shutdown` ends it)", path = path.display())]
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
    /// A backup could not be made or restored.
    #[error("cannot use {path} for a backup: {reason}", path = path.display())]
    Backup {
        /// The directory or file of the backup.
        path: PathBuf,
        /// Why not.
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
        source: io::Error,
    },
    /// The blocks could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The metadata could not be replaced.
    #[error(transparent)]
    Meta(#[from] MetaError),
}

/// How to open a repository.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenOptions {
    /// A pack is closed before it would grow over this many bytes; 256 MiB, which is also the most.
    pub segment_len_max: u64,
    /// After so many changes of the metadata they are settled in their database; 1024, which is
    /// also the most.
    pub note_count_max: usize,
    /// What tells whether pins have expired.
    pub clock: Clock,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            segment_len_max: SEGMENT_LEN_MAX,
            note_count_max: NOTE_COUNT_MAX,
            clock: Clock::default(),
        }
    }
}

impl OpenOptions {
    /// The same, with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepoKind {
    /// No repository, or one whose `init` was interrupted.
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
    /// Bytes on disk: blocks, index and metadata.
    pub disk_len: u64,
    /// How many blocks.
    pub block_count: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Its format number.
    pub version: u64,
}

/// An open repository. All calls block.
///
/// The lock is given back when this, and every clone of its [`Store`], [`Pins`] and [`Meta`], is
/// dropped.
#[derive(Debug)]
pub struct Repo {
    pub(crate) vfs: Arc<dyn Vfs>,
    path: PathBuf,
    store: Store,
    meta: Meta,
    pins: Pins,
    losses: Vec<String>,
    _lock: Arc<dyn VfsFile>,
}

impl Repo {
    /// Looks what is at `path`.
    ///
    /// # Errors
    ///
    /// [`RepoError::Io`], and [`RepoError::Damaged`] for a version that is no number.
    pub fn detect(vfs: &dyn Vfs, path: &Path) -> Result<RepoKind, RepoError> {
        let version_path = path.join("version");
        let version = read_line(vfs, &version_path)?;
        let number = version.as_deref().map(str::parse::<u64>);
        let sharded = exists(vfs, &path.join("blocks/SHARDING"))?;
        if exists(vfs, &path.join("datastore_spec"))?
            || matches!(number, None | Some(Ok(KUBO_VERSION_MIN..))) && sharded
        {
            return Ok(RepoKind::Kubo);
        }
        if !exists(vfs, &path.join(CONFIG))? {
            return Ok(RepoKind::Missing);
        }
        let damaged = |reason: &str| {
            Err(RepoError::Damaged { path: version_path.clone(), reason: reason.to_owned() })
        };
        match number {
            Some(Ok(number)) => Ok(RepoKind::Cairn(number)),
            // Newer formats of packs are refused by the packs themselves.
            None => Ok(RepoKind::Cairn(REPO_VERSION)),
            Some(Err(_)) if version.as_deref() == Some("") => Ok(RepoKind::Cairn(REPO_VERSION)),
            Some(Err(_)) => damaged(&format!(
                "it should hold the format number; if nothing newer than this program has used \
                 the repository, `echo {REPO_VERSION} > {}` repairs it",
                version_path.display()
            )),
        }
    }

    /// Makes a repository with this config.
    ///
    /// # Errors
    ///
    /// [`RepoError::Exists`] and [`RepoError::Kubo`], and nothing is touched;
    /// [`RepoError::Locked`]; [`RepoError::Io`], after which it can be tried again.
    pub fn init(vfs: &Arc<dyn Vfs>, path: &Path, config: &Value) -> Result<(), RepoError> {
        let refuse = || match Self::detect(&**vfs, path)? {
            RepoKind::Missing => Ok(()),
            RepoKind::Cairn(_) => Err(RepoError::Exists { path: path.to_owned() }),
            RepoKind::Kubo => Err(RepoError::Kubo { path: path.to_owned() }),
        };
        refuse()?;
        create_dir(&**vfs, path)?;
        let _lock = take_lock(&**vfs, path)?;
        refuse()?;
        create_dir(&**vfs, &path.join("keystore"))?;
        create_dir(&**vfs, &path.join("blocks"))?;
        replace(&**vfs, &path.join("version"), format!("{REPO_VERSION}\n").as_bytes(), false)?;
        write_config(&**vfs, path, config)?;
        if let Some(parent) = path.parent() {
            let synced = vfs.sync_dir(parent);
            synced.map_err(|source| io_error("sync", parent, source))?;
        }
        Ok(())
    }

    /// Opens a repository and takes its lock.
    ///
    /// Damaged blocks do not keep it from opening: see [`Repo::losses`].
    ///
    /// # Errors
    ///
    /// Any [`RepoError`] but [`RepoError::Exists`].
    pub fn open(vfs: Arc<dyn Vfs>, path: &Path, options: OpenOptions) -> Result<Self, RepoError> {
        match Self::detect(&*vfs, path)? {
            RepoKind::Missing => return Err(missing(&*vfs, path)?),
            RepoKind::Kubo => return Err(RepoError::Kubo { path: path.to_owned() }),
            RepoKind::Cairn(found) if found > REPO_VERSION => {
                return Err(RepoError::Newer { path: path.to_owned(), found });
            }
            RepoKind::Cairn(_) => {}
        }
        if exists(&*vfs, &path.join(crate::backup::MARK))? {
            let reason = "it is one already; `cairn repo restore` makes a repository of it";
            return Err(RepoError::Backup { path: path.to_owned(), reason: reason.to_owned() });
        }
        let lock = take_lock(&*vfs, path)?;
        Self::read_config(&*vfs, path)?;
        sync_if_new(&*vfs, path)?;
        let mut losses = Vec::new();
        let version = path.join("version");
        let format = read_line(&*vfs, &version)?.unwrap_or_default();
        if format.is_empty() {
            losses.push(format!("{}: missing or empty; written anew", version.display()));
        }
        // Before anything is written that an older program would not understand.
        if format != REPO_VERSION.to_string() {
            replace(&*vfs, &version, format!("{REPO_VERSION}\n").as_bytes(), false)?;
        }
        let keystore = path.join("keystore");
        if !exists(&*vfs, &keystore)? {
            losses.push(format!("{}: missing, and the keys in it", keystore.display()));
            create_dir(&*vfs, &keystore)?;
        }
        let store = Store::open_locked(
            Arc::clone(&vfs),
            path,
            (options.segment_len_max.min(SEGMENT_LEN_MAX), Some(Arc::clone(&lock))),
        )?;
        losses.extend(store.damage().iter().map(ToString::to_string));
        let log = (store.clone(), options.note_count_max);
        let meta = Meta::with_log(Arc::clone(&vfs), path.join("meta.redb"), log);
        losses.extend(meta.loss().map(|error| error.to_string()));
        for loss in &losses {
            warn!(loss, "the repository is damaged");
        }
        let pins = Pins::new(meta.clone(), options.clock);
        Ok(Self { vfs, path: path.to_owned(), store, meta, pins, losses, _lock: lock })
    }

    /// Sets damaged metadata aside and starts new ones, with the pins that can still be read.
    ///
    /// # Errors
    ///
    /// [`RepoError::Locked`] if anybody has the repository open, [`RepoError::Meta`] if the new
    /// ones cannot be written; the damaged ones are still there then.
    pub fn reset_meta(vfs: &Arc<dyn Vfs>, path: &Path) -> Result<MetaReset, RepoError> {
        if Self::detect(&**vfs, path)? == RepoKind::Missing {
            return Err(missing(&**vfs, path)?);
        }
        let lock = take_lock(&**vfs, path)?;
        // What was changed last stands in the packs.
        let log = Store::open_locked(Arc::clone(vfs), path, (SEGMENT_LEN_MAX, Some(lock)))?;
        Ok(crate::meta::reset(vfs, &path.join("meta.redb"), &log)?)
    }

    /// The blocks.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The pins.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Other small values that must not be lost.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of keys.
    pub fn keystore_path(&self) -> PathBuf {
        self.path.join("keystore")
    }

    /// The config file as it is now, unknown keys and their order included.
    ///
    /// # Errors
    ///
    /// As [`Repo::read_config`].
    pub fn config(&self) -> Result<Value, RepoError> {
        Self::read_config(&*self.vfs, &self.path)
    }

    /// Replaces the config file, durably: a crash leaves the old one or the new one.
    ///
    /// # Errors
    ///
    /// [`RepoError::Io`], and the old one is still there.
    pub fn replace_config(&self, config: &Value) -> Result<(), RepoError> {
        write_config(&*self.vfs, &self.path, config)
    }

    /// Reads the config of the repository at `path`, without its lock.
    ///
    /// # Errors
    ///
    /// [`RepoError::Missing`], [`RepoError::Damaged`] if it is no JSON object, [`RepoError::Io`].
    pub fn read_config(vfs: &dyn Vfs, path: &Path) -> Result<Value, RepoError> {
        let file = path.join(CONFIG);
        let bytes = vfs.read_file(&file, CONFIG_LEN_MAX);
        let bytes = bytes.map_err(|source| io_error("read", &file, source))?;
        let bytes = bytes.ok_or_else(|| RepoError::Missing { path: path.to_owned() })?;
        config_of(&file, &bytes)
    }

    /// The RPC address of the daemon that has the repository at `path`; a daemon that crashed
    /// leaves its address behind.
    ///
    /// # Errors
    ///
    /// [`RepoError::Io`].
    pub fn api_address(vfs: &dyn Vfs, path: &Path) -> Result<Option<String>, RepoError> {
        Ok(read_line(vfs, &path.join("api"))?.filter(|address| !address.is_empty()))
    }

    /// Writes the RPC address where clients find it, or removes it.
    ///
    /// # Errors
    ///
    /// [`RepoError::Io`].
    pub fn set_api_address(&self, address: Option<&str>) -> Result<(), RepoError> {
        self.set_address("api", address)
    }

    /// Writes the gateway's address where clients find it, or removes it.
    ///
    /// # Errors
    ///
    /// [`RepoError::Io`].
    pub fn set_gateway_address(&self, address: Option<&str>) -> Result<(), RepoError> {
        self.set_address("gateway", address)
    }

    fn set_address(&self, name: &str, address: Option<&str>) -> Result<(), RepoError> {
        let path = self.path.join(name);
        match address {
            Some(address) => replace(&*self.vfs, &path, address.as_bytes(), false),
            None => self.vfs.remove(&path).map_err(|source| io_error("remove", &path, source)),
        }
    }

    /// How much there is.
    ///
    /// # Errors
    ///
    /// [`RepoError::Store`] and [`RepoError::Io`].
    pub fn stat(&self) -> Result<RepoStat, RepoError> {
        let blocks = self.store.stat()?;
        let meta = self.path.join("meta.redb");
        let meta_len = self.vfs.len(&meta).map_err(|source| io_error("measure", &meta, source))?;
        Ok(RepoStat {
            disk_len: blocks.disk_len + meta_len.unwrap_or_default(),
            block_count: blocks.block_count,
            path: self.path.clone(),
            version: REPO_VERSION,
        })
    }

    /// Bytes that the disk has left, or `None` if it does not tell.
    ///
    /// # Errors
    ///
    /// [`RepoError::Io`].
    pub fn free_len(&self) -> Result<Option<u64>, RepoError> {
        self.vfs.free_len(&self.path).map_err(|source| io_error("measure", &self.path, source))
    }

    /// What was found lost at opening, as sentences; empty if all is well.
    pub fn losses(&self) -> &[String] {
        &self.losses
    }
}

/// Why there is no repository: none was made, or its config is lost.
fn missing(vfs: &dyn Vfs, path: &Path) -> Result<RepoError, RepoError> {
    let packs = path.join("blocks");
    let has_packs = exists(vfs, &packs)?
        && !vfs.list(&packs).map_err(|source| io_error("list", &packs, source))?.is_empty();
    if !has_packs && !exists(vfs, &path.join("meta.redb"))? {
        return Ok(RepoError::Missing { path: path.to_owned() });
    }
    let reason = "it is missing, though there are blocks or pins; restore it from a copy, or run \
                  `cairn init`, which makes one with a new identity and keeps the rest";
    Ok(RepoError::Damaged { path: path.join(CONFIG), reason: reason.to_owned() })
}

pub(crate) fn io_error(op: &'static str, path: &Path, source: io::Error) -> RepoError {
    RepoError::Io { op, path: path.to_owned(), source }
}

fn exists(vfs: &dyn Vfs, path: &Path) -> Result<bool, RepoError> {
    let len = vfs.len(path).map_err(|source| io_error("look at", path, source))?;
    Ok(len.is_some())
}

fn read_line(vfs: &dyn Vfs, path: &Path) -> Result<Option<String>, RepoError> {
    let bytes = vfs.read_file(path, LINE_LEN_MAX);
    let bytes = bytes.map_err(|source| io_error("read", path, source))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
}

pub(crate) fn create_dir(vfs: &dyn Vfs, path: &Path) -> Result<(), RepoError> {
    vfs.create_dir(path, true).map_err(|source| io_error("create", path, source))
}

pub(crate) fn replace(
    vfs: &dyn Vfs,
    path: &Path,
    bytes: &[u8],
    private: bool,
) -> Result<(), RepoError> {
    vfs.replace_file(path, bytes, private).map_err(|source| io_error("write", path, source))
}

/// The config in the bytes of a file.
pub(crate) fn config_of(file: &Path, bytes: &[u8]) -> Result<Value, RepoError> {
    let reason = match serde_json::from_slice::<Value>(bytes) {
        Ok(config) if config.is_object() => return Ok(config),
        Ok(_) => "it should hold a JSON object".to_owned(),
        Err(error) => error.to_string(),
    };
    let reason = format!("{reason}; `cairn config edit` opens it");
    Err(RepoError::Damaged { path: file.to_owned(), reason })
}

/// A config's text: two spaces a level, as Kubo writes it.
pub(crate) fn config_text(config: &Value) -> String {
    format!("{config:#}\n")
}

pub(crate) fn write_config(vfs: &dyn Vfs, dir: &Path, config: &Value) -> Result<(), RepoError> {
    replace(vfs, &dir.join(CONFIG), config_text(config).as_bytes(), true)
}

/// Makes the names of a repository durable that nothing was ever written to: its `init` may have
/// been killed, or failed, after it wrote the config and before it made that durable.
fn sync_if_new(vfs: &dyn Vfs, path: &Path) -> Result<(), RepoError> {
    let packs = path.join("blocks");
    let used = match vfs.list(&packs) {
        Ok(names) => !names.is_empty(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(source) => return Err(io_error("list", &packs, source)),
    };
    if used || exists(vfs, &path.join("meta.redb"))? {
        return Ok(());
    }
    for dir in [Some(path), path.parent()].into_iter().flatten() {
        vfs.sync_dir(dir).map_err(|source| io_error("sync", dir, source))?;
    }
    Ok(())
}

pub(crate) fn take_lock(vfs: &dyn Vfs, dir: &Path) -> Result<Arc<dyn VfsFile>, RepoError> {
    let path = dir.join("repo.lock");
    let failed = |source| io_error("lock", &path, source);
    let file = vfs.open(&path, Create::IfMissing).map_err(failed)?;
    if file.try_lock().map_err(failed)? {
        Ok(file)
    } else {
        Err(RepoError::Locked { path: dir.to_owned() })
    }
}

#[cfg(test)]
mod tests;
