//! The only reader of environment variables and of the home directory.
//!
//! Not here: command line flags, which win over all of this.

use super::ConfigError;
use std::path::PathBuf;

/// Where the repository is: `$CAIRN_PATH`, else `$IPFS_PATH`, else `~/.cairn`.
///
/// # Errors
///
/// [`ConfigError::NoHome`] if none of the three can be told.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn repo_path() -> Result<PathBuf, ConfigError> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("HOME");
    match set("CAIRN_PATH").or_else(|| set("IPFS_PATH")) {
        Some(path) => match path.strip_prefix("~") {
            Ok(rest) => home().map(|home| home.join(rest)).ok_or(ConfigError::NoHome),
            Err(_) => Ok(path),
        },
        None => home().map(|home| home.join(".cairn")).ok_or(ConfigError::NoHome),
    }
}
