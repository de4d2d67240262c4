//! The index behind a CAR file of version 2: where the section of each multihash begins.
//!
//! Records of one hash function and one width stand together, sorted by digest, so that one is
//! found by halving. All numbers are little-endian.
//! ```text
//! varint 0x0401   u32 functions   each: u64 function   u32 widths
//!                                       each: u32 width   u64 bytes   records: digest, u64 offset
//! ```
//! Offsets count from the beginning of the inner file.
//!
//! Spec: <https://ipld.io/specs/transport/car/carv2/>, "Format 0x0401: `MultihashIndexSorted`",
//! pinned in `spec/PINS.toml`.
//! Invariant: nothing here holds records: their count alone tells where each group begins.
//! Not here: collecting records, and trusting those of others.

use cairn_block::Multihash;
use cairn_hash::varint;
use std::collections::BTreeMap;

/// The code of this format.
pub const MULTIHASH_INDEX_SORTED: u64 = 0x0401;

/// Bytes of an offset in a record.
pub const OFFSET_LEN: usize = 8;

/// Most groups of records that an index may have; there are some hundred hash functions.
pub const GROUPS_MAX: usize = 1024;

/// Records of one hash function and one width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The hash function's code.
    pub code: u64,
    /// Bytes of a digest.
    pub digest_len: usize,
}

impl Group {
    /// The group that a multihash belongs to.
    pub fn of(hash: &Multihash) -> Self {
        Self { code: hash.code(), digest_len: hash.digest().len() }
    }

    /// Bytes of one record.
    pub fn width(&self) -> usize {
        self.digest_len + OFFSET_LEN
    }
}

/// What stands in an index besides records: how many each group has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    counts: BTreeMap<Group, u64>,
}

impl Shape {
    /// Counts a record. Whether there is room for another group, if it needs one.
    pub fn count(&mut self, group: Group) -> bool {
        let has_room = self.counts.len() < GROUPS_MAX || self.counts.contains_key(&group);
        if has_room {
            *self.counts.entry(group).or_default() += 1;
        }
        has_room
    }

    /// The groups in their order, with the count of their records.
    pub fn groups(&self) -> impl Iterator<Item = (Group, u64)> + '_ {
        self.counts.iter().map(|(group, count)| (*group, *count))
    }

    /// What stands before the first record of the index.
    pub fn head(&self) -> Vec<u8> {
        let mut codes: Vec<u64> = self.counts.keys().map(|group| group.code).collect();
        codes.dedup();
        let mut out = Vec::new();
        varint::encode(MULTIHASH_INDEX_SORTED, &mut out);
        out.extend_from_slice(&(codes.len() as u32).to_le_bytes());
        out
    }

    /// What stands before the first record of a group.
    pub fn group_head(&self, group: Group) -> Vec<u8> {
        let mut same = self.counts.keys().filter(|other| other.code == group.code);
        let mut out = Vec::new();
        if same.next() == Some(&group) {
            out.extend_from_slice(&group.code.to_le_bytes());
            out.extend_from_slice(&(1 + same.count() as u32).to_le_bytes());
        }
        out.extend_from_slice(&(group.width() as u32).to_le_bytes());
        let count = self.counts.get(&group).copied().unwrap_or_default();
        out.extend_from_slice(&(count * group.width() as u64).to_le_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::{Group, Shape};
    use cairn_block::{Cid, Multihash};
    use std::fs;

    const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/car/");

    /// `CARv2`, "Format 0x0401": the index that another implementation wrote over the same blocks.
    #[test]
    fn an_index_is_written_as_others_write_it() {
        let file = fs::read(format!("{VECTORS}sample-unixfs-v2.car")).unwrap();
        let mut decoder = crate::CarDecoder::new();
        decoder.feed(&file);
        let mut records = Vec::new();
        let mut shape = Shape::default();
        while let Some(section) = decoder.next_section().unwrap() {
            let hash = section.cid.multihash().clone();
            assert!(shape.count(Group::of(&hash)));
            let offset = section.offset - decoder.v2().unwrap().data_offset;
            records.push([hash.digest(), &offset.to_le_bytes()].concat());
        }
        records.sort();
        let (group, count) = shape.groups().next().unwrap();
        assert_eq!((count, shape.groups().count()), (3, 1));
        let index = [shape.head(), shape.group_head(group), records.concat()].concat();
        let start = decoder.v2().unwrap().index_offset as usize;
        assert_eq!(index, file[start..]);
    }

    #[test]
    fn groups_of_one_function_stand_together() {
        let hash = |code, len| Multihash::wrap(code, &vec![7; len]).unwrap();
        let mut shape = Shape::default();
        for hash in [hash(0x12, 32), hash(0x11, 20), hash(0x12, 20), hash(0x12, 32)] {
            assert!(shape.count(Group::of(&hash)));
        }
        let heads: Vec<usize> =
            shape.groups().map(|(group, _)| shape.group_head(group).len()).collect();
        assert_eq!(heads, [24, 24, 12], "function and widths stand before its first group");
        assert_eq!(shape.head()[2..], 2_u32.to_le_bytes());
        let cid: Cid =
            "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy".parse().unwrap();
        assert_eq!(Group::of(cid.multihash()).width(), 40);
    }
}
