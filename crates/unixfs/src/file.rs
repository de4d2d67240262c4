//! Builds the inner nodes of a file, in the balanced layout, as its leaves come by.
//!
//! All leaves are equally deep and every inner node is full, but for the last of its level. The
//! leaves are hashed elsewhere, many at a time; of each only its [`Child`] is pushed here.
//!
//! Invariants: at most one node's links are kept per level, whatever the file's length; a node
//! is finished only when the next one of its level begins, since the last may be the root.
//! Not here: leaves (`leaf.rs`), the trickle layout.

use crate::{Child, Data, DataType, Metadata, Options, UnixfsError, leaf, leaf_codec};
use bytes::Bytes;
use cairn_block::{Block, codec};
use cairn_dag::dag_pb::{self, PbLink, PbNode};

/// One file on its way in.
#[derive(Debug)]
pub struct FileBuilder {
    options: Options,
    metadata: Metadata,
    /// The unfinished node of each level, from the one above the leaves upwards.
    levels: Vec<Vec<Child>>,
}

impl FileBuilder {
    /// Starts a file; `options` must have passed [`Options::check`].
    pub fn new(options: &Options) -> Self {
        Self::with_metadata(options, &Metadata::default())
    }

    /// Starts a file whose root says when it was changed, and by whom it may be read.
    pub fn with_metadata(options: &Options, metadata: &Metadata) -> Self {
        Self { options: *options, metadata: *metadata, levels: vec![Vec::new()] }
    }

    /// Takes the next leaf; puts inner nodes that are full into `out`, children before parents.
    ///
    /// # Errors
    ///
    /// [`UnixfsError::Digest`] if the hash function is not supported.
    pub fn push(&mut self, leaf: Child, out: &mut Vec<Block>) -> Result<(), UnixfsError> {
        self.push_at(0, leaf, out)
    }

    /// Ends the file; puts the remaining nodes into `out`, the root last.
    ///
    /// A file of one leaf has no inner node: the leaf is the root, and nothing is put out. A file
    /// of no leaves is the empty file, which is put out.
    ///
    /// # Errors
    ///
    /// [`UnixfsError::LeafMetadata`] for metadata on a file of one leaf or none: that is written
    /// by [`crate::leaf_with_metadata`]. [`UnixfsError::Digest`] as in [`FileBuilder::push`].
    pub fn finish(mut self, out: &mut Vec<Block>) -> Result<Child, UnixfsError> {
        let mut level = 0;
        while level + 1 < self.levels.len() {
            let links = std::mem::take(&mut self.levels[level]);
            let child = self.node(&links, &Metadata::default(), out)?;
            self.push_at(level + 1, child, out)?;
            level += 1;
        }
        let top = std::mem::take(&mut self.levels[level]);
        if level > 0 || top.len() > 1 {
            return self.node(&top, &self.metadata, out);
        }
        if !self.metadata.is_empty() {
            return Err(UnixfsError::LeafMetadata);
        }
        if let Some(only) = top.into_iter().next() {
            return Ok(only);
        }
        let raw = self.options.raw_leaves;
        let block = self.options.block(leaf_codec(raw), leaf(Bytes::new(), raw))?;
        let root = Child::leaf(block.cid().clone(), 0, block.data().len());
        out.push(block);
        Ok(root)
    }

    /// Adds a child to the unfinished node of `level`; a full one becomes a child one level up.
    fn push_at(
        &mut self,
        mut level: usize,
        mut child: Child,
        out: &mut Vec<Block>,
    ) -> Result<(), UnixfsError> {
        while let Some(links) = self.levels.get_mut(level) {
            if links.len() < self.options.max_links {
                links.push(child);
                return Ok(());
            }
            let full = std::mem::replace(links, vec![child]);
            child = self.node(&full, &Metadata::default(), out)?;
            level += 1;
        }
        self.levels.push(vec![child]);
        Ok(())
    }

    fn node(
        &self,
        children: &[Child],
        metadata: &Metadata,
        out: &mut Vec<Block>,
    ) -> Result<Child, UnixfsError> {
        let data_len = children.iter().map(|child| child.data_len).sum();
        let mut message = Data::new(DataType::File).with_metadata(metadata);
        message.filesize = Some(data_len);
        message.blocksizes = children.iter().map(|child| child.data_len).collect();
        let link = |child: &Child| PbLink::new(Bytes::new(), child.cid.clone(), child.total_len);
        let node = PbNode {
            links: children.iter().map(link).collect(),
            data: Some(message.encode().into()),
        };
        let encoded = dag_pb::encode(&node);
        let total_len = node.total_len(encoded.len());
        let block = self.options.block(codec::DAG_PB, encoded.into())?;
        let cid = block.cid().clone();
        out.push(block);
        Ok(Child { cid, data_len, total_len })
    }
}
