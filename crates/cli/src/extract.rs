//! Writes a tar stream, or entries one by one, inside one directory and nowhere else.
//!
//! The names of the entries are a stranger's. Every directory on the way to an entry is opened
//! relative to the one before it and without following symbolic links, so neither `..`, nor a
//! link that the stream itself made, nor one that was there before leads outside.
//!
//! Invariants: nothing outside the target is made, changed or removed; a file that breaks off is
//! removed; hard links, devices and pipes are refused. A directory gets its mode and time when
//! everything in it is there.
//! Not here: making the stream (`cairn-rpc`), modes and times (`metadata`), entries of CAR files
//! (`own/car/extract.rs`).

mod metadata;

pub(crate) use metadata::Metadata;
use metadata::Unfinished;
use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, CWD, Mode, OFlags, mkdirat, open, openat, symlinkat, unlinkat},
    io::Errno,
};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};
use thiserror::Error;

/// Mode of new directories, before the process's mask.
const DIRECTORY_MODE: u32 = 0o777;
/// Mode of new files, before the process's mask.
const FILE_MODE: u32 = 0o666;

/// Why a stream could not be unpacked.
#[derive(Debug, Error)]
pub(crate) enum ExtractError {
    /// The stream is no tar, or broke off.
    #[error("could not read the archive: {source}")]
    Archive {
        #[source]
        source: io::Error,
    },
    /// The system refused.
    #[error("could not write {name}: {source}")]
    Write {
        /// The entry, escaped.
        name: String,
        #[source]
        source: io::Error,
    },
    /// The name leads out of the target.
    #[error("refused {name}: its name would lead outside of the target")]
    Name {
        /// The entry, escaped.
        name: String,
    },
    /// Neither file, directory nor symbolic link.
    #[error("refused {name}: it is neither file, directory nor symbolic link")]
    Kind {
        /// The entry, escaped.
        name: String,
    },
    /// Something else stands where a directory is needed.
    #[error("refused {name}: a symbolic link or file stands in its way")]
    InTheWay {
        /// The entry, escaped.
        name: String,
    },
}

/// Unpacks `stream` so that its first entry becomes `target`.
///
/// If `target` is a directory already, a lone file is put into it under its own name.
pub(crate) fn extract(stream: impl Read, target: &Path) -> Result<(), ExtractError> {
    let mut archive = tar::Archive::new(stream);
    let broken = |source| ExtractError::Archive { source };
    let mut folder: Option<Folder> = None;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path_bytes().into_owned();
        let item = Item { name: cairn_rpc::escape(&String::from_utf8_lossy(&path)) };
        let parts = item.parts(&path)?;
        let (first, below) = parts.split_first().ok_or_else(|| item.bad_name())?;
        let metadata = Metadata::of(&mut entry).map_err(broken)?;
        match (&mut folder, below) {
            (None, []) if entry.header().entry_type().is_dir() => {
                let mut made = Folder::at(item.open_root(target)?);
                made.unfinished.add(below, item, metadata);
                folder = Some(made);
            }
            (None, []) => {
                let (directory, name) = item.place_of_file(target, first)?;
                let content = item.content_of(&mut entry)?;
                item.make(&directory, name.as_bytes(), (content, &metadata))?;
            }
            (Some(folder), [_, ..]) => {
                folder.put_at(below, (item.content_of(&mut entry)?, metadata), item)?;
            }
            _ => return Err(item.bad_name()),
        }
    }
    folder.map_or(Ok(()), Folder::finish)
}

/// What an entry is.
pub(crate) enum Content<'a> {
    /// A directory.
    Directory,
    /// A symbolic link, and where it points.
    Symlink(Vec<u8>),
    /// A file of `len` bytes.
    File { len: u64, read: &'a mut dyn Read },
}

/// A directory that entries are put into, each directory before what is in it.
pub(crate) struct Folder {
    root: OwnedFd,
    unfinished: Unfinished,
}

impl Folder {
    /// Makes or opens it.
    pub(crate) fn open(path: &Path) -> Result<Self, ExtractError> {
        let item = Item { name: path.display().to_string() };
        Ok(Self::at(item.open_root(path)?))
    }

    fn at(root: OwnedFd) -> Self {
        Self { root, unfinished: Unfinished::default() }
    }

    /// Puts an entry in, by its path below the directory.
    pub(crate) fn put(
        &mut self,
        path: &str,
        content: Content<'_>,
        metadata: Metadata,
    ) -> Result<(), ExtractError> {
        let item = Item { name: cairn_rpc::escape(path) };
        let parts = item.parts(path.as_bytes())?;
        self.put_at(&parts, (content, metadata), item)
    }

    fn put_at(
        &mut self,
        parts: &[&[u8]],
        (content, metadata): (Content<'_>, Metadata),
        item: Item,
    ) -> Result<(), ExtractError> {
        self.unfinished.finish_outside(&self.root, parts)?;
        let (name, ancestors) = parts.split_last().ok_or_else(|| item.bad_name())?;
        let directory = item.open_below(&self.root, ancestors)?;
        let is_dir = matches!(content, Content::Directory);
        item.make(&directory, name, (content, &metadata))?;
        if is_dir {
            self.unfinished.add(parts, item, metadata);
        }
        Ok(())
    }

    /// Gives the last directories their modes and times.
    pub(crate) fn finish(self) -> Result<(), ExtractError> {
        self.unfinished.finish(&self.root)
    }
}

/// One entry, for errors.
#[derive(Debug)]
struct Item {
    name: String,
}

impl Item {
    fn bad_name(&self) -> ExtractError {
        ExtractError::Name { name: self.name.clone() }
    }

    fn failed(&self, error: impl Into<io::Error>) -> ExtractError {
        ExtractError::Write { name: self.name.clone(), source: error.into() }
    }

    /// Splits a path into plain names.
    fn parts<'p>(&self, path: &'p [u8]) -> Result<Vec<&'p [u8]>, ExtractError> {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let parts: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
        let is_plain = |part: &&[u8]| !matches!(*part, b"" | b"." | b"..") && !part.contains(&0);
        if parts.iter().all(is_plain) { Ok(parts) } else { Err(self.bad_name()) }
    }

    /// Makes or opens the target as a directory; its own path is the user's and may have links.
    fn open_root(&self, target: &Path) -> Result<OwnedFd, ExtractError> {
        match mkdirat(CWD, target, Mode::from_raw_mode(DIRECTORY_MODE)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(self.failed(error)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(target, flags, Mode::empty()).map_err(|error| match error {
            Errno::NOTDIR => ExtractError::InTheWay { name: target.display().to_string() },
            error => self.failed(error),
        })
    }

    /// Decides where a lone file goes: the directory and the name in it.
    fn place_of_file(&self, target: &Path, own: &[u8]) -> Result<(OwnedFd, String), ExtractError> {
        let own = String::from_utf8_lossy(own).into_owned();
        let (directory, name) = match (target.is_dir(), target.parent(), target.file_name()) {
            (false, Some(parent), Some(name)) => {
                (parent.to_owned(), name.to_string_lossy().into_owned())
            }
            _ => (target.to_owned(), own),
        };
        let directory =
            if directory.as_os_str().is_empty() { Path::new(".").to_owned() } else { directory };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = open(&directory, flags, Mode::empty());
        Ok((opened.map_err(|error| self.failed(error))?, name))
    }

    /// Opens a directory below `root`, making what is missing and following no link.
    fn open_below(&self, root: &OwnedFd, parts: &[&[u8]]) -> Result<OwnedFd, ExtractError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut directory = root.try_clone().map_err(|error| self.failed(error))?;
        for part in parts {
            let open = || openat(&directory, *part, flags, Mode::empty());
            // Nearly always it is there.
            let opened = match open() {
                Err(Errno::NOENT) => {
                    match mkdirat(&directory, *part, Mode::from_raw_mode(DIRECTORY_MODE)) {
                        Ok(()) | Err(Errno::EXIST) => open(),
                        Err(error) => Err(error),
                    }
                }
                opened => opened,
            };
            directory = opened.map_err(|error| match error {
                Errno::NOTDIR | Errno::LOOP => ExtractError::InTheWay { name: self.name.clone() },
                error => self.failed(error),
            })?;
        }
        Ok(directory)
    }

    /// What an entry of a tar stream is.
    fn content_of<'e>(
        &self,
        entry: &'e mut tar::Entry<'_, impl Read>,
    ) -> Result<Content<'e>, ExtractError> {
        match entry.header().entry_type() {
            tar::EntryType::Directory => Ok(Content::Directory),
            tar::EntryType::Symlink => {
                let target = entry.link_name_bytes().ok_or_else(|| self.bad_name())?;
                Ok(Content::Symlink(target.into_owned()))
            }
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                Ok(Content::File { len: entry.size(), read: entry })
            }
            _ => Err(ExtractError::Kind { name: self.name.clone() }),
        }
    }

    fn make(
        &self,
        directory: &OwnedFd,
        name: &[u8],
        (content, metadata): (Content<'_>, &Metadata),
    ) -> Result<(), ExtractError> {
        match content {
            Content::Directory => self.open_below(directory, &[name]).map(drop),
            Content::Symlink(target) => {
                self.clear(directory, name)?;
                symlinkat(&target[..], directory, name).map_err(|error| self.failed(error))?;
                metadata.give_link(directory, name).map_err(|error| self.failed(error))
            }
            Content::File { len, read } => {
                self.clear(directory, name)?;
                let result = self.write(directory, name, (read, len), metadata);
                if result.is_err() {
                    unlinkat(directory, name, AtFlags::empty()).unwrap_or(());
                }
                result
            }
        }
    }

    /// Removes the file or link that stands at the place; never a directory.
    fn clear(&self, directory: &OwnedFd, name: &[u8]) -> Result<(), ExtractError> {
        match unlinkat(directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {
                Err(self.failed(io::Error::other("a directory of that name is there")))
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    fn write(
        &self,
        directory: &OwnedFd,
        name: &[u8],
        (read, len): (&mut dyn Read, u64),
        metadata: &Metadata,
    ) -> Result<(), ExtractError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(directory, name, flags, Mode::from_raw_mode(FILE_MODE));
        let mut file = File::from(opened.map_err(|error| self.failed(error))?);
        let copied = io::copy(read, &mut file).map_err(|error| self.failed(error))?;
        if copied != len {
            return Err(self.failed(io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        metadata.give(&file).map_err(|error| self.failed(error))
    }
}

#[cfg(test)]
mod tests;
