//! Visits every block below some roots, parents before children, in the order of the links.
//!
//! Used by recursive pins, `refs -r` and the repository check.
//!
//! Invariant: bounded in depth ([`DEPTH_MAX`]) and width (`ahead::PENDING_MAX`); a failed block
//! is reported in its place and the walk goes on beside it.
//! Not here: fetching ahead (`ahead.rs`), links by codec (`links.rs`).

use crate::{
    DagError,
    ahead::{Ahead, Below, Failure, Item, Opener, PENDING_MAX, Window},
    links::{is_leaf, sized_links},
};
use cairn_block::{Block, BlockStore, Cid};
use futures::stream::{self, Stream};
use std::collections::{HashMap, HashSet};

/// Deepest block that is visited, in links from its root.
///
/// A balanced file of 2⁶⁴ bytes is 9 deep; this leaves room for long paths of directories.
pub const DEPTH_MAX: usize = 1024;

/// How to walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkOptions {
    /// Visit each block once, however many links lead to it; remembers every CID.
    pub unique: bool,
    /// Go no further than this many links from the root; 0 visits the roots alone.
    pub max_depth: Option<usize>,
    /// Do not fetch blocks that cannot have links (raw leaves); they are visited without block.
    pub skip_leaves: bool,
    /// How far ahead to fetch.
    pub window: Window,
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self { unique: true, max_depth: None, skip_leaves: false, window: Window::default() }
    }
}

/// One block on the way.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Its CID, as the link (or the caller) wrote it.
    pub cid: Cid,
    /// How many links lie between it and its root.
    pub depth: usize,
    /// Whose link led here; `None` for a root.
    pub parent: Option<Cid>,
    /// The block; `None` only if [`WalkOptions::skip_leaves`] left it out.
    pub block: Option<Block>,
}

/// Visits `roots` and everything below them, each subtree before the next.
///
/// With [`WalkOptions::unique`], time and memory grow with the number of blocks; without it, with
/// the number of paths, which can be exponential. A block that fails is an `Err` in its place;
/// what lies below it is left out and the walk goes on. Dropping the stream stops it.
///
/// # Errors
///
/// Each item: [`DagError`] naming the block.
pub fn walk<'s, S: BlockStore + Clone + 's>(
    store: S,
    roots: &[Cid],
    options: WalkOptions,
) -> impl Stream<Item = Result<Visit, DagError>> + Send + use<'s, S> {
    let tag = Tag { depth: 0, parent: None };
    let item = |cid: &Cid| item(&options, cid.clone(), None, tag.clone());
    let items = roots.iter().map(item).collect();
    let walker = Walker { options, seen: HashMap::new(), opened: HashSet::new() };
    let ahead = Ahead::new(store, walker, options.window, items);
    stream::unfold(ahead, |mut ahead| async move {
        loop {
            let arrival = ahead.next().await?;
            let first = ahead.opener().mark(&arrival.cid, arrival.tag.depth);
            let cid = arrival.cid;
            let result = match arrival.result {
                Ok(()) => Ok(()),
                Err(Failure::Block(error)) => Err(DagError::Block(error)),
                Err(Failure::Open(error)) => Err(error),
                Err(Failure::TooWide) => {
                    Err(DagError::TooWide { cid: cid.clone(), limit: PENDING_MAX })
                }
            };
            if !first {
                continue;
            }
            let Tag { depth, parent } = arrival.tag;
            let block = arrival.block;
            return Some((result.map(|()| Visit { cid, depth, parent, block }), ahead));
        }
    })
}

#[derive(Clone)]
struct Tag {
    depth: usize,
    parent: Option<Cid>,
}

struct Walker {
    options: WalkOptions,
    /// The depth at which each block was visited last; empty unless `unique`.
    seen: HashMap<Cid, usize>,
    /// What has been opened before its turn; empty unless `unique`.
    opened: HashSet<Cid>,
}

impl Walker {
    /// Remembers a visit and says whether it is the block's first.
    fn mark(&mut self, cid: &Cid, depth: usize) -> bool {
        if !self.options.unique {
            return true;
        }
        self.opened.remove(cid);
        self.seen.insert(cid.clone(), depth).is_none()
    }
}

fn item(options: &WalkOptions, cid: Cid, len: Option<u64>, tag: Tag) -> Item<Tag> {
    let fetch = !(options.skip_leaves && is_leaf(cid.codec()));
    Item { cid, tag, fetch, len }
}

impl Opener for Walker {
    type Tag = Tag;
    type Error = DagError;

    fn open(&mut self, tag: &mut Tag, block: &Block, early: bool) -> Option<Below<Tag, DagError>> {
        let cid = block.cid();
        if early && self.options.unique {
            // Opening a block twice ahead of its turn would fetch everything below it twice.
            if self.seen.contains_key(cid) || !self.opened.insert(cid.clone()) {
                return None;
            }
        }
        let below = match sized_links(block) {
            Ok(below) => below,
            Err(error) => return Some(Err(error)),
        };
        let depth = tag.depth + 1;
        if below.is_empty() || self.options.max_depth.is_some_and(|max| depth > max) {
            return Some(Ok(Vec::new()));
        }
        if depth > DEPTH_MAX {
            return Some(Err(DagError::TooDeep { cid: cid.clone(), limit: DEPTH_MAX }));
        }
        let tag = Tag { depth, parent: Some(cid.clone()) };
        let item = |(cid, len)| item(&self.options, cid, len, tag.clone());
        Some(Ok(below.into_iter().map(item).collect()))
    }

    fn skips(&mut self, cid: &Cid, tag: &Tag) -> bool {
        let Some(&depth) = self.seen.get(cid) else { return false };
        // A visit cut short by the depth limit does not stand for one nearer to the root.
        self.options.max_depth.is_none() || tag.depth >= depth
    }
}
