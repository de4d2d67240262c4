//! The only reader of environment variables and of the home directory.
//!
//! Not here: command line flags, which win over all of this.

use super::ConfigError;
use std::path::{Path, PathBuf};

/// Where the repository is: `$CAIRN_PATH`, else `$IPFS_PATH`, else `~/.cairn`.
///
/// # Errors
///
/// [`ConfigError::NoHome`] if none of the three can be told.
pub fn repo_path() -> Result<PathBuf, ConfigError> {
    first_of(&["CAIRN_PATH", "IPFS_PATH"], ".cairn")
}

/// Where a repository is that is not Kubo's: `$CAIRN_PATH`, else `~/.cairn`.
///
/// # Errors
///
/// [`ConfigError::NoHome`] if neither can be told.
pub fn own_repo_path() -> Result<PathBuf, ConfigError> {
    first_of(&["CAIRN_PATH"], ".cairn")
}

/// Where Kubo's repository is: `$IPFS_PATH`, else `~/.ipfs`.
///
/// # Errors
///
/// [`ConfigError::NoHome`] if neither can be told.
pub fn kubo_repo_path() -> Result<PathBuf, ConfigError> {
    first_of(&["IPFS_PATH"], ".ipfs")
}

/// A path with the home directory in the place of `~`, for those that a shell has not expanded.
///
/// # Errors
///
/// [`ConfigError::NoHome`] if there is a `~` and no home directory.
pub fn expand_home(path: &Path) -> Result<PathBuf, ConfigError> {
    match path.strip_prefix("~") {
        Ok(rest) => Ok(home()?.join(rest)),
        Err(_) => Ok(path.to_owned()),
    }
}

/// Whether `$LIBP2P_FORCE_PNET` says that the node must not run outside a private network.
#[must_use]
pub fn private_network_forced() -> bool {
    set("LIBP2P_FORCE_PNET").is_some_and(|value| value.as_os_str() != "0")
}

fn first_of(names: &[&str], in_home: &str) -> Result<PathBuf, ConfigError> {
    match names.iter().find_map(|name| set(name)) {
        Some(path) => expand_home(&path),
        None => Ok(home()?.join(in_home)),
    }
}

fn home() -> Result<PathBuf, ConfigError> {
    set("HOME").ok_or(ConfigError::NoHome)
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
