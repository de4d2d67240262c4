//! The key of a private network: what belongs to one goes on belonging to it.
//!
//! Invariants: the key is there before the first block; a target that is not of this network is
//! left alone; no message holds the key.
//! Not here: what the key does (`cairn-network`).

use crate::{MigrateError, files};
use cairn_network::{SWARM_KEY_FILE_LEN_MAX, SwarmKey};
use cairn_runtime::{RealVfs, VfsExt as _};
use std::path::Path;

/// Its name in a repository, Kubo's and ours.
const FILE: &str = "swarm.key";

/// Reads the key of the repository at `path`, if it has one. Blocking.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, MigrateError> {
    let path = path.join(FILE);
    let Some(key) = files::read_if_there(&path, SWARM_KEY_FILE_LEN_MAX)? else { return Ok(None) };
    match SwarmKey::from_file(&key) {
        Ok(_) => Ok(Some(key)),
        Err(reason) => Err(MigrateError::damaged(&path, &reason)),
    }
}

/// Makes the target a node of the same network; `is_new` if it was made for this. Blocking.
pub(crate) fn take(key: &[u8], to: &Path, is_new: bool) -> Result<(), MigrateError> {
    let path = to.join(FILE);
    let there = read(to)?;
    if there.as_deref() == Some(key) {
        return Ok(());
    }
    if there.is_some() || !is_new {
        return Err(MigrateError::OtherNetwork { path });
    }
    let written = RealVfs.replace_file(&path, key, true);
    written.map_err(|source| MigrateError::io("write", &path, source))
}

#[cfg(test)]
mod tests {
    use super::{FILE, read, take};
    use crate::MigrateError;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    fn key(letter: char) -> String {
        format!("/key/swarm/psk/1.0.0/\n/base16/\n{}\n", letter.to_string().repeat(64))
    }

    #[test]
    fn only_a_new_target_joins_a_network() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(read(from.path()).unwrap(), None);
        fs::write(from.path().join(FILE), key('a')).unwrap();
        let ours = read(from.path()).unwrap().unwrap();
        let refused = take(&ours, to.path(), false).unwrap_err();
        assert!(matches!(refused, MigrateError::OtherNetwork { .. }), "{refused}");
        take(&ours, to.path(), true).unwrap();
        let mode = fs::metadata(to.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        take(&ours, to.path(), false).unwrap();
        let refused = take(key('b').as_bytes(), to.path(), true).unwrap_err();
        assert!(refused.to_string().contains("another network"), "{refused}");
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        let from = tempfile::tempdir().unwrap();
        fs::write(from.path().join(FILE), "my secret").unwrap();
        let refused = read(from.path()).unwrap_err().to_string();
        assert!(refused.contains(FILE) && !refused.contains("my secret"), "{refused}");
    }
}
