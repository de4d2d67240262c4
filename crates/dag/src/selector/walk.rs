//! The blocks that a selector reaches, parents before children, fetched ahead.
//!
//! Invariants: a block in a state is walked once, unless duplicates are asked for; a failed block
//! is reported in its place and the walk goes on beside it; bounded in depth and width as every
//! walk is.
//! Not here: fetching ahead (`ahead.rs`), what a selector means (`selector.rs`).

use super::{Event, Selector, SelectorError, State};
use crate::{
    DEPTH_MAX, DagError,
    ahead::{Ahead, Below, Failure, Item, Opener, PENDING_MAX, Window},
    codec,
    links::is_leaf,
};
use cairn_block::{Block, BlockStore, Cid};
use futures::stream::{self, Stream};
use std::collections::HashSet;

/// How to walk.
#[derive(Debug, Clone, Copy, Default)]
pub struct SelectOptions {
    /// Whether a block comes as often as it is reached.
    pub duplicates: bool,
    /// How far ahead to fetch.
    pub window: Window,
}

/// Walks from `root` as the selector says: all blocks that are needed to do so, the root first.
///
/// Without duplicates, time and memory grow with the number of blocks and of states that they are
/// reached in. Dropping the stream stops it.
///
/// # Errors
///
/// Each item: [`DagError`] naming the block; [`DagError::Selector`] where the selector grows over
/// its limits.
pub fn select<'s, S: BlockStore + Clone + 's>(
    store: S,
    root: &Cid,
    selector: Selector,
    options: SelectOptions,
) -> impl Stream<Item = Result<Block, DagError>> + Send + use<'s, S> {
    let start = selector.start().map_err(|error| grown(root, error));
    let ahead = start.map(|state| {
        let first = item(root.clone(), Tag { state, depth: 0 });
        let (seen, opened) = (HashSet::new(), HashSet::new());
        let walker = Walker { selector, options, seen, opened };
        Ahead::new(store, walker, options.window, vec![first])
    });
    let sent = HashSet::new();
    stream::unfold((Some(ahead), sent), move |(ahead, mut sent)| async move {
        let mut ahead = match ahead? {
            Ok(ahead) => ahead,
            Err(error) => return Some((Err(error), (None, sent))),
        };
        loop {
            let arrival = ahead.next().await?;
            let cid = arrival.cid;
            if !ahead.opener().mark(&cid, &arrival.tag.state) {
                continue;
            }
            let result = match (arrival.result, arrival.block) {
                (Ok(()), Some(block)) => Ok(block),
                (Ok(()), None) => continue,
                (Err(Failure::Block(error)), _) => Err(DagError::Block(error)),
                (Err(Failure::Open(error)), _) => Err(error),
                (Err(Failure::TooWide), _) => Err(DagError::TooWide { cid, limit: PENDING_MAX }),
            };
            let is_first = |block: &Block| sent.insert(block.cid().clone());
            if options.duplicates || result.as_ref().map_or(true, is_first) {
                return Some((result, (Some(Ok(ahead)), sent)));
            }
        }
    })
}

/// Where the walk is.
#[derive(Clone)]
struct Tag {
    state: State,
    depth: usize,
}

struct Walker {
    selector: Selector,
    options: SelectOptions,
    /// What has been walked; empty with duplicates.
    seen: HashSet<(Cid, State)>,
    /// What has been opened before its turn; empty with duplicates.
    opened: HashSet<(Cid, State)>,
}

impl Walker {
    /// Remembers a visit and says whether it is the first of the block in this state.
    fn mark(&mut self, cid: &Cid, state: &State) -> bool {
        if self.options.duplicates {
            return true;
        }
        let place = (cid.clone(), state.clone());
        self.opened.remove(&place);
        self.seen.insert(place)
    }

    fn below(&self, tag: &Tag, block: &Block) -> Below<Tag, DagError> {
        let cid = block.cid();
        if is_leaf(cid.codec()) {
            return Ok(Vec::new());
        }
        let node = codec::decode(cid.codec(), block.data()).map_err(|error| match error {
            codec::CodecError::Unsupported { codec } => {
                DagError::Unsupported { cid: cid.clone(), codec }
            }
            other => DagError::malformed(cid, &other),
        })?;
        let mut items = Vec::new();
        let depth = tag.depth + 1;
        let visited = self.selector.visit(&tag.state, &node, &mut |_, event| {
            if let Event::Link(cid, state) = event {
                items.push(item(cid.clone(), Tag { state, depth }));
            }
        });
        visited.map_err(|error| grown(cid, error))?;
        if depth > DEPTH_MAX && !items.is_empty() {
            return Err(DagError::TooDeep { cid: cid.clone(), limit: DEPTH_MAX });
        }
        Ok(items)
    }
}

fn grown(cid: &Cid, reason: SelectorError) -> DagError {
    DagError::Selector { cid: cid.clone(), reason: Box::new(reason) }
}

fn item(cid: Cid, tag: Tag) -> Item<Tag> {
    Item { cid, tag, fetch: true, len: None }
}

impl Opener for Walker {
    type Tag = Tag;
    type Error = DagError;

    fn open(&mut self, tag: &mut Tag, block: &Block, early: bool) -> Option<Below<Tag, DagError>> {
        if early && !self.options.duplicates {
            // Opening a block twice ahead of its turn would fetch everything below it twice.
            let place = (block.cid().clone(), tag.state.clone());
            if self.seen.contains(&place) || !self.opened.insert(place) {
                return None;
            }
        }
        Some(self.below(tag, block))
    }

    fn skips(&mut self, cid: &Cid, tag: &Tag) -> bool {
        self.seen.contains(&(cid.clone(), tag.state.clone()))
    }
}
