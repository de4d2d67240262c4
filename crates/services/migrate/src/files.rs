//! Reading the source's files, and nothing but reading.
//!
//! Invariants: files are opened for reading only, never through a symlink in their last part,
//! and only if they are files: a pipe or a device of that name neither blocks nor is read.
//! Not here: writing; the target is `cairn-store`'s.

use crate::MigrateError;
use rustix::fs::OFlags;
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Opens a file for reading.
pub(crate) fn open(path: &Path) -> Result<File, MigrateError> {
    try_open(path).map_err(|source| MigrateError::io("read", path, source))
}

/// Like [`open`], with the system's own error.
pub(crate) fn try_open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"))
    }
}

/// Reads a whole file of at most `len_max` bytes.
pub(crate) fn read(path: &Path, len_max: usize) -> Result<Vec<u8>, MigrateError> {
    let mut bytes = Vec::new();
    let read = open(path)?.take(len_max as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|source| MigrateError::io("read", path, source))?;
    if bytes.len() > len_max {
        return Err(MigrateError::damaged(path, &format!("it is longer than {len_max} bytes")));
    }
    Ok(bytes)
}

/// Like [`read`], with `None` for a file that is not there.
pub(crate) fn read_if_there(path: &Path, len_max: usize) -> Result<Option<Vec<u8>>, MigrateError> {
    if exists(path)? { read(path, len_max).map(Some) } else { Ok(None) }
}

/// Whether anything has this name.
pub(crate) fn exists(path: &Path) -> Result<bool, MigrateError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(MigrateError::io("look at", path, source)),
    }
}

/// The names in a directory, in byte order.
pub(crate) fn names(dir: &Path) -> Result<Vec<OsString>, MigrateError> {
    try_names(dir).map_err(|source| MigrateError::io("list", dir, source))
}

/// Like [`names`], with the system's own error.
pub(crate) fn try_names(dir: &Path) -> io::Result<Vec<OsString>> {
    let entries = fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name()));
    let mut names: Vec<OsString> = entries.collect::<io::Result<_>>()?;
    names.sort_unstable();
    Ok(names)
}
