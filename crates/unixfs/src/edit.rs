//! Changes one directory, reading and naming only what a change touches.
//!
//! Invariants: whether a directory is one node or a trie follows from its entries and the options
//! alone, where Kubo's depends on the order of changes (it looks at a trie again only when that
//! has shrunk since it was opened); what was not changed comes out with the name it had.
//! Not here: files (`edit/file.rs`); the nodes of a trie (`shard.rs`); a directory made from nothing
//! in one pass, which is faster (`directory.rs`).

mod file;
mod shard;
mod tally;

pub(crate) use file::is_leaf;
pub use file::{FileEditor, Written, leaves_of};

use crate::{
    Child, DataType, DirEntry, DirectoryEstimate, Metadata, Options, UnixfsError,
    directory::{check_name, encode_basic, entry_len, node_len},
    hamt::{Shape, shape_of},
    list::open_directory,
};
use bytes::Bytes;
use cairn_block::{Block, BlockStore, Cid};
use shard::{Shard, child_of, load_many};
use std::collections::BTreeMap;
use tally::Tally;

/// Nodes of a trie that are read together to learn whether it is still too large for one node.
const CHECK_BATCH: usize = 16;

type Entries = BTreeMap<Bytes, Child>;

/// One directory while it is changed.
///
/// The nodes of a trie that were walked stay in memory until [`DirectoryEditor::unload`].
#[derive(Debug, Clone)]
pub struct DirectoryEditor {
    options: Options,
    metadata: Metadata,
    form: Form,
    /// What it was called last, if it has not changed since.
    named: Option<Child>,
    /// Length and number of entries that are known to be in a trie; there may be more.
    at_least: (usize, usize),
    /// Entries and links that are in memory, or were since the last [`DirectoryEditor::unload`].
    held: usize,
}

#[derive(Debug, Clone)]
enum Form {
    Basic(Entries),
    Trie(Shape, Shard),
}

impl DirectoryEditor {
    /// Starts an empty directory; `options` must have passed [`Options::check`].
    pub fn new(options: &Options, metadata: &Metadata) -> Self {
        let form = Form::Basic(Entries::new());
        let (named, at_least, held) = (None, (0, 0), 0);
        Self { options: *options, metadata: *metadata, form, named, at_least, held }
    }

    /// Opens the directory whose root is `root`; it keeps its metadata and, as long as it is a
    /// trie, its width. Nodes that change get CIDs as `options` say.
    ///
    /// # Errors
    ///
    /// [`UnixfsError::NotADirectory`], or [`UnixfsError::Malformed`] for a root that breaks the
    /// rules or has a name twice.
    pub fn open(root: &Block, options: &Options) -> Result<Self, UnixfsError> {
        let (data, node) = open_directory(root)?;
        let metadata = Metadata { mode: data.permissions(), mtime: data.mtime };
        let form = if data.kind == DataType::HamtShard {
            let shape = shape_of(root.cid(), &data, &node)?;
            Form::Trie(shape, Shard::read(shape, root, &node)?)
        } else {
            let mut entries = Entries::new();
            for link in &node.links {
                if entries.insert(link.name.clone().unwrap_or_default(), child_of(link)).is_some() {
                    return Err(UnixfsError::malformed(root.cid(), "directory with a name twice"));
                }
            }
            Form::Basic(entries)
        };
        let total_len = node.total_len(root.data().len());
        let named = Some(Child { cid: root.cid().clone(), data_len: 0, total_len });
        let (at_least, held) = ((0, 0), node.links.len());
        Ok(Self { options: *options, metadata, form, named, at_least, held })
    }

    /// What the directory says about itself.
    pub fn metadata(&self) -> Metadata {
        self.metadata
    }

    /// Changes what the directory says about itself.
    pub fn set_metadata(&mut self, metadata: Metadata) {
        self.metadata = metadata;
        self.touch();
    }

    /// Says how nodes that change from here on are built; a trie keeps its width.
    pub fn set_options(&mut self, options: &Options) {
        if self.options != *options {
            self.options = *options;
            // The estimate may be another one.
            self.at_least = (0, 0);
        }
    }

    /// As [`DirectoryEditor::set_options`], but every node is built so: those of a trie are all
    /// read, and put out by the next [`DirectoryEditor::finish`].
    ///
    /// # Errors
    ///
    /// Whatever is wrong with a node of the trie.
    pub async fn rebuild<S: BlockStore>(
        &mut self,
        store: &S,
        options: &Options,
    ) -> Result<(), UnixfsError> {
        if let Form::Trie(shape, root) = &mut self.form {
            self.held += root.read_all(store, *shape, 0).await?;
        }
        self.set_options(options);
        self.touch();
        Ok(())
    }

    /// How many entries and links are in memory, at most; about 150 bytes each.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Returns the entry called `name`; the nodes on the way stay in memory.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with a node on the way.
    pub async fn find<S: BlockStore>(
        &mut self,
        store: &S,
        name: &str,
    ) -> Result<Option<DirEntry>, UnixfsError> {
        let found = match &mut self.form {
            Form::Basic(entries) => entries.get(name.as_bytes()),
            Form::Trie(shape, root) => {
                self.held += root.walk(store, *shape, name.as_bytes()).await?;
                root.find(*shape, name.as_bytes())
            }
        };
        Ok(found.map(|child| DirEntry {
            name: name.to_owned(),
            cid: child.cid.clone(),
            total_len: child.total_len,
        }))
    }

    /// Puts an entry in; one of the same name is replaced and returned (its `data_len` is 0 if
    /// it was read from a node). After an error the entries are as they were.
    ///
    /// # Errors
    ///
    /// [`UnixfsError::EntryName`] for a name that no path could reach,
    /// [`UnixfsError::HashCollision`] for a trie that cannot tell two names apart, or whatever is
    /// wrong with a node on the way.
    pub async fn insert<S: BlockStore>(
        &mut self,
        store: &S,
        name: String,
        child: Child,
    ) -> Result<Option<Child>, UnixfsError> {
        check_name(&name)?;
        let name = Bytes::from(name);
        let new_len = entry_len(&self.options, name.len(), &child);
        let old = match &mut self.form {
            Form::Basic(entries) => entries.insert(name.clone(), child),
            Form::Trie(shape, root) => {
                self.held += root.walk(store, *shape, &name).await?;
                root.insert(*shape, 0, (name.clone(), child))?
            }
        };
        self.forget(&name, old.as_ref());
        self.at_least = (self.at_least.0.saturating_add(new_len), self.at_least.1 + 1);
        self.held += 1;
        self.touch();
        Ok(old)
    }

    /// Takes an entry out.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with a node on the way.
    pub async fn remove<S: BlockStore>(
        &mut self,
        store: &S,
        name: &str,
    ) -> Result<Option<Child>, UnixfsError> {
        let old = match &mut self.form {
            Form::Basic(entries) => entries.remove(name.as_bytes()),
            Form::Trie(shape, root) => {
                self.held += root.walk(store, *shape, name.as_bytes()).await?;
                root.remove(*shape, 0, name.as_bytes())
            }
        };
        if old.is_some() {
            self.forget(name.as_bytes(), old.as_ref());
            self.touch();
        }
        Ok(old)
    }

    /// Names the directory as it is now; puts its changed nodes into `out`, children before
    /// parents, the root last. The editor can be changed and finished again.
    ///
    /// A trie's nodes are read from `store` until there are enough entries to know that it must
    /// stay one; those that an earlier call put out must be there, if they were unloaded. With
    /// neither a length nor a number of links to go by, the form stays as it is.
    ///
    /// # Errors
    ///
    /// [`UnixfsError::HashCollision`] and [`UnixfsError::Digest`], or whatever is wrong with a
    /// node that was read.
    pub async fn finish<S: BlockStore>(
        &mut self,
        store: &S,
        out: &mut Vec<Block>,
    ) -> Result<Child, UnixfsError> {
        if let Some(named) = &self.named {
            return Ok(named.clone());
        }
        self.settle(store).await?;
        let child = match &mut self.form {
            Form::Basic(entries) => encode_basic(entries, &self.metadata, &self.options, out)?,
            Form::Trie(shape, root) => root.name(*shape, &self.metadata, &self.options, out)?,
        };
        self.named = Some(child.clone());
        Ok(child)
    }

    /// Drops the nodes of a trie that are not changed; they are read again when they are needed,
    /// so all that [`DirectoryEditor::finish`] put out must be in the store by then.
    pub fn unload(&mut self) {
        if let Form::Trie(_, root) = &mut self.form {
            root.unload();
            self.held = root.held();
        }
    }

    fn touch(&mut self) {
        self.named = None;
        if let Form::Trie(_, root) = &mut self.form {
            root.touch();
        }
    }

    /// An entry that went may have been one of those that were counted.
    fn forget(&mut self, name: &[u8], old: Option<&Child>) {
        let Some(old) = old else { return };
        let len = entry_len(&self.options, name.len(), old);
        self.at_least = (self.at_least.0.saturating_sub(len), self.at_least.1.saturating_sub(1));
    }

    /// Whether entries of so many bytes, so many of them, are too much for one node.
    fn is_over(&self, (len, count): (usize, usize)) -> bool {
        let max_links = self.options.max_directory_links;
        let fixed = node_len(&self.options, &self.metadata);
        let too_long = fixed.saturating_add(len) > self.options.directory_len_max;
        (max_links > 0 && count > max_links) || too_long
    }

    /// Takes the form that the entries ask for.
    async fn settle<S: BlockStore>(&mut self, store: &S) -> Result<(), UnixfsError> {
        if let Form::Basic(entries) = &self.form {
            let len = |(name, child): (&Bytes, &Child)| entry_len(&self.options, name.len(), child);
            let size = (entries.iter().map(len).sum(), entries.len());
            if self.is_over(size) {
                let shape = Shape::new(self.options.hamt_fanout);
                let mut root = Shard::default();
                for (name, child) in entries {
                    root.insert(shape, 0, (name.clone(), child.clone()))?;
                }
                self.form = Form::Trie(shape, root);
                self.at_least = size;
            }
            return Ok(());
        }
        let no_limit = self.options.directory_estimate == DirectoryEstimate::Disabled
            && self.options.max_directory_links == 0;
        if no_limit || self.is_over(self.at_least) {
            return Ok(());
        }
        let (entries, size) = self.gather(store).await?;
        self.at_least = size;
        if let Some(entries) = entries {
            self.form = Form::Basic(entries);
        }
        Ok(())
    }

    /// Counts a trie's entries level by level until they are too many for one node; returns them
    /// all if they never are.
    async fn gather<S: BlockStore>(
        &self,
        store: &S,
    ) -> Result<(Option<Entries>, (usize, usize)), UnixfsError> {
        let mut tally = Tally::default();
        let Form::Trie(shape, root) = &self.form else { return Ok((None, tally.size)) };
        tally.add(self, root, 0);
        loop {
            if tally.is_enough(self) {
                return Ok((None, tally.size));
            }
            let Some(&(_, depth)) = tally.unread.front() else {
                return Ok((Some(tally.entries), tally.size));
            };
            let same_level = tally.unread.iter().take_while(|(_, at)| *at == depth);
            let count = same_level.take(CHECK_BATCH).count();
            let cids: Vec<Cid> = tally.unread.drain(..count).map(|(cid, _)| cid).collect();
            for shard in load_many(store, *shape, &cids, depth).await? {
                tally.add(self, &shard, depth);
            }
        }
    }
}
