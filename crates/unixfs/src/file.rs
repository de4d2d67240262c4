//! Builds the inner nodes of a file as its leaves come by.
//!
//! The leaves are hashed elsewhere, many at a time; of each only its [`Child`] is pushed here.
//! In which node it ends is the layout's business.
//!
//! Not here: leaves (`leaf.rs`).

mod balanced;
mod trickle;

use crate::{Child, Data, DataType, Layout, Metadata, Options, UnixfsError, leaf, leaf_codec};
use balanced::{Balanced, Top};
use bytes::Bytes;
use cairn_block::{Block, codec};
use cairn_dag::dag_pb::{self, PbLink, PbNode};
use trickle::Trickle;

/// One file on its way in.
#[derive(Debug)]
pub struct FileBuilder {
    options: Options,
    metadata: Metadata,
    unfinished: Unfinished,
}

/// What has no name yet.
#[derive(Debug)]
enum Unfinished {
    Balanced(Balanced),
    Trickle(Trickle),
}

impl FileBuilder {
    /// Starts a file; `options` must have passed [`Options::check`].
    pub fn new(options: &Options) -> Self {
        Self::with_metadata(options, &Metadata::default())
    }

    /// Starts a file whose root says when it was changed, and by whom it may be read.
    pub fn with_metadata(options: &Options, metadata: &Metadata) -> Self {
        let unfinished = match options.layout {
            Layout::Balanced => Unfinished::Balanced(Balanced::new()),
            Layout::Trickle => Unfinished::Trickle(Trickle::new()),
        };
        Self { options: *options, metadata: *metadata, unfinished }
    }

    /// Goes on with a file: `levels` tells, for each level from the root down, what stands before
    /// the next leaf in the node on the way to it. `None` if the layout would not have come there.
    pub(crate) fn resumed(
        options: &Options,
        metadata: &Metadata,
        levels: Vec<Vec<Child>>,
    ) -> Option<Self> {
        let unfinished = match options.layout {
            Layout::Balanced => Unfinished::Balanced(Balanced::resumed(levels)),
            Layout::Trickle => Unfinished::Trickle(Trickle::resumed(levels, options.max_links)?),
        };
        Some(Self { options: *options, metadata: *metadata, unfinished })
    }

    /// The only leaf, or none, if the root would be no node.
    pub(crate) fn alone(&self) -> Option<&[Child]> {
        match &self.unfinished {
            Unfinished::Balanced(balanced) => balanced.alone(),
            Unfinished::Trickle(_) => None,
        }
    }

    /// Takes the same leaf many times; in the balanced layout nodes of it are made once a level.
    ///
    /// # Errors
    ///
    /// As [`FileBuilder::push`].
    pub(crate) fn push_many(
        &mut self,
        leaf: &Child,
        count: u64,
        out: &mut Vec<Block>,
    ) -> Result<(), UnixfsError> {
        let mut nodes = Nodes { options: &self.options, out };
        match &mut self.unfinished {
            Unfinished::Balanced(balanced) => balanced.push_many(leaf, count, &mut nodes),
            Unfinished::Trickle(trickle) => {
                (0..count).try_for_each(|_| trickle.push(leaf.clone(), &mut nodes))
            }
        }
    }

    /// Takes the next leaf; puts inner nodes that are full into `out`, children before parents.
    ///
    /// # Errors
    ///
    /// [`UnixfsError::Digest`] if the hash function is not supported.
    pub fn push(&mut self, leaf: Child, out: &mut Vec<Block>) -> Result<(), UnixfsError> {
        let mut nodes = Nodes { options: &self.options, out };
        match &mut self.unfinished {
            Unfinished::Balanced(balanced) => balanced.push(leaf, &mut nodes),
            Unfinished::Trickle(trickle) => trickle.push(leaf, &mut nodes),
        }
    }

    /// Ends the file; puts the remaining nodes into `out`, the root last.
    ///
    /// In the balanced layout, a file of one leaf has no inner node: the leaf is the root, and
    /// nothing is put out. A file of no leaves is the empty file, which is put out.
    ///
    /// # Errors
    ///
    /// [`UnixfsError::LeafMetadata`] for metadata on a balanced file of one leaf or none: that is
    /// written by [`crate::leaf_with_metadata`]. [`UnixfsError::Digest`] as in
    /// [`FileBuilder::push`].
    pub fn finish(self, out: &mut Vec<Block>) -> Result<Child, UnixfsError> {
        let mut nodes = Nodes { options: &self.options, out };
        let top = match self.unfinished {
            Unfinished::Balanced(balanced) => balanced.finish(&mut nodes)?,
            Unfinished::Trickle(trickle) => Top::Root(trickle.finish(&mut nodes)?),
        };
        match top {
            Top::Root(children) => nodes.node(&children, &self.metadata),
            Top::Leaf(_) | Top::Empty if !self.metadata.is_empty() => {
                Err(UnixfsError::LeafMetadata)
            }
            Top::Leaf(leaf) => Ok(leaf),
            Top::Empty => nodes.empty(),
        }
    }
}

/// Makes the nodes.
struct Nodes<'a> {
    options: &'a Options,
    out: &'a mut Vec<Block>,
}

impl Nodes<'_> {
    /// An inner node.
    fn node(&mut self, children: &[Child], metadata: &Metadata) -> Result<Child, UnixfsError> {
        let lens = children.iter().map(|child| child.data_len);
        let data_len = lens.fold(0, u64::saturating_add);
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
        self.out.push(block);
        Ok(Child { cid, data_len, total_len })
    }

    /// The leaf of a file without bytes.
    fn empty(&mut self) -> Result<Child, UnixfsError> {
        let raw = self.options.raw_leaves;
        let block = self.options.block(leaf_codec(raw), leaf(Bytes::new(), raw))?;
        let root = Child::leaf(block.cid().clone(), 0, block.data().len());
        self.out.push(block);
        Ok(root)
    }
}
