//! The disk, as something a test can own.
//!
//! The store does all its I/O through [`Vfs`], so that one seed replays one history of torn
//! writes, failed syncs and full disks. The traits are object safe (`Arc<dyn Vfs>`) and speak
//! of what durability needs: positioned reads and writes, `fdatasync`, directory sync, locks.
//! They have more than four methods, against the house rule, because a disk has.
//!
//! Invariants: nothing is durable before [`VfsFile::sync_data`] returns, and no name (created,
//! renamed, removed) before [`Vfs::sync_dir`] does. A write that fails may have left any part.
//! Not here: formats (`cairn-store`).

mod map;
mod memory;
mod real;

pub use map::Map;
pub use memory::MemoryVfs;
pub use real::RealVfs;

use std::{
    fmt,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io::{self, IoSlice},
    path::Path,
    sync::Arc,
};

/// What to do about a file that is not there, and who may read a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Create {
    /// Fail with `NotFound`; open for reading only.
    ReadOnly,
    /// Fail with `NotFound`; open for reading and writing.
    Never,
    /// Create it, readable by whom the umask allows.
    IfMissing,
    /// Create it with mode 0600.
    PrivateIfMissing,
    /// Create it, and fail with `AlreadyExists` if it is there.
    New,
}

/// A tree of files.
pub trait Vfs: fmt::Debug + Send + Sync {
    /// Opens the file at `path`.
    ///
    /// # Errors
    ///
    /// What the system says; see [`Create`] for which files may be missing.
    fn open(&self, path: &Path, create: Create) -> io::Result<Arc<dyn VfsFile>>;

    /// Creates a directory with its parents; one that is there already is not an error.
    ///
    /// A new directory gets mode 0700 if `private`.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn create_dir(&self, path: &Path, private: bool) -> io::Result<()>;

    /// Returns the names in a directory, in no order.
    ///
    /// # Errors
    ///
    /// What the system says; `NotFound` if the directory is missing.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Returns the length of the file at `path`, or `None` if nothing is there.
    ///
    /// # Errors
    ///
    /// What the system says, except that the file is missing.
    fn len(&self, path: &Path) -> io::Result<Option<u64>>;

    /// Returns how many of its bytes the file at `path` takes on disk: less than its length if it
    /// has holes. `None` if nothing is there.
    ///
    /// # Errors
    ///
    /// As [`Vfs::len`].
    fn disk_len(&self, path: &Path) -> io::Result<Option<u64>> {
        self.len(path)
    }

    /// Renames a file, replacing the target at once for every observer.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; one that is not there is not an error.
    ///
    /// # Errors
    ///
    /// What the system says, except that the file is missing.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Bytes that may still be written to the file system of the directory at `path`, or `None`
    /// where nobody can tell.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn free_len(&self, path: &Path) -> io::Result<Option<u64>> {
        let _ = path;
        Ok(None)
    }

    /// A number that nobody outside can guess, for what is written to this disk.
    ///
    /// A simulated disk draws it from its seed, so that one seed replays one history.
    fn entropy(&self) -> u64 {
        // The standard library seeds its hash maps from the system's randomness.
        RandomState::new().build_hasher().finish()
    }
}

/// An open file; all access is positioned, so that threads share it without a lock.
pub trait VfsFile: fmt::Debug + Send + Sync {
    /// Returns the length in bytes.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    ///
    /// As [`VfsFile::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads from `offset` until `buffer` is full or the file ends; returns how much was read.
    ///
    /// # Errors
    ///
    /// What the system says; a short file is not an error.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Reads up to `len` bytes from `offset` into a buffer of its own, without clearing it first.
    ///
    /// # Errors
    ///
    /// As [`VfsFile::read_at`].
    fn read_to_vec(&self, offset: u64, len: usize) -> io::Result<Vec<u8>>;

    /// Writes all of `parts`, one after the other, from `offset` on.
    ///
    /// # Errors
    ///
    /// What the system says; any part of the bytes may then have been written.
    fn write_all_vectored_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` from `offset` on.
    ///
    /// # Errors
    ///
    /// As [`VfsFile::write_all_vectored_at`].
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_vectored_at(&[IoSlice::new(bytes)], offset)
    }

    /// Cuts the file to `len`, or extends it with zeros.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Extends the file to `len` with space that is really reserved, so that writing to it
    /// through a [`Map`] cannot fail for want of space.
    ///
    /// # Errors
    ///
    /// What the system says; `StorageFull` leaves the length as it was.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes contents and length durable. After an error nothing may be assumed of any byte
    /// written since the last success, even if a later call succeeds.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn sync_data(&self) -> io::Result<()>;

    /// Asks for the range to be written out soon, without waiting: a hint, never a promise.
    fn start_sync(&self, offset: u64, len: u64);

    /// Gives the space of a range back to the file system; it then reads as zeros, and the
    /// length stays. `false` where that cannot be done, and nothing is changed.
    ///
    /// # Errors
    ///
    /// What the system says; any part of the range may then be zeros.
    fn punch(&self, offset: u64, len: u64) -> io::Result<bool> {
        let _ = (offset, len);
        Ok(false)
    }

    /// Takes the file's lock for this process; `false` if another has it. Ends with the file.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn try_lock(&self) -> io::Result<bool>;

    /// Maps the whole file, whose length must be a multiple of eight and stay as it is.
    ///
    /// # Errors
    ///
    /// What the system says; `InvalidInput` for a length that is no multiple of eight, or zero.
    fn map(&self) -> io::Result<Map>;
}

/// What follows from [`Vfs`], for callers; never implemented by hand.
pub trait VfsExt: Vfs {
    /// Reads a whole file of at most `len_max` bytes, or `None` if it is not there.
    ///
    /// # Errors
    ///
    /// What the system says; `FileTooLarge` over `len_max`.
    fn read_file(&self, path: &Path, len_max: usize) -> io::Result<Option<Vec<u8>>> {
        let file = match self.open(path, Create::ReadOnly) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let bytes = file.read_to_vec(0, len_max.saturating_add(1))?;
        if bytes.len() > len_max {
            Err(io::ErrorKind::FileTooLarge.into())
        } else {
            Ok(Some(bytes))
        }
    }

    /// Replaces a file so that a crash leaves either the old bytes or the new, and the new ones
    /// are durable on return. A new file gets mode 0600 if `private`.
    ///
    /// # Errors
    ///
    /// What the system says; the old file is then still there.
    fn replace_file(&self, path: &Path, bytes: &[u8], private: bool) -> io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let fresh = path.with_file_name(name);
        self.remove(&fresh)?;
        let create = if private { Create::PrivateIfMissing } else { Create::IfMissing };
        let written = self.open(&fresh, create).and_then(|file| {
            file.write_all_at(bytes, 0)?;
            file.sync_data()
        });
        let renamed = written.and_then(|()| self.rename(&fresh, path));
        if let Err(error) = renamed {
            // The first error is the one to report; a left-over is removed by the next attempt.
            drop(self.remove(&fresh));
            return Err(error);
        }
        match path.parent() {
            Some(parent) => self.sync_dir(parent),
            None => Ok(()),
        }
    }
}

impl<V: Vfs + ?Sized> VfsExt for V {}

#[cfg(test)]
mod tests;
