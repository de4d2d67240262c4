//! Directories as hash array mapped tries, for those that do not fit into one node.
//!
//! Each level takes the next bits of a name's hash as the index into a node that has room for
//! `fanout` links; a link's name is the index in hex, followed by the entry's name if the link
//! leads to an entry, and by nothing if it leads to the next level.
//!
//! Spec: <https://specs.ipfs.tech/unixfs/#hamt-directory>, pinned in `spec/PINS.toml`.
//! Invariants: the trie depends on the set of entries alone, not on the order of insertion; it
//! is built in one pass from the sorted hashes, bottom up, each level hashed as one batch.
//! Not here: listing and finding (`list.rs`).

use crate::{Child, Data, DataType, Metadata, Options, UnixfsError};
use bytes::Bytes;
use cairn_block::{Block, Cid, codec};
use cairn_dag::dag_pb::{self, PbLink, PbNode};
use std::{collections::BTreeMap, ops::Range};

mod murmur3;

/// Width of a node unless told otherwise.
pub const FANOUT_DEFAULT: usize = 256;

/// Least width.
pub const FANOUT_MIN: usize = 8;

/// Greatest width.
pub const FANOUT_MAX: usize = 1024;

/// The multicodec code of murmur3-x64-64, the only function in use.
const HASH_TYPE: u64 = 0x22;

/// Bits in a hash.
const HASH_BITS: u32 = 64;

/// The shape of a trie: everything follows from its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    fanout: usize,
}

impl Shape {
    pub(crate) fn new(fanout: usize) -> Self {
        Self { fanout }
    }

    fn bits(self) -> u32 {
        self.fanout.trailing_zeros()
    }

    /// How many levels a hash has bits for.
    pub(crate) fn depth_max(self) -> u32 {
        HASH_BITS / self.bits()
    }

    /// How many hex digits stand before a name.
    pub(crate) fn prefix_len(self) -> usize {
        self.bits().div_ceil(4) as usize
    }

    pub(crate) fn prefix(self, index: usize) -> String {
        format!("{index:0width$X}", width = self.prefix_len())
    }

    /// The index that a hash has at `depth`, which is below [`Shape::depth_max`].
    pub(crate) fn index(self, hash: u64, depth: u32) -> usize {
        let shift = HASH_BITS - self.bits() * (depth + 1);
        (hash >> shift) as usize & (self.fanout - 1)
    }

    /// The index that a link's name begins with.
    pub(crate) fn index_of(self, name: &[u8]) -> Option<usize> {
        let prefix = name.get(..self.prefix_len())?;
        let index = usize::from_str_radix(std::str::from_utf8(prefix).ok()?, 16).ok()?;
        (index < self.fanout && self.prefix(index).as_bytes() == prefix).then_some(index)
    }

    /// Whether two hashes have the same index on every level.
    pub(crate) fn collides(self, a: u64, b: u64) -> bool {
        let rest = HASH_BITS - self.bits() * self.depth_max();
        a >> rest == b >> rest
    }

    /// The prefix under which `name` is found at `depth`; `None` below the last level.
    pub(crate) fn prefix_of(self, name: &str, depth: u32) -> Option<String> {
        (depth < self.depth_max()).then(|| self.prefix(self.index(hash_of(name.as_bytes()), depth)))
    }
}

/// The hash that decides where a name stands.
pub(crate) fn hash_of(name: &[u8]) -> u64 {
    murmur3::murmur3(name)
}

/// Reads a shard's shape, and checks that there is a link for each bit that is set.
pub(crate) fn shape_of(cid: &Cid, data: &Data, node: &PbNode) -> Result<Shape, UnixfsError> {
    if data.hash_type != Some(HASH_TYPE) {
        return Err(UnixfsError::malformed(cid, "shard with an unknown hash function"));
    }
    let fanout = data.fanout.and_then(|fanout| usize::try_from(fanout).ok()).unwrap_or(0);
    if !fanout.is_power_of_two() || !(FANOUT_MIN..=FANOUT_MAX).contains(&fanout) {
        return Err(UnixfsError::malformed(cid, "shard with an invalid fanout"));
    }
    let field = data.data.as_deref().unwrap_or_default();
    let bits: u32 = field.iter().map(|byte| byte.count_ones()).sum();
    if field.len() > fanout / 8 || bits as usize != node.links.len() {
        return Err(UnixfsError::malformed(cid, "shard whose bit field does not fit its links"));
    }
    let shape = Shape::new(fanout);
    let prefix_len = shape.prefix_len();
    if node.links.iter().any(|link| link.name_bytes().len() < prefix_len) {
        return Err(UnixfsError::malformed(cid, "shard link without a prefix"));
    }
    Ok(shape)
}

/// What stands at one index of a planned node.
enum Slot {
    /// An entry, by its place among the sorted ones.
    Entry(usize),
    /// A node of the next level, by its place there.
    Shard(usize),
}

type Plan = Vec<(usize, Slot)>;

struct Sorted {
    hash: u64,
    name: String,
    child: Child,
}

/// Builds a trie of `entries`; its nodes go into `out`, children before parents, the root last.
pub(crate) fn build(
    entries: BTreeMap<String, Child>,
    metadata: &Metadata,
    options: &Options,
    out: &mut Vec<Block>,
) -> Result<Child, UnixfsError> {
    let shape = Shape::new(options.hamt_fanout);
    let hashed = entries.into_iter().map(|(name, child)| {
        let hash = hash_of(name.as_bytes());
        Sorted { hash, name, child }
    });
    let mut sorted: Vec<Sorted> = hashed.collect();
    sorted.sort_by_key(|entry| entry.hash);
    let levels = plan(shape, &sorted)?;
    let mut below: Vec<Child> = Vec::new();
    for (depth, level) in levels.iter().enumerate().rev() {
        let none = Metadata::default();
        let metadata = if depth == 0 { metadata } else { &none };
        let nodes = level.iter().map(|plan| node(shape, plan, &sorted, &below, metadata));
        let (encoded, lens): (Vec<Bytes>, Vec<u64>) = nodes.unzip();
        let blocks = options.blocks(codec::DAG_PB, encoded)?;
        below = blocks
            .iter()
            .zip(lens)
            .map(|(block, total_len)| Child { cid: block.cid().clone(), data_len: 0, total_len })
            .collect();
        out.extend(blocks);
    }
    Ok(below.pop().expect("invariant: there is always a root"))
}

/// Decides which nodes there are, level by level from the root, and what stands in them.
fn plan(shape: Shape, sorted: &[Sorted]) -> Result<Vec<Vec<Plan>>, UnixfsError> {
    let mut levels = Vec::new();
    let mut ranges: Vec<Range<usize>> = std::iter::once(0..sorted.len()).collect();
    while !ranges.is_empty() {
        let depth = levels.len() as u32;
        if depth == shape.depth_max() {
            return Err(UnixfsError::HashCollision);
        }
        let mut level = Vec::with_capacity(ranges.len());
        let mut next = Vec::new();
        for range in ranges {
            let mut plan = Plan::new();
            let mut start = range.start;
            let group = sorted[range]
                .chunk_by(|a, b| shape.index(a.hash, depth) == shape.index(b.hash, depth));
            for entries in group {
                let index = shape.index(entries[0].hash, depth);
                if entries.len() == 1 {
                    plan.push((index, Slot::Entry(start)));
                } else {
                    plan.push((index, Slot::Shard(next.len())));
                    next.push(start..start + entries.len());
                }
                start += entries.len();
            }
            level.push(plan);
        }
        levels.push(level);
        ranges = next;
    }
    Ok(levels)
}

/// Returns a planned node's bytes and the total length of it and what is below.
fn node(
    shape: Shape,
    plan: &Plan,
    sorted: &[Sorted],
    below: &[Child],
    metadata: &Metadata,
) -> (Bytes, u64) {
    let link = |(index, slot): &(usize, Slot)| {
        let mut name = shape.prefix(*index);
        let child = match slot {
            Slot::Shard(place) => &below[*place],
            Slot::Entry(place) => {
                name.push_str(&sorted[*place].name);
                &sorted[*place].child
            }
        };
        (*index, PbLink::new(name, child.cid.clone(), child.total_len))
    };
    encode(shape, plan.iter().map(link).collect(), metadata)
}

/// Returns a node's bytes and the total length of it and what is below; `links` have their
/// prefixes and stand in the order of their indexes.
pub(crate) fn encode(
    shape: Shape,
    links: Vec<(usize, PbLink)>,
    metadata: &Metadata,
) -> (Bytes, u64) {
    let mut field = vec![0_u8; shape.fanout / 8];
    let mut node = PbNode::default();
    for (index, link) in links {
        field[shape.fanout / 8 - 1 - index / 8] |= 1 << (index % 8);
        node.links.push(link);
    }
    let zeros = field.iter().take_while(|byte| **byte == 0).count();
    let mut message = Data::new(DataType::HamtShard).with_metadata(metadata);
    message.data = Some(field.split_off(zeros).into());
    message.hash_type = Some(HASH_TYPE);
    message.fanout = Some(shape.fanout as u64);
    node.data = Some(message.encode().into());
    let encoded = dag_pb::encode(&node);
    let total_len = node.total_len(encoded.len());
    (encoded.into(), total_len)
}
