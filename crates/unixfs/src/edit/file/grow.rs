//! Goes on behind the end of a file, or cuts it off: what stays is a part of it from its start.
//!
//! Of what stays only the nodes on the way to its last leaf are read: they tell what the builder
//! had in hand when that leaf came, and it goes on from there. Where they do not look like the
//! layout's, all nodes are read and the leaves joined anew.
//! Invariants: no leaf is read but the last one that stays, if it is cut, joined with what
//! follows, or says what only a root says; zeros are a few nodes, linked often.
//! Not here: bytes that are replaced (`overwrite.rs`).

use super::{
    FileEditor, HOLE_LEAVES_MAX, Written, check_leaf_len,
    part::{Part, children, is_leaf, metadata_of, open_part},
};
use crate::{Child, FILE_DEPTH_MAX, FileBuilder, Metadata, UnixfsError};
use bytes::{Bytes, BytesMut};
use cairn_block::{Block, BlockStore, BlockStoreExt as _, Cid};
use cairn_dag::DagError;

/// What stays of a file.
struct Kept {
    /// With all leaves that stay but the last one.
    builder: FileBuilder,
    last: Child,
    /// How many of the last leaf's bytes stay.
    len: u64,
    /// All of its bytes, if they are at hand.
    bytes: Option<Bytes>,
}

/// The way to the last leaf that stays.
struct Way {
    /// For each level from the root down, what stands before it.
    levels: Vec<Vec<Child>>,
    /// Whether leaves and nodes stand beside each other.
    is_mixed: bool,
}

impl<S: BlockStore> FileEditor<'_, S> {
    /// Keeps the bytes before `offset` of a file of `len` bytes, and puts what is written behind
    /// them; zeros come between if there are too few.
    pub(super) async fn resize(
        &mut self,
        old: Option<&Block>,
        (len, offset): (u64, u64),
        written: &Written,
        metadata: &Metadata,
    ) -> Result<Child, UnixfsError> {
        let mut builder = FileBuilder::with_metadata(&self.options, metadata);
        let mut left = Bytes::new();
        let keep = offset.min(len);
        if let Some(root) = old.filter(|_| keep > 0) {
            let kept = self.keep(root, keep, metadata).await?;
            builder = kept.builder;
            let joins = matches!(written, Written::Bytes(bytes) if !bytes.is_empty());
            let is_short = kept.last.data_len < self.chunk_len();
            let is_joined = joins && is_short && offset == len;
            let is_whole = kept.len == kept.last.data_len;
            let is_root = kept.bytes.is_some() && !metadata_of(root)?.is_empty();
            if is_whole && !is_joined && !is_root {
                builder.push(kept.last, &mut self.out)?;
            } else {
                check_leaf_len(&kept.last)?;
                let bytes = match kept.bytes {
                    Some(bytes) => bytes,
                    None => self.bytes_of(&kept.last).await?,
                };
                left = bytes.slice(..kept.len as usize);
            }
        }
        if offset > len {
            self.push_cut(&mut builder, std::mem::take(&mut left)).await?;
            left = self.push_zeros(&mut builder, offset - len).await?;
        }
        match written {
            Written::Bytes(bytes) if left.is_empty() => {
                self.push_cut(&mut builder, bytes.clone()).await?;
            }
            Written::Bytes(bytes) => {
                let mut joined = BytesMut::from(&left[..]);
                joined.extend_from_slice(bytes);
                self.push_cut(&mut builder, joined.freeze()).await?;
            }
            Written::Leaves(leaves) => {
                self.push_cut(&mut builder, left).await?;
                for leaf in leaves {
                    builder.push(leaf.clone(), &mut self.out)?;
                    self.spill().await?;
                }
            }
        }
        self.end(builder, metadata).await
    }

    /// Longest chunk that the chunker cuts.
    fn chunk_len(&self) -> u64 {
        self.chunker.len_max() as u64
    }

    async fn end(
        &mut self,
        builder: FileBuilder,
        metadata: &Metadata,
    ) -> Result<Child, UnixfsError> {
        if metadata.is_empty() {
            return builder.finish(&mut self.out);
        }
        let Some(alone) = builder.alone() else { return builder.finish(&mut self.out) };
        let bytes = match alone.first().cloned() {
            None => Bytes::new(),
            Some(leaf) => self.bytes_of(&leaf).await?,
        };
        self.root_leaf(bytes, metadata)
    }

    async fn push_cut(
        &mut self,
        builder: &mut FileBuilder,
        bytes: Bytes,
    ) -> Result<(), UnixfsError> {
        for leaf in self.cut(bytes).await? {
            builder.push(leaf, &mut self.out)?;
            self.spill().await?;
        }
        Ok(())
    }

    /// Adds zeros, but for the last ones that do not fill a leaf: those are returned.
    async fn push_zeros(
        &mut self,
        builder: &mut FileBuilder,
        len: u64,
    ) -> Result<Bytes, UnixfsError> {
        let chunk_len = self.chunk_len();
        let count = len / chunk_len;
        if !self.is_balanced() && count > HOLE_LEAVES_MAX {
            return Err(UnixfsError::FileLen);
        }
        let zeros = Bytes::from(vec![0; chunk_len as usize]);
        if count > 0 {
            let leaf = self.leaf(zeros.clone(), self.options.raw_leaves)?;
            builder.push_many(&leaf, count, &mut self.out)?;
            self.spill().await?;
        }
        Ok(zeros.slice(..(len % chunk_len) as usize))
    }

    /// Finds what stays of a file; `keep` is at least 1.
    async fn keep(
        &mut self,
        root: &Block,
        keep: u64,
        metadata: &Metadata,
    ) -> Result<Kept, UnixfsError> {
        if let Part::Leaf(bytes) = open_part(root, None)? {
            let (cid, data_len) = (root.cid().clone(), bytes.len());
            let last = Child::leaf(cid, data_len, root.data().len());
            let builder = FileBuilder::with_metadata(&self.options, metadata);
            return Ok(Kept { builder, last, len: keep, bytes: Some(bytes) });
        }
        let (way, last, len) = self.way_to(root, keep).await?;
        if !(self.is_balanced() && way.is_mixed)
            && let Some(builder) = FileBuilder::resumed(&self.options, metadata, way.levels)
        {
            return Ok(Kept { builder, last, len, bytes: None });
        }
        let mut builder = FileBuilder::with_metadata(&self.options, metadata);
        let (last, len) = self.push_leaves(&mut builder, root, keep).await?;
        Ok(Kept { builder, last, len, bytes: None })
    }

    /// Follows a file down to its byte before `keep`; answers the leaf that holds it, and how many
    /// of the leaf's bytes come before `keep`.
    async fn way_to(
        &mut self,
        root: &Block,
        mut keep: u64,
    ) -> Result<(Way, Child, u64), UnixfsError> {
        let (mut block, mut expected) = (root.clone(), None);
        let mut way = Way { levels: Vec::new(), is_mixed: false };
        let mut this = Child::leaf(root.cid().clone(), 0, 0);
        for _ in 0..=FILE_DEPTH_MAX {
            let mut before = match open_part(&block, expected)? {
                Part::Node { data, node } => children(&data, &node),
                Part::Leaf(_) => return Ok((way, this, keep)),
            };
            let mut at = 0;
            while before.get(at).is_some_and(|child| child.data_len < keep) {
                keep -= before[at].data_len;
                at += 1;
            }
            before.truncate(at + 1);
            let Some(last) = before.pop() else {
                return Err(UnixfsError::malformed(block.cid(), "a node without parts"));
            };
            way.is_mixed |= before.iter().any(|child| is_leaf(child) != is_leaf(&last));
            way.levels.push(before);
            if is_leaf(&last) {
                return Ok((way, last, keep));
            }
            block = self.store.require(&last.cid).await?;
            (expected, this) = (Some(last.data_len), last);
        }
        Err(too_deep(root.cid()))
    }

    /// Adds the leaves of a file up to the byte before `keep`, but for the one that holds it,
    /// which is returned with the number of its bytes that come before `keep`.
    async fn push_leaves(
        &mut self,
        builder: &mut FileBuilder,
        root: &Block,
        mut keep: u64,
    ) -> Result<(Child, u64), UnixfsError> {
        let mut open = vec![parts_of(root, None)?.into_iter()];
        while let Some(parts) = open.last_mut() {
            let Some((child, mut leaf)) = parts.next() else {
                drop(open.pop());
                continue;
            };
            if !leaf {
                let block = self.store.require(&child.cid).await?;
                let parts = parts_of(&block, Some(child.data_len))?;
                leaf = parts.is_empty();
                if !leaf {
                    open.push(parts.into_iter());
                    if open.len() > FILE_DEPTH_MAX {
                        return Err(too_deep(root.cid()));
                    }
                }
            }
            if leaf {
                if child.data_len >= keep {
                    return Ok((child, keep));
                }
                keep -= child.data_len;
                builder.push(child, &mut self.out)?;
                self.spill().await?;
            }
        }
        Err(UnixfsError::malformed(root.cid(), "a file shorter than it says"))
    }
}

/// What a node links to, and whether that are leaves; nothing for a leaf.
fn parts_of(block: &Block, expected: Option<u64>) -> Result<Vec<(Child, bool)>, UnixfsError> {
    Ok(match open_part(block, expected)? {
        Part::Leaf(_) => Vec::new(),
        Part::Node { data, node } => {
            let kind = |child: Child| (is_leaf(&child), child);
            let parts = children(&data, &node).into_iter().map(kind);
            parts.map(|(leaf, child)| (child, leaf)).collect()
        }
    })
}

fn too_deep(root: &Cid) -> UnixfsError {
    DagError::TooDeep { cid: root.clone(), limit: FILE_DEPTH_MAX }.into()
}
