//! Backups: a copy of a repository in another directory or in one file, made while the node runs.
//!
//! ```text
//! backup        what it is a backup of, and how long each pack was
//! blocks/ meta.redb config version keystore/     as in the repository; no index
//! ```
//! These are the files of the directory, or the members of the archive. Packs only grow, so a
//! second backup into the same directory copies what is new: the rest of the packs that grew, and
//! whole new ones. An archive is written anew. Pins and the other metadata are copied first, as
//! one snapshot, so every block that they need is in the packs that are copied after them;
//! changes that come later are in the packs as notes, and count once it is restored.
//!
//! Invariants: until the last step what is there still is the backup it was before; nothing
//! collects garbage meanwhile; a directory or file that holds anything else is left alone. A
//! backup is no repository until it is restored.
//! Not here: checking every block's bytes, which the restored node does as it reads them.

mod archive;
mod directory;
mod restore;

use crate::{
    Repo, RepoError,
    repo::io_error,
    store::{BackupPack, Collection},
};
use cairn_runtime::{Create, Vfs, VfsExt as _, VfsFile};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, io::ErrorKind, path::Path, sync::Arc};

/// The file that says what a directory is.
pub(crate) const MARK: &str = "backup";

/// The metadata's file.
const META: &str = "meta.redb";

/// The file with the repository's format.
const VERSION: &str = "version";

/// The directory of the keys.
const KEYSTORE: &str = "keystore";

/// Longest such file that is read: about half a million packs.
const MARK_LEN_MAX: usize = 16 * 1024 * 1024;

/// Bytes that are copied at once.
const COPY_LEN: usize = 4 * 1024 * 1024;

/// Longest key or metadata file that is copied as a whole.
const SMALL_LEN_MAX: usize = 64 * 1024 * 1024;

/// The format of the directory, and of the archive's members.
const FORMAT: u32 = 1;

/// What [`MARK`] holds.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Marked {
    format: u32,
    /// The node's peer ID.
    of: String,
    /// Whether there is a backup, or only the beginning of the first.
    complete: bool,
    /// The length of each pack, all of it synced.
    packs: BTreeMap<u32, u64>,
}

impl Marked {
    fn complete(of: String, packs: &[BackupPack]) -> Self {
        let packs = packs.iter().map(|pack| (pack.number, pack.len)).collect();
        Self { format: FORMAT, of, complete: true, packs }
    }

    /// Bytes of all packs.
    fn len(&self) -> u64 {
        self.packs.values().fold(0, |sum, len| sum.saturating_add(*len))
    }

    fn decode(bytes: &[u8], path: &Path) -> Result<Self, RepoError> {
        let mark: Self = serde_json::from_slice(bytes).map_err(|error| RepoError::Damaged {
            path: path.to_owned(),
            reason: format!("it does not say what it is a backup of: {error}"),
        })?;
        if mark.format > FORMAT {
            return Err(refused(path, "it was written by a newer version of this program"));
        }
        Ok(mark)
    }

    fn encode(&self, path: &Path) -> Result<Vec<u8>, RepoError> {
        serde_json::to_vec_pretty(self).map_err(|error| refused(path, &error.to_string()))
    }
}

/// How far a backup or a restoration has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Bytes of packs that were copied so far.
    pub copied_len: u64,
    /// Bytes of packs that are to be copied.
    pub total_len: u64,
    /// Bytes of all packs, those that were there already included.
    pub backup_len: u64,
}

/// Hears of the progress; answers whether to go on.
pub type Progress<'a> = &'a mut dyn FnMut(Copied) -> bool;

impl Repo {
    /// Brings the backup in the directory `to` up to date, or makes one there; where `to` ends in
    /// `.tar` and is no directory, the backup is that one file, written anew. Blocking.
    ///
    /// # Errors
    ///
    /// [`RepoError::Backup`] if `to` is something else, a collection is under way, or `progress`
    /// stopped it; [`RepoError::Io`] and [`RepoError::Store`]. What was there is then still the
    /// backup that it was before.
    pub fn backup(&self, to: &Path, progress: Progress<'_>) -> Result<Copied, RepoError> {
        if to.starts_with(self.path()) || self.path().starts_with(to) {
            return Err(refused(to, "it is inside the repository, or around it"));
        }
        let busy = || refused(to, "garbage is being collected; try again when that is done");
        let _packs_stay: Collection = self.store().collect().ok_or_else(busy)?;
        let of = self.config()?["Identity"]["PeerID"].as_str().unwrap_or_default().to_owned();
        let named = to.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tar"));
        if named && !is_directory(&*self.vfs, to)? {
            self.backup_to_archive(to, of, progress)
        } else {
            self.backup_to_directory(to, of, progress)
        }
    }

    fn list_keys(&self) -> Result<Vec<String>, RepoError> {
        let path = self.keystore_path();
        self.vfs.list(&path).map_err(|source| io_error("list", &path, source))
    }
}

fn refused(path: &Path, reason: &str) -> RepoError {
    RepoError::Backup { path: path.to_owned(), reason: reason.to_owned() }
}

/// Refuses the backup `mark` of another node at `path`.
fn check_owner(mark: &Marked, of: &str, path: &Path) -> Result<(), RepoError> {
    if mark.of == of {
        return Ok(());
    }
    Err(refused(path, &format!("it holds a backup of another node, {}", mark.of)))
}

fn is_directory(vfs: &dyn Vfs, path: &Path) -> Result<bool, RepoError> {
    match vfs.list(path) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(source) => Err(io_error("list", path, source)),
    }
}

/// The name of a pack's copy.
fn pack_name(number: u32) -> String {
    format!("blocks/{number:06}.pack")
}

fn read_small(vfs: &dyn Vfs, path: &Path) -> Result<Vec<u8>, RepoError> {
    let bytes = vfs.read_file(path, SMALL_LEN_MAX);
    let bytes = bytes.map_err(|source| io_error("read", path, source))?;
    bytes.ok_or_else(|| io_error("read", path, ErrorKind::NotFound.into()))
}

/// An open file with its name, for what is said about it.
struct Named<'a> {
    file: Arc<dyn VfsFile>,
    path: &'a Path,
}

impl<'a> Named<'a> {
    fn open(vfs: &dyn Vfs, path: &'a Path) -> Result<Self, RepoError> {
        let file = vfs.open(path, Create::ReadOnly);
        Ok(Self { file: file.map_err(|source| io_error("open", path, source))?, path })
    }

    fn create(vfs: &dyn Vfs, path: &'a Path) -> Result<Self, RepoError> {
        let file = vfs.open(path, Create::PrivateIfMissing);
        Ok(Self { file: file.map_err(|source| io_error("write", path, source))?, path })
    }

    fn write(&self, bytes: &[u8], offset: u64) -> Result<(), RepoError> {
        let written = self.file.write_all_at(bytes, offset);
        written.map_err(|source| io_error("write", self.path, source))
    }

    fn set_len(&self, len: u64) -> Result<(), RepoError> {
        self.file.set_len(len).map_err(|source| io_error("write", self.path, source))
    }

    fn sync(&self) -> Result<(), RepoError> {
        self.file.sync_data().map_err(|source| io_error("write", self.path, source))
    }

    /// Copies `len` bytes from one offset to the other; `note` hears of each part.
    fn copy(
        &self,
        mut from: u64,
        (to, mut to_offset): (&Named<'_>, u64),
        mut len: u64,
        note: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), RepoError> {
        while len > 0 {
            let want = usize::try_from(len).unwrap_or(COPY_LEN).min(COPY_LEN);
            let bytes = self.file.read_to_vec(from, want);
            let bytes = bytes.map_err(|source| io_error("copy", self.path, source))?;
            if bytes.len() < want {
                return Err(io_error("copy", self.path, ErrorKind::UnexpectedEof.into()));
            }
            to.write(&bytes, to_offset)?;
            let copied = want as u64;
            from += copied;
            to_offset += copied;
            len -= copied;
            if !note(copied) {
                return Err(refused(to.path, "stopped; run it again to go on"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
