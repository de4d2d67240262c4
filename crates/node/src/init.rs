//! Makes a new repository.
//!
//! Not here: the files in it (`cairn-store`), the config's first values (`config/initial.rs`).

use crate::{Config, ConfigError, NodeError, config, identity::Identity};
use cairn_block::Cid;
use cairn_runtime::{RealVfs, Vfs, blocking};
use cairn_store::Repo;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// How to make a repository.
#[derive(Debug, Clone, Default)]
pub struct InitOptions {
    /// Profiles to apply, each possibly several with commas between.
    pub profiles: Vec<String>,
    /// `"ed25519"`, the default. Other kinds of key are only read, not made.
    pub algorithm: Option<String>,
    /// Bits of the key; Ed25519 has no choice.
    pub key_bits: Option<u32>,
    /// The config to use instead of a new one, its identity included.
    pub config: Option<Value>,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InitReport {
    /// The new node's peer ID.
    pub peer_id: String,
    /// Where the repository is.
    pub path: PathBuf,
    /// The empty directory, which every node knows.
    pub empty_directory: Cid,
}

/// Makes a repository at `path`.
///
/// # Errors
///
/// [`NodeError::Repo`] if one is there already or the disk refuses, [`NodeError::Config`] for an
/// unknown profile, [`NodeError::Options`] for a key that cannot be made.
pub async fn init(path: &Path, options: InitOptions) -> Result<InitReport, NodeError> {
    let path = path.to_owned();
    blocking(move || init_blocking(path, options)).await
}

fn init_blocking(path: PathBuf, options: InitOptions) -> Result<InitReport, NodeError> {
    match options.algorithm.as_deref() {
        None | Some("ed25519") => {}
        Some(_) => return Err(NodeError::Options { reason: "only ed25519 keys can be made" }),
    }
    if options.key_bits.is_some() {
        let reason = "number of key bits does not apply when using ed25519 keys";
        return Err(NodeError::Options { reason });
    }
    let identity = match &options.config {
        Some(config) => Identity::from_config(config)?,
        None => Identity::generate(),
    };
    let value = config::fresh(&identity, options.config, &options.profiles)?;
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs);
    Repo::init(&vfs, &path, &value)?;
    let empty = cairn_unixfs::DirectoryBuilder::new(&cairn_unixfs::Options::default());
    let empty_directory = empty.finish(&mut Vec::new())?.cid;
    Ok(InitReport { peer_id: identity.peer_id().to_string(), path, empty_directory })
}

/// Opens the config of `repo`.
pub(crate) fn open_config(repo: &Arc<Repo>) -> Result<Config, ConfigError> {
    let value = repo.config()?;
    let repo = Arc::clone(repo);
    Config::new(value, move |value| repo.replace_config(value))
}
