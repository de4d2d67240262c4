//! A backup in one file: a tar archive with the files that a backup's directory would hold.
//!
//! Unpacked by any `tar`, it is such a directory. The mark comes first and says how long each
//! pack is, so that a cut archive is told from a whole one.
//!
//! Invariants: it is written beside its name and renamed when all of it is on disk, readable by
//! its owner only, since the keys are in it.
//! Not here: what a backup holds (`super`), restoring (`restore`).

use super::{
    Copied, KEYSTORE, MARK, META, Marked, Named, Progress, VERSION, check_owner, pack_name,
    read_small, refused,
    restore::{Archive, Source},
};
use crate::{
    Repo, RepoError,
    repo::{CONFIG, config_text, create_dir, io_error},
};
use cairn_runtime::{Clock, Vfs};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// Archives consist of blocks of so many bytes.
pub(super) const TAR_BLOCK_LEN: u64 = 512;

/// What ends an archive: two blocks of zeros.
pub(super) const TAR_END_LEN: u64 = 2 * TAR_BLOCK_LEN;

impl Repo {
    pub(super) fn backup_to_archive(
        &self,
        to: &Path,
        of: String,
        progress: Progress<'_>,
    ) -> Result<Copied, RepoError> {
        let vfs = &*self.vfs;
        check_replaceable(vfs, to, &of)?;
        let parent = to.parent().unwrap_or(Path::new("/"));
        create_dir(vfs, parent)?;
        let (partial, meta) = (beside(to, ".partial"), beside(to, ".meta.partial"));
        let copied = self.write_archive((&partial, &meta), of, progress).and_then(|copied| {
            vfs.rename(&partial, to).map_err(|source| io_error("replace", to, source))?;
            Ok(copied)
        });
        // What is left over takes space, and may hold keys; what went wrong counts more.
        let removed = [&meta, &partial]
            .map(|path| vfs.remove(path).map_err(|source| io_error("remove", path, source)));
        let copied = copied?;
        removed.into_iter().collect::<Result<(), _>>()?;
        vfs.sync_dir(parent).map_err(|source| io_error("sync", parent, source))?;
        Ok(copied)
    }

    fn write_archive(
        &self,
        (partial, meta): (&Path, &Path),
        of: String,
        progress: Progress<'_>,
    ) -> Result<Copied, RepoError> {
        let vfs = &*self.vfs;
        self.store().flush()?;
        let copied = self.meta().copy_to(&self.vfs, meta);
        copied.map_err(|error| refused(partial, &error.to_string()))?;
        let packs = self.store().backup_packs()?;
        let total_len = packs.iter().map(|pack| pack.len).sum();
        let mut copied = Copied { copied_len: 0, total_len, backup_len: total_len };
        let mut writer = Writer::create(vfs, partial)?;
        writer.bytes(MARK, &Marked::complete(of, &packs).encode(partial)?)?;
        writer.bytes(VERSION, &read_small(vfs, &self.path().join(VERSION))?)?;
        writer.bytes(CONFIG, config_text(&self.config()?).as_bytes())?;
        for name in self.list_keys()? {
            let key = read_small(vfs, &self.keystore_path().join(&name))?;
            writer.bytes(&format!("{KEYSTORE}/{name}"), &key)?;
        }
        let source = Named::open(vfs, meta)?;
        let len = source.file.len().map_err(|source| io_error("measure", meta, source))?;
        writer.file(META, &source, len, &mut |_| true)?;
        for pack in &packs {
            let source = Named::open(vfs, &pack.path)?;
            writer.file(&pack_name(pack.number), &source, pack.len, &mut |len| {
                copied.copied_len += len;
                progress(copied)
            })?;
        }
        writer.end()?;
        Ok(copied)
    }
}

/// Refuses to replace what is no backup of this node.
fn check_replaceable(vfs: &dyn Vfs, to: &Path, of: &str) -> Result<(), RepoError> {
    let len = vfs.len(to).map_err(|source| io_error("measure", to, source))?;
    if len.is_none() {
        return Ok(());
    }
    let kept = |_| refused(to, "it is there already, and is no backup that could be replaced");
    let archive = Archive::open(vfs, to).map_err(kept)?;
    check_owner(&Source::Archive(archive).mark(vfs)?, of, to)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

/// Writes members one after the other.
struct Writer<'a> {
    target: Named<'a>,
    offset: u64,
    /// Seconds since 1970.
    now: u64,
}

impl<'a> Writer<'a> {
    fn create(vfs: &dyn Vfs, path: &'a Path) -> Result<Self, RepoError> {
        let target = Named::create(vfs, path)?;
        target.set_len(0)?;
        let now = Clock::system().now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(Self { target, offset: 0, now })
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), RepoError> {
        self.header(name, bytes.len() as u64)?;
        self.target.write(bytes, self.offset)?;
        self.pad(bytes.len() as u64)
    }

    fn file(
        &mut self,
        name: &str,
        source: &Named<'_>,
        len: u64,
        note: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), RepoError> {
        self.header(name, len)?;
        source.copy(0, (&self.target, self.offset), len, note)?;
        self.pad(len)
    }

    fn header(&mut self, name: &str, len: u64) -> Result<(), RepoError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(len);
        header.set_mode(0o600);
        header.set_mtime(self.now);
        // Names may be too long for the header alone, which the library knows how to write.
        let mut builder = tar::Builder::new(Vec::new());
        let failed = |source| io_error("write", self.target.path, source);
        builder.append_data(&mut header, name, std::io::empty()).map_err(failed)?;
        self.target.write(builder.get_ref(), self.offset)?;
        self.offset += builder.get_ref().len() as u64;
        Ok(())
    }

    /// Ends a member of `len` bytes.
    fn pad(&mut self, len: u64) -> Result<(), RepoError> {
        self.offset += len.next_multiple_of(TAR_BLOCK_LEN);
        self.target.set_len(self.offset)
    }

    fn end(self) -> Result<(), RepoError> {
        self.target.set_len(self.offset + TAR_END_LEN)?;
        self.target.sync()
    }
}
