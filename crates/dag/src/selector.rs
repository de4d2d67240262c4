//! Selectors: which parts of a DAG are walked, said in dag-json.
//!
//! A selector is a small program. Walking, it is in a *state*: the set of its clauses that wait at
//! a node. Each step, to an entry, an item or over a link, gives the state there; an empty one ends
//! the walk. Equal states at equal blocks walk alike, so nothing is walked twice, however many
//! paths lead there.
//!
//! Spec: <https://ipld.io/specs/selectors/>, pinned in `spec/PINS.toml`.
//! Invariants: bounded in clauses, in recursions within each other and in the size of a state;
//! what is not understood (conditions, `ExploreInterpretAs`) is refused, never passed over.
//! Not here: reading the text (`selector/parse.rs`), following links (`selector/walk.rs`).

mod parse;
#[cfg(test)]
mod tests;
mod walk;

use crate::Node;
use cairn_block::Cid;
use std::{collections::HashSet, sync::Arc};
use thiserror::Error;
pub use walk::{SelectOptions, select};

/// Longest text of a selector, in bytes.
pub const SELECTOR_LEN_MAX: usize = 256 * 1024;

/// Most clauses of a selector, fields counted each.
pub const CLAUSES_MAX: usize = 4096;

/// Most recursions within each other.
pub const RECURSIONS_MAX: usize = 16;

/// Most clauses that may wait at one node.
pub const STATE_LEN_MAX: usize = 1024;

/// Why a selector was refused, or stopped.
///
/// Match on the variant, not on the text: messages may change in any release.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SelectorError {
    /// The text is no selector.
    #[error("invalid selector: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// Over one of the limits of this module.
    #[error("the selector has more than {limit} {what}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

/// What a selector is made of, by number.
type ClauseId = u16;

#[derive(Debug, Clone)]
enum Clause {
    Matcher(Option<Subset>),
    All(ClauseId),
    Fields(Vec<(String, ClauseId)>),
    /// Items from the first number to before the second.
    Range(u64, u64, ClauseId),
    Recursive(Recursion),
    /// Where the recursion around it begins again.
    Edge,
    Union(Vec<ClauseId>),
}

#[derive(Debug, Clone)]
struct Recursion {
    sequence: ClauseId,
    limit: Option<u32>,
    /// Its links are neither matched nor followed.
    stop_at: Option<Cid>,
}

/// Which bytes of text or of bytes match: from the first to before the second, both counted from
/// the end if negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subset {
    /// The first.
    pub from: i64,
    /// Behind the last.
    pub to: i64,
}

impl Subset {
    /// The part of a node; of text that is cut within a character, the bytes. Others are whole.
    #[must_use]
    pub fn of(self, node: &Node) -> Node {
        let bytes = match node {
            Node::String(text) => text.as_bytes(),
            Node::Bytes(bytes) => bytes,
            other => return other.clone(),
        };
        let place = |at: i64| match usize::try_from(at) {
            Ok(at) => at.min(bytes.len()),
            Err(_) => bytes.len().saturating_sub(at.unsigned_abs() as usize),
        };
        let (from, to) = (place(self.from), place(self.to));
        let part = bytes[from.min(to)..to].to_vec();
        match node {
            Node::String(_) => String::from_utf8(part)
                .map_or_else(|error| Node::Bytes(error.into_bytes()), Node::String),
            _ => Node::Bytes(part),
        }
    }
}

/// A selector, understood and within its limits.
#[derive(Debug, Clone)]
pub struct Selector {
    clauses: Vec<Clause>,
    root: ClauseId,
}

/// A recursion that is under way, and how often it may begin again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Frame {
    recursion: ClauseId,
    left: Option<u32>,
}

/// A clause that waits, within the recursions that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Position {
    clause: ClauseId,
    frames: Arc<[Frame]>,
}

/// What is still to be selected, from some node on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State(Arc<[Position]>);

/// One step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'a> {
    /// To an entry of a map.
    Name(&'a str),
    /// To an item of a list.
    Index(usize),
}

/// What is met within a block.
#[derive(Debug)]
pub enum Event<'a> {
    /// A node that is visited; how much of it matches, if it does.
    Visit(&'a Node, Option<Option<Subset>>),
    /// A link to follow, and in which state.
    Link(&'a Cid, State),
}

impl Selector {
    /// Reads a selector; it may stand in an envelope (`{"selector":…}`).
    ///
    /// # Errors
    ///
    /// [`SelectorError`].
    pub fn parse(json: &[u8]) -> Result<Self, SelectorError> {
        parse::selector(json)
    }

    /// The state in which a walk begins.
    ///
    /// # Errors
    ///
    /// [`SelectorError::TooLarge`].
    pub fn start(&self) -> Result<State, SelectorError> {
        let mut state = Entered::default();
        self.enter(self.root, &Arc::from([]), Edges::Nowhere, &mut state)?;
        Ok(state.done())
    }

    /// Walks a node without following links, in the order of the selector's fields, else of the
    /// data; `each` is told the path to each event.
    ///
    /// # Errors
    ///
    /// [`SelectorError::TooLarge`].
    pub fn visit(
        &self,
        state: &State,
        node: &Node,
        each: &mut impl FnMut(&[Segment<'_>], Event<'_>),
    ) -> Result<(), SelectorError> {
        self.descend(state, node, &mut Vec::new(), each)
    }

    /// As deep as the node, which the codecs bound.
    fn descend<'a>(
        &self,
        state: &State,
        node: &'a Node,
        path: &mut Vec<Segment<'a>>,
        each: &mut impl FnMut(&[Segment<'_>], Event<'_>),
    ) -> Result<(), SelectorError> {
        if let Node::Link(cid) = node {
            each(path, Event::Link(cid, state.clone()));
            return Ok(());
        }
        let matched = state.0.iter().find_map(|position| match self.clause(position.clause) {
            Clause::Matcher(subset) => Some(*subset),
            _ => None,
        });
        each(path, Event::Visit(node, matched));
        for (segment, child) in self.interests(state, node) {
            let next = self.step(state, segment, child)?;
            if !next.0.is_empty() {
                path.push(segment);
                self.descend(&next, child, path, each)?;
                path.pop();
            }
        }
        Ok(())
    }

    /// What is looked at below a node: everything if a clause wants everything, else what the
    /// clauses name, in their order.
    fn interests<'a>(&self, state: &State, node: &'a Node) -> Vec<(Segment<'a>, &'a Node)> {
        let everything: Vec<(Segment<'a>, &'a Node)> = match node {
            Node::Map(entries) => {
                entries.iter().map(|(name, child)| (Segment::Name(name), child)).collect()
            }
            Node::List(items) => {
                let item = |(index, child)| (Segment::Index(index), child);
                items.iter().enumerate().map(item).collect()
            }
            _ => return Vec::new(),
        };
        let clauses = || state.0.iter().map(|position| self.clause(position.clause));
        if clauses().any(|clause| matches!(clause, Clause::All(_))) {
            return everything;
        }
        let mut wanted = Vec::new();
        let mut seen = HashSet::new();
        let mut want = |index: usize| {
            if seen.insert(index) {
                wanted.extend(everything.get(index).copied());
            }
        };
        for clause in clauses() {
            match (clause, node) {
                (Clause::Fields(fields), Node::Map(entries)) => {
                    for (name, _) in fields {
                        entries.iter().position(|(known, _)| known == name).map(&mut want);
                    }
                }
                (Clause::Fields(fields), Node::List(_)) => {
                    fields.iter().filter_map(|(name, _)| index_of(name)).for_each(&mut want);
                }
                (Clause::Range(from, to, _), Node::List(items)) => {
                    let end = (*to).min(items.len() as u64);
                    (*from..end).for_each(|index| want(index as usize));
                }
                _ => {}
            }
        }
        wanted
    }

    /// The state below one step.
    fn step(
        &self,
        state: &State,
        segment: Segment<'_>,
        child: &Node,
    ) -> Result<State, SelectorError> {
        let mut next = Entered::default();
        for Position { clause, frames } in state.0.iter() {
            let follow = match (self.clause(*clause), segment) {
                (Clause::All(next), _) => Some(*next),
                (Clause::Fields(fields), _) => {
                    let is_it = |(name, _): &&(String, ClauseId)| match segment {
                        Segment::Name(known) => known == name,
                        Segment::Index(index) => index_of(name) == Some(index),
                    };
                    fields.iter().find(is_it).map(|(_, next)| *next)
                }
                (Clause::Range(from, to, next), Segment::Index(index)) => {
                    (*from..*to).contains(&(index as u64)).then_some(*next)
                }
                _ => None,
            };
            if let Some(follow) = follow.filter(|_| !self.stops(frames, child)) {
                self.enter(follow, frames, Edges::BeginAgain, &mut next)?;
            }
        }
        Ok(next.done())
    }

    /// Whether one of the recursions ends at this link.
    fn stops(&self, frames: &[Frame], child: &Node) -> bool {
        let Node::Link(cid) = child else { return false };
        frames.iter().any(|frame| match self.clause(frame.recursion) {
            Clause::Recursive(recursion) => recursion.stop_at.as_ref() == Some(cid),
            _ => false,
        })
    }

    /// Lets a clause wait, or what it stands for.
    fn enter(
        &self,
        clause: ClauseId,
        frames: &Arc<[Frame]>,
        edges: Edges,
        into: &mut Entered,
    ) -> Result<(), SelectorError> {
        match self.clause(clause) {
            Clause::Union(members) => {
                members.iter().try_for_each(|member| self.enter(*member, frames, edges, into))
            }
            Clause::Recursive(recursion) => {
                if frames.len() == RECURSIONS_MAX {
                    let what = "recursions within each other";
                    return Err(SelectorError::TooLarge { what, limit: RECURSIONS_MAX });
                }
                let frame = Frame { recursion: clause, left: recursion.limit };
                let frames = frames.iter().cloned().chain([frame]).collect();
                self.enter(recursion.sequence, &frames, Edges::Nowhere, into)
            }
            Clause::Edge => {
                let Some((frame, outer)) = frames.split_last() else { return Ok(()) };
                // A depth of one is the node where the recursion begins, and its children.
                let is_over = frame.left.is_some_and(|left| left < 2);
                if is_over || matches!(edges, Edges::Nowhere) {
                    return Ok(());
                }
                let Clause::Recursive(recursion) = self.clause(frame.recursion) else {
                    return Ok(());
                };
                let left = frame.left.map(|left| left - 1);
                let again = Frame { recursion: frame.recursion, left };
                let frames: Arc<[Frame]> = outer.iter().cloned().chain([again]).collect();
                let place = Position { clause: recursion.sequence, frames: frames.clone() };
                if !into.begun.insert(place) {
                    return Ok(());
                }
                self.enter(recursion.sequence, &frames, Edges::Nowhere, into)
            }
            _ => into.push(Position { clause, frames: frames.clone() }),
        }
    }

    fn clause(&self, id: ClauseId) -> &Clause {
        &self.clauses[usize::from(id)]
    }
}

/// What an edge does where it is met.
#[derive(Clone, Copy)]
enum Edges {
    /// After a step: the recursion begins again.
    BeginAgain,
    /// Where a recursion has just begun: nothing, or it would do so for ever.
    Nowhere,
}

/// A state that is being put together.
#[derive(Default)]
struct Entered {
    positions: Vec<Position>,
    seen: HashSet<Position>,
    /// Sequences that an edge has begun again already.
    begun: HashSet<Position>,
}

impl Entered {
    fn push(&mut self, position: Position) -> Result<(), SelectorError> {
        if !self.seen.insert(position.clone()) {
            return Ok(());
        }
        if self.positions.len() == STATE_LEN_MAX {
            let what = "clauses that wait at one node";
            return Err(SelectorError::TooLarge { what, limit: STATE_LEN_MAX });
        }
        self.positions.push(position);
        Ok(())
    }

    fn done(self) -> State {
        State(self.positions.into())
    }
}

/// A list's item by the name of a field, as paths have it.
fn index_of(name: &str) -> Option<usize> {
    let canonical = name == "0" || !name.starts_with(['0', '+']);
    name.parse().ok().filter(|_| canonical)
}
