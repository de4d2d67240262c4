//! Changes the bytes of a file: which leaves it has after a write.
//!
//! A file is taken apart into its leaves by its inner nodes alone; the leaves that a write touches
//! at its two ends are read, the others keep their CIDs. What comes out is built as `add` would
//! from those leaves.
//!
//! Invariants: no leaf is read but the two at the ends of what changes; a file has at most
//! [`LEAVES_MAX`] leaves while it is edited; holes are one block of zeros, linked often.
//! Not here: nodes and their limits (`cairn-unixfs`), directories (`tree.rs`).

use super::{MfsError, local::Local};
use crate::NodeError;
use bytes::{Bytes, BytesMut};
use cairn_block::{Block, Cid, codec};
use cairn_chunk::{ChunkSpec, Cutter};
use cairn_dag::dag_pb;
use cairn_unixfs::{
    Child, Data, DataType, FILE_DEPTH_MAX, FileBuilder, Metadata, Options, UnixfsError, leaf_codec,
    leaf_of, leaf_with_metadata,
};

/// Most leaves of a file that is edited: 1 TiB at 256 KiB each.
const LEAVES_MAX: usize = 4 * 1024 * 1024;

/// Most bytes by which a leaf is longer than its data: anything longer is looked into.
const WRAPPER_LEN_MAX: u64 = 20;

/// Inner nodes that are read together.
const READ_COUNT: usize = 64;

/// Leaves that are hashed together.
const HASH_COUNT: usize = 16;

/// How to build and to cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) options: Options,
    pub(super) chunker: ChunkSpec,
}

impl Shape {
    /// Longest chunk that the chunker cuts.
    fn chunk_len(&self) -> usize {
        self.chunker.len_max()
    }
}

/// What is written.
#[derive(Debug, Clone)]
pub(super) enum Written {
    /// Bytes that are not cut yet, so that they can be joined with what lies beside them.
    Bytes(Bytes),
    /// Leaves that are in the store.
    Leaves(Vec<Child>),
}

impl Written {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Leaves(leaves) => len_of(leaves),
        }
    }
}

fn len_of(leaves: &[Child]) -> u64 {
    leaves.iter().fold(0, |sum, leaf| sum.saturating_add(leaf.data_len))
}

fn too_long() -> NodeError {
    MfsError::Refused { reason: "the file has too many leaves to be edited in place" }.into()
}

/// The leaves of the file whose root is `root`, in order.
pub(super) fn leaves(local: &Local, root: &Block) -> Result<Vec<Child>, NodeError> {
    let mut level = vec![Part::Open(root.clone(), None)];
    for _ in 0..=FILE_DEPTH_MAX {
        let wanted: Vec<Cid> = level.iter().filter_map(Part::unread).collect();
        if wanted.is_empty() && !level.iter().any(|part| matches!(part, Part::Open(..))) {
            return Ok(level.into_iter().filter_map(Part::leaf).collect());
        }
        let mut read = Vec::with_capacity(wanted.len());
        for cids in wanted.chunks(READ_COUNT) {
            read.extend(local.get_all(cids)?);
        }
        let mut read = read.into_iter();
        let mut next = Vec::with_capacity(level.len());
        for part in level {
            match part {
                Part::Leaf(leaf) => next.push(Part::Leaf(leaf)),
                Part::Open(block, len) => open(&block, len, &mut next)?,
                Part::Unread(_, len) => {
                    let block = read.next().ok_or_else(too_long)?;
                    open(&block, Some(len), &mut next)?;
                }
            }
            if next.len() > LEAVES_MAX {
                return Err(too_long());
            }
        }
        level = next;
    }
    Err(cairn_dag::DagError::TooDeep { cid: root.cid().clone(), limit: FILE_DEPTH_MAX }.into())
}

/// A part of a file that is taken apart.
enum Part {
    Leaf(Child),
    Open(Block, Option<u64>),
    Unread(Cid, u64),
}

impl Part {
    fn unread(&self) -> Option<Cid> {
        if let Self::Unread(cid, _) = self { Some(cid.clone()) } else { None }
    }

    fn leaf(self) -> Option<Child> {
        if let Self::Leaf(leaf) = self { Some(leaf) } else { None }
    }
}

/// Puts what a block consists of into `parts`.
fn open(block: &Block, expected: Option<u64>, parts: &mut Vec<Part>) -> Result<(), NodeError> {
    let malformed = |reason: &str| UnixfsError::Malformed {
        cid: block.cid().clone(),
        reason: reason.to_owned(),
    };
    let block_len = block.data().len();
    if block.cid().codec() == codec::RAW {
        parts.push(Part::Leaf(Child::leaf(block.cid().clone(), block_len, block_len)));
        return Ok(());
    }
    let (node, data) = decode(block)?;
    if !matches!(data.kind, DataType::File | DataType::Raw) {
        return Err(malformed("not a part of a file").into());
    }
    let own_len = data.data.as_ref().map_or(0, Bytes::len);
    if node.links.len() != data.blocksizes.len() {
        return Err(malformed("as many block sizes as links are needed").into());
    }
    let sum = data.blocksizes.iter().fold(own_len as u64, |sum, len| sum.saturating_add(*len));
    if let Some(declared) = [expected, data.filesize].into_iter().flatten().find(|len| *len != sum)
    {
        let (cid, actual) = (block.cid().clone(), sum);
        return Err(UnixfsError::Len { cid, declared, actual }.into());
    }
    if node.links.is_empty() {
        parts.push(Part::Leaf(Child::leaf(block.cid().clone(), own_len, block_len)));
        return Ok(());
    }
    if own_len > 0 {
        return Err(malformed("a node with data and links cannot be edited").into());
    }
    for (link, len) in node.links.iter().zip(&data.blocksizes) {
        let total_len = link.size.unwrap_or(*len);
        let is_leaf = link.cid.codec() == codec::RAW
            || total_len.checked_sub(*len).is_some_and(|more| more <= WRAPPER_LEN_MAX);
        parts.push(if is_leaf {
            Part::Leaf(Child { cid: link.cid.clone(), data_len: *len, total_len })
        } else {
            Part::Unread(link.cid.clone(), *len)
        });
    }
    Ok(())
}

/// Reads a dag-pb block and the message in it.
pub(super) fn decode(block: &Block) -> Result<(dag_pb::PbNode, Data), NodeError> {
    let malformed = |reason: String| UnixfsError::Malformed { cid: block.cid().clone(), reason };
    let node = dag_pb::decode(block.data()).map_err(|error| malformed(error.to_string()))?;
    let bytes = node.data.clone().unwrap_or_default();
    let data = Data::decode(&bytes).map_err(|error| malformed(error.to_string()))?;
    Ok((node, data))
}

/// The bytes of one leaf.
fn bytes_of(local: &Local, leaf: &Child) -> Result<Bytes, NodeError> {
    let block = local.get(&leaf.cid)?;
    let bytes = match block.cid().codec() {
        codec::RAW => block.data().clone(),
        _ => decode(&block)?.1.data.unwrap_or_default(),
    };
    if bytes.len() as u64 != leaf.data_len {
        let (cid, declared) = (leaf.cid.clone(), leaf.data_len);
        return Err(UnixfsError::Len { cid, declared, actual: bytes.len() as u64 }.into());
    }
    Ok(bytes)
}

/// Replaces the bytes from `offset` on by what is written; a gap before it becomes zeros.
pub(super) fn splice(
    local: &Local,
    mut leaves: Vec<Child>,
    (offset, written): (u64, &Written),
    shape: &Shape,
    out: &mut Vec<Block>,
) -> Result<Vec<Child>, NodeError> {
    if written.len() == 0 {
        return Ok(leaves);
    }
    let end = offset.checked_add(written.len()).ok_or_else(too_long)?;
    let len = len_of(&leaves);
    if offset > len {
        zeros(offset - len, shape, (&mut leaves, out))?;
    }
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let (mut left, mut right) = (Bytes::new(), Bytes::new());
    let mut start = 0;
    let count = leaves.len();
    for (index, leaf) in leaves.into_iter().enumerate() {
        let stop = start + leaf.data_len;
        let is_short_end = stop == offset
            && index + 1 == count
            && matches!(written, Written::Bytes(_))
            && leaf.data_len < shape.chunk_len() as u64;
        if stop <= offset && !is_short_end {
            before.push(leaf);
        } else if start >= end {
            after.push(leaf);
        } else {
            let (cut_left, cut_right) = (start < offset, stop > end);
            if cut_left || cut_right {
                let bytes = match find(out, &leaf.cid) {
                    Some(bytes) => bytes,
                    None => bytes_of(local, &leaf)?,
                };
                if cut_left {
                    left = bytes.slice(..(offset - start).min(leaf.data_len) as usize);
                }
                if cut_right {
                    right = bytes.slice((end - start) as usize..);
                }
            }
        }
        start = stop;
    }
    let mut leaves = before;
    match written {
        Written::Bytes(bytes) => {
            let mut joined = BytesMut::with_capacity(left.len() + bytes.len() + right.len());
            for part in [&left, bytes, &right] {
                joined.extend_from_slice(part);
            }
            leaves.extend(cut(joined.freeze(), shape, out)?);
        }
        Written::Leaves(new) => {
            leaves.extend(cut(left, shape, out)?);
            leaves.extend(new.iter().cloned());
            leaves.extend(cut(right, shape, out)?);
        }
    }
    leaves.extend(after);
    if leaves.len() > LEAVES_MAX { Err(too_long()) } else { Ok(leaves) }
}

/// The data of a leaf that was just made.
fn find(out: &[Block], cid: &Cid) -> Option<Bytes> {
    let block = out.iter().find(|block| block.cid() == cid)?;
    match cid.codec() {
        codec::RAW => Some(block.data().clone()),
        _ => decode(block).ok()?.1.data,
    }
}

/// Appends so many zeros.
fn zeros(
    len: u64,
    shape: &Shape,
    (leaves, out): (&mut Vec<Child>, &mut Vec<Block>),
) -> Result<(), NodeError> {
    let chunk_len = shape.chunk_len() as u64;
    let count = usize::try_from(len / chunk_len).unwrap_or(usize::MAX);
    if count.saturating_add(leaves.len()) >= LEAVES_MAX {
        return Err(too_long());
    }
    if count > 0 {
        let whole = leaf(Bytes::from(vec![0; chunk_len as usize]), shape, out)?;
        leaves.extend(std::iter::repeat_n(whole, count));
    }
    if !len.is_multiple_of(chunk_len) {
        leaves.push(leaf(Bytes::from(vec![0; (len % chunk_len) as usize]), shape, out)?);
    }
    Ok(())
}

fn leaf(bytes: Bytes, shape: &Shape, out: &mut Vec<Block>) -> Result<Child, NodeError> {
    let (made, blocks) = hashed(vec![bytes], shape)?;
    out.extend(blocks);
    made.into_iter().next().ok_or_else(too_long)
}

/// Cuts bytes into leaves.
pub(super) fn cut(
    mut bytes: Bytes,
    shape: &Shape,
    out: &mut Vec<Block>,
) -> Result<Vec<Child>, NodeError> {
    let mut cutter = Cutter::new(&shape.chunker);
    let (mut chunks, mut leaves) = (Vec::new(), Vec::new());
    while let Some(len) = cutter.next(&bytes, true) {
        chunks.push(bytes.split_to(len));
        if chunks.len() == HASH_COUNT {
            let (made, blocks) = hashed(std::mem::take(&mut chunks), shape)?;
            leaves.extend(made);
            out.extend(blocks);
        }
    }
    let (made, blocks) = hashed(chunks, shape)?;
    leaves.extend(made);
    out.extend(blocks);
    Ok(leaves)
}

/// Names leaves, in lanes.
pub(super) fn hashed(
    chunks: Vec<Bytes>,
    shape: &Shape,
) -> Result<(Vec<Child>, Vec<Block>), NodeError> {
    let lens: Vec<usize> = chunks.iter().map(Bytes::len).collect();
    let wrapped = chunks.into_iter().map(|chunk| leaf_of(chunk, &shape.options)).collect();
    let blocks = shape.options.blocks(leaf_codec(shape.options.raw_leaves), wrapped)?;
    let child =
        |(block, len): (&Block, usize)| Child::leaf(block.cid().clone(), len, block.data().len());
    let leaves = blocks.iter().zip(lens).map(child).collect();
    Ok((leaves, blocks))
}

/// Joins leaves to a file; its nodes go into `out`.
pub(super) fn join(
    local: &Local,
    leaves: Vec<Child>,
    metadata: &Metadata,
    shape: &Shape,
    out: &mut Vec<Block>,
) -> Result<Child, NodeError> {
    if leaves.len() <= 1 && !metadata.is_empty() {
        let bytes = match leaves.first() {
            None => Bytes::new(),
            Some(leaf) => match find(out, &leaf.cid) {
                Some(bytes) => bytes,
                None => bytes_of(local, leaf)?,
            },
        };
        let len = bytes.len();
        let block = shape.options.block(codec::DAG_PB, leaf_with_metadata(bytes, metadata))?;
        let child = Child::leaf(block.cid().clone(), len, block.data().len());
        out.push(block);
        return Ok(child);
    }
    let mut builder = FileBuilder::with_metadata(&shape.options, metadata);
    for leaf in leaves {
        builder.push(leaf, out)?;
    }
    Ok(builder.finish(out)?)
}

/// The same file, directory or symlink with other metadata; only its root changes.
pub(super) fn describe(
    block: &Block,
    change: impl FnOnce(&mut Metadata),
    options: &Options,
) -> Result<(Block, u64), NodeError> {
    if block.cid().codec() == codec::RAW {
        let mut metadata = Metadata::default();
        change(&mut metadata);
        let data = leaf_with_metadata(block.data().clone(), &metadata);
        let block = options.block(codec::DAG_PB, data)?;
        let total_len = block.data().len() as u64;
        return Ok((block, total_len));
    }
    let (mut node, data) = decode(block)?;
    let mut metadata = Metadata { mode: data.permissions(), mtime: data.mtime };
    change(&mut metadata);
    node.data = Some(data.with_metadata(&metadata).encode().into());
    let encoded = dag_pb::encode(&node);
    let total_len = node.total_len(encoded.len());
    Ok((options.block(codec::DAG_PB, encoded.into())?, total_len))
}
