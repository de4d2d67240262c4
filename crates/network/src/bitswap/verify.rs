//! Turns received bytes into blocks, many at once.
//!
//! A message does not say which CID a block has, only how to hash it: the CID follows from the
//! bytes. So a wrong block cannot be accepted, it is just another block that nobody asked for.
//!
//! Not here: whether anybody asked (`client.rs`).

use super::wire::Prefix;
use bytes::Bytes;
use cairn_block::{Block, Cid, Version};
use cairn_hash::{Multihash, digest};
use std::collections::HashMap;

/// Shortest digest that a sender may have cut, in bytes. Source: Kubo's `verifcid`.
const DIGEST_LEN_MIN: usize = 20;

/// A received block with the place of its message in the batch.
pub(crate) type Unverified = (usize, Prefix, Bytes);

/// Hashes a batch; what has no supported hash function is left out. The order is not kept.
pub(crate) fn name_blocks(batch: Vec<Unverified>) -> Vec<(usize, Block)> {
    let mut groups: HashMap<Prefix, (Vec<usize>, Vec<Bytes>)> = HashMap::new();
    for (place, prefix, data) in batch {
        let group = groups.entry(prefix).or_default();
        group.0.push(place);
        group.1.push(data);
    }
    let mut named = Vec::new();
    for (prefix, (places, data)) in groups {
        let blocks = name_alike(prefix, data);
        named.extend(places.into_iter().zip(blocks).filter_map(|(at, block)| Some((at, block?))));
    }
    named
}

fn name_alike(prefix: Prefix, data: Vec<Bytes>) -> Vec<Option<Block>> {
    let is_whole = prefix.hash_code == cairn_hash::code::SHA2_256 && prefix.hash_len == 32;
    if !is_whole {
        return data.into_iter().map(|data| name_other(prefix, data)).collect();
    }
    let count = data.len();
    let Ok(blocks) = Block::hash_many(prefix.codec, prefix.hash_code, data) else {
        return vec![None; count];
    };
    let rename = |block: Block| match prefix.version {
        Version::V1 => Some(block),
        Version::V0 => {
            let cid = Cid::v0(block.cid().multihash().clone()).ok()?;
            block.rename(cid).ok()
        }
    };
    blocks.into_iter().map(rename).collect()
}

/// Any other function, whose digest may have been cut short.
fn name_other(prefix: Prefix, data: Bytes) -> Option<Block> {
    if prefix.hash_code == cairn_hash::code::IDENTITY || prefix.version == Version::V0 {
        return None;
    }
    let whole = digest(prefix.hash_code, &data).ok()?;
    let len = usize::try_from(prefix.hash_len).ok()?;
    if len < DIGEST_LEN_MIN.min(whole.digest().len()) {
        return None;
    }
    let hash = Multihash::wrap(prefix.hash_code, whole.digest().get(..len)?).ok()?;
    Block::verify(Cid::v1(prefix.codec, hash), data).ok()
}

#[cfg(test)]
mod tests {
    use super::{Prefix, name_blocks};
    use bytes::Bytes;
    use cairn_block::{Cid, Version, codec};
    use cairn_hash::code;

    fn prefix(version: Version, hash_code: u64, hash_len: u64) -> Prefix {
        Prefix { version, codec: codec::DAG_PB, hash_code, hash_len }
    }

    #[test]
    fn the_bytes_decide_the_name() {
        let data = Bytes::from_static(b"hello");
        let batch = vec![
            (0, prefix(Version::V1, code::SHA2_256, 32), data.clone()),
            (1, prefix(Version::V0, code::SHA2_256, 32), data.clone()),
            (2, prefix(Version::V1, code::SHA2_256, 20), data.clone()),
        ];
        let mut named = name_blocks(batch);
        named.sort_by_key(|(place, _)| *place);
        let digest = cairn_hash::sha256(b"hello");
        let cids: Vec<&Cid> = named.iter().map(|(_, block)| block.cid()).collect();
        assert_eq!(cids.len(), 3);
        assert_eq!(cids[0].multihash().digest(), digest);
        assert_eq!(cids[1], &cids[0].with_version(Version::V0).unwrap());
        assert_eq!(cids[2].multihash().digest(), &digest[..20]);
    }

    #[test]
    fn what_cannot_be_checked_is_left_out() {
        let data = Bytes::from_static(b"hello");
        let rows = [
            ("identity", prefix(Version::V1, code::IDENTITY, 5)),
            ("cut to nothing", prefix(Version::V1, code::SHA2_256, 0)),
            ("cut too short", prefix(Version::V1, code::SHA2_256, 19)),
            ("longer than it can be", prefix(Version::V1, code::SHA2_256, 33)),
            ("longer than anything", prefix(Version::V1, code::SHA2_256, u64::MAX)),
            ("unknown function", prefix(Version::V1, 0x9999, 32)),
            ("a version 0 of another length", prefix(Version::V0, code::SHA2_256, 20)),
        ];
        for (name, prefix) in rows {
            assert_eq!(name_blocks(vec![(0, prefix, data.clone())]), vec![], "{name}");
        }
    }
}
