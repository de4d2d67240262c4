//! The directories of an add while they grow.
//!
//! Entries come in any order, so no directory is finished before the last entry has come. Kept
//! are names and CIDs only, about 150 bytes an entry.
//!
//! Not here: how a directory becomes blocks (`cairn-unixfs`), files (`writer.rs`).

use super::{AddEntryError, AddEvent, plan::Plan};
use crate::NodeError;
use cairn_block::Block;
use cairn_unixfs::{Child, DirectoryBuilder, Metadata};
use std::collections::{BTreeMap, HashMap};

/// Everything an add has at its top.
#[derive(Debug)]
pub(super) struct Tree {
    /// All entries go into one directory without a name.
    wrap: bool,
    tops: Vec<(String, Entry)>,
    /// The latest directory of each name among the tops.
    directories: HashMap<String, usize>,
}

#[derive(Debug)]
enum Entry {
    Directory(Directory),
    Done(Done),
}

/// A file or link that is complete.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) child: Child,
    pub(super) metadata: Metadata,
}

#[derive(Debug, Default)]
struct Directory {
    entries: BTreeMap<String, Entry>,
    metadata: Metadata,
    /// It came as an entry of its own, not only as part of a path.
    declared: bool,
    /// Something came that belongs into it.
    touched: bool,
}

impl Tree {
    pub(super) fn new(wrap: bool) -> Self {
        let mut tree = Self { wrap, tops: Vec::new(), directories: HashMap::new() };
        if wrap {
            tree.tops.push((String::new(), Entry::Directory(Directory::default())));
        }
        tree
    }

    /// Whether an entry of this path is a root, whose event waits until it is durable.
    pub(super) fn is_top(&self, path: &str) -> bool {
        !self.wrap && !path.contains('/')
    }

    /// Takes a directory; the same one again is the same one, unless it is a root.
    pub(super) fn directory(&mut self, path: &str, metadata: Metadata) -> Result<(), NodeError> {
        if self.is_top(path) {
            let declared = |index: &usize| match &self.tops[*index].1 {
                Entry::Directory(directory) => directory.declared,
                Entry::Done(_) => true,
            };
            let known = self.directories.get(path).copied();
            let index = known.filter(|index| !declared(index));
            let index = index.unwrap_or_else(|| self.new_top(path));
            if let Entry::Directory(directory) = &mut self.tops[index].1 {
                directory.declared = true;
                directory.metadata = metadata;
            }
            return Ok(());
        }
        let (parent, name) = self.parent(path)?;
        let empty = || Entry::Directory(Directory::default());
        match parent.entries.entry(name.to_owned()).or_insert_with(empty) {
            Entry::Directory(directory) => {
                directory.declared = true;
                directory.metadata = metadata;
                Ok(())
            }
            Entry::Done(_) => Err(duplicate(path)),
        }
    }

    /// Takes a file or link that is complete; without a name, its CID is its name.
    pub(super) fn done(&mut self, path: &str, done: Done) -> Result<(), NodeError> {
        let own_name = done.child.cid.to_string();
        let path = if path.is_empty() { &own_name } else { path };
        if self.is_top(path) {
            self.tops.push((path.to_owned(), Entry::Done(done)));
            return Ok(());
        }
        let (parent, name) = self.parent(path)?;
        if parent.entries.insert(name.to_owned(), Entry::Done(done)).is_some() {
            return Err(duplicate(path));
        }
        Ok(())
    }

    /// Finds or makes the directory that `path` lies in.
    fn parent<'path>(
        &mut self,
        path: &'path str,
    ) -> Result<(&mut Directory, &'path str), NodeError> {
        let (index, below) = match path.split_once('/') {
            Some((top, below)) if !self.wrap => {
                let known = self.directories.get(top).copied();
                (known.unwrap_or_else(|| self.new_top(top)), below)
            }
            _ => (0, path),
        };
        let Entry::Directory(directory) = &mut self.tops[index].1 else {
            return Err(duplicate(path));
        };
        let mut directory = directory;
        directory.touched = true;
        let mut rest = below;
        while let Some((name, below)) = rest.split_once('/') {
            let empty = || Entry::Directory(Directory::default());
            match directory.entries.entry(name.to_owned()).or_insert_with(empty) {
                Entry::Directory(next) => directory = next,
                Entry::Done(_) => return Err(duplicate(path)),
            }
            directory.touched = true;
            rest = below;
        }
        Ok((directory, rest))
    }

    fn new_top(&mut self, name: &str) -> usize {
        let index = self.tops.len();
        self.tops.push((name.to_owned(), Entry::Directory(Directory::default())));
        self.directories.insert(name.to_owned(), index);
        index
    }

    /// Builds all directories, children first; returns the roots' events.
    ///
    /// New blocks and the events of directories below the roots go to `sink`.
    pub(super) fn finish(
        self,
        plan: &Plan,
        sink: &mut dyn Sink,
    ) -> Result<Vec<AddEvent>, NodeError> {
        let mut roots = Vec::with_capacity(self.tops.len());
        for (name, entry) in self.tops {
            let done = match entry {
                Entry::Done(done) => done,
                Entry::Directory(directory) => {
                    finish_directory(&name, directory, &mut Context { plan, sink })?
                }
            };
            roots.push(added(name, &done));
        }
        Ok(roots)
    }
}

/// Where what is finished goes.
pub(super) trait Sink {
    /// Takes new blocks out of `blocks`.
    fn blocks(&mut self, blocks: &mut Vec<Block>) -> Result<(), NodeError>;
    /// Takes an event.
    fn event(&mut self, event: AddEvent) -> Result<(), NodeError>;
}

struct Context<'a> {
    plan: &'a Plan,
    sink: &'a mut dyn Sink,
}

/// Depth is bounded by the depth of paths.
fn finish_directory(
    path: &str,
    directory: Directory,
    context: &mut Context<'_>,
) -> Result<Done, NodeError> {
    let metadata = directory.metadata;
    let mut builder = DirectoryBuilder::with_metadata(&context.plan.build, &metadata);
    for (name, entry) in directory.entries {
        let done = match entry {
            Entry::Done(done) => done,
            Entry::Directory(child) => {
                if !child.touched && !context.plan.options.empty_dirs {
                    continue;
                }
                let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                let done = finish_directory(&path, child, context)?;
                context.sink.event(added(path, &done))?;
                done
            }
        };
        builder.insert(name, done.child)?;
    }
    let mut blocks = Vec::new();
    let child = builder.finish(&mut blocks)?;
    context.sink.blocks(&mut blocks)?;
    Ok(Done { child, metadata })
}

/// The event that says that an entry is complete.
pub(super) fn added(name: String, done: &Done) -> AddEvent {
    AddEvent::Added {
        name,
        cid: done.child.cid.clone(),
        size: done.child.total_len,
        mode: done.metadata.mode,
        mtime: done.metadata.mtime,
    }
}

fn duplicate(path: &str) -> NodeError {
    AddEntryError::Duplicate { path: path.to_owned() }.into()
}
