//! Making a repository of a backup.
//!
//! Invariants: the config is written last, so what was interrupted is no repository and can be
//! done again; of an archive only the members that a backup has are looked at, whatever else
//! somebody put into it.
//! Not here: backups (`super`).

use super::{
    Copied, KEYSTORE, MARK, MARK_LEN_MAX, META, Marked, Named, Progress, SMALL_LEN_MAX, VERSION,
    archive::{TAR_BLOCK_LEN, TAR_END_LEN},
    is_directory, pack_name, refused,
};
use crate::{
    Repo, RepoError, RepoKind,
    repo::{CONFIG, config_of, create_dir, io_error, replace, take_lock, write_config},
};
use cairn_runtime::{Vfs, VfsFile};
use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Most members that are looked at: about as many packs as a mark names.
const MEMBERS_MAX: usize = 1024 * 1024;

impl Repo {
    /// Makes a repository at `to` from the backup in `from`, a directory or an archive. Blocking.
    ///
    /// The index is made anew when the repository is opened.
    ///
    /// # Errors
    ///
    /// [`RepoError::Backup`] if `from` is no backup or not all of one, or `progress` stopped it;
    /// [`RepoError::Exists`]; [`RepoError::Io`]. It can be run again.
    pub fn restore(
        vfs: &Arc<dyn Vfs>,
        from: &Path,
        to: &Path,
        progress: Progress<'_>,
    ) -> Result<Copied, RepoError> {
        let vfs = &**vfs;
        let source = Source::open(vfs, from)?;
        let mark = source.mark(vfs)?;
        if !mark.complete {
            return Err(refused(from, "it was not finished; run the backup again"));
        }
        if Self::detect(vfs, to)? != RepoKind::Missing {
            return Err(RepoError::Exists { path: to.to_owned() });
        }
        for dir in [to.to_owned(), to.join("blocks"), to.join(KEYSTORE)] {
            create_dir(vfs, &dir)?;
        }
        let lock = take_lock(vfs, to)?;
        let mut copied = Copied { total_len: mark.len(), ..Copied::default() };
        copied.backup_len = copied.total_len;
        for (&number, &len) in &mark.packs {
            let name = pack_name(number);
            let part = source.part(vfs, &name)?.filter(|part| part.len >= len);
            let part = part.ok_or_else(|| refused(from, &format!("{name} is not all there")))?;
            part.copy_to(vfs, &to.join(&name), len, &mut |len| {
                copied.copied_len += len;
                progress(copied)
            })?;
        }
        if let Some(part) = source.part(vfs, META)? {
            part.copy_to(vfs, &to.join(META), part.len, &mut |_| true)?;
        }
        for name in source.keys(vfs)? {
            let name = format!("{KEYSTORE}/{name}");
            replace(vfs, &to.join(&name), &source.small(vfs, &name)?, true)?;
        }
        replace(vfs, &to.join(VERSION), &source.small(vfs, VERSION)?, false)?;
        let blocks = to.join("blocks");
        vfs.sync_dir(&blocks).map_err(|source| io_error("sync", &blocks, source))?;
        // Last: without it an interrupted restoration is no repository.
        write_config(vfs, to, &config_of(&from.join(CONFIG), &source.small(vfs, CONFIG)?)?)?;
        drop(lock);
        Ok(copied)
    }
}

/// What a repository is made of.
pub(super) enum Source<'a> {
    Directory(&'a Path),
    Archive(Archive<'a>),
}

/// An archive, and where its members lie.
pub(super) struct Archive<'a> {
    file: Named<'a>,
    members: BTreeMap<String, (u64, u64)>,
}

/// The bytes of one file of a backup.
struct Part {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    offset: u64,
    len: u64,
}

impl Part {
    /// Copies the first `len` bytes to a new file.
    fn copy_to(
        &self,
        vfs: &dyn Vfs,
        to: &Path,
        len: u64,
        note: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), RepoError> {
        let source = Named { file: Arc::clone(&self.file), path: &self.path };
        let target = Named::create(vfs, to)?;
        target.set_len(0)?;
        source.copy(self.offset, (&target, 0), len, note)?;
        target.sync()
    }
}

impl<'a> Source<'a> {
    fn open(vfs: &dyn Vfs, path: &'a Path) -> Result<Self, RepoError> {
        if is_directory(vfs, path)? {
            return Ok(Self::Directory(path));
        }
        Ok(Self::Archive(Archive::open(vfs, path)?))
    }

    pub(super) fn mark(&self, vfs: &dyn Vfs) -> Result<Marked, RepoError> {
        let path = self.path();
        let none = || refused(path, "it holds no backup");
        let part = self.part(vfs, MARK)?.ok_or_else(none)?;
        let bytes = read(&part, MARK_LEN_MAX)?;
        Marked::decode(&bytes, &part.path)
    }

    fn path(&self) -> &'a Path {
        match self {
            Self::Directory(path) => path,
            Self::Archive(archive) => archive.file.path,
        }
    }

    fn part(&self, vfs: &dyn Vfs, name: &str) -> Result<Option<Part>, RepoError> {
        match self {
            Self::Directory(dir) => {
                let path = dir.join(name);
                let len = vfs.len(&path).map_err(|source| io_error("measure", &path, source))?;
                let Some(len) = len else { return Ok(None) };
                let file = Named::open(vfs, &path)?.file;
                Ok(Some(Part { file, path, offset: 0, len }))
            }
            Self::Archive(archive) => Ok(archive.members.get(name).map(|&(offset, len)| {
                let file = Arc::clone(&archive.file.file);
                Part { file, path: archive.file.path.join(name), offset, len }
            })),
        }
    }

    fn small(&self, vfs: &dyn Vfs, name: &str) -> Result<Vec<u8>, RepoError> {
        let missing = || refused(self.path(), &format!("{name} is not there"));
        read(&self.part(vfs, name)?.ok_or_else(missing)?, SMALL_LEN_MAX)
    }

    fn keys(&self, vfs: &dyn Vfs) -> Result<Vec<String>, RepoError> {
        match self {
            Self::Directory(dir) => {
                let path = dir.join(KEYSTORE);
                match vfs.list(&path) {
                    // An archive without keys, unpacked.
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
                    listed => listed.map_err(|source| io_error("list", &path, source)),
                }
            }
            Self::Archive(archive) => {
                let name = |member: &String| member.strip_prefix("keystore/").map(str::to_owned);
                Ok(archive.members.keys().filter_map(name).collect())
            }
        }
    }
}

fn read(part: &Part, len_max: usize) -> Result<Vec<u8>, RepoError> {
    let len = usize::try_from(part.len).ok().filter(|&len| len <= len_max);
    let len = len.ok_or_else(|| refused(&part.path, "it is too long"))?;
    let bytes = part.file.read_to_vec(part.offset, len);
    bytes.map_err(|source| io_error("read", &part.path, source))
}

impl<'a> Archive<'a> {
    pub(super) fn open(vfs: &dyn Vfs, path: &'a Path) -> Result<Self, RepoError> {
        let file = Named::open(vfs, path)?;
        let len = file.file.len().map_err(|source| io_error("measure", path, source))?;
        let mut members = BTreeMap::new();
        let mut end = 0;
        let broken = |error: io::Error| refused(path, &format!("it is no whole archive: {error}"));
        let mut archive =
            tar::Archive::new(Cursor { file: Arc::clone(&file.file), offset: 0, len });
        for entry in archive.entries_with_seek().map_err(broken)?.take(MEMBERS_MAX) {
            let entry = entry.map_err(broken)?;
            let (offset, len) = (entry.raw_file_position(), entry.size());
            let whole =
                offset.checked_add(len).and_then(|end| end.checked_next_multiple_of(TAR_BLOCK_LEN));
            end = whole.unwrap_or(u64::MAX);
            let name = entry.path_bytes();
            if let Ok(name) = std::str::from_utf8(&name)
                && let name = name.strip_prefix("./").unwrap_or(name)
                && entry.header().entry_type().is_file()
                && is_member(name)
            {
                members.insert(name.to_owned(), (offset, len));
            }
        }
        if end.saturating_add(TAR_END_LEN) > len {
            return Err(refused(path, "it was cut short"));
        }
        Ok(Self { file, members })
    }
}

/// Whether a backup has a file of that name, which then leads nowhere else.
fn is_member(name: &str) -> bool {
    match name.split_once('/') {
        None => [MARK, META, VERSION, CONFIG].contains(&name),
        Some((KEYSTORE, key)) => !key.is_empty() && !key.starts_with('.') && !key.contains('/'),
        Some(("blocks", pack)) => {
            let number = pack.strip_suffix(".pack").and_then(|number| number.parse().ok());
            number.is_some_and(|number| pack_name(number) == name)
        }
        Some(_) => false,
    }
}

/// A file that is read from front to back.
struct Cursor {
    file: Arc<dyn VfsFile>,
    offset: u64,
    len: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let offset = match position {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.offset.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        let outside = || io::Error::new(ErrorKind::InvalidInput, "a length leads outside of it");
        self.offset = offset.filter(|offset| *offset <= self.len).ok_or_else(outside)?;
        Ok(self.offset)
    }
}
