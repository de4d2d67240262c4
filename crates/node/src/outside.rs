//! What lies outside the repository and is referred to: the operator's own files, and URLs.
//!
//! Kubo calls the two filestore and urlstore. Files are referred to by their path below one root,
//! the directory that holds the repository, so that both can move together.
//!
//! Invariants: nothing outside is ever written; a path that leads out of the root, also through a
//! symbolic link, is refused; what is no regular file is never waited for.
//! Not here: whether the bytes are the right ones (`cairn-store` hashes them at each read).

use crate::{NodeError, add::AddEntryError, config::Experimental, web};
use bytes::Bytes;
use cairn_runtime::Tasks;
use cairn_store::{Location, Reference, RepoError, SourceError, Sources};
use cairn_web::{Client, Trust};
use std::{
    fs::{self, File, Metadata, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::sync_channel,
    },
    time::UNIX_EPOCH,
};
use tokio::runtime::Handle;

/// Threads that wait for web servers at the same time: half of those that the store reads with,
/// so that slow servers cannot keep it from reading its own blocks.
const WAITING_COUNT_MAX: usize = 16;

/// Reads what references point at.
#[derive(Debug)]
pub(crate) struct Outside {
    root: PathBuf,
    /// The repository itself, which nothing refers into.
    repo: PathBuf,
    enabled: Experimental,
    tasks: Tasks,
    web: Client,
    runtime: Handle,
    /// How many threads wait for servers.
    waiting: AtomicUsize,
}

/// Something that is being added by reference.
#[derive(Debug)]
pub(crate) struct Referent {
    outside: Arc<Outside>,
    /// As it was given.
    origin: String,
    /// Of its first byte.
    reference: Reference,
    /// The file, opened once for all its leaves.
    file: Option<File>,
}

impl Outside {
    /// The outside of the repository at `repo`; must be made within a tokio runtime.
    pub(crate) fn new(repo: &Path, enabled: Experimental, tasks: Tasks) -> Result<Self, NodeError> {
        let failed = |source| {
            let path = repo.to_owned();
            NodeError::Repo(RepoError::Io { op: "find", path, source })
        };
        let named = std::path::absolute(repo).map_err(failed)?;
        // A repository that is open is there, unless its disk is a simulated one.
        let real = |path: &Path| match fs::canonicalize(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
            found => found.map_err(failed),
        };
        let root = real(named.parent().unwrap_or(&named))?;
        let repo = real(&named)?;
        let (runtime, waiting) = (Handle::current(), AtomicUsize::new(0));
        let web = Client::new(&tasks, Trust::System);
        Ok(Self { root, repo, enabled, tasks, web, runtime, waiting })
    }

    /// Refuses an add by reference, or a listing, where neither kind is enabled.
    pub(crate) fn check_enabled(&self) -> Result<(), NodeError> {
        if self.enabled.filestore || self.enabled.urlstore {
            return Ok(());
        }
        let reason = "either the filestore or the urlstore must be enabled to refer to files \
                      instead of copying them; `cairn config --json \
                      Experimental.FilestoreEnabled true` enables the first, \
                      Experimental.UrlstoreEnabled the second";
        Err(NodeError::Options { reason })
    }

    /// Prepares to refer to the file or URL that an entry names as its origin.
    pub(crate) fn referent(
        self: &Arc<Self>,
        path: &str,
        origin: Option<&str>,
    ) -> Result<Referent, AddEntryError> {
        let refuse = |of: &str, reason: String| {
            Err(AddEntryError::Reference { path: of.to_owned(), reason })
        };
        let Some(origin) = origin else {
            let reason = "its bytes came without the path or URL where they lie".to_owned();
            return refuse(if path.is_empty() { "the input" } else { path }, reason);
        };
        let outside = Arc::clone(self);
        let of = |location, source_len, source_mtime, file| Referent {
            outside,
            origin: origin.to_owned(),
            reference: Reference { location, offset: 0, source_len, source_mtime },
            file,
        };
        if is_url(origin) {
            if !self.enabled.urlstore {
                return refuse(origin, disabled("urlstore", "UrlstoreEnabled"));
            }
            return match Location::url(origin) {
                Some(location) => Ok(of(location, None, None, None)),
                None => refuse(origin, "the URL is too long, or not plain ASCII".to_owned()),
            };
        }
        if !self.enabled.filestore {
            return refuse(origin, disabled("filestore", "FilestoreEnabled"));
        }
        let opened = self.location_of(Path::new(origin)).and_then(|location| {
            let (file, metadata) = self.open(location.text()).map_err(|error| error.to_string())?;
            Ok((location, file, metadata))
        });
        match opened {
            Ok((location, file, metadata)) => {
                Ok(of(location, Some(metadata.len()), mtime(&metadata), Some(file)))
            }
            Err(reason) => refuse(origin, reason),
        }
    }

    /// Where a file lies below the root.
    fn location_of(&self, path: &Path) -> Result<Location, String> {
        if !path.is_absolute() {
            return Err("its path must be absolute".to_owned());
        }
        let full = fs::canonicalize(path).map_err(|error| error.to_string())?;
        let below = full.strip_prefix(&self.root).map_err(|_| {
            format!("cannot add filestore references outside ipfs root ({})", self.root.display())
        })?;
        if full.starts_with(&self.repo) {
            return Err("it is part of the repository".to_owned());
        }
        let text = below.to_str().ok_or("its path is not valid UTF-8")?;
        Location::file(text).ok_or_else(|| "its path is too long".to_owned())
    }

    /// Opens a file below the root for reading.
    fn open(&self, path: &str) -> Result<(File, Metadata), SourceError> {
        let full = fs::canonicalize(self.root.join(path)).map_err(of_io)?;
        if !full.starts_with(&self.root) {
            let text = format!("its path leads out of {}", self.root.display());
            return Err(SourceError::Other(text));
        }
        let mut options = OpenOptions::new();
        options.read(true);
        #[cfg(unix)]
        {
            use rustix::fs::OFlags;
            use std::os::unix::fs::OpenOptionsExt as _;
            // A pipe would be waited for, and what was no link a moment ago may be one now.
            let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
            options.custom_flags(flags.bits().cast_signed());
        }
        let file = options.open(&full).map_err(of_io)?;
        let metadata = file.metadata().map_err(of_io)?;
        if metadata.is_file() {
            Ok((file, metadata))
        } else {
            Err(SourceError::Other("it is no regular file".to_owned()))
        }
    }

    fn read_url(&self, url: &Arc<str>, part: (u64, usize)) -> Result<Bytes, SourceError> {
        if !self.enabled.urlstore {
            return Err(SourceError::Other(disabled("urlstore", "UrlstoreEnabled")));
        }
        let _turn = Turn::take(&self.waiting)?;
        // The answer comes through a channel and not by waiting for a future, so that it does
        // not matter what kind of thread this is.
        let (sender, answer) = sync_channel(1);
        let (url, web) = (Arc::clone(url), self.web.clone());
        let _within = self.runtime.enter();
        self.tasks.spawn("referred URL", async move {
            // Nobody waits any more if this fails.
            drop(sender.send(web::part(&web, &url, part).await));
        });
        match answer.recv() {
            Ok(answer) => answer.map_err(SourceError::Other),
            Err(_) => Err(SourceError::Other("the node is stopping".to_owned())),
        }
    }
}

/// One of the threads that may wait for servers.
struct Turn<'a>(&'a AtomicUsize);

impl<'a> Turn<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self, SourceError> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let turn = Self(waiting);
        if before < WAITING_COUNT_MAX {
            return Ok(turn);
        }
        let text = format!("{WAITING_COUNT_MAX} requests to web servers are under way already");
        Err(SourceError::Other(text))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Sources for Outside {
    fn read(&self, reference: &Reference, len: usize) -> Result<Bytes, SourceError> {
        match &reference.location {
            Location::File(path) => {
                let (file, _) = self.open(path)?;
                read_part(&file, (reference.offset, len))
            }
            Location::Url(url) => self.read_url(url, (reference.offset, len)),
        }
    }
}

impl Referent {
    /// The reference to `data`, which must lie at `offset`.
    ///
    /// A file is read once more, so that what is acknowledged can be read back; of a URL only the
    /// first part, which shows that its server gives parts at all.
    pub(crate) fn leaf(&self, offset: u64, data: &[u8]) -> Result<Reference, AddEntryError> {
        let reference = Reference { offset, ..self.reference.clone() };
        let part = (offset, data.len());
        let found = match (&self.file, &reference.location) {
            (Some(file), _) => read_part(file, part),
            (None, Location::Url(url)) if offset == 0 => self.outside.read_url(url, part),
            (None, _) => return Ok(reference),
        };
        let reason = match found {
            Ok(found) if found == data => return Ok(reference),
            Ok(_) => "it holds other bytes than were sent".to_owned(),
            Err(SourceError::Other(reason)) => reason,
            Err(_) => "it changed while it was being read".to_owned(),
        };
        Err(AddEntryError::Reference { path: self.origin.clone(), reason })
    }
}

/// Whether an origin is a URL and not a path.
pub(crate) fn is_url(origin: &str) -> bool {
    origin.starts_with("http://") || origin.starts_with("https://")
}

fn disabled(what: &str, key: &str) -> String {
    format!("the {what} is not enabled; `cairn config --json Experimental.{key} true` enables it")
}

#[expect(clippy::needless_pass_by_value, reason = "errors are mapped with it")]
fn of_io(error: io::Error) -> SourceError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SourceError::Missing,
        _ => SourceError::Other(error.to_string()),
    }
}

fn read_part(file: &File, (offset, len): (u64, usize)) -> Result<Bytes, SourceError> {
    let mut bytes = vec![0; len];
    match read_exact_at(file, &mut bytes, offset) {
        Ok(()) => Ok(bytes.into()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(SourceError::Changed),
        Err(error) => Err(of_io(error)),
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn read_exact_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read as _, Seek as _};
    file.seek(io::SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}

fn mtime(metadata: &Metadata) -> Option<(i64, u32)> {
    let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((i64::try_from(since.as_secs()).ok()?, since.subsec_nanos()))
}

#[cfg(test)]
mod tests;
