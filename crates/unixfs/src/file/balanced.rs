//! The balanced layout: all leaves are equally deep, every inner node but the last of its level
//! is full.
//!
//! Invariants: at most one node's links are kept per level, whatever the file's length; a node
//! is finished only when the next one of its level begins, since the last may be the root.
//! Not here: what a node looks like (`file.rs`).

use super::Nodes;
use crate::{Child, Metadata, UnixfsError};

/// The unfinished nodes.
#[derive(Debug)]
pub(super) struct Balanced {
    /// One of each level, from the one above the leaves upwards.
    levels: Vec<Vec<Child>>,
}

/// What is left when the last leaf has come.
pub(super) enum Top {
    /// No leaf came.
    Empty,
    /// One leaf, which is the file.
    Leaf(Child),
    /// The children of the root.
    Root(Vec<Child>),
}

impl Balanced {
    pub(super) fn new() -> Self {
        Self { levels: vec![Vec::new()] }
    }

    pub(super) fn push(&mut self, leaf: Child, nodes: &mut Nodes<'_>) -> Result<(), UnixfsError> {
        self.push_at(0, leaf, nodes)
    }

    /// Finishes all nodes but the root.
    pub(super) fn finish(mut self, nodes: &mut Nodes<'_>) -> Result<Top, UnixfsError> {
        let mut level = 0;
        while level + 1 < self.levels.len() {
            let links = std::mem::take(&mut self.levels[level]);
            let child = nodes.node(&links, &Metadata::default())?;
            self.push_at(level + 1, child, nodes)?;
            level += 1;
        }
        let mut top = std::mem::take(&mut self.levels[level]);
        if level > 0 || top.len() > 1 {
            return Ok(Top::Root(top));
        }
        Ok(top.pop().map_or(Top::Empty, Top::Leaf))
    }

    /// Adds a child to the unfinished node of `level`; a full one becomes a child one level up.
    fn push_at(
        &mut self,
        mut level: usize,
        mut child: Child,
        nodes: &mut Nodes<'_>,
    ) -> Result<(), UnixfsError> {
        while let Some(links) = self.levels.get_mut(level) {
            if links.len() < nodes.options.max_links {
                links.push(child);
                return Ok(());
            }
            let full = std::mem::replace(links, vec![child]);
            child = nodes.node(&full, &Metadata::default())?;
            level += 1;
        }
        self.levels.push(vec![child]);
        Ok(())
    }
}
