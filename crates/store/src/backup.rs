//! Backups: a copy of a repository in another directory, made while the node runs.
//!
//! ```text
//! backup        what it is a backup of, and how long each pack was; written last
//! blocks/ meta.redb config version keystore/     as in the repository; no index
//! ```
//! Packs only grow, so a second backup into the same directory copies what is new: the rest of
//! the packs that grew, and whole new ones. Pins and the other metadata are copied first, as one
//! snapshot, so every block that they need is in the packs that are copied after them; changes
//! that come later are in the packs as notes, and count once it is restored.
//!
//! Invariants: until the last step the directory still is the backup it was before, with more
//! packs than it needs; nothing collects garbage meanwhile; a directory that holds anything else
//! is left alone. A backup is no repository until it is restored.
//! Not here: checking every block's bytes, which the restored node does as it reads them.

use crate::{
    Repo, RepoError, RepoKind,
    repo::{create_dir, io_error, replace, write_config},
    store::{BackupPack, Collection},
};
use cairn_runtime::{Create, Vfs, VfsExt as _, VfsFile};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The file that says what a directory is.
pub(crate) const MARK: &str = "backup";

/// Longest such file that is read: about half a million packs.
const MARK_LEN_MAX: usize = 16 * 1024 * 1024;

/// Bytes that are copied at once.
const COPY_LEN: usize = 4 * 1024 * 1024;

/// Longest key or metadata file that is copied as a whole.
const SMALL_LEN_MAX: usize = 64 * 1024 * 1024;

/// The format of the directory.
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
    /// Brings the backup in the directory `to` up to date, or makes one there. Blocking.
    ///
    /// # Errors
    ///
    /// [`RepoError::Backup`] if the directory is something else, a collection is under way, or
    /// `progress` stopped it; [`RepoError::Io`] and [`RepoError::Store`]. The directory is then
    /// still the backup that it was before.
    pub fn backup(&self, to: &Path, progress: Progress<'_>) -> Result<Copied, RepoError> {
        if to.starts_with(self.path()) || self.path().starts_with(to) {
            return Err(refused(to, "it is inside the repository, or around it"));
        }
        let of = self.config()?["Identity"]["PeerID"].as_str().unwrap_or_default().to_owned();
        let vfs = &*self.vfs;
        let old = marked(vfs, to, &of)?;
        let busy = || refused(to, "garbage is being collected; try again when that is done");
        let _packs_stay: Collection = self.store().collect().ok_or_else(busy)?;
        for dir in [to.to_owned(), to.join("blocks"), to.join("keystore")] {
            create_dir(vfs, &dir)?;
        }
        // So that an interrupted first backup can be gone on with.
        if !old.complete {
            let (of, packs) = (of.clone(), BTreeMap::new());
            write_mark(vfs, to, &Marked { format: FORMAT, of, complete: false, packs })?;
        }
        self.store().flush()?;
        let fresh = to.join("meta.fresh");
        self.meta().copy_to(&self.vfs, &fresh).map_err(|error| refused(to, &error.to_string()))?;
        let packs = self.store().backup_packs()?;
        let copied = self.copy_packs(to, &packs, &old, progress)?;
        for name in self.list_keys()? {
            let bytes = read_small(vfs, &self.keystore_path().join(&name))?;
            replace(vfs, &to.join("keystore").join(&name), &bytes, true)?;
        }
        let version = read_small(vfs, &self.path().join("version"))?;
        replace(vfs, &to.join("version"), &version, false)?;
        write_config(vfs, to, &self.config()?)?;
        let meta = to.join("meta.redb");
        vfs.rename(&fresh, &meta).map_err(|source| io_error("replace", &meta, source))?;
        vfs.sync_dir(to).map_err(|source| io_error("sync", to, source))?;
        // What the old metadata may have needed is needed no more.
        for pack in packs.iter().filter(|pack| pack.emptied) {
            copy_emptied(vfs, pack, &pack_path(to, pack))?;
        }
        let packs = packs.iter().map(|pack| (pack.number, pack.len)).collect();
        write_mark(vfs, to, &Marked { format: FORMAT, of, complete: true, packs })?;
        Ok(copied)
    }

    fn copy_packs(
        &self,
        to: &Path,
        packs: &[BackupPack],
        old: &Marked,
        progress: Progress<'_>,
    ) -> Result<Copied, RepoError> {
        let vfs = &*self.vfs;
        let mut parts = Vec::new();
        let mut copied = Copied::default();
        for pack in packs.iter().filter(|pack| !pack.emptied) {
            let target = pack_path(to, pack);
            let there = old.packs.get(&pack.number).copied().unwrap_or_default();
            let there =
                if is_there(vfs, (pack, there), &target)? { there.min(pack.len) } else { 0 };
            copied.total_len += pack.len - there;
            copied.backup_len += pack.len;
            parts.push((pack, target, there));
        }
        for (pack, target, there) in parts {
            copy(vfs, (&pack.path, &target), (there, pack.len), &mut |len| {
                copied.copied_len += len;
                progress(copied)
            })?;
        }
        let blocks = to.join("blocks");
        vfs.sync_dir(&blocks).map_err(|source| io_error("sync", &blocks, source))?;
        Ok(copied)
    }

    fn list_keys(&self) -> Result<Vec<String>, RepoError> {
        let path = self.keystore_path();
        self.vfs.list(&path).map_err(|source| io_error("list", &path, source))
    }

    /// Makes a repository at `to` from the backup in `from`. Blocking.
    ///
    /// The index is made anew when the repository is opened.
    ///
    /// # Errors
    ///
    /// [`RepoError::Backup`] if `from` is no backup, or `progress` stopped it;
    /// [`RepoError::Exists`]; [`RepoError::Io`]. It can be run again.
    pub fn restore(
        vfs: &Arc<dyn Vfs>,
        from: &Path,
        to: &Path,
        progress: Progress<'_>,
    ) -> Result<Copied, RepoError> {
        let vfs = &**vfs;
        let mark = read_mark(vfs, from)?.ok_or_else(|| refused(from, "it holds no backup"))?;
        if !mark.complete {
            return Err(refused(from, "it was not finished; run the backup again"));
        }
        if Self::detect(vfs, to)? != RepoKind::Missing {
            return Err(RepoError::Exists { path: to.to_owned() });
        }
        for dir in [to.to_owned(), to.join("blocks"), to.join("keystore")] {
            create_dir(vfs, &dir)?;
        }
        let lock = crate::repo::take_lock(vfs, to)?;
        let mut copied = Copied { total_len: mark.packs.values().sum(), ..Copied::default() };
        copied.backup_len = copied.total_len;
        for (&number, &len) in &mark.packs {
            let name = format!("blocks/{number:06}.pack");
            copy(vfs, (&from.join(&name), &to.join(&name)), (0, len), &mut |len| {
                copied.copied_len += len;
                progress(copied)
            })?;
        }
        let meta = Path::new("meta.redb");
        let meta_len = vfs.len(&from.join(meta));
        let meta_len = meta_len.map_err(|source| io_error("measure", &from.join(meta), source))?;
        if let Some(len) = meta_len {
            copy(vfs, (&from.join(meta), &to.join(meta)), (0, len), &mut |_| true)?;
        }
        let keys = vfs.list(&from.join("keystore"));
        for name in keys.map_err(|source| io_error("list", &from.join("keystore"), source))? {
            let bytes = read_small(vfs, &from.join("keystore").join(&name))?;
            replace(vfs, &to.join("keystore").join(&name), &bytes, true)?;
        }
        let version = read_small(vfs, &from.join("version"))?;
        replace(vfs, &to.join("version"), &version, false)?;
        let blocks = to.join("blocks");
        vfs.sync_dir(&blocks).map_err(|source| io_error("sync", &blocks, source))?;
        // Last: without it an interrupted restoration is no repository.
        write_config(vfs, to, &Self::read_config(vfs, from)?)?;
        drop(lock);
        Ok(copied)
    }
}

fn refused(path: &Path, reason: &str) -> RepoError {
    RepoError::Backup { path: path.to_owned(), reason: reason.to_owned() }
}

fn pack_path(to: &Path, pack: &BackupPack) -> PathBuf {
    to.join("blocks").join(pack.path.file_name().unwrap_or_default())
}

/// What the directory was before, if it may be used.
fn marked(vfs: &dyn Vfs, to: &Path, of: &str) -> Result<Marked, RepoError> {
    match read_mark(vfs, to)? {
        Some(mark) if mark.of == of => Ok(mark),
        Some(mark) => Err(refused(to, &format!("it holds a backup of another node, {}", mark.of))),
        None => match vfs.list(to) {
            Ok(names) if names.is_empty() => Ok(Marked::default()),
            Ok(_) => Err(refused(to, "it is not empty, and holds no backup")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Marked::default()),
            Err(source) => Err(io_error("list", to, source)),
        },
    }
}

fn read_mark(vfs: &dyn Vfs, dir: &Path) -> Result<Option<Marked>, RepoError> {
    let path = dir.join(MARK);
    let bytes = match vfs.read_file(&path, MARK_LEN_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            return Err(refused(dir, "it is no directory"));
        }
        Err(source) => return Err(io_error("read", &path, source)),
    };
    let Some(bytes) = bytes else { return Ok(None) };
    let damaged = |reason: String| RepoError::Damaged { path: path.clone(), reason };
    let mark: Marked =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if mark.format > FORMAT {
        return Err(refused(dir, "it was written by a newer version of this program"));
    }
    Ok(Some(mark))
}

fn write_mark(vfs: &dyn Vfs, dir: &Path, mark: &Marked) -> Result<(), RepoError> {
    let path = dir.join(MARK);
    let bytes = serde_json::to_vec_pretty(mark).map_err(|error| {
        let reason = error.to_string();
        RepoError::Damaged { path: path.clone(), reason }
    })?;
    replace(vfs, &path, &bytes, false)
}

fn read_small(vfs: &dyn Vfs, path: &Path) -> Result<Vec<u8>, RepoError> {
    let bytes = vfs.read_file(path, SMALL_LEN_MAX);
    let bytes = bytes.map_err(|source| io_error("read", path, source))?;
    bytes.ok_or_else(|| io_error("read", path, std::io::ErrorKind::NotFound.into()))
}

/// Whether the file at `target` has the first `len` bytes of this pack.
fn is_there(
    vfs: &dyn Vfs,
    (pack, len): (&BackupPack, u64),
    target: &Path,
) -> Result<bool, RepoError> {
    let file = match vfs.open(target, Create::ReadOnly) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(io_error("open", target, source)),
    };
    let failed = |source| io_error("read", target, source);
    let header = file.read_to_vec(0, crate::store::PACK_HEADER_LEN).map_err(failed)?;
    Ok(pack.is_of(&header) && file.len().map_err(failed)? >= len)
}

/// Copies the bytes of a range, and the pack's header, which may have changed.
fn copy(
    vfs: &dyn Vfs,
    (from, to): (&Path, &Path),
    (mut offset, len): (u64, u64),
    note: &mut dyn FnMut(u64) -> bool,
) -> Result<(), RepoError> {
    let source_of = |source| io_error("copy", from, source);
    let source: Arc<dyn VfsFile> = vfs.open(from, Create::ReadOnly).map_err(source_of)?;
    let failed = |source| io_error("write", to, source);
    let target = vfs.open(to, Create::PrivateIfMissing).map_err(failed)?;
    target.set_len(offset).map_err(failed)?;
    if offset > 0 {
        let header = source.read_to_vec(0, crate::store::PACK_HEADER_LEN).map_err(source_of)?;
        target.write_all_at(&header, 0).map_err(failed)?;
    }
    while offset < len {
        let want = usize::try_from(len - offset).unwrap_or(COPY_LEN).min(COPY_LEN);
        let bytes = source.read_to_vec(offset, want).map_err(source_of)?;
        if bytes.len() < want {
            return Err(source_of(std::io::ErrorKind::UnexpectedEof.into()));
        }
        target.write_all_at(&bytes, offset).map_err(failed)?;
        offset += want as u64;
        if !note(want as u64) {
            return Err(refused(to, "stopped; run it again to go on"));
        }
    }
    target.sync_data().map_err(failed)
}

/// Makes the copy of an emptied pack as empty.
fn copy_emptied(vfs: &dyn Vfs, pack: &BackupPack, target: &Path) -> Result<(), RepoError> {
    copy(vfs, (&pack.path, target), (0, pack.len), &mut |_| true)
}

#[cfg(test)]
mod tests;
