//! What is on a disk when the power goes.
//!
//! The system writes changed pages out whenever it likes, so each page that was not synced may
//! hold any of the versions it went through, or, since a disk writes sectors of 512 bytes, a mix
//! of them. A file's length is one of those it had; bytes of a length that came to the disk
//! without its data are zeros or rubbish. Names come to the disk in order, directory by
//! directory. After a failed sync the system believes that the pages are written: those that are
//! not changed again never are.
//!
//! Invariants: what was synced is there; a page never mixes what lay before a cut of the file with
//! a length from after it.
//! Not here: when a program must sync (`crates/store`).

use super::{
    Contents, File, SECTOR_LEN, SimDisk,
    contents::{PAGE_LEN, Page, touched},
    journal::{Entry, NameChange, Node, label},
};
use cairn_testkit::Random;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The kinds of damage: nothing that was not synced is there; the journal up to some point is,
/// its next write torn; each file and directory fares differently.
pub const DAMAGE_NAMES: [&str; 3] = ["lost", "prefix", "mixed"];

/// Whether this damage lets later bytes come to the disk before earlier ones.
pub(crate) fn is_out_of_order(damage: usize) -> bool {
    damage % DAMAGE_NAMES.len() == 2
}

/// A walk along a disk's journal, which can lose power at each point.
#[derive(Debug, Clone)]
pub struct PowerCuts {
    journal: Arc<Vec<Entry>>,
    at: usize,
    random: Random,
    names: BTreeMap<PathBuf, Node>,
    durable_names: BTreeMap<PathBuf, Node>,
    /// Changes of names that are not synced, in order, each with when it was made.
    pending: Vec<(usize, NameChange)>,
    files: Vec<FileHistory>,
}

#[derive(Debug, Clone, Default)]
struct FileHistory {
    path: PathBuf,
    now: Contents,
    durable: Contents,
    /// The versions of each page since the last sync.
    dirty: BTreeMap<usize, Vec<Version>>,
    /// The lengths since the last sync, each with when it came.
    lens: Vec<(usize, u64)>,
}

#[derive(Debug, Clone)]
struct Version {
    at: usize,
    page: Page,
    /// Whether it comes from cutting the file.
    cut: bool,
}

/// How a file fares.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Kept,
    Lost,
    /// Everything up to this point of the journal is there, and a part of the next entry.
    Prefix(usize),
    Pages,
    Sectors,
    Rubbish,
}

impl PowerCuts {
    /// A walk along what happened to `disk` until now, at its beginning.
    pub fn new(disk: &SimDisk, seed: u64) -> Self {
        let mut state = disk.lock();
        state.capture();
        let (names, contents) = state.start.clone();
        let file = |(path, contents): (PathBuf, Contents)| FileHistory {
            path,
            now: contents.clone(),
            durable: contents,
            ..FileHistory::default()
        };
        Self {
            journal: Arc::new(state.journal.clone()),
            at: 0,
            random: Random::new(seed),
            durable_names: names.clone(),
            names,
            pending: Vec::new(),
            files: contents.into_iter().map(file).collect(),
        }
    }

    /// How many points there are to lose power at, without the beginning.
    pub fn len(&self) -> usize {
        self.journal.len()
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.journal.is_empty()
    }

    /// Goes on to a later point.
    pub fn walk_to(&mut self, at: usize) {
        let journal = Arc::clone(&self.journal);
        while self.at < at {
            let entry = &journal[self.at];
            self.at += 1;
            self.apply(entry);
        }
    }

    /// Names what was done last, such as `"write pack"`.
    pub fn label(&self) -> String {
        let Some(entry) = self.at.checked_sub(1).map(|at| &self.journal[at]) else {
            return "beginning".to_owned();
        };
        let (call, path) = match entry {
            Entry::Write { file, .. } => ("write", &self.files[*file].path),
            Entry::SetLen { file, .. } => ("set length of", &self.files[*file].path),
            Entry::Pages { file, .. } => ("change mapped", &self.files[*file].path),
            Entry::Sync { file } | Entry::SyncFailed { file } => ("sync", &self.files[*file].path),
            Entry::SyncDir { dir } => ("sync", dir),
            Entry::Name(NameChange::Add { path, .. }) => ("create", path),
            Entry::Name(NameChange::Rename { to, .. }) => ("rename to", to),
            Entry::Name(NameChange::Remove { path }) => ("remove", path),
        };
        label(call, path)
    }

    /// What is left when the power goes here; `damage` counts through [`DAMAGE_NAMES`].
    #[must_use]
    pub fn image(&self, damage: usize, seed: u64) -> SimDisk {
        let mut random = Random::new(seed);
        let since = self.oldest_pending();
        let prefix = since + random.below(self.at - since + 1);
        let fate = |random: &mut Random| match damage % DAMAGE_NAMES.len() {
            0 => Fate::Lost,
            1 => Fate::Prefix(prefix),
            _ => match random.below(8) {
                0 => Fate::Kept,
                1 => Fate::Lost,
                2 | 3 => Fate::Pages,
                4 | 5 => Fate::Sectors,
                _ => Fate::Rubbish,
            },
        };
        let names = self.image_names(&mut random, fate);
        let mut files = Vec::with_capacity(self.files.len());
        for history in &self.files {
            let fate = fate(&mut random);
            let contents = history.image(fate, &mut random);
            files.push(File { path: history.path.clone(), contents, ..File::default() });
        }
        SimDisk::assemble(names, files, random.number())
    }

    /// When the oldest change was made that is not synced.
    fn oldest_pending(&self) -> usize {
        let names = self.pending.iter().map(|(at, _)| *at);
        let versions = self.files.iter().flat_map(|file| file.dirty.values().flatten());
        names.chain(versions.map(|version| version.at)).min().map_or(self.at, |at| at - 1)
    }

    fn image_names(
        &self,
        random: &mut Random,
        fate: impl Fn(&mut Random) -> Fate,
    ) -> BTreeMap<PathBuf, Node> {
        let mut names = self.durable_names.clone();
        let mut ends = BTreeMap::new();
        for (_, change) in &self.pending {
            let count: &mut usize = ends.entry(change.dir()).or_default();
            *count += 1;
        }
        for (dir, count) in ends {
            let kept = match fate(random) {
                Fate::Kept => count,
                Fate::Lost => 0,
                Fate::Prefix(end) => self.changes_in(dir).filter(|(at, _)| *at <= end).count(),
                Fate::Pages | Fate::Sectors | Fate::Rubbish => random.below(count + 1),
            };
            for (_, change) in self.changes_in(dir).take(kept) {
                change.apply(&mut names);
            }
        }
        let whole = names.clone();
        names.retain(|path, _| {
            path.ancestors().skip(1).all(|dir| whole.get(dir) == Some(&Node::Dir))
        });
        names
    }

    fn changes_in<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = &'a (usize, NameChange)> {
        self.pending.iter().filter(move |(_, change)| change.dir() == dir)
    }

    fn apply(&mut self, entry: &Entry) {
        let at = self.at;
        match entry {
            Entry::Write { file, offset, bytes } => self.files[*file].write(at, *offset, bytes),
            Entry::SetLen { file, len } => self.files[*file].set_len(at, *len),
            Entry::Pages { file, pages } => {
                for (number, page) in pages {
                    self.files[*file].now.set_page(*number, page.clone());
                    self.files[*file].note(at, *number, false);
                }
            }
            Entry::Sync { file } => self.files[*file].sync(),
            Entry::SyncFailed { file } => self.files[*file].fail_sync(&mut self.random),
            Entry::Name(change) => {
                change.apply(&mut self.names);
                if let NameChange::Add { path, node: Node::File(_) } = change {
                    let path = path.clone();
                    self.files.push(FileHistory { path, ..FileHistory::default() });
                }
                self.pending.push((at, change.clone()));
            }
            Entry::SyncDir { dir } => {
                for (_, change) in self.pending.iter().filter(|(_, change)| change.dir() == dir) {
                    change.apply(&mut self.durable_names);
                }
                self.pending.retain(|(_, change)| change.dir() != dir);
            }
        }
    }
}

impl NameChange {
    fn dir(&self) -> &Path {
        let (Self::Add { path, .. } | Self::Rename { to: path, .. } | Self::Remove { path }) = self;
        path.parent().unwrap_or(path)
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Add { path, node } => drop(names.insert(path.clone(), *node)),
            Self::Rename { from, to } => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
            Self::Remove { path } => drop(names.remove(path)),
        }
    }
}

impl FileHistory {
    fn write(&mut self, at: usize, offset: u64, bytes: &[u8]) {
        let old_len = self.now.len();
        self.now.write(bytes, offset);
        for number in touched(offset, bytes.len()) {
            self.note(at, number, false);
        }
        if self.now.len() != old_len {
            self.lens.push((at, self.now.len()));
        }
    }

    fn set_len(&mut self, at: usize, len: u64) {
        let old_len = self.now.len();
        self.now.set_len(len);
        if len < old_len {
            for number in touched(len, usize::try_from(old_len - len).unwrap_or(usize::MAX)) {
                self.note(at, number, true);
            }
        }
        self.lens.push((at, len));
    }

    fn note(&mut self, at: usize, number: usize, cut: bool) {
        let page = self.now.page(number);
        self.dirty.entry(number).or_default().push(Version { at, page, cut });
    }

    fn sync(&mut self) {
        for number in std::mem::take(&mut self.dirty).into_keys() {
            self.durable.set_page(number, self.now.page(number));
        }
        self.lens.clear();
        self.durable.len = self.now.len();
    }

    /// The pages count as written from now on, and some of them are.
    fn fail_sync(&mut self, random: &mut Random) {
        let all_lost = random.below(2) == 0;
        for number in std::mem::take(&mut self.dirty).into_keys() {
            if !all_lost && random.below(2) == 0 {
                self.durable.set_page(number, self.now.page(number));
            }
        }
    }

    fn image(&self, fate: Fate, random: &mut Random) -> Contents {
        let (len_at, len) = self.image_len(fate, random);
        let mut image = self.durable.clone();
        image.len = len;
        for (&number, versions) in &self.dirty {
            let (page, is_cut) = self.image_page((number, versions), len_at, fate, random);
            let fresh = (number * PAGE_LEN) as u64 >= self.durable.len();
            let lacks = page.is_none() && !is_cut && fresh && matches!(fate, Fate::Rubbish);
            let page = if lacks { Some(rubbish(random)) } else { page };
            image.set_page(number, page);
        }
        image.trim();
        image
    }

    fn image_len(&self, fate: Fate, random: &mut Random) -> (usize, u64) {
        let last = match fate {
            Fate::Kept => self.lens.len(),
            Fate::Lost => 0,
            Fate::Prefix(end) => self.lens.iter().filter(|(at, _)| *at <= end).count(),
            Fate::Pages | Fate::Sectors | Fate::Rubbish => random.below(self.lens.len() + 1),
        };
        last.checked_sub(1).map_or((0, self.durable.len()), |last| self.lens[last])
    }

    /// One page of an image, and whether a cut of the file emptied it.
    fn image_page(
        &self,
        (number, versions): (usize, &[Version]),
        len_at: usize,
        fate: Fate,
        random: &mut Random,
    ) -> (Page, bool) {
        // Only versions of the same life as the length: between its last cut and the next.
        let end = versions.iter().position(|version| version.cut && version.at > len_at);
        let versions = &versions[..end.unwrap_or(versions.len())];
        let start = versions.iter().rposition(|version| version.cut);
        let durable = Version { at: 0, page: self.durable.page(number), cut: false };
        let mut candidates = Vec::with_capacity(versions.len() + 1);
        if start.is_none() {
            candidates.push(&durable);
        }
        candidates.extend(&versions[start.unwrap_or(0)..]);
        let last = candidates.len() - 1;
        let chosen = match fate {
            Fate::Kept => candidates[last],
            Fate::Lost => candidates[0],
            Fate::Prefix(end) => {
                let within = candidates.iter().filter(|version| version.at <= end).count();
                if let Some(torn) = candidates.get(within)
                    && torn.at == end + 1
                {
                    let old = &candidates[within.saturating_sub(1)].page;
                    return (Some(mix(&[old.clone(), torn.page.clone()], random)), false);
                }
                candidates[within.saturating_sub(1)]
            }
            Fate::Pages | Fate::Rubbish => candidates[random.below(last + 1)],
            Fate::Sectors => {
                let pages: Vec<Page> = candidates.iter().map(|it| it.page.clone()).collect();
                return (Some(mix(&pages, random)), false);
            }
        };
        (chosen.page.clone(), chosen.cut)
    }
}

/// A page of which each sector is one of `pages`.
fn mix(pages: &[Page], random: &mut Random) -> Arc<[u8; PAGE_LEN]> {
    let mut mixed = [0; PAGE_LEN];
    for (number, sector) in mixed.chunks_exact_mut(SECTOR_LEN).enumerate() {
        if let Some(page) = &pages[random.below(pages.len())] {
            let start = number * SECTOR_LEN;
            sector.copy_from_slice(&page[start..start + SECTOR_LEN]);
        }
    }
    Arc::new(mixed)
}

fn rubbish(random: &mut Random) -> Arc<[u8; PAGE_LEN]> {
    let mut page = [0; PAGE_LEN];
    page.copy_from_slice(&random.bytes(PAGE_LEN));
    Arc::new(page)
}
