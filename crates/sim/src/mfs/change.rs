//! What is done to a tree of files, and what it leaves behind: the model of MFS.
//!
//! Invariant: a change that is drawn for a tree can be made, so a refusal is a failure.
//! Not here: who makes it (`worker.rs`).

use cairn_testkit::Random;
use std::collections::BTreeMap;

/// Entries of a tree from which on changes remove.
const ENTRIES_MAX: usize = 30;

/// Longest piece that is written, in bytes; files of a piece or more have many leaves.
const PIECE_LEN_MAX: usize = 5000;

/// Everything by its path: a file's bytes, or `None` for a directory.
pub(super) type Tree = BTreeMap<String, Option<Vec<u8>>>;

/// One change.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Mkdir {
        path: String,
        flush: bool,
    },
    Write {
        path: String,
        offset: usize,
        bytes: Vec<u8>,
        flush: bool,
    },
    Move {
        from: String,
        to: String,
        flush: bool,
    },
    Copy {
        from: String,
        to: String,
        flush: bool,
    },
    Remove {
        path: String,
    },
    Flush,
    /// Collects garbage.
    Collect,
    /// Is killed and starts again.
    Kill,
    /// Ends cleanly and starts again.
    Restart,
}

impl Change {
    /// Draws one that can be made.
    pub(super) fn draw(random: &mut Random, tree: &Tree) -> Self {
        let flush = random.below(3) > 0;
        let path = fresh(random, tree);
        if tree.len() > ENTRIES_MAX {
            return match some(random, tree, |_| true) {
                Some(path) => Self::Remove { path },
                None => Self::Flush,
            };
        }
        match random.below(100) {
            0..20 => Self::Mkdir { path, flush },
            20..50 => {
                let len = 1 + random.below(PIECE_LEN_MAX);
                let bytes = random.bytes(len).to_vec();
                let old = some(random, tree, Option::is_some).filter(|_| len.is_multiple_of(2));
                let path = old.unwrap_or(path);
                let len = tree.get(&path).and_then(Option::as_ref).map_or(0, Vec::len);
                Self::Write { offset: random.below(len + 1), path, bytes, flush }
            }
            50..65 => match some(random, tree, |_| true) {
                Some(from) if !is_below(&path, &from) => Self::Move { from, to: path, flush },
                _ => Self::Mkdir { path, flush },
            },
            65..75 => match some(random, tree, |_| true) {
                Some(from) if !is_below(&path, &from) => Self::Copy { from, to: path, flush },
                _ => Self::Mkdir { path, flush },
            },
            75..83 => match some(random, tree, |_| true) {
                Some(path) => Self::Remove { path },
                None => Self::Mkdir { path, flush },
            },
            83..88 => Self::Flush,
            88..92 => Self::Collect,
            92..96 => Self::Kill,
            _ => Self::Restart,
        }
    }

    /// One that can be made in any tree, and is flushed.
    pub(super) fn fresh(number: u64) -> Self {
        let bytes = Random::new(number).bytes(2000).to_vec();
        Self::Write { path: "/after".to_owned(), offset: 0, bytes, flush: true }
    }

    /// Whether all is durable once it was acknowledged.
    pub(super) fn flushes(&self) -> bool {
        match self {
            Self::Mkdir { flush, .. }
            | Self::Write { flush, .. }
            | Self::Move { flush, .. }
            | Self::Copy { flush, .. } => *flush,
            Self::Remove { .. } | Self::Flush | Self::Restart => true,
            Self::Collect | Self::Kill => false,
        }
    }

    /// Its name.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Mkdir { .. } => "mkdir",
            Self::Write { .. } => "write",
            Self::Move { .. } => "move",
            Self::Copy { .. } => "copy",
            Self::Remove { .. } => "remove",
            Self::Flush => "flush",
            Self::Collect => "collect",
            Self::Kill => "kill",
            Self::Restart => "restart",
        }
    }

    /// The tree that it leaves behind.
    pub(super) fn applied_to(&self, tree: &Tree) -> Tree {
        let mut after = tree.clone();
        match self {
            Self::Mkdir { path, .. } => drop(after.insert(path.clone(), None)),
            Self::Write { path, offset, bytes, .. } => {
                let file = after.entry(path.clone()).or_insert_with(|| Some(Vec::new()));
                let file = file.get_or_insert_default();
                file.resize(file.len().max(offset + bytes.len()), 0);
                file[*offset..offset + bytes.len()].copy_from_slice(bytes);
            }
            Self::Move { from, to, .. } | Self::Copy { from, to, .. } => {
                let moves = matches!(self, Self::Move { .. });
                for (path, entry) in tree.iter().filter(|(path, _)| is_below(path, from)) {
                    if moves {
                        after.remove(path);
                    }
                    after.insert(format!("{to}{}", &path[from.len()..]), entry.clone());
                }
            }
            Self::Remove { path } => after.retain(|other, _| !is_below(other, path)),
            Self::Flush | Self::Collect | Self::Kill | Self::Restart => {}
        }
        after
    }
}

/// Whether a path is another, or below it.
fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn some(random: &mut Random, tree: &Tree, fits: fn(&Option<Vec<u8>>) -> bool) -> Option<String> {
    let fitting: Vec<&String> =
        tree.iter().filter(|(_, entry)| fits(entry)).map(|(path, _)| path).collect();
    let count = fitting.len();
    (count > 0).then(|| fitting[random.below(count)].clone())
}

/// A path in one of the directories at which nothing is.
fn fresh(random: &mut Random, tree: &Tree) -> String {
    let above = some(random, tree, Option::is_none).filter(|_| random.below(4) > 0);
    let above = above.unwrap_or_default();
    loop {
        let path = format!("{above}/{}", random.below(1000));
        if !tree.contains_key(&path) {
            return path;
        }
    }
}
