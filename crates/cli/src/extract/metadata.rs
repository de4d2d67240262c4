//! Modes and times of what is unpacked.
//!
//! Spec: UnixFS 1.5 metadata, carried by the headers of the stream; what a header has no room for
//! (parts of seconds, times before 1970) by the `mtime` record of POSIX pax.
//!
//! Invariants: what the stream has no metadata for keeps what the system gives it; bits above
//! `0o777` are never set, since the stream is a stranger's. A directory is finished when the first
//! entry outside of it comes, those below first, so at most as many wait as a path has parts.
//! Not here: making files (`super`).

use super::{ExtractError, Item};
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, fchmod, futimens, openat, utimensat},
    io::Errno,
};
use std::io::{self, Read};

/// What the stream says for files without a mode of their own.
const FILE_MODE_DEFAULT: u32 = 0o644;

/// The same for directories.
const DIRECTORY_MODE_DEFAULT: u32 = 0o755;

/// What an entry says of its mode and time.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    mode: Option<u32>,
    time: Option<Timespec>,
}

impl Metadata {
    /// What a UnixFS entry says: permissions, and seconds and nanoseconds since 1970.
    pub(crate) fn new(mode: Option<u32>, time: Option<(i64, u32)>) -> Self {
        let timespec = |(tv_sec, nanos)| Timespec { tv_sec, tv_nsec: i64::from(nanos) };
        Self { mode: mode.map(|mode| mode & 0o777), time: time.map(timespec) }
    }

    pub(super) fn of(entry: &mut tar::Entry<'_, impl Read>) -> io::Result<Self> {
        let mut time = None;
        if let Some(records) = entry.pax_extensions()? {
            for record in records {
                let record = record?;
                if record.key_bytes() == b"mtime" {
                    time = record.value().ok().and_then(time_of);
                }
            }
        }
        let header = entry.header();
        let seconds = i64::try_from(header.mtime().unwrap_or_default()).ok();
        let in_header = seconds.filter(|seconds| *seconds > 0);
        let default =
            if header.entry_type().is_dir() { DIRECTORY_MODE_DEFAULT } else { FILE_MODE_DEFAULT };
        let mode = header.mode().unwrap_or(default) & 0o777;
        Ok(Self {
            mode: Some(mode).filter(|mode| *mode != default),
            time: time.or(in_header.map(|tv_sec| Timespec { tv_sec, tv_nsec: 0 })),
        })
    }

    /// Gives them to an open file or directory.
    pub(super) fn give(&self, file: impl AsFd) -> Result<(), Errno> {
        if let Some(mode) = self.mode {
            fchmod(&file, Mode::from_raw_mode(mode))?;
        }
        self.times().map_or(Ok(()), |times| futimens(&file, &times))
    }

    /// Gives the time to a symbolic link; its mode means nothing.
    pub(super) fn give_link(&self, directory: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        self.times().map_or(Ok(()), |times| utimensat(directory, name, &times, flags))
    }

    fn times(&self) -> Option<Timestamps> {
        self.time.map(|time| Timestamps { last_access: time, last_modification: time })
    }
}

/// Reads seconds with a fraction, as pax writes them.
fn time_of(text: &str) -> Option<Timespec> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (seconds, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(seconds) || !all_digits(fraction) {
        return None;
    }
    let seconds: i64 = seconds.parse().ok()?;
    let nanoseconds: i64 = format!("{fraction:0<9.9}").parse().ok()?;
    Some(match (negative, nanoseconds) {
        (false, _) => Timespec { tv_sec: seconds, tv_nsec: nanoseconds },
        (true, 0) => Timespec { tv_sec: -seconds, tv_nsec: 0 },
        (true, _) => Timespec { tv_sec: -seconds - 1, tv_nsec: 1_000_000_000 - nanoseconds },
    })
}

/// Directories whose mode and time are still to be set: each lies in the one before it.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    directories: Vec<(Vec<Vec<u8>>, Item, Metadata)>,
}

impl Unfinished {
    /// Remembers a directory by its path below the root.
    pub(super) fn add(&mut self, path: &[&[u8]], item: Item, metadata: Metadata) {
        let path = path.iter().map(|part| part.to_vec()).collect();
        self.directories.push((path, item, metadata));
    }

    /// Finishes those that what lies at `path` is not in.
    pub(super) fn finish_outside(
        &mut self,
        root: &OwnedFd,
        path: &[&[u8]],
    ) -> Result<(), ExtractError> {
        let holds = |(directory, ..): &(Vec<Vec<u8>>, Item, Metadata)| {
            directory.len() < path.len() && directory.iter().zip(path).all(|(a, b)| a == b)
        };
        while let Some(last) = self.directories.pop_if(|last| !holds(last)) {
            finish(root, &last)?;
        }
        Ok(())
    }

    /// Finishes all of them.
    pub(super) fn finish(mut self, root: &OwnedFd) -> Result<(), ExtractError> {
        while let Some(last) = self.directories.pop() {
            finish(root, &last)?;
        }
        Ok(())
    }
}

fn finish(
    root: &OwnedFd,
    (path, item, metadata): &(Vec<Vec<u8>>, Item, Metadata),
) -> Result<(), ExtractError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut directory = root.try_clone().map_err(|error| item.failed(error))?;
    for part in path {
        let opened = openat(&directory, part.as_slice(), flags, Mode::empty());
        directory = opened.map_err(|error| item.failed(error))?;
    }
    metadata.give(&directory).map_err(|error| item.failed(error))
}

#[cfg(test)]
mod tests {
    use super::time_of;

    #[test]
    fn times_are_read_as_pax_writes_them() {
        let rows = [
            ("0", Some((0, 0))),
            ("12", Some((12, 0))),
            ("12.5", Some((12, 500_000_000))),
            ("12.123456789123", Some((12, 123_456_789))),
            ("-5", Some((-5, 0))),
            ("-5.25", Some((-6, 750_000_000))),
            ("", None),
            (".5", None),
            ("1e9", None),
            ("--1", None),
            ("99999999999999999999", None),
        ];
        for (text, expected) in rows {
            let read = time_of(text).map(|time| (time.tv_sec, time.tv_nsec));
            assert_eq!(read, expected, "{text}");
        }
    }
}
