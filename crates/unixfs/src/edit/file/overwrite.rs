//! Puts bytes in the place of others: the file keeps its length and its shape.
//!
//! Invariants: only nodes on the way to a leaf that changes are read, and of leaves only those that
//! keep some of their bytes, two at most.
//! Not here: what goes beyond the end (`grow.rs`).

use super::{
    FileEditor, Written, check_leaf_len,
    part::{Part, children, is_leaf, open_part},
};
use crate::{Child, FILE_DEPTH_MAX, Metadata, UnixfsError, entry::file_len};
use bytes::{Bytes, BytesMut};
use cairn_block::{Block, BlockStore, BlockStoreExt as _, codec};
use cairn_dag::{DagError, dag_pb};
use std::ops::Range;

/// What takes the place of what.
struct Change<'a> {
    range: Range<u64>,
    written: &'a Written,
    /// Where each of the leaves in `written` begins, counted from its start.
    starts: Vec<u64>,
}

impl<'a> Change<'a> {
    fn new(offset: u64, written: &'a Written) -> Self {
        let mut starts = Vec::new();
        let mut end = offset;
        match written {
            Written::Bytes(bytes) => end += bytes.len() as u64,
            Written::Leaves(leaves) => {
                for leaf in leaves {
                    starts.push(end - offset);
                    end += leaf.data_len;
                }
            }
        }
        Self { range: offset..end, written, starts }
    }

    fn overlaps(&self, start: u64, len: u64) -> bool {
        start < self.range.end && start.saturating_add(len) > self.range.start
    }

    /// The new leaf that is exactly `len` bytes from `start` on, if one is.
    fn leaf_at(&self, start: u64, len: u64) -> Option<&'a Child> {
        let Written::Leaves(leaves) = self.written else { return None };
        let at = self.starts.binary_search(&start.checked_sub(self.range.start)?).ok()?;
        leaves.get(at).filter(|leaf| leaf.data_len == len)
    }
}

impl<S: BlockStore> FileEditor<'_, S> {
    /// Writes within the file; there is at least a byte to write.
    pub(super) async fn overwrite(
        &mut self,
        root: &Block,
        (offset, written): (u64, &Written),
        metadata: &Metadata,
    ) -> Result<Child, UnixfsError> {
        let change = Change::new(offset, written);
        if let Part::Leaf(old) = open_part(root, None)? {
            let bytes = self.replaced((0, old.len()), &change, Some(&old)).await?;
            if metadata.is_empty() {
                return self.leaf(bytes, root.cid().codec() == codec::RAW);
            }
            return self.root_leaf(bytes, metadata);
        }
        self.overwrite_below(root, (0, None), &change, (Some(metadata), 0)).await
    }

    /// Writes in what a block holds, which begins at `start` of the file; a root gets `metadata`.
    async fn overwrite_below(
        &mut self,
        block: &Block,
        (mut start, expected): (u64, Option<u64>),
        change: &Change<'_>,
        (metadata, depth): (Option<&Metadata>, usize),
    ) -> Result<Child, UnixfsError> {
        let (data, mut node) = match open_part(block, expected)? {
            Part::Node { data, node } => (data, node),
            Part::Leaf(old) => {
                let bytes = self.replaced((start, old.len()), change, Some(&old)).await?;
                return self.leaf(bytes, block.cid().codec() == codec::RAW);
            }
        };
        if depth == FILE_DEPTH_MAX {
            let cid = block.cid().clone();
            return Err(DagError::TooDeep { cid, limit: FILE_DEPTH_MAX }.into());
        }
        for (index, child) in children(&data, &node).into_iter().enumerate() {
            let len = child.data_len;
            if change.overlaps(start, len) {
                let new = if is_leaf(&child) {
                    self.overwrite_leaf(&child, start, change).await?
                } else {
                    let below = self.store.require(&child.cid).await?;
                    let place = (start, Some(len));
                    Box::pin(self.overwrite_below(&below, place, change, (None, depth + 1))).await?
                };
                (node.links[index].cid, node.links[index].size) = (new.cid, Some(new.total_len));
            }
            start = start.saturating_add(len);
        }
        let data_len = file_len(&data);
        let data = metadata.map_or(data.clone(), |metadata| data.with_metadata(metadata));
        node.data = Some(data.encode().into());
        let encoded = dag_pb::encode(&node);
        let total_len = node.total_len(encoded.len());
        let block = self.options.block(codec::DAG_PB, encoded.into())?;
        let cid = block.cid().clone();
        self.out.push(block);
        self.spill().await?;
        Ok(Child { cid, data_len, total_len })
    }

    async fn overwrite_leaf(
        &mut self,
        leaf: &Child,
        start: u64,
        change: &Change<'_>,
    ) -> Result<Child, UnixfsError> {
        if let Some(new) = change.leaf_at(start, leaf.data_len) {
            return Ok(new.clone());
        }
        check_leaf_len(leaf)?;
        let end = start + leaf.data_len;
        let whole = change.range.start <= start && end <= change.range.end;
        let old = if whole { None } else { Some(self.bytes_of(leaf).await?) };
        let bytes = self.replaced((start, leaf.data_len as usize), change, old.as_ref()).await?;
        let made = self.leaf(bytes, leaf.cid.codec() == codec::RAW)?;
        self.spill().await?;
        Ok(made)
    }

    /// The bytes of a leaf as they are to be; `old` may be missing if all of them change.
    async fn replaced(
        &mut self,
        (start, len): (u64, usize),
        change: &Change<'_>,
        old: Option<&Bytes>,
    ) -> Result<Bytes, UnixfsError> {
        let from = change.range.start.saturating_sub(start).min(len as u64);
        let to = change.range.end.saturating_sub(start).min(len as u64);
        let new = (start + from).saturating_sub(change.range.start);
        let new = self.written(change, new..new + (to - from)).await?;
        let Some(old) = old.filter(|_| new.len() < len) else { return Ok(new) };
        let mut bytes = BytesMut::with_capacity(len);
        bytes.extend_from_slice(&old[..from as usize]);
        bytes.extend_from_slice(&new);
        bytes.extend_from_slice(&old[to as usize..]);
        Ok(bytes.freeze())
    }

    /// A part of what is written, at most as long as a leaf.
    async fn written(
        &mut self,
        change: &Change<'_>,
        range: Range<u64>,
    ) -> Result<Bytes, UnixfsError> {
        let leaves = match change.written {
            Written::Bytes(bytes) => {
                return Ok(bytes.slice(range.start as usize..range.end as usize));
            }
            Written::Leaves(leaves) => leaves,
        };
        let mut bytes = BytesMut::with_capacity((range.end - range.start) as usize);
        let first = change.starts.partition_point(|start| *start <= range.start).saturating_sub(1);
        for (leaf, start) in leaves.iter().zip(&change.starts).skip(first) {
            if *start >= range.end {
                break;
            }
            let from = range.start.saturating_sub(*start).min(leaf.data_len) as usize;
            let to = (range.end - start).min(leaf.data_len) as usize;
            let whole = self.bytes_of(leaf).await?;
            bytes.extend_from_slice(&whole[from..to]);
        }
        Ok(bytes.freeze())
    }
}
