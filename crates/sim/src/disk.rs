//! A disk in memory that writes down every change, can fail at any call, and can lose power.
//!
//! [`SimDisk`] is the hardware; [`SimDisk::process`] is what a program sees of it. Everything is
//! written to a journal, from which [`PowerCuts`] builds what is left when the power goes at any
//! point. A mapped file is looked at before each change of the disk: what changed in between is
//! in the journal as pages.
//!
//! Invariants: one seed and one history of calls give one journal; a killed program's calls all
//! fail, and what it wrote stays, as in the system's page cache.
//! Not here: what a store promises (`promises.rs`).

mod contents;
mod fault;
mod image;
mod journal;
mod process;

#[cfg(test)]
mod tests;

pub use contents::{Contents, PAGE_LEN, SECTOR_LEN};
pub use fault::{Fault, FaultKind};
pub(crate) use image::is_out_of_order;
pub use image::{DAMAGE_NAMES, PowerCuts};

use cairn_runtime::{Map, Vfs};
use cairn_testkit::Random;
use contents::Page;
use fault::{Call, Plan};
use journal::{Entry, FileNumber, Node};
use process::Process;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// A simulated disk; clones share it.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// The disk before the journal's first entry.
    start: (BTreeMap<PathBuf, Node>, Vec<(PathBuf, Contents)>),
    names: BTreeMap<PathBuf, Node>,
    files: Vec<File>,
    journal: Vec<Entry>,
    random: Random,
    plan: Option<Plan>,
    /// Number of the program that runs now; the calls of earlier ones fail.
    process: u64,
}

#[derive(Debug, Default)]
struct File {
    path: PathBuf,
    contents: Contents,
    map: Option<Map>,
    locked: bool,
}

impl SimDisk {
    /// An empty disk with one directory, which everything else goes into.
    pub fn new(root: &Path, seed: u64) -> Self {
        let names = root.ancestors().map(|path| (path.to_owned(), Node::Dir)).collect();
        Self::assemble(names, Vec::new(), seed)
    }

    fn assemble(names: BTreeMap<PathBuf, Node>, files: Vec<File>, seed: u64) -> Self {
        let contents = files.iter().map(|file| (file.path.clone(), file.contents.clone()));
        let state = State {
            start: (names.clone(), contents.collect()),
            names,
            files,
            journal: Vec::new(),
            random: Random::new(seed),
            plan: None,
            process: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The file system that the program running now sees.
    pub fn process(&self) -> Arc<dyn Vfs> {
        let number = self.lock().process;
        Arc::new(Process::new(self.clone(), number))
    }

    /// Kills the program: its calls fail from now on, its locks are gone, what it wrote stays.
    pub fn kill(&self) {
        let mut state = self.lock();
        state.capture();
        state.process += 1;
        for file in &mut state.files {
            file.map = None;
            file.locked = false;
        }
    }

    /// Lets a call fail, or heals the disk.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.lock().plan = fault.map(Plan::new);
    }

    /// Whether the fault has happened.
    pub fn fault_hit(&self) -> bool {
        self.lock().plan.as_ref().is_some_and(Plan::hit)
    }

    /// How many calls there were of those that the fault counts.
    pub fn call_count(&self) -> u64 {
        self.lock().plan.as_ref().map_or(0, Plan::call_count)
    }

    /// How many changes there were; a point for [`PowerCuts::walk_to`].
    pub fn position(&self) -> usize {
        let mut state = self.lock();
        state.capture();
        state.journal.len()
    }

    /// The files in a directory, by path.
    pub fn files_in(&self, dir: &Path) -> Vec<PathBuf> {
        let state = self.lock();
        let inside = state.names.iter().filter(|(path, node)| {
            matches!(node, Node::File(_)) && path.parent().is_some_and(|parent| parent == dir)
        });
        inside.map(|(path, _)| path.clone()).collect()
    }

    /// A file's bytes as they are now.
    pub fn contents(&self, path: &Path) -> Option<Contents> {
        let mut state = self.lock();
        state.capture();
        let number = state.file(path)?;
        Some(state.files[number].contents.clone())
    }

    /// A disk of its own with the same files, none of them changed by anybody yet, of which
    /// `path` holds other bytes.
    #[must_use]
    pub fn copy_with(&self, path: &Path, contents: Contents, seed: u64) -> Self {
        let mut state = self.lock();
        state.capture();
        let copied = |file: &File| File {
            path: file.path.clone(),
            contents: file.contents.clone(),
            ..File::default()
        };
        let mut files: Vec<File> = state.files.iter().map(copied).collect();
        if let Some(number) = state.file(path) {
            files[number].contents = contents;
        }
        Self::assemble(state.names.clone(), files, seed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn file(&self, path: &Path) -> Option<FileNumber> {
        match self.names.get(path) {
            Some(Node::File(number)) => Some(*number),
            _ => None,
        }
    }

    /// Counts a call, which may be the one that fails.
    fn count(&mut self, call: Call) -> Option<FaultKind> {
        self.plan.as_mut()?.count(call)
    }

    /// Writes down what changed in mapped files.
    fn capture(&mut self) {
        for (file, state) in self.files.iter_mut().enumerate() {
            let Some(map) = &state.map else { continue };
            let pages = changed_pages(map.words(), &state.contents);
            for (number, page) in &pages {
                state.contents.set_page(*number, page.clone());
            }
            if !pages.is_empty() {
                self.journal.push(Entry::Pages { file, pages });
            }
        }
    }

    /// Forgets the map of a file without a name: nothing of it can be found after a cut.
    fn unlink(&mut self, path: &Path) {
        if let Some(number) = self.file(path) {
            self.files[number].map = None;
        }
    }
}

fn changed_pages(words: &[AtomicU64], contents: &Contents) -> Vec<(usize, Page)> {
    let mut changed = Vec::new();
    for (number, words) in words.chunks(PAGE_LEN / 8).enumerate() {
        let old = contents.pages.get(number).and_then(Option::as_deref);
        let same = |(at, word): (usize, &AtomicU64)| {
            let old = old.map_or([0; 8], |page| {
                page[at * 8..at * 8 + 8].try_into().expect("invariant: eight bytes")
            });
            u64::from_ne_bytes(old) == word.load(Ordering::Relaxed)
        };
        if !words.iter().enumerate().all(same) {
            let mut page = [0; PAGE_LEN];
            for (bytes, word) in page.chunks_exact_mut(8).zip(words) {
                bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
            }
            changed.push((number, Some(Arc::new(page))));
        }
    }
    changed
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}
