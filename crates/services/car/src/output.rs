//! A file that appears when it is whole.
//!
//! It is written beside its place, under a name that ends in `.partial`, synced and moved there.
//! A program that is killed leaves that name; the next run of the same command takes it over.
//!
//! Invariant: the place holds what was there before, or all of the new file.

use crate::ArchiveError;
use cairn_block::Cid;
use cairn_dag::car;
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Bytes that are collected before they are written.
const BUFFER_LEN: usize = 1024 * 1024;

/// Bytes that are moved at once where a header has another length than was thought.
const MOVE_LEN: usize = 1024 * 1024;

/// What errors call standard output.
const STDOUT: &str = "standard output";

/// Says to everything that writes that it is wanted no more.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on writing fails, and what was begun is taken back.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> io::Result<()> {
        let stopped = self.0.load(Ordering::Relaxed);
        if stopped { Err(io::Error::other("interrupted")) } else { Ok(()) }
    }
}

/// Where something is written.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// A file, or standard output, as it comes.
    path: Option<PathBuf>,
    stop: Stop,
}

impl Target {
    /// A file.
    pub fn file(path: impl Into<PathBuf>, stop: &Stop) -> Self {
        Self { path: Some(path.into()), stop: stop.clone() }
    }

    /// Standard output.
    pub fn stdout(stop: &Stop) -> Self {
        Self { path: None, stop: stop.clone() }
    }

    /// Whether this is a file.
    pub fn is_file(&self) -> bool {
        self.path.is_some()
    }
}

/// A file on its way out; dropped before [`Output::finish`], it leaves nothing.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    sink: Sink,
    stop: Stop,
    is_finished: bool,
}

#[derive(Debug)]
enum Sink {
    Stdout(BufWriter<io::Stdout>),
    File { partial: PathBuf, file: BufWriter<File> },
}

impl Output {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Io`].
    pub fn create(target: &Target) -> Result<Self, ArchiveError> {
        let (path, sink) = if let Some(path) = &target.path {
            let mut partial = OsString::from(path);
            partial.push(".partial");
            let partial = PathBuf::from(partial);
            // Readable, since a header may turn out to have another length.
            let mut options = OpenOptions::new();
            let opened = options.read(true).write(true).create(true).truncate(true).open(&partial);
            let file = opened.map_err(|source| ArchiveError::io("write", path, source))?;
            let file = BufWriter::with_capacity(BUFFER_LEN, file);
            (path.clone(), Sink::File { partial, file })
        } else {
            let out = BufWriter::with_capacity(BUFFER_LEN, io::stdout());
            (PathBuf::from(STDOUT), Sink::Stdout(out))
        };
        Ok(Self { path, sink, stop: target.stop.clone(), is_finished: false })
    }

    /// Begins a CAR file of version 1 with these roots.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Io`].
    pub fn create_car(target: &Target, roots: &[Cid]) -> Result<Self, ArchiveError> {
        let mut out = Self::create(target)?;
        out.write(&car::header(roots))?;
        Ok(out)
    }

    /// Where it will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes bytes.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Io`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        let written = self.stop.check().and_then(|()| match &mut self.sink {
            Sink::Stdout(out) => out.write_all(bytes),
            Sink::File { file, .. } => file.write_all(bytes),
        });
        written.map_err(|source| ArchiveError::io("write", &self.path, source))
    }

    /// Writes a section of a CAR file.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Io`].
    pub fn write_block(&mut self, cid: &Cid, data: &[u8]) -> Result<(), ArchiveError> {
        self.write(&car::section_head(cid, data.len()))?;
        self.write(data)
    }

    /// Puts other bytes in the place of the first `old_len`, whatever their length.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Io`]; also for standard output, where nothing can be replaced.
    pub(crate) fn replace_front(&mut self, old_len: u64, new: &[u8]) -> Result<(), ArchiveError> {
        let replaced = match &mut self.sink {
            Sink::Stdout(_) => Err(io::ErrorKind::NotSeekable.into()),
            Sink::File { file, .. } => file.flush().and_then(|()| {
                let file = file.get_ref();
                if old_len != new.len() as u64 {
                    shift(file, old_len, new.len() as u64)?;
                }
                file.write_all_at(new, 0)
            }),
        };
        replaced.map_err(|source| ArchiveError::io("write", &self.path, source))
    }

    /// Makes the file whole and durable, and moves it to its place.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Io`]; then the place holds what was there before.
    pub fn finish(mut self) -> Result<(), ArchiveError> {
        let finished = match &mut self.sink {
            Sink::Stdout(out) => out.flush(),
            Sink::File { partial, file } => file.flush().and_then(|()| {
                file.get_ref().sync_all()?;
                fs::rename(partial, &self.path)?;
                sync_folder(&self.path)
            }),
        };
        self.is_finished = finished.is_ok();
        finished.map_err(|source| ArchiveError::io("write", &self.path, source))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let (false, Sink::File { partial, .. }) = (self.is_finished, &self.sink) {
            fs::remove_file(partial).unwrap_or(());
        }
    }
}

/// Makes a file's new name durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Moves everything from `from` on to `to`.
fn shift(file: &File, from: u64, to: u64) -> io::Result<()> {
    let len = file.metadata()?.len().saturating_sub(from);
    let mut memory = vec![0; MOVE_LEN];
    let mut done = 0;
    while done < len {
        let piece_len = (len - done).min(MOVE_LEN as u64);
        // Never over what was not moved yet.
        let at = if to > from { len - done - piece_len } else { done };
        let piece = &mut memory[..piece_len as usize];
        file.read_exact_at(piece, from + at)?;
        file.write_all_at(piece, to + at)?;
        done += piece_len;
    }
    file.set_len(to + len)
}

#[cfg(test)]
mod tests {
    use super::{MOVE_LEN, Output, Stop, Target};
    use std::fs;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.car");
        let target = Target::file(&path, &Stop::default());
        fs::write(&path, "before").unwrap();
        let mut out = Output::create(&target).unwrap();
        out.write(b"half").unwrap();
        drop(out);
        assert_eq!(fs::read(&path).unwrap(), b"before");
        let mut out = Output::create(&target).unwrap();
        out.write(b"after").unwrap();
        out.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"after");
        let stop = Stop::default();
        let mut out = Output::create(&Target::file(&path, &stop)).unwrap();
        stop.now();
        assert!(out.write(b"too late").is_err());
        drop(out);
        assert_eq!(fs::read(&path).unwrap(), b"after");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_front_of_another_length_is_put_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let body: Vec<u8> = (0..2 * MOVE_LEN + 12_345).map(|at| (at / 7) as u8).collect();
        for (old, new) in [("short", "much longer"), ("much longer", "short"), ("same", "size")] {
            let mut out = Output::create(&Target::file(&path, &Stop::default())).unwrap();
            out.write(old.as_bytes()).unwrap();
            out.write(&body).unwrap();
            out.replace_front(old.len() as u64, new.as_bytes()).unwrap();
            out.finish().unwrap();
            assert!(fs::read(&path).unwrap() == [new.as_bytes(), &body].concat(), "{new}");
        }
    }
}
