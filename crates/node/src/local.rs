//! Walks the local file system and gives entries for an add.
//!
//! Used by the command line, both in this process and to build a request for a daemon. Follows
//! Kubo's rules: names in byte order, hidden names only if asked, symbolic links kept as links,
//! an error for what is neither file, directory nor link.
//!
//! Invariants: one file is open at a time; of each directory on the way down only the names are
//! held; memory grows with the widest directory, not with the tree.
//! Not here: which names are ignored (`local/ignore.rs`), reading the files (`add`).

mod ignore;

#[cfg(feature = "fuzz")]
pub(crate) use ignore::fuzz as ignore_fuzz;

use crate::add::{AddEntries, AddEntry, AddEntryError, AddKind, PATH_DEPTH_MAX};
use cairn_unixfs::Mtime;
use ignore::Rules;
use std::{
    ffi::OsString,
    fs::{self, File, FileType, Metadata},
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// Which files to take and what to keep of them.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one flag of the command line each")]
pub struct LocalWalkOptions {
    /// Take directories with everything in them; without it they are an error.
    pub recursive: bool,
    /// Take names that start with a dot.
    pub hidden: bool,
    /// Names to leave out, in gitignore's syntax.
    pub ignore: Vec<String>,
    /// A file with more of them, a line each.
    pub ignore_rules_path: Option<PathBuf>,
    /// Follow symbolic links that are given as arguments.
    pub dereference_args: bool,
    /// Follow every symbolic link.
    pub dereference_symlinks: bool,
    /// Keep permission bits.
    pub preserve_mode: bool,
    /// Keep times of last change.
    pub preserve_mtime: bool,
    /// Tell where each file lies, so that it can be referred to.
    pub origins: bool,
}

/// Walks `paths` in order; each becomes a top-level entry with its last segment as name.
///
/// Blocks on the disk as it is pulled. Ends after the first error, which names the path.
pub fn local_entries(paths: Vec<PathBuf>, options: LocalWalkOptions) -> AddEntries {
    let rules = Rules::load(&options.ignore, options.ignore_rules_path.as_deref());
    match rules {
        Ok(rules) => {
            let paths = paths.into_iter();
            Box::new(Walk { paths, options, rules, frames: Vec::new(), failed: false })
        }
        Err(error) => Box::new(std::iter::once(Err(error))),
    }
}

struct Walk {
    paths: std::vec::IntoIter<PathBuf>,
    options: LocalWalkOptions,
    rules: Rules,
    /// The directories from the argument down to where the walk is.
    frames: Vec<Frame>,
    failed: bool,
}

struct Frame {
    /// On disk.
    path: PathBuf,
    /// In the add.
    name: String,
    /// What is left of it, by name.
    names: std::vec::IntoIter<(OsString, FileType)>,
}

impl Iterator for Walk {
    type Item = Result<AddEntry, AddEntryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.step().transpose()?;
        self.failed = next.is_err();
        Some(next)
    }
}

impl Walk {
    fn step(&mut self) -> Result<Option<AddEntry>, AddEntryError> {
        while let Some(frame) = self.frames.last_mut() {
            let Some((name, file_type)) = frame.names.next() else {
                self.frames.pop();
                continue;
            };
            let path = frame.path.join(&name);
            if !self.options.hidden && name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let Some(name) = name.to_str() else {
                return Err(AddEntryError::NotUtf8 { path });
            };
            let in_add = format!("{}/{name}", frame.name);
            let below_argument = in_add.split_once('/').map_or("", |(_, rest)| rest);
            if self.rules.exclude(below_argument, file_type.is_dir()) {
                continue;
            }
            let follow = self.options.dereference_symlinks;
            return self.entry(path, in_add, Some(file_type), follow).map(Some);
        }
        let Some(path) = self.paths.next() else { return Ok(None) };
        let follow = self.options.dereference_args || self.options.dereference_symlinks;
        let name = argument_name(&path)?;
        let entry = self.entry(path.clone(), name, None, follow)?;
        if matches!(entry.kind, AddKind::Directory) && !self.options.recursive {
            return Err(AddEntryError::IsDirectory { path });
        }
        Ok(Some(entry))
    }

    /// Makes the entry for `path`; a directory is also stepped into.
    fn entry(
        &mut self,
        path: PathBuf,
        name: String,
        known: Option<FileType>,
        follow: bool,
    ) -> Result<AddEntry, AddEntryError> {
        let stat = |follow| if follow { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
        let file_type = match known {
            Some(known) if !(follow && known.is_symlink()) => known,
            _ => stat(follow).map_err(|error| failed("open", &path, error))?.file_type(),
        };
        if file_type.is_file() {
            let file = File::open(&path).map_err(|error| failed("open", &path, error))?;
            let metadata = file.metadata().map_err(|error| failed("stat", &path, error))?;
            // Files of /proc and the like say 0 and have content all the same.
            let len = Some(metadata.len()).filter(|&len| len > 0);
            let mut entry = AddEntry::file(name, file);
            entry.len = len;
            if self.options.origins {
                entry.origin = Some(origin(&path)?);
            }
            return Ok(self.with_metadata(entry, &metadata));
        }
        let entry = if file_type.is_symlink() {
            let target = fs::read_link(&path).map_err(|error| failed("read", &path, error))?;
            let Some(target) = target.to_str() else {
                return Err(AddEntryError::NotUtf8 { path });
            };
            AddEntry::symlink(name, target)
        } else if file_type.is_dir() {
            self.enter(&path, &name)?;
            AddEntry::directory(name)
        } else {
            return Err(AddEntryError::FileType { path, kind: special(file_type) });
        };
        if !self.options.preserve_mode && !self.options.preserve_mtime {
            return Ok(entry);
        }
        let metadata = stat(follow).map_err(|error| failed("stat", &path, error))?;
        Ok(self.with_metadata(entry, &metadata))
    }

    fn enter(&mut self, path: &Path, name: &str) -> Result<(), AddEntryError> {
        if !self.options.recursive {
            return Ok(());
        }
        if self.frames.len() >= PATH_DEPTH_MAX {
            let reason = "more than 256 segments";
            return Err(AddEntryError::Path { path: name.to_owned(), reason });
        }
        let list = || -> io::Result<Vec<(OsString, FileType)>> {
            fs::read_dir(path)?
                .map(|entry| {
                    let entry = entry?;
                    Ok((entry.file_name(), entry.file_type()?))
                })
                .collect()
        };
        let mut names = list().map_err(|error| failed("list", path, error))?;
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let (path, name, names) = (path.to_owned(), name.to_owned(), names.into_iter());
        self.frames.push(Frame { path, name, names });
        Ok(())
    }

    fn with_metadata(&self, mut entry: AddEntry, metadata: &Metadata) -> AddEntry {
        if self.options.preserve_mode {
            entry.mode = mode(metadata);
        }
        if self.options.preserve_mtime {
            entry.mtime = mtime(metadata);
        }
        entry
    }
}

/// The last segment of an argument; `.` and `..` are looked up.
fn argument_name(path: &Path) -> Result<String, AddEntryError> {
    let name = if let Some(name) = path.file_name() {
        Some(name.to_owned())
    } else {
        let full = fs::canonicalize(path).map_err(|error| failed("open", path, error))?;
        full.file_name().map(ToOwned::to_owned)
    };
    let not_utf8 = || AddEntryError::NotUtf8 { path: path.to_owned() };
    match name {
        Some(name) => name.into_string().map_err(|_| not_utf8()),
        None => Err(AddEntryError::Path {
            path: path.display().to_string(),
            reason: "the root directory has no name",
        }),
    }
}

/// The absolute path as text.
fn origin(path: &Path) -> Result<String, AddEntryError> {
    let full = std::path::absolute(path).map_err(|error| failed("find", path, error))?;
    let text = full.into_os_string().into_string();
    text.map_err(|_| AddEntryError::NotUtf8 { path: path.to_owned() })
}

fn failed(op: &'static str, path: &Path, source: io::Error) -> AddEntryError {
    AddEntryError::Io { op, path: path.to_owned(), source }
}

#[cfg(unix)]
fn special(file_type: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    if file_type.is_socket() {
        "socket"
    } else if file_type.is_fifo() {
        "named pipe"
    } else {
        "device"
    }
}

#[cfg(not(unix))]
fn special(_file_type: FileType) -> &'static str {
    "special file"
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have no modes")]
fn mode(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Some(metadata.mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode(_metadata: &Metadata) -> Option<u32> {
    None
}

fn mtime(metadata: &Metadata) -> Option<Mtime> {
    let time = metadata.modified().ok()?;
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => {
            Some(Mtime { secs: after.as_secs().try_into().ok()?, nanos: after.subsec_nanos() })
        }
        Err(error) => {
            let before = error.duration();
            let whole: i64 = before.as_secs().try_into().ok()?;
            match before.subsec_nanos() {
                0 => Some(Mtime { secs: -whole, nanos: 0 }),
                nanos => Some(Mtime { secs: -whole - 1, nanos: 1_000_000_000 - nanos }),
            }
        }
    }
}

#[cfg(test)]
mod tests;
