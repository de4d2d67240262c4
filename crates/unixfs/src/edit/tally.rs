//! Counts the entries of a trie, to learn whether they would fit into one node.
//!
//! Invariant: it ends as soon as they do not, and after a fixed number of nodes that hold nothing.
//! Not here: reading the nodes (`shard.rs`), what is done about it (`edit.rs`).

use super::{
    DirectoryEditor, Entries,
    shard::{Shard, Slot},
};
use crate::directory::entry_len;
use cairn_block::Cid;
use cairn_dag::dag_pb::LINKS_MAX;
use std::collections::VecDeque;

/// Most nodes that are looked at; a trie of so many stays one. It is far more than those of
/// a directory that fits into a block.
const CHECK_SHARDS_MAX: usize = 65_536;

/// What has been counted of a trie.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) entries: Entries,
    /// Length and number of the entries.
    pub(super) size: (usize, usize),
    shard_count: usize,
    /// Nodes that are not in memory, with their levels.
    pub(super) unread: VecDeque<(Cid, u32)>,
}

impl Tally {
    /// Whether they cannot stand in one node, or that is not worth finding out.
    pub(super) fn is_enough(&self, editor: &DirectoryEditor) -> bool {
        editor.is_over(self.size)
            || self.size.1 > LINKS_MAX
            || self.shard_count + self.unread.len() > CHECK_SHARDS_MAX
    }

    /// Counts what is in memory of `shard` and below it, at most as deep as a trie is.
    pub(super) fn add(&mut self, editor: &DirectoryEditor, shard: &Shard, depth: u32) {
        self.shard_count += 1;
        for slot in shard.slots() {
            if self.is_enough(editor) {
                return;
            }
            match slot {
                Slot::Entry(name, child) => {
                    self.size.0 += entry_len(&editor.options, name.len(), child);
                    self.size.1 += 1;
                    self.entries.insert(name.clone(), child.clone());
                }
                Slot::Shard(below) => self.add(editor, below, depth + 1),
                Slot::Unread(child) => self.unread.push_back((child.cid.clone(), depth + 1)),
            }
        }
    }
}
