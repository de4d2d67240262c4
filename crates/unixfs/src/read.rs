//! Reads a range of a file, in order, fetching far ahead.
//!
//! Spec: <https://specs.ipfs.tech/unixfs/#file>, pinned in `spec/PINS.toml`.
//! Invariants: only blocks that hold bytes of the range, or links to such, are fetched; every
//! block must hold exactly as many bytes of the file as its parent says, so that a range is the
//! same bytes whichever way it is reached; depth and memory are bounded.
//! Not here: fetching ahead (`cairn_dag::ahead`).

use crate::{
    Data, DataType, UnixfsError,
    entry::{Opened, file_len, open},
};
use bytes::Bytes;
use cairn_block::{BLOCK_LEN_MAX, Block, BlockStore, codec};
use cairn_dag::{
    DagError,
    ahead::{Ahead, Below, Failure, Item, Opener, PENDING_MAX, Window},
    dag_pb::PbNode,
};
use futures::stream::{self, Stream, StreamExt as _};
use std::ops::Range;

/// Deepest leaf that is read, in links from the root; 2⁶⁴ bytes are 9 deep at 174 links.
pub const FILE_DEPTH_MAX: usize = 64;

/// Reads bytes `range` of the file whose root is `root`; what lies beyond its end is left out.
///
/// Up to 32 MiB are asked for ahead of the reader, beginning with a few blocks; whoever has many
/// readers at once gives each less with [`read_within`]. Dropping the stream stops it.
///
/// # Errors
///
/// [`UnixfsError::NotAFile`] as the only item, or whatever is wrong with a block, in its place,
/// after which the stream ends.
pub fn read<'s, S: BlockStore + Clone + 's>(
    store: S,
    root: &Block,
    range: Range<u64>,
) -> impl Stream<Item = Result<Bytes, UnixfsError>> + Send + use<'s, S> {
    read_within(store, root, range, Window::default())
}

/// As [`read`], asking for no more than `window` ahead of the reader.
///
/// # Errors
///
/// As [`read`].
pub fn read_within<'s, S: BlockStore + Clone + 's>(
    store: S,
    root: &Block,
    range: Range<u64>,
    window: Window,
) -> impl Stream<Item = Result<Bytes, UnixfsError>> + Send + use<'s, S> {
    let reader = Reader { range };
    match reader.open_part(&Part { start: 0, len: None, depth: 0, own: None }, root) {
        Err(error) => stream::iter([Err(error)]).left_stream(),
        Ok((first, items)) => {
            let first = first.map_or_else(Bytes::new, |own| reader.clip(0, &own));
            let first = Some(first).filter(|bytes| !bytes.is_empty());
            let ahead = Ahead::new(store, reader, window, items);
            stream::iter(first.map(Ok)).chain(stream::unfold(Some(ahead), next)).right_stream()
        }
    }
}

async fn next<'s, S: BlockStore + Clone + 's>(
    ahead: Option<Ahead<'s, S, Reader>>,
) -> Option<(Result<Bytes, UnixfsError>, Option<Ahead<'s, S, Reader>>)> {
    let mut ahead = ahead?;
    loop {
        let arrival = ahead.next().await?;
        let error = match arrival.result {
            Ok(()) => {
                let Some(own) = arrival.tag.own else { continue };
                let bytes = ahead.opener().clip(arrival.tag.start, &own);
                if bytes.is_empty() {
                    continue;
                }
                return Some((Ok(bytes), Some(ahead)));
            }
            Err(Failure::Block(error)) => error.into(),
            Err(Failure::Open(error)) => error,
            Err(Failure::TooWide) => {
                DagError::TooWide { cid: arrival.cid, limit: PENDING_MAX }.into()
            }
        };
        return Some((Err(error), None));
    }
}

/// One block's part of the file.
struct Part {
    /// Where in the file it begins.
    start: u64,
    /// How long the parent says it is; `None` for the root.
    len: Option<u64>,
    /// Links between it and the root.
    depth: usize,
    /// The bytes that the block itself holds, once it has been opened.
    own: Option<Bytes>,
}

struct Reader {
    range: Range<u64>,
}

type Parts = (Option<Bytes>, Vec<Item<Part>>);

impl Reader {
    /// The bytes of a block at `start` that lie in the range.
    fn clip(&self, start: u64, own: &Bytes) -> Bytes {
        let len = own.len() as u64;
        let from = self.range.start.saturating_sub(start).min(len);
        let to = self.range.end.saturating_sub(start).min(len);
        if from >= to { Bytes::new() } else { own.slice(from as usize..to as usize) }
    }

    fn overlaps(&self, start: u64, len: u64) -> bool {
        len > 0 && start < self.range.end && start.saturating_add(len) > self.range.start
    }

    /// Checks a block against what its parent says, and returns its bytes and what is below.
    fn open_part(&self, part: &Part, block: &Block) -> Result<Parts, UnixfsError> {
        let cid = block.cid();
        let (own, data, node) = match open(block)? {
            Opened::Raw => (Some(block.data().clone()), None, PbNode::default()),
            Opened::Node { mut data, node } => match data.kind {
                DataType::File | DataType::Raw => (data.data.take(), Some(data), node),
                kind => return Err(UnixfsError::NotAFile { kind: kind.name(), cid: cid.clone() }),
            },
        };
        let own_len = own.as_ref().map_or(0, |own| own.len() as u64);
        let data = data.unwrap_or_else(|| Data::new(DataType::Raw));
        if data.blocksizes.len() != node.links.len() {
            return Err(UnixfsError::malformed(cid, "as many block sizes as links are needed"));
        }
        let actual = file_len(&data).saturating_add(own_len);
        for declared in [part.len, data.filesize].into_iter().flatten() {
            if declared != actual {
                return Err(UnixfsError::Len { cid: cid.clone(), declared, actual });
            }
        }
        if !node.links.is_empty() && part.depth == FILE_DEPTH_MAX {
            return Err(DagError::TooDeep { cid: cid.clone(), limit: FILE_DEPTH_MAX }.into());
        }
        Ok((own, self.below(part, own_len, &data, &node)))
    }

    /// The children that hold bytes of the range.
    fn below(&self, part: &Part, own_len: u64, data: &Data, node: &PbNode) -> Vec<Item<Part>> {
        let mut start = part.start.saturating_add(own_len);
        let mut items = Vec::new();
        for (link, len) in node.links.iter().zip(&data.blocksizes) {
            if self.overlaps(start, *len) {
                let tag = Part { start, len: Some(*len), depth: part.depth + 1, own: None };
                let block_len = if link.cid.codec() == codec::RAW { Some(*len) } else { link.size };
                let block_len = block_len.filter(|len| *len <= BLOCK_LEN_MAX as u64);
                items.push(Item { cid: link.cid.clone(), tag, fetch: true, len: block_len });
            }
            start = start.saturating_add(*len);
        }
        items
    }
}

impl Opener for Reader {
    type Tag = Part;
    type Error = UnixfsError;

    fn open(
        &mut self,
        part: &mut Part,
        block: &Block,
        _early: bool,
    ) -> Option<Below<Part, UnixfsError>> {
        Some(self.open_part(part, block).map(|(own, items)| {
            part.own = own;
            items
        }))
    }
}
