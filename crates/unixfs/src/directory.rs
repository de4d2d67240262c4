//! Builds a directory: one node, or a hash trie when it is large.
//!
//! Not here: the trie (`hamt.rs`).

use crate::{Child, Data, DataType, Metadata, Options, UnixfsError, hamt, options};
use cairn_block::{Block, codec};
use cairn_dag::dag_pb::{self, PbLink, PbNode};
use std::collections::BTreeMap;

/// One directory on its way in.
#[derive(Debug)]
pub struct DirectoryBuilder {
    options: Options,
    metadata: Metadata,
    entries: BTreeMap<String, Child>,
    /// The sum of the lengths of all names and CIDs, which decides about the trie.
    links_len: usize,
}

impl DirectoryBuilder {
    /// Starts an empty directory; `options` must have passed [`Options::check`].
    pub fn new(options: &Options) -> Self {
        Self::with_metadata(options, &Metadata::default())
    }

    /// Starts an empty directory that says when it was changed, and by whom it may be read.
    pub fn with_metadata(options: &Options, metadata: &Metadata) -> Self {
        Self { options: *options, metadata: *metadata, entries: BTreeMap::new(), links_len: 0 }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts an entry in, in any order; one of the same name is replaced and returned.
    ///
    /// # Errors
    ///
    /// [`UnixfsError::EntryName`] for a name that no path could reach.
    pub fn insert(&mut self, name: String, child: Child) -> Result<Option<Child>, UnixfsError> {
        if matches!(name.as_str(), "" | "." | "..") || name.contains('/') {
            return Err(UnixfsError::EntryName { name });
        }
        let name_len = name.len();
        self.links_len += name_len + child.cid.encoded_len();
        let old = self.entries.insert(name, child);
        if let Some(old) = &old {
            self.links_len -= name_len + old.cid.encoded_len();
        }
        Ok(old)
    }

    /// Ends the directory; puts its nodes into `out`, children before parents, the root last.
    ///
    /// # Errors
    ///
    /// [`UnixfsError::HashCollision`] for a trie that cannot tell two names apart,
    /// [`UnixfsError::Digest`] if the hash function is not supported.
    pub fn finish(self, out: &mut Vec<Block>) -> Result<Child, UnixfsError> {
        let max_links = self.options.max_directory_links;
        let too_many = max_links > 0 && self.entries.len() > max_links;
        if too_many || self.links_len > options::DIRECTORY_LEN_MAX {
            return hamt::build(self.entries, &self.metadata, &self.options, out);
        }
        let link = |(name, child): (String, Child)| PbLink::new(name, child.cid, child.total_len);
        let message = Data::new(DataType::Directory).with_metadata(&self.metadata);
        let node = PbNode {
            links: self.entries.into_iter().map(link).collect(),
            data: Some(message.encode().into()),
        };
        let encoded = dag_pb::encode(&node);
        let total_len = node.total_len(encoded.len());
        let block = self.options.block(codec::DAG_PB, encoded.into())?;
        let cid = block.cid().clone();
        out.push(block);
        Ok(Child { cid, data_len: 0, total_len })
    }
}
