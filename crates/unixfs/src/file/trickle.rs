//! The trickle layout: each node has leaves first, and then subtrees that grow slowly deeper.
//!
//! The first bytes are near to the root, so a file can be read from its start while the rest
//! comes, and appended to without changing what is there. Behind a node's leaves stand
//! [`REPEAT_COUNT`] subtrees of depth one (leaves only), as many of depth two, and so on: below
//! the depth of the node itself, and without end in the root.
//!
//! Source: Kubo's `--trickle` (ipfs/boxo `importer/trickle`, pinned in `spec/PINS.toml`).
//! Invariants: only the nodes on the way to the last leaf are kept, and their number grows with
//! the logarithm of the file's length; the root is always a node, even above one leaf or none.
//! Not here: what a node looks like (`file.rs`).

use super::Nodes;
use crate::{Child, Metadata, UnixfsError, edit::is_leaf};

/// Subtrees of each depth. Source: Kubo's `depthRepeat`.
const REPEAT_COUNT: usize = 4;

/// The unfinished nodes, from the root to the one that takes the next leaf.
#[derive(Debug)]
pub(super) struct Trickle {
    path: Vec<Frame>,
}

/// An unfinished node.
#[derive(Debug)]
struct Frame {
    children: Vec<Child>,
    /// How many of the children are leaves.
    leaf_count: usize,
    /// Levels of nodes that it may have, itself counted; `None` in the root.
    depth_max: Option<usize>,
}

impl Frame {
    fn new(depth_max: Option<usize>) -> Self {
        Self { children: Vec::new(), leaf_count: 0, depth_max }
    }

    /// How deep the next subtree may be, if there may be another.
    fn next_depth(&self) -> Option<usize> {
        let depth = 1 + (self.children.len() - self.leaf_count) / REPEAT_COUNT;
        self.depth_max.is_none_or(|max| depth < max).then_some(depth)
    }
}

impl Trickle {
    pub(super) fn new() -> Self {
        Self { path: vec![Frame::new(None)] }
    }

    /// With nodes that were begun elsewhere, the root's first: what stands in each before the one
    /// below it, and in the last one before the leaf that is pushed next. `None` if this layout
    /// would not have begun them so.
    pub(super) fn resumed(levels: Vec<Vec<Child>>, max_links: usize) -> Option<Self> {
        let mut path: Vec<Frame> = Vec::with_capacity(levels.len());
        let last = levels.len().checked_sub(1)?;
        for (level, children) in levels.into_iter().enumerate() {
            let depth_max = match path.last() {
                None => None,
                Some(above) => Some(above.next_depth()?),
            };
            let leaf_count = children.iter().take_while(|child| is_leaf(child)).count();
            let has_subtrees = leaf_count < children.len();
            let fits = if level == last {
                // The next leaf stands among leaves.
                !has_subtrees && leaf_count < max_links
            } else {
                leaf_count == max_links && !children[leaf_count..].iter().any(is_leaf)
            };
            if !fits {
                return None;
            }
            path.push(Frame { children, leaf_count, depth_max });
        }
        Some(Self { path })
    }

    pub(super) fn push(&mut self, leaf: Child, nodes: &mut Nodes<'_>) -> Result<(), UnixfsError> {
        loop {
            let last = self.path.last_mut().expect("invariant: the root has no end");
            if last.leaf_count == last.children.len() && last.leaf_count < nodes.options.max_links {
                last.children.push(leaf);
                last.leaf_count += 1;
                return Ok(());
            }
            match last.next_depth() {
                Some(depth) => self.path.push(Frame::new(Some(depth))),
                None => drop(self.close(nodes)?),
            }
        }
    }

    /// Finishes all nodes but the root; returns its children.
    pub(super) fn finish(mut self, nodes: &mut Nodes<'_>) -> Result<Vec<Child>, UnixfsError> {
        loop {
            if let Some(root) = self.close(nodes)? {
                return Ok(root);
            }
        }
    }

    /// Makes the last node a child of the one before it; the root's children come out instead.
    fn close(&mut self, nodes: &mut Nodes<'_>) -> Result<Option<Vec<Child>>, UnixfsError> {
        let frame = self.path.pop().expect("invariant: the root is closed once");
        let Some(parent) = self.path.last_mut() else { return Ok(Some(frame.children)) };
        parent.children.push(nodes.node(&frame.children, &Metadata::default())?);
        Ok(None)
    }
}
