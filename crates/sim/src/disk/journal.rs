//! What was done to a simulated disk, call by call.
//!
//! Not here: what a power cut leaves of it (`image.rs`).

use super::contents::Page;
use std::path::PathBuf;

/// Number of a file; a name that is removed and made again is another file.
pub(super) type FileNumber = usize;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(FileNumber),
}

/// A change of names.
#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Add { path: PathBuf, node: Node },
    Rename { from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
}

/// One change of the disk, or one promise that it gave.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Write {
        file: FileNumber,
        offset: u64,
        bytes: Vec<u8>,
    },
    SetLen {
        file: FileNumber,
        len: u64,
    },
    /// Pages that changed in a mapped file since the last look at it.
    Pages {
        file: FileNumber,
        pages: Vec<(usize, Page)>,
    },
    Sync {
        file: FileNumber,
    },
    /// The sync failed: of its pages any may be lost, and no later sync writes those.
    SyncFailed {
        file: FileNumber,
    },
    Name(NameChange),
    SyncDir {
        dir: PathBuf,
    },
}

/// How often a kind of call was made on a kind of file, for the summary: `"write pack"`.
pub(super) fn label(call: &str, path: &std::path::Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let kind = if name.ends_with(".pack") {
        "pack"
    } else if name.starts_with("index") {
        "index"
    } else if name.starts_with("meta") {
        "meta"
    } else if name.contains('.') || name == "config" || name == "version" {
        "settings"
    } else {
        "directory"
    };
    format!("{call} {kind}")
}
