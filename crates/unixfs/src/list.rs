//! Lists a directory, and finds one of its entries.
//!
//! Invariant: finding a name in a trie fetches one node a level; listing fetches ahead.
//! Not here: what the entries are (`entry.rs`); paths of more than one segment (`resolve.rs`).

use crate::{
    Data, DataType, UnixfsError,
    entry::{Opened, open},
    hamt::{Shape, shape_of},
};
use cairn_block::{BLOCK_LEN_MAX, Block, BlockStore, BlockStoreExt as _, Cid};
use cairn_dag::{
    DagError,
    ahead::{Ahead, Below, Failure, Item, Opener, PENDING_MAX, Window},
    dag_pb::{PbLink, PbNode},
};
use futures::stream::{self, Stream, StreamExt as _};

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name; what is not UTF-8 is replaced.
    pub name: String,
    /// Its root.
    pub cid: Cid,
    /// The length of all its blocks, as the directory states it; never checked.
    pub total_len: u64,
}

impl DirEntry {
    fn new(link: &PbLink, prefix_len: usize) -> Self {
        let name = link.name_bytes().get(prefix_len..).unwrap_or_default();
        Self {
            name: String::from_utf8_lossy(name).into_owned(),
            cid: link.cid.clone(),
            total_len: link.size.unwrap_or(0),
        }
    }
}

/// Lists the directory whose root is `directory`, in the order in which its nodes hold it.
///
/// That order is by name in a small directory and by hash in a sharded one. Dropping the stream
/// stops it.
///
/// # Errors
///
/// [`UnixfsError::NotADirectory`] as the only item, or whatever is wrong with a shard, after
/// which the stream ends.
pub fn list<'s, S: BlockStore + Clone + 's>(
    store: S,
    directory: &Block,
) -> impl Stream<Item = Result<DirEntry, UnixfsError>> + Send + use<'s, S> {
    match start(directory) {
        Err(error) => stream::iter([Err(error)]).left_stream(),
        Ok(items) => {
            let ahead = Ahead::new(store, Lister, Window::default(), items);
            stream::unfold(Some(ahead), next).right_stream()
        }
    }
}

async fn next<'s, S: BlockStore + Clone + 's>(
    ahead: Option<Ahead<'s, S, Lister>>,
) -> Option<(Result<DirEntry, UnixfsError>, Option<Ahead<'s, S, Lister>>)> {
    let mut ahead = ahead?;
    loop {
        let arrival = ahead.next().await?;
        let error = match (arrival.result, arrival.tag) {
            (Ok(()), Tag::Entry(entry)) => return Some((Ok(entry), Some(ahead))),
            (Ok(()), Tag::Shard { .. }) => continue,
            (Err(Failure::Block(error)), _) => error.into(),
            (Err(Failure::Open(error)), _) => error,
            (Err(Failure::TooWide), _) => {
                DagError::TooWide { cid: arrival.cid, limit: PENDING_MAX }.into()
            }
        };
        return Some((Err(error), None));
    }
}

enum Tag {
    Entry(DirEntry),
    Shard { shape: Shape, depth: u32 },
}

struct Lister;

fn start(directory: &Block) -> Result<Vec<Item<Tag>>, UnixfsError> {
    let cid = directory.cid();
    let (data, node) = open_directory(directory)?;
    match data.kind {
        DataType::HamtShard => {
            let shape = shape_of(cid, &data, &node)?;
            Ok(shard_items(shape, 0, &node))
        }
        _ => Ok(node.links.iter().map(|link| entry_item(DirEntry::new(link, 0))).collect()),
    }
}

fn entry_item(entry: DirEntry) -> Item<Tag> {
    Item { cid: entry.cid.clone(), tag: Tag::Entry(entry), fetch: false, len: None }
}

fn shard_items(shape: Shape, depth: u32, node: &PbNode) -> Vec<Item<Tag>> {
    let prefix_len = shape.prefix_len();
    let item = |link: &PbLink| {
        if link.name_bytes().len() > prefix_len {
            return entry_item(DirEntry::new(link, prefix_len));
        }
        let tag = Tag::Shard { shape, depth: depth + 1 };
        let len = link.size.filter(|len| *len <= BLOCK_LEN_MAX as u64);
        Item { cid: link.cid.clone(), tag, fetch: true, len }
    };
    node.links.iter().map(item).collect()
}

impl Opener for Lister {
    type Tag = Tag;
    type Error = UnixfsError;

    fn open(
        &mut self,
        tag: &mut Tag,
        block: &Block,
        _early: bool,
    ) -> Option<Below<Tag, UnixfsError>> {
        let Tag::Shard { shape, depth } = *tag else { return Some(Ok(Vec::new())) };
        let node = open_shard(block, shape, depth);
        Some(node.map(|node| shard_items(shape, depth, &node)))
    }
}

/// Decodes a node of a trie below its root.
pub(crate) fn open_shard(block: &Block, shape: Shape, depth: u32) -> Result<PbNode, UnixfsError> {
    let cid = block.cid();
    if depth >= shape.depth_max() {
        return Err(UnixfsError::malformed(cid, "shard below the last level"));
    }
    let (data, node) = open_directory(block)?;
    if data.kind != DataType::HamtShard || shape_of(cid, &data, &node)? != shape {
        return Err(UnixfsError::malformed(cid, "shard of another shape than its parent"));
    }
    Ok(node)
}

pub(crate) fn open_directory(block: &Block) -> Result<(Data, PbNode), UnixfsError> {
    let kind = match open(block)? {
        Opened::Node { data, node }
            if matches!(data.kind, DataType::Directory | DataType::HamtShard) =>
        {
            return Ok((data, node));
        }
        Opened::Node { data, .. } => data.kind.name(),
        Opened::Raw => DataType::Raw.name(),
    };
    Err(UnixfsError::NotADirectory { kind, cid: block.cid().clone() })
}

/// Returns the entry called `name` of the directory whose root is `directory`.
///
/// # Errors
///
/// [`UnixfsError::NotADirectory`], or whatever is wrong with a shard on the way.
pub async fn find<S: BlockStore>(
    store: &S,
    directory: &Block,
    name: &str,
) -> Result<Option<DirEntry>, UnixfsError> {
    let (data, mut node) = open_directory(directory)?;
    if data.kind == DataType::Directory {
        let found = node.links.iter().find(|link| link.name_bytes() == name.as_bytes());
        return Ok(found.map(|link| DirEntry::new(link, 0)));
    }
    let shape = shape_of(directory.cid(), &data, &node)?;
    for depth in 0.. {
        let Some(prefix) = shape.prefix_of(name, depth) else { break };
        let at_index = |link: &&PbLink| link.name_bytes().starts_with(prefix.as_bytes());
        let Some(link) = node.links.iter().find(at_index) else { break };
        if link.name_bytes().len() > prefix.len() {
            let entry = DirEntry::new(link, prefix.len());
            let same = link.name_bytes()[prefix.len()..] == *name.as_bytes();
            return Ok(same.then_some(entry));
        }
        let block = store.require(&link.cid).await?;
        node = open_shard(&block, shape, depth + 1)?;
    }
    Ok(None)
}
