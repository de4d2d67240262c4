//! The blocks that prove part of a DAG: what archives of less than everything hold.
//!
//! A block alone, a file or a part of it, a directory without what is in it, or all below a root,
//! each preceded by the blocks of the path that leads there.
//!
//! Spec: <https://specs.ipfs.tech/http-gateways/trustless-gateway/>, "dag-scope" and
//! "entity-bytes".
//! Invariants: the order is depth first, parents before children, links in their order, so the
//! same question has the same answer; without duplicates each block comes once, and nothing is
//! walked twice; bounded in depth and width.
//! Not here: the archive's bytes (`cairn_dag::car`).

use crate::{
    DataType, Entry, EntryKind, Resolved, UnixfsError,
    entry::{Opened, open},
    hamt::shape_of,
    resolve_from,
};
use cairn_block::{Block, BlockError, BlockStore, BlockStoreExt as _, Cid, codec};
use cairn_dag::{
    DEPTH_MAX, DagError, WalkOptions,
    ahead::{PENDING_MAX, Window},
    walk,
};
use futures::{
    Stream,
    stream::{self, BoxStream, StreamExt as _},
};
use std::{
    collections::HashSet,
    ops::Range,
    sync::{Mutex, PoisonError},
};

/// How much of what a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// The DAG below it.
    #[default]
    All,
    /// A file's blocks, a directory's own; of anything else its block.
    Entity,
    /// Its block.
    Block,
}

impl Scope {
    /// Reads the specification's word for it.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "all" => Some(Self::All),
            "entity" => Some(Self::Entity),
            "block" => Some(Self::Block),
            _ => None,
        }
    }

    /// The specification's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Entity => "entity",
            Self::Block => "block",
        }
    }
}

/// Which bytes of a file: from the first to the last, both counted from its end if negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSpan {
    /// The first.
    pub from: i64,
    /// The last; `None` is the file's.
    pub to: Option<i64>,
}

impl ByteSpan {
    /// Reads `from:to`, where `to` may be `*`; `None` if it is not that, or ends before it begins.
    pub fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once(':')?;
        let from: i64 = from.parse().ok()?;
        let to = if to == "*" { None } else { Some(to.parse().ok()?) };
        let is_backward = to.is_some_and(|to: i64| (to < 0) == (from < 0) && to < from);
        (!is_backward).then_some(Self { from, to })
    }

    /// The bytes of a file of `len`; empty where it has none of them.
    fn range(self, len: u64) -> Range<u64> {
        let place = |at: i64| match u64::try_from(at) {
            Ok(at) => Some(at),
            Err(_) => len.checked_sub(at.unsigned_abs()),
        };
        let start = place(self.from).unwrap_or(0);
        let end = match self.to {
            None => len,
            Some(to) => place(to).map_or(0, |to| to.saturating_add(1)),
        };
        let end = end.min(len);
        start.min(end)..end
    }
}

/// What to take.
#[derive(Debug, Clone, Copy, Default)]
pub struct PartOptions {
    /// How much.
    pub scope: Scope,
    /// With [`Scope::Entity`], which bytes if it is a file.
    pub bytes: Option<ByteSpan>,
    /// Whether a block comes as often as links lead to it.
    pub duplicates: bool,
    /// Whether blocks that are not there are left out, with what is below them.
    pub skip_missing: bool,
    /// How far ahead [`Scope::All`] fetches.
    pub window: Window,
}

/// Follows `segments` as [`resolve_from`] does, and returns the blocks of the way, too: from the
/// root to the one that it ends in, with the nodes of tries between them.
///
/// # Errors
///
/// As [`resolve_from`].
pub async fn resolve_with_blocks<S: BlockStore>(
    store: &S,
    root: &Cid,
    segments: &[String],
) -> Result<(Resolved, Vec<Block>), UnixfsError> {
    let recorder = Recorder { store, read: Mutex::default() };
    let resolved = resolve_from(&recorder, root, segments).await?;
    let read = recorder.read.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((resolved, read))
}

/// Remembers what is read from a store, in order.
struct Recorder<'a, S> {
    store: &'a S,
    read: Mutex<Vec<Block>>,
}

impl<S: BlockStore> BlockStore for Recorder<'_, S> {
    async fn get_many(&self, cids: &[Cid]) -> Vec<Result<Option<Block>, BlockError>> {
        let answers = self.store.get_many(cids).await;
        let found = answers.iter().filter_map(|answer| answer.as_ref().ok().cloned().flatten());
        self.read.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        answers
    }

    async fn stat_many(&self, cids: &[Cid]) -> Result<Vec<Option<u64>>, BlockError> {
        self.store.stat_many(cids).await
    }

    async fn put_many(&self, blocks: Vec<Block>) -> Result<(), BlockError> {
        self.store.put_many(blocks).await
    }

    async fn sync(&self) -> Result<(), BlockError> {
        self.store.sync().await
    }
}

/// The blocks of a part: those of the way to it, whose last is the block that it begins with, and
/// its own.
///
/// After an error more may come, but no whole part: callers stop there. Dropping the stream stops
/// it. [`Scope::All`] fetches ahead, the others fetch block after block.
///
/// # Errors
///
/// Whatever is wrong with a block, as an item.
pub fn part<'s, S: BlockStore + Clone + 's>(
    store: S,
    mut way: Vec<Block>,
    options: PartOptions,
) -> BoxStream<'s, Result<Block, UnixfsError>> {
    let Some(root) = way.pop() else { return stream::empty().boxed() };
    let mut sent = HashSet::new();
    way.retain(|block| options.duplicates || sent.insert(block.cid().clone()));
    let before = stream::iter(way.into_iter().map(Ok));
    if options.scope == Scope::All {
        return before.chain(everything(store, &root, sent, options)).boxed();
    }
    let (whole, stack, wanted) = (HashSet::new(), Vec::new(), 0..u64::MAX);
    let mut steps = Steps { store, options, sent, whole, stack, wanted };
    let first = steps.begin(&root).map(|()| root);
    let first = match first {
        Ok(root) => steps.send(root).map(Ok),
        Err(error) => Some(Err(error)),
    };
    let rest = stream::unfold(Some(steps), |steps| async move {
        let mut steps = steps?;
        match steps.next().await {
            Ok(None) => None,
            Ok(Some(block)) => Some((Ok(block), Some(steps))),
            Err(error) => Some((Err(error), None)),
        }
    });
    before.chain(stream::iter(first)).chain(rest).boxed()
}

fn everything<'s, S: BlockStore + Clone + 's>(
    store: S,
    root: &Block,
    sent: HashSet<Cid>,
    options: PartOptions,
) -> impl Stream<Item = Result<Block, UnixfsError>> + Send + use<'s, S> {
    let walking = WalkOptions {
        unique: !options.duplicates,
        window: options.window,
        ..WalkOptions::default()
    };
    let visits = walk(store, std::slice::from_ref(root.cid()), walking);
    visits.filter_map(move |visit| {
        let item = match visit {
            Ok(visit) => visit.block.filter(|block| !sent.contains(block.cid())).map(Ok),
            Err(error) if options.skip_missing && error.is_not_found() => None,
            Err(error) => Some(Err(error.into())),
        };
        std::future::ready(item)
    })
}

/// What a block on the way is part of.
#[derive(Debug, Clone, Copy)]
enum Role {
    /// Something that is wanted with all below it.
    Whole,
    /// A file of which part is wanted; the node's first byte in it.
    File { start: u64 },
    /// A directory's trie.
    Shard,
}

/// Something to visit.
struct Step {
    cid: Cid,
    role: Role,
    depth: usize,
}

/// A walk below a file or directory that knows what is wanted of it.
struct Steps<S> {
    store: S,
    options: PartOptions,
    /// What has come out; empty with duplicates.
    sent: HashSet<Cid>,
    /// What has been walked to its leaves; empty with duplicates.
    whole: HashSet<Cid>,
    /// The next one last.
    stack: Vec<Step>,
    /// The bytes that are wanted of the file.
    wanted: Range<u64>,
}

impl<S: BlockStore> Steps<S> {
    /// Decides what is wanted below the root.
    fn begin(&mut self, root: &Block) -> Result<(), UnixfsError> {
        let is_unixfs = matches!(root.cid().codec(), codec::RAW | codec::DAG_PB);
        if self.options.scope == Scope::Block || !is_unixfs {
            return Ok(());
        }
        // A node of dag-pb that is no UnixFS is a block like those of other codecs.
        let Ok(entry) = Entry::of(root) else { return Ok(()) };
        match (entry.kind, self.options.bytes) {
            (EntryKind::File, None) => self.below(root, Role::Whole, 0),
            (EntryKind::File, Some(bytes)) => {
                self.wanted = bytes.range(entry.len);
                self.below(root, Role::File { start: 0 }, 0)
            }
            (EntryKind::Directory { sharded: true }, _) => self.below(root, Role::Shard, 0),
            _ => Ok(()),
        }
    }

    /// The block, unless it has come out before.
    fn send(&mut self, block: Block) -> Option<Block> {
        (self.options.duplicates || self.sent.insert(block.cid().clone())).then_some(block)
    }

    async fn next(&mut self) -> Result<Option<Block>, UnixfsError> {
        while let Some(Step { cid, role, depth }) = self.stack.pop() {
            let is_whole = matches!(role, Role::Whole);
            if is_whole && !self.options.duplicates && !self.whole.insert(cid.clone()) {
                continue;
            }
            let block = match self.store.require(&cid).await {
                Ok(block) => block,
                Err(error) if self.options.skip_missing && error.is_not_found() => continue,
                Err(error) => return Err(error.into()),
            };
            self.below(&block, role, depth)?;
            if let Some(block) = self.send(block) {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    /// Puts what is wanted below a block onto the stack.
    fn below(&mut self, block: &Block, role: Role, depth: usize) -> Result<(), UnixfsError> {
        let children = match role {
            Role::Whole => {
                let links = cairn_dag::links(block)?;
                links.into_iter().map(|cid| (cid, Role::Whole)).collect()
            }
            Role::File { start } => pieces(block, start, &self.wanted)?,
            Role::Shard => shards(block)?,
        };
        if children.is_empty() {
            return Ok(());
        }
        let cid = || block.cid().clone();
        if depth == DEPTH_MAX {
            return Err(DagError::TooDeep { cid: cid(), limit: DEPTH_MAX }.into());
        }
        if self.stack.len() + children.len() > PENDING_MAX {
            return Err(DagError::TooWide { cid: cid(), limit: PENDING_MAX }.into());
        }
        let step = |(cid, role)| Step { cid, role, depth: depth + 1 };
        self.stack.extend(children.into_iter().rev().map(step));
        Ok(())
    }
}

/// The children of a file's node that hold wanted bytes.
fn pieces(block: &Block, start: u64, wanted: &Range<u64>) -> Result<Vec<(Cid, Role)>, UnixfsError> {
    let Opened::Node { data, node } = open(block)? else { return Ok(Vec::new()) };
    if data.blocksizes.len() != node.links.len() {
        return Err(UnixfsError::malformed(block.cid(), "links without sizes"));
    }
    let own_len = data.data.as_ref().map_or(0, |data| data.len() as u64);
    let mut at = start.saturating_add(own_len);
    let mut children = Vec::new();
    for (link, len) in node.links.into_iter().zip(data.blocksizes) {
        let end = at.saturating_add(len);
        if at.max(wanted.start) < end.min(wanted.end) {
            let is_inside = wanted.start <= at && end <= wanted.end;
            let role = if is_inside { Role::Whole } else { Role::File { start: at } };
            children.push((link.cid, role));
        }
        at = end;
    }
    Ok(children)
}

/// The nodes of a trie right below one: links whose names are nothing but an index.
fn shards(block: &Block) -> Result<Vec<(Cid, Role)>, UnixfsError> {
    let Opened::Node { data, node } = open(block)? else { return Ok(Vec::new()) };
    if data.kind != DataType::HamtShard {
        return Err(UnixfsError::malformed(block.cid(), "not a shard"));
    }
    let prefix_len = shape_of(block.cid(), &data, &node)?.prefix_len();
    let inner = node.links.into_iter().filter(|link| link.name_bytes().len() == prefix_len);
    Ok(inner.map(|link| (link.cid, Role::Shard)).collect())
}

#[cfg(test)]
mod tests {
    use super::ByteSpan;

    #[test]
    fn spans_are_read_and_placed() {
        for (text, len, expected) in [
            ("0:*", 10, Some(0..10)),
            ("2:4", 10, Some(2..5)),
            ("2:99", 10, Some(2..10)),
            ("-3:*", 10, Some(7..10)),
            ("-30:*", 10, Some(0..10)),
            ("-4:-2", 10, Some(6..9)),
            ("0:-3", 10, Some(0..8)),
            ("20:*", 10, Some(10..10)),
            ("5:2", 10, None),
            ("-2:-4", 10, None),
            ("x:1", 10, None),
            ("1", 10, None),
            ("1:", 10, None),
            ("99999999999999999999:*", 10, None),
        ] {
            assert_eq!(ByteSpan::parse(text).map(|span| span.range(len)), expected, "{text}");
        }
    }
}
