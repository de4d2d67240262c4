//! A backup in a directory, which the next one brings up to date.
//!
//! Invariants: the mark is written last, and the metadata are replaced after the packs are there.
//! Not here: what a backup holds (`super`).

use super::{
    Copied, FORMAT, KEYSTORE, MARK, MARK_LEN_MAX, META, Marked, Named, Progress, VERSION,
    check_owner, pack_name, read_small, refused,
};
use crate::{
    Repo, RepoError,
    repo::{create_dir, io_error, replace, write_config},
    store::{BackupPack, PACK_HEADER_LEN},
};
use cairn_runtime::{Create, Vfs, VfsExt as _};
use std::{collections::BTreeMap, io::ErrorKind, path::Path};

impl Repo {
    pub(super) fn backup_to_directory(
        &self,
        to: &Path,
        of: String,
        progress: Progress<'_>,
    ) -> Result<Copied, RepoError> {
        let vfs = &*self.vfs;
        let old = marked(vfs, to, &of)?;
        for dir in [to.to_owned(), to.join("blocks"), to.join(KEYSTORE)] {
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
            replace(vfs, &to.join(KEYSTORE).join(&name), &bytes, true)?;
        }
        let version = read_small(vfs, &self.path().join(VERSION))?;
        replace(vfs, &to.join(VERSION), &version, false)?;
        write_config(vfs, to, &self.config()?)?;
        let meta = to.join(META);
        vfs.rename(&fresh, &meta).map_err(|source| io_error("replace", &meta, source))?;
        vfs.sync_dir(to).map_err(|source| io_error("sync", to, source))?;
        // What the old metadata may have needed is needed no more.
        for pack in packs.iter().filter(|pack| pack.emptied) {
            copy_pack(vfs, pack, &to.join(pack_name(pack.number)), 0, &mut |_| true)?;
        }
        write_mark(vfs, to, &Marked::complete(of, &packs))?;
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
            let target = to.join(pack_name(pack.number));
            let there = old.packs.get(&pack.number).copied().unwrap_or_default();
            let there =
                if is_there(vfs, (pack, there), &target)? { there.min(pack.len) } else { 0 };
            copied.total_len += pack.len - there;
            copied.backup_len += pack.len;
            parts.push((pack, target, there));
        }
        for (pack, target, there) in parts {
            copy_pack(vfs, pack, &target, there, &mut |len| {
                copied.copied_len += len;
                progress(copied)
            })?;
        }
        let blocks = to.join("blocks");
        vfs.sync_dir(&blocks).map_err(|source| io_error("sync", &blocks, source))?;
        Ok(copied)
    }
}

/// What the directory was before, if it may be used.
fn marked(vfs: &dyn Vfs, to: &Path, of: &str) -> Result<Marked, RepoError> {
    let path = to.join(MARK);
    let bytes = match vfs.read_file(&path, MARK_LEN_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(refused(to, "it is no directory; a backup in one file ends in .tar"));
        }
        Err(source) => return Err(io_error("read", &path, source)),
    };
    if let Some(bytes) = bytes {
        let mark = Marked::decode(&bytes, &path)?;
        check_owner(&mark, of, to)?;
        return Ok(mark);
    }
    match vfs.list(to) {
        Ok(names) if names.is_empty() => Ok(Marked::default()),
        Ok(_) => Err(refused(to, "it is not empty, and holds no backup")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Marked::default()),
        Err(source) => Err(io_error("list", to, source)),
    }
}

fn write_mark(vfs: &dyn Vfs, dir: &Path, mark: &Marked) -> Result<(), RepoError> {
    let path = dir.join(MARK);
    replace(vfs, &path, &mark.encode(&path)?, false)
}

/// Whether the file at `target` has the first `len` bytes of this pack.
fn is_there(
    vfs: &dyn Vfs,
    (pack, len): (&BackupPack, u64),
    target: &Path,
) -> Result<bool, RepoError> {
    let file = match vfs.open(target, Create::ReadOnly) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(io_error("open", target, source)),
    };
    let failed = |source| io_error("read", target, source);
    let header = file.read_to_vec(0, PACK_HEADER_LEN).map_err(failed)?;
    Ok(pack.is_of(&header) && file.len().map_err(failed)? >= len)
}

/// Copies a pack from an offset on, and its header, which may have changed.
fn copy_pack(
    vfs: &dyn Vfs,
    pack: &BackupPack,
    to: &Path,
    offset: u64,
    note: &mut dyn FnMut(u64) -> bool,
) -> Result<(), RepoError> {
    let (source, target) = (Named::open(vfs, &pack.path)?, Named::create(vfs, to)?);
    target.set_len(offset)?;
    if offset > 0 {
        source.copy(0, (&target, 0), PACK_HEADER_LEN as u64, &mut |_| true)?;
    }
    source.copy(offset, (&target, offset), pack.len - offset, note)?;
    target.sync()
}
