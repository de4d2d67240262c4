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

    /// With nodes that were begun elsewhere, the root's first; a leaf is pushed next.
    pub(super) fn resumed(mut levels: Vec<Vec<Child>>) -> Self {
        levels.reverse();
        // A root of one node is no root.
        while levels.len() > 1 && levels.last().is_some_and(Vec::is_empty) {
            levels.pop();
        }
        Self { levels }
    }

    /// See [`super::FileBuilder::alone`].
    pub(super) fn alone(&self) -> Option<&[Child]> {
        match &self.levels[..] {
            [leaves] if leaves.len() <= 1 => Some(leaves),
            _ => None,
        }
    }

    /// Pushes the same leaf many times: as whole nodes where one begins, the largest that fit.
    pub(super) fn push_many(
        &mut self,
        leaf: &Child,
        mut count: u64,
        nodes: &mut Nodes<'_>,
    ) -> Result<(), UnixfsError> {
        let width = nodes.options.max_links;
        // Whole nodes of nothing else, from the leaf itself upwards, and how many leaves they hold.
        let mut whole = vec![(leaf.clone(), 1_u64)];
        while count > 0 {
            let height_max = self.height_max(width);
            let mut height = 0;
            // A leaf comes last, as the last node of a level may be the root.
            while height < height_max && whole[height].1.saturating_mul(width as u64) < count {
                height += 1;
                if height == whole.len() {
                    let (below, span) = &whole[height - 1];
                    let (links, span) = (vec![below.clone(); width], span * width as u64);
                    whole.push((nodes.node(&links, &Metadata::default())?, span));
                }
            }
            for level in 0..height {
                if level + 1 == self.levels.len() {
                    self.levels.push(Vec::new());
                }
                let links = std::mem::take(&mut self.levels[level]);
                if !links.is_empty() {
                    let child = nodes.node(&links, &Metadata::default())?;
                    self.levels[level + 1].push(child);
                }
            }
            self.push_at(height, whole[height].0.clone(), nodes)?;
            count -= whole[height].1;
        }
        Ok(())
    }

    /// The highest node that may come next: all below its level are full, or have not begun.
    fn height_max(&self, width: usize) -> usize {
        if self.levels.iter().all(Vec::is_empty) {
            return usize::MAX;
        }
        let mut more = 0;
        for (level, links) in self.levels.iter().enumerate() {
            match links.len() + more {
                0 => {}
                len if len == width => more = 1,
                _ => return level,
            }
        }
        self.levels.len()
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
