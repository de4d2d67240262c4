//! Changes bytes of one file, reading no more than the way to the leaves that change.
//!
//! Bytes that lie within the file take the place of those that were there, in leaves of the same
//! lengths and nodes of the same shape, whatever the layout (`overwrite.rs`). What goes on behind
//! the end, or cuts it off, is joined to what stays at its right edge (`grow.rs`), as the builder
//! that made the file would have gone on; so a balanced file that grew has the CID of one that was
//! made at once from the same leaves.
//!
//! Invariants: what a block says of lengths is checked before it is used; a leaf that is replaced
//! as a whole is not read; memory is bounded by the bytes written, a path and a batch of blocks.
//! Not here: the layouts (`file.rs` of the crate), where new leaves are cut (`cairn-chunk`).

mod grow;
mod overwrite;
mod part;

use crate::{
    Child, Layout, Metadata, Options, UnixfsError, leaf_codec, leaf_of, leaf_with_metadata,
};
use bytes::Bytes;
use cairn_block::{BLOCK_LEN_MAX, Block, BlockStore, BlockStoreExt as _, codec};
use cairn_chunk::{ChunkSpec, Cutter};
pub(crate) use part::is_leaf;
use part::{Part, open_part};

/// New blocks that are kept before they go into the store.
const OUT_COUNT: usize = 64;

/// Leaves that are hashed together.
const HASH_COUNT: usize = 16;

/// Zeros between the old end of a file and what is written behind it, at most so many leaves where
/// the layout does not let equal nodes be linked often.
const HOLE_LEAVES_MAX: u64 = 1024 * 1024;

/// What is written.
#[derive(Debug, Clone)]
pub enum Written {
    /// Bytes that are not cut yet, so that they can be joined with what lies beside them.
    Bytes(Bytes),
    /// Leaves that are in the store.
    Leaves(Vec<Child>),
}

impl Written {
    /// How many bytes it is.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Leaves(leaves) => {
                leaves.iter().fold(0, |sum, leaf| sum.saturating_add(leaf.data_len))
            }
        }
    }

    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Changes one file; its new blocks go into the store, the root last.
#[derive(Debug)]
pub struct FileEditor<'s, S> {
    store: &'s S,
    options: Options,
    chunker: ChunkSpec,
    /// Blocks that are not in the store yet.
    out: Vec<Block>,
}

impl<'s, S: BlockStore> FileEditor<'s, S> {
    /// Starts a change; `options` must have passed [`Options::check`], and say with `chunker` how
    /// new leaves are made.
    pub fn new(store: &'s S, options: &Options, chunker: &ChunkSpec) -> Self {
        Self { store, options: *options, chunker: *chunker, out: Vec::new() }
    }

    /// Writes at `offset` of the file whose root is `old`, or of a new one; what lies between its
    /// end and `offset` becomes zeros. The new root says `metadata`.
    ///
    /// # Errors
    ///
    /// [`UnixfsError::NotAFile`], [`UnixfsError::FileLen`] for an end beyond 2⁶⁴ bytes or a gap
    /// that the trickle layout would fill with too many leaves, or whatever is wrong with a block
    /// that was read or could not be put.
    pub async fn write(
        mut self,
        old: Option<&Block>,
        (offset, written): (u64, &Written),
        metadata: &Metadata,
    ) -> Result<Child, UnixfsError> {
        let len = old.map(|root| open_part(root, None)).transpose()?.map_or(0, |part| part.len());
        let end = offset.checked_add(written.len()).ok_or(UnixfsError::FileLen)?;
        let child = match old {
            Some(root) if written.is_empty() => {
                self.resize(Some(root), (len, len), &Written::Bytes(Bytes::new()), metadata).await?
            }
            Some(root) if end <= len => self.overwrite(root, (offset, written), metadata).await?,
            _ => {
                // Without bytes there is nothing that a gap would lead to.
                let offset = if written.is_empty() { 0 } else { offset };
                self.resize(old, (len, offset), written, metadata).await?
            }
        };
        self.flush().await?;
        Ok(child)
    }

    /// Cuts the file whose root is `old` off at `len` bytes, or goes on with zeros up to there.
    ///
    /// # Errors
    ///
    /// As [`FileEditor::write`].
    pub async fn set_len(
        mut self,
        old: &Block,
        len: u64,
        metadata: &Metadata,
    ) -> Result<Child, UnixfsError> {
        let old_len = open_part(old, None)?.len();
        let nothing = Written::Bytes(Bytes::new());
        let child = self.resize(Some(old), (old_len, len), &nothing, metadata).await?;
        self.flush().await?;
        Ok(child)
    }

    /// Makes one leaf; a raw one only takes the place of a raw one.
    fn leaf(&mut self, bytes: Bytes, raw: bool) -> Result<Child, UnixfsError> {
        let options = Options { raw_leaves: raw, ..self.options };
        let len = bytes.len();
        let block = options.block(leaf_codec(raw), leaf_of(bytes, &options))?;
        let child = Child::leaf(block.cid().clone(), len, block.data().len());
        self.out.push(block);
        Ok(child)
    }

    /// Makes the root of a file of one leaf or none that says something about itself.
    fn root_leaf(&mut self, bytes: Bytes, metadata: &Metadata) -> Result<Child, UnixfsError> {
        let len = bytes.len();
        let block = self.options.block(codec::DAG_PB, leaf_with_metadata(bytes, metadata))?;
        let child = Child::leaf(block.cid().clone(), len, block.data().len());
        self.out.push(block);
        Ok(child)
    }

    /// Cuts bytes into leaves.
    async fn cut(&mut self, mut bytes: Bytes) -> Result<Vec<Child>, UnixfsError> {
        let mut cutter = Cutter::new(&self.chunker);
        let (mut chunks, mut leaves) = (Vec::new(), Vec::new());
        loop {
            let next = cutter.next(&bytes, true);
            if let Some(len) = next {
                chunks.push(bytes.split_to(len));
            }
            if chunks.len() == HASH_COUNT || next.is_none() {
                let (made, blocks) = leaves_of(std::mem::take(&mut chunks), &self.options)?;
                leaves.extend(made);
                self.out.extend(blocks);
                self.spill().await?;
            }
            if next.is_none() {
                return Ok(leaves);
            }
        }
    }

    /// The bytes of one leaf, which is as long as its parent says.
    async fn bytes_of(&mut self, leaf: &Child) -> Result<Bytes, UnixfsError> {
        self.flush().await?;
        let block = self.store.require(&leaf.cid).await?;
        match open_part(&block, Some(leaf.data_len))? {
            Part::Leaf(bytes) => Ok(bytes),
            Part::Node { .. } => Err(UnixfsError::malformed(&leaf.cid, "a node too short for one")),
        }
    }

    /// Puts new blocks into the store if they are many.
    async fn spill(&mut self) -> Result<(), UnixfsError> {
        if self.out.len() < OUT_COUNT { Ok(()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> Result<(), UnixfsError> {
        if self.out.is_empty() {
            return Ok(());
        }
        Ok(self.store.put_many(std::mem::take(&mut self.out)).await?)
    }

    fn is_balanced(&self) -> bool {
        self.options.layout == Layout::Balanced
    }
}

/// Makes leaves of chunks, hashed in lanes; with each what its parent will say of it.
///
/// # Errors
///
/// [`UnixfsError::Digest`] if the hash function is not supported.
pub fn leaves_of(
    chunks: Vec<Bytes>,
    options: &Options,
) -> Result<(Vec<Child>, Vec<Block>), UnixfsError> {
    let lens: Vec<usize> = chunks.iter().map(Bytes::len).collect();
    let wrapped = chunks.into_iter().map(|chunk| leaf_of(chunk, options)).collect();
    let blocks = options.blocks(leaf_codec(options.raw_leaves), wrapped)?;
    let child =
        |(block, len): (&Block, usize)| Child::leaf(block.cid().clone(), len, block.data().len());
    let leaves = blocks.iter().zip(lens).map(child).collect();
    Ok((leaves, blocks))
}

/// Refuses a length that no leaf has.
fn check_leaf_len(leaf: &Child) -> Result<(), UnixfsError> {
    if leaf.data_len > BLOCK_LEN_MAX as u64 {
        return Err(UnixfsError::malformed(&leaf.cid, "a leaf longer than a block"));
    }
    Ok(())
}
