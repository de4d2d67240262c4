//! The trie of a directory under change: those of its nodes that were walked, and links to the
//! rest.
//!
//! Invariants: a change touches only the nodes between the root and its place; a node that has
//! one entry and nothing else is put back as that entry, so the trie follows from the set of
//! entries; what a node says is checked before anything in it is used.
//! Not here: when a directory is a trie (`edit.rs`), what a node looks like (`hamt.rs`).

use crate::{
    Child, Metadata, Options, UnixfsError,
    hamt::{Shape, encode, hash_of},
    list::open_shard,
};
use bytes::Bytes;
use cairn_block::{Block, BlockStore, BlockStoreExt as _, Cid, codec};
use cairn_dag::dag_pb::{PbLink, PbNode};
use std::collections::BTreeMap;

/// What stands at one index of a node.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    Entry(Bytes, Child),
    /// A node of the next level that has not been looked at.
    Unread(Child),
    Shard(Shard),
}

/// A node of the trie.
#[derive(Debug, Clone, Default)]
pub(super) struct Shard {
    slots: BTreeMap<usize, Slot>,
    /// What it was called last; `None` if it, or something below it, has changed since.
    named: Option<Child>,
}

impl Shard {
    /// Reads a node that has passed [`crate::hamt::shape_of`].
    pub(super) fn read(shape: Shape, block: &Block, node: &PbNode) -> Result<Self, UnixfsError> {
        let malformed = |reason| UnixfsError::malformed(block.cid(), reason);
        let mut slots = BTreeMap::new();
        for link in &node.links {
            let index = shape.index_of(link.name_bytes());
            let index = index.ok_or_else(|| malformed("shard link with an invalid prefix"))?;
            let name = link.name.clone().unwrap_or_default().split_off(shape.prefix_len());
            let child = child_of(link);
            let slot = if name.is_empty() { Slot::Unread(child) } else { Slot::Entry(name, child) };
            if slots.insert(index, slot).is_some() {
                return Err(malformed("shard with two links at one index"));
            }
        }
        let total_len = node.total_len(block.data().len());
        let named = Child { cid: block.cid().clone(), data_len: 0, total_len };
        Ok(Self { slots, named: Some(named) })
    }

    /// Reads the nodes between this root and where `name` is or would be; answers how much stands
    /// in them.
    pub(super) async fn walk<S: BlockStore>(
        &mut self,
        store: &S,
        shape: Shape,
        name: &[u8],
    ) -> Result<usize, UnixfsError> {
        let (hash, mut held) = (hash_of(name), 0);
        let mut shard = self;
        for depth in 0..shape.depth_max() {
            let Some(slot) = shard.slots.get_mut(&shape.index(hash, depth)) else { break };
            if let Slot::Unread(child) = slot {
                let below = load(store, shape, &child.cid, depth + 1).await?;
                held += below.slots.len();
                *slot = Slot::Shard(below);
            }
            let Slot::Shard(below) = slot else { break };
            shard = below;
        }
        Ok(held)
    }

    /// Reads all nodes below, which are written anew from now on; answers how much stands in them.
    pub(super) async fn read_all<S: BlockStore>(
        &mut self,
        store: &S,
        shape: Shape,
        depth: u32,
    ) -> Result<usize, UnixfsError> {
        let unread = self.slots.values().filter_map(|slot| match slot {
            Slot::Unread(child) => Some(child.cid.clone()),
            _ => None,
        });
        let cids: Vec<Cid> = unread.collect();
        let mut read = load_many(store, shape, &cids, depth + 1).await?.into_iter();
        let mut held = self.slots.len();
        for slot in self.slots.values_mut() {
            if let Slot::Unread(_) = slot {
                *slot = Slot::Shard(read.next().expect("invariant: one is read for each"));
            }
            if let Slot::Shard(below) = slot {
                held += Box::pin(below.read_all(store, shape, depth + 1)).await?;
            }
        }
        self.named = None;
        Ok(held)
    }

    /// Finds an entry along a path that was walked.
    pub(super) fn find(&self, shape: Shape, name: &[u8]) -> Option<&Child> {
        let hash = hash_of(name);
        let mut shard = self;
        for depth in 0..shape.depth_max() {
            match shard.slots.get(&shape.index(hash, depth))? {
                Slot::Entry(other, child) => return (other == name).then_some(child),
                Slot::Unread(_) => return None,
                Slot::Shard(below) => shard = below,
            }
        }
        None
    }

    /// Puts an entry in, along a path that was walked; returns the one it replaces.
    pub(super) fn insert(
        &mut self,
        shape: Shape,
        depth: u32,
        (name, child): (Bytes, Child),
    ) -> Result<Option<Child>, UnixfsError> {
        let hash = hash_of(&name);
        let index = shape.index(hash, depth);
        let old = match self.slots.get_mut(&index) {
            Some(Slot::Shard(below)) => below.insert(shape, depth + 1, (name, child))?,
            Some(Slot::Entry(other, old)) if *other == name => Some(std::mem::replace(old, child)),
            Some(Slot::Entry(other, _)) if shape.collides(hash_of(other), hash) => {
                return Err(UnixfsError::HashCollision);
            }
            there => {
                let mut slot = Slot::Entry(name, child);
                if let Some(Slot::Entry(other, old)) = there {
                    let mut below = Self::default();
                    below.insert(shape, depth + 1, (std::mem::take(other), old.clone()))?;
                    if let Slot::Entry(name, child) = slot {
                        below.insert(shape, depth + 1, (name, child))?;
                    }
                    slot = Slot::Shard(below);
                }
                self.slots.insert(index, slot);
                None
            }
        };
        self.named = None;
        Ok(old)
    }

    /// Takes an entry out, along a path that was walked.
    pub(super) fn remove(&mut self, shape: Shape, depth: u32, name: &[u8]) -> Option<Child> {
        let index = shape.index(hash_of(name), depth);
        let old = match self.slots.get_mut(&index)? {
            Slot::Unread(_) => return None,
            Slot::Entry(other, _) if other != name => return None,
            Slot::Entry(_, child) => {
                let old = child.clone();
                self.slots.remove(&index);
                old
            }
            Slot::Shard(below) => {
                let old = below.remove(shape, depth + 1, name)?;
                let only = below.slots.first_key_value().map(|(_, slot)| slot.clone());
                match (below.slots.len(), only) {
                    (0, _) => drop(self.slots.remove(&index)),
                    (1, Some(entry @ Slot::Entry(..))) => {
                        self.slots.insert(index, entry);
                    }
                    _ => {}
                }
                old
            }
        };
        self.named = None;
        Some(old)
    }

    /// Forgets the name, so that the node is written anew.
    pub(super) fn touch(&mut self) {
        self.named = None;
    }

    /// How much stands in this node and in those below it that were read.
    pub(super) fn held(&self) -> usize {
        let below = self.slots.values().map(|slot| match slot {
            Slot::Shard(below) => below.held(),
            _ => 0,
        });
        self.slots.len() + below.sum::<usize>()
    }

    /// All that stands in this node.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.values()
    }

    /// Names what has changed, the deepest level first, each level hashed as one batch.
    pub(super) fn name(
        &mut self,
        shape: Shape,
        metadata: &Metadata,
        options: &Options,
        out: &mut Vec<Block>,
    ) -> Result<Child, UnixfsError> {
        for depth in (0..shape.depth_max()).rev() {
            let mut changed = Vec::new();
            self.changed_at(depth, &mut changed);
            if changed.is_empty() {
                continue;
            }
            let none = Metadata::default();
            let metadata = if depth == 0 { metadata } else { &none };
            let (encoded, lens): (Vec<Bytes>, Vec<u64>) =
                changed.iter().map(|shard| encode(shape, shard.links(shape), metadata)).unzip();
            let blocks = options.blocks(codec::DAG_PB, encoded)?;
            for ((shard, block), total_len) in changed.into_iter().zip(&blocks).zip(lens) {
                let cid = block.cid().clone();
                shard.named = Some(Child { cid, data_len: 0, total_len });
            }
            out.extend(blocks);
        }
        Ok(self.named.clone().expect("invariant: the root is on level 0"))
    }

    fn changed_at<'a>(&'a mut self, depth: u32, changed: &mut Vec<&'a mut Self>) {
        if self.named.is_some() {
            return;
        }
        if depth == 0 {
            changed.push(self);
            return;
        }
        for slot in self.slots.values_mut() {
            if let Slot::Shard(below) = slot {
                below.changed_at(depth - 1, changed);
            }
        }
    }

    fn links(&self, shape: Shape) -> Vec<(usize, PbLink)> {
        let link = |(index, slot): (&usize, &Slot)| {
            let mut name = shape.prefix(*index).into_bytes();
            let child = match slot {
                Slot::Entry(rest, child) => {
                    name.extend_from_slice(rest);
                    child
                }
                Slot::Unread(child) => child,
                Slot::Shard(below) => {
                    below.named.as_ref().expect("invariant: the level below was named before")
                }
            };
            (*index, PbLink::new(name, child.cid.clone(), child.total_len))
        };
        self.slots.iter().map(link).collect()
    }

    /// Puts links in place of the nodes that have not changed since they were named.
    pub(super) fn unload(&mut self) {
        for slot in self.slots.values_mut() {
            let Slot::Shard(below) = slot else { continue };
            match below.named.clone() {
                Some(child) => *slot = Slot::Unread(child),
                None => below.unload(),
            }
        }
    }
}

/// What a link leads to.
pub(super) fn child_of(link: &PbLink) -> Child {
    Child { cid: link.cid.clone(), data_len: 0, total_len: link.size.unwrap_or(0) }
}

async fn load<S: BlockStore>(
    store: &S,
    shape: Shape,
    cid: &Cid,
    depth: u32,
) -> Result<Shard, UnixfsError> {
    let block = store.require(cid).await?;
    Shard::read(shape, &block, &open_shard(&block, shape, depth)?)
}

/// Reads several nodes of one level at once.
pub(super) async fn load_many<S: BlockStore>(
    store: &S,
    shape: Shape,
    cids: &[Cid],
    depth: u32,
) -> Result<Vec<Shard>, UnixfsError> {
    let mut shards = Vec::with_capacity(cids.len());
    for (cid, answer) in cids.iter().zip(store.get_many(cids).await) {
        shards.push(match answer? {
            Some(block) => Shard::read(shape, &block, &open_shard(&block, shape, depth)?)?,
            None => load(store, shape, cid, depth).await?,
        });
    }
    Ok(shards)
}
