//! What goes into an add: entries, options, and what comes back.
//!
//! The same types carry a walk over the local file system (`local`) and the parts of an HTTP
//! request, so that both take one way in.
//!
//! Invariant: a path has no empty, `.` or `..` segment; [`check_path`] refuses them at the door.
//! Not here: the work itself (`add.rs` and its stages).

use cairn_block::Cid;
use cairn_chunk::ChunkSpec;
use cairn_unixfs::{DirectoryEstimate, Layout, Mtime};
use std::{fmt, io::Read, path::PathBuf};
use thiserror::Error;

/// Longest path of an entry, in bytes.
pub(crate) const PATH_LEN_MAX: usize = 4096;

/// Most segments in an entry's path; deeper trees are refused instead of recursed into.
pub(crate) const PATH_DEPTH_MAX: usize = 256;

/// The entries of one add, pulled on a thread of their own.
///
/// The order is free: a file may come before the directory that holds it.
pub type AddEntries = Box<dyn Iterator<Item = Result<AddEntry, AddEntryError>> + Send>;

/// One file, directory or symbolic link.
pub struct AddEntry {
    /// Where it goes: `"dir/sub/file"`, or `""` for a lone file without a name.
    pub path: String,
    /// What it is.
    pub kind: AddKind,
    /// Permission bits to keep, if any.
    pub mode: Option<u32>,
    /// Time of last change to keep, if any.
    pub mtime: Option<Mtime>,
    /// A file's length in bytes if it is known: the add fails if fewer bytes come.
    pub len: Option<u64>,
    /// Where a file's bytes can be found again: an absolute path or a URL.
    pub origin: Option<String>,
}

impl AddEntry {
    /// A directory.
    pub fn directory(path: impl Into<String>) -> Self {
        Self::new(path, AddKind::Directory)
    }

    /// A file whose bytes `read` gives.
    pub fn file(path: impl Into<String>, read: impl Read + Send + 'static) -> Self {
        Self::new(path, AddKind::File(Box::new(read)))
    }

    /// A symbolic link.
    pub fn symlink(path: impl Into<String>, target: impl Into<String>) -> Self {
        Self::new(path, AddKind::Symlink(target.into()))
    }

    fn new(path: impl Into<String>, kind: AddKind) -> Self {
        Self { path: path.into(), kind, mode: None, mtime: None, len: None, origin: None }
    }
}

impl fmt::Debug for AddEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("AddEntry");
        debug.field("path", &self.path).field("kind", &self.kind);
        debug.field("mode", &self.mode).field("mtime", &self.mtime).field("len", &self.len);
        debug.field("origin", &self.origin).finish()
    }
}

/// What an entry is.
pub enum AddKind {
    /// A directory; its content comes as entries of its own.
    Directory,
    /// A file, read to its end.
    File(Box<dyn Read + Send>),
    /// A symbolic link and its target, which is not looked at.
    Symlink(String),
}

impl fmt::Debug for AddKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => f.write_str("Directory"),
            Self::File(_) => f.write_str("File"),
            Self::Symlink(target) => write!(f, "Symlink({target:?})"),
        }
    }
}

/// Why an entry could not be taken; it ends the add, as in Kubo.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AddEntryError {
    /// The system refused to open, read or list it.
    #[error("could not {op} {path}: {source}")]
    Io {
        /// A verb such as `"open"`.
        op: &'static str,
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Fewer bytes than its size said: it was cut short while it was being read.
    #[error("{path} changed while it was being read: {expected} bytes expected, {actual} found")]
    Changed {
        /// Which one.
        path: String,
        /// Its length before, in bytes.
        expected: u64,
        /// What was read, in bytes.
        actual: u64,
    },
    /// It cannot be kept as a reference to where it lies.
    #[error("cannot refer to {path}: {reason}")]
    Reference {
        /// The file or URL.
        path: String,
        /// Why not.
        reason: String,
    },
    /// A socket, device or pipe.
    #[error("unrecognized file type for {path}: {kind}")]
    FileType {
        /// Which one.
        path: PathBuf,
        /// `"socket"` and the like.
        kind: &'static str,
    },
    /// A directory, without leave to add directories.
    #[error("{path} is a directory, use the '-r' flag to specify directories")]
    IsDirectory {
        /// Which one.
        path: PathBuf,
    },
    /// The name is not UTF-8, which UnixFS names must be.
    #[error("the name of {} is not valid UTF-8", .path.display())]
    NotUtf8 {
        /// Which one.
        path: PathBuf,
    },
    /// Empty, absolute, too long or too deep, or with `.` or `..` in it.
    #[error("invalid path {path:?}: {reason}")]
    Path {
        /// The path refused.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two entries claim one place.
    #[error("{path} was given twice")]
    Duplicate {
        /// The path of the second.
        path: String,
    },
    /// A file of ignore rules, or a rule, could not be understood.
    #[error("invalid ignore rule {rule:?}: {reason}")]
    Rule {
        /// The rule refused.
        rule: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Whatever the source of the entries says, such as a broken request body.
    #[error("{message}")]
    Source {
        /// The whole message.
        message: String,
    },
}

/// The flags of an add; [`AddOptions::default`] is Kubo's.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "one flag of the command line each")]
pub struct AddOptions {
    /// How files are cut.
    pub chunker: ChunkSpec,
    /// 0 or 1; `None` is 0, or 1 where another option needs it.
    pub cid_version: Option<u8>,
    /// Multihash code.
    pub hash_code: u64,
    /// Leaves without a wrapper; `None` follows the CID version.
    pub raw_leaves: Option<bool>,
    /// Blocks of at most this many bytes become identity CIDs.
    pub inline_limit: Option<usize>,
    /// How the leaves of a file are joined.
    pub layout: Layout,
    /// Children of an inner file node.
    pub max_file_links: usize,
    /// Entries of a plain directory, more make it a HAMT; 0 decides by size alone.
    pub max_directory_links: usize,
    /// Width of a HAMT node: a power of two, 8 to 1024.
    pub max_hamt_fanout: usize,
    /// Size of a directory above which it becomes a HAMT, in bytes.
    pub hamt_threshold: usize,
    /// How that size is estimated.
    pub hamt_estimation: DirectoryEstimate,
    /// Put everything into one directory without a name.
    pub wrap: bool,
    /// Take directories without entries.
    pub empty_dirs: bool,
    /// Compute CIDs and write nothing.
    pub only_hash: bool,
    /// Pin the roots.
    pub pin: bool,
    /// The pins' name; empty is none.
    pub pin_name: String,
    /// Mode for every entry, over the entry's own.
    pub mode: Option<u32>,
    /// Time for every entry, over the entry's own.
    pub mtime: Option<Mtime>,
    /// Keep the entries' own modes.
    pub preserve_mode: bool,
    /// Keep the entries' own times.
    pub preserve_mtime: bool,
    /// Send [`AddEvent::Progress`].
    pub progress: bool,
    /// Keep files as references to where they lie, instead of copying their bytes.
    pub nocopy: bool,
    /// Where a block is kept by a reference that gives it, do not keep its bytes, too.
    pub fscache: bool,
    /// The entries are few, short and in memory: one thread does everything, for waking others
    /// would take longer. CIDs do not depend on it.
    pub is_small: bool,
}

impl Default for AddOptions {
    fn default() -> Self {
        Self {
            chunker: ChunkSpec::default(),
            cid_version: None,
            hash_code: cairn_hash::code::SHA2_256,
            raw_leaves: None,
            inline_limit: None,
            layout: Layout::default(),
            max_file_links: 174,
            max_directory_links: 0,
            max_hamt_fanout: 256,
            hamt_threshold: 256 * 1024,
            hamt_estimation: DirectoryEstimate::Links,
            wrap: false,
            empty_dirs: true,
            only_hash: false,
            pin: true,
            pin_name: String::new(),
            mode: None,
            mtime: None,
            preserve_mode: false,
            preserve_mtime: false,
            progress: false,
            nocopy: false,
            fscache: false,
            is_small: false,
        }
    }
}

/// What an add tells while it works.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddEvent {
    /// So much of a file has been taken.
    Progress {
        /// The entry's path.
        name: String,
        /// Bytes of it so far.
        bytes: u64,
    },
    /// A file, link or directory is complete. For a root: durable and pinned.
    Added {
        /// The entry's path; the CID for a lone file without a name; `""` for the wrapper.
        name: String,
        /// Its CID.
        cid: Cid,
        /// Bytes of the whole DAG below it, blocks counted as often as linked.
        size: u64,
        /// The mode kept with it.
        mode: Option<u32>,
        /// The time kept with it.
        mtime: Option<Mtime>,
    },
}

/// What an add has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddSummary {
    /// The roots in order; one for most adds.
    pub roots: Vec<Cid>,
    /// Files taken.
    pub files: u64,
    /// Bytes of content read.
    pub bytes: u64,
}

/// Splits a path into its segments, refusing what could escape or confuse.
pub(crate) fn check_path(path: &str) -> Result<(), AddEntryError> {
    let refuse = |reason| Err(AddEntryError::Path { path: path.to_owned(), reason });
    if path.is_empty() {
        return Ok(());
    }
    if path.len() > PATH_LEN_MAX {
        return refuse("longer than 4096 bytes");
    }
    if path.split('/').count() > PATH_DEPTH_MAX {
        return refuse("more than 256 segments");
    }
    if path.contains('\0') {
        return refuse("it contains a NUL byte");
    }
    for segment in path.split('/') {
        match segment {
            "" => return refuse("it has an empty segment"),
            "." | ".." => return refuse("it has a segment that is . or .."),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_path;

    #[test]
    fn refuses_paths_that_could_escape() {
        for path in ["", "a", "a/b", "...", "a..b/.c", "ä/日本"] {
            assert!(check_path(path).is_ok(), "{path:?}");
        }
        let deep = "a/".repeat(300) + "a";
        for path in ["/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\0", &deep] {
            assert!(check_path(path).is_err(), "{path:?}");
        }
    }
}
