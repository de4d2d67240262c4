//! Builds a directory: one node, or a hash trie when it is large.
//!
//! Not here: the trie (`hamt.rs`).

use crate::{Child, Data, DataType, DirectoryEstimate, Metadata, Options, UnixfsError, hamt};
use bytes::Bytes;
use cairn_block::{Block, codec};
use cairn_dag::{
    dag_pb::{self, PbLink, PbNode},
    pb,
};
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
        check_name(&name)?;
        let name_len = name.len();
        self.links_len += name_len + child.cid.encoded_len();
        let old = self.entries.insert(name, child);
        if let Some(old) = &old {
            self.links_len -= name_len + old.cid.encoded_len();
        }
        Ok(old)
    }

    /// How long the directory is, by the estimate that was asked for.
    fn estimated_len(&self) -> usize {
        match self.options.directory_estimate {
            DirectoryEstimate::Disabled => 0,
            DirectoryEstimate::Links => self.links_len,
            DirectoryEstimate::Block => {
                let entry_len =
                    |(name, child): (&String, &Child)| entry_len(&self.options, name.len(), child);
                let entries_len: usize = self.entries.iter().map(entry_len).sum();
                entries_len + node_len(&self.options, &self.metadata)
            }
        }
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
        let too_long = self.estimated_len() > self.options.directory_len_max;
        if too_many || too_long {
            return hamt::build(self.entries, &self.metadata, &self.options, out);
        }
        encode_basic(&self.entries, &self.metadata, &self.options, out)
    }
}

/// Refuses a name that no path could reach.
pub(crate) fn check_name(name: &str) -> Result<(), UnixfsError> {
    if matches!(name, "" | "." | "..") || name.contains('/') {
        return Err(UnixfsError::EntryName { name: name.to_owned() });
    }
    Ok(())
}

/// Makes a directory of one node.
pub(crate) fn encode_basic<N: Clone + Into<Bytes>>(
    entries: &BTreeMap<N, Child>,
    metadata: &Metadata,
    options: &Options,
    out: &mut Vec<Block>,
) -> Result<Child, UnixfsError> {
    let link =
        |(name, child): (&N, &Child)| PbLink::new(name.clone(), child.cid.clone(), child.total_len);
    let node = PbNode {
        links: entries.iter().map(link).collect(),
        data: Some(message(metadata).encode().into()),
    };
    let encoded = dag_pb::encode(&node);
    let total_len = node.total_len(encoded.len());
    let block = options.block(codec::DAG_PB, encoded.into())?;
    let cid = block.cid().clone();
    out.push(block);
    Ok(Child { cid, data_len: 0, total_len })
}

fn message(metadata: &Metadata) -> Data {
    Data::new(DataType::Directory).with_metadata(metadata)
}

/// What an entry adds to a directory's length, by the estimate that was asked for.
pub(crate) fn entry_len(options: &Options, name_len: usize, child: &Child) -> usize {
    let cid_len = child.cid.encoded_len();
    match options.directory_estimate {
        DirectoryEstimate::Disabled => 0,
        DirectoryEstimate::Links => name_len + cid_len,
        DirectoryEstimate::Block => field_len(
            field_len(cid_len) + field_len(name_len) + 1 + pb::varint_len(child.total_len),
        ),
    }
}

/// How long a directory without entries is, by the estimate that was asked for.
pub(crate) fn node_len(options: &Options, metadata: &Metadata) -> usize {
    match options.directory_estimate {
        DirectoryEstimate::Disabled | DirectoryEstimate::Links => 0,
        DirectoryEstimate::Block => field_len(message(metadata).encode().len()),
    }
}

/// The length of a protobuf field of so many bytes, with its tag and length.
fn field_len(len: usize) -> usize {
    1 + pb::varint_len(len as u64) + len
}

#[cfg(test)]
mod tests {
    use super::{Child, DirectoryBuilder};
    use crate::{DirectoryEstimate, Metadata, Mtime, Options};

    /// How many blocks a directory of `count` entries becomes, and the root's length.
    fn build(count: u64, metadata: &Metadata, options: &Options) -> (usize, usize) {
        let leaf = options.block(0x55, "leaf".into()).unwrap();
        let mut builder = DirectoryBuilder::with_metadata(options, metadata);
        for number in 0..count {
            let total_len = 1 << (number % 40);
            let child = Child { cid: leaf.cid().clone(), data_len: 0, total_len };
            builder.insert(format!("{}{number}", "n".repeat(number as usize)), child).unwrap();
        }
        let mut out = Vec::new();
        builder.finish(&mut out).unwrap();
        (out.len(), out.last().unwrap().data().len())
    }

    #[test]
    fn the_block_estimate_is_the_block_s_length() {
        let metadata = Metadata { mode: Some(0o755), mtime: Some(Mtime { secs: 1, nanos: 2 }) };
        let basic =
            Options { directory_estimate: DirectoryEstimate::Disabled, ..Options::default() };
        for metadata in [Metadata::default(), metadata] {
            for count in [1, 2, 50, 200] {
                let (blocks, len) = build(count, &metadata, &basic);
                assert_eq!(blocks, 1);
                let exact = Options {
                    directory_estimate: DirectoryEstimate::Block,
                    directory_len_max: len,
                    ..basic
                };
                assert_eq!(build(count, &metadata, &exact), (1, len), "{count} at the limit");
                let tighter = Options { directory_len_max: len - 1, ..exact };
                let over = build(count, &metadata, &tighter);
                assert_ne!(over, (1, len), "{count} over the limit");
            }
        }
    }
}
