//! The keys to be announced, in the order of the keyspace.
//!
//! Held are the keys themselves, one after the other, and 16 bytes an index entry: some 51 bytes
//! a key. Who has more keys than fit goes through the keyspace in windows: the keys nearest to
//! its beginning are kept, and the next window begins where they end.
//!
//! Invariants: at most [`KEYS_MAX`] keys are left at the end, twice as many on the way; each key
//! once, sorted by place.
//! Not here: who is told (`dht/sweep.rs`), where the keys come from (`cairn-node`).

use crate::dht::place::Place;
use cairn_block::Multihash;

/// Keys of one window.
pub const KEYS_MAX: usize = 1_000_000;

/// Parts of the keyspace that are announced one after the other.
pub const PARTS: u16 = 256;

/// The hash function whose digest is the data itself: whoever has the key has the block.
const IDENTITY: u64 = 0;

/// Longest key, in bytes.
const KEY_LEN_MAX: usize = crate::dht::wire::KEY_LEN_MAX;

/// The keys of one window.
#[derive(Debug, Default)]
pub struct ProvideKeys {
    /// Each key after its length.
    bytes: Vec<u8>,
    /// The first eight bytes of each place, and where the key lies.
    index: Vec<(u64, u32)>,
    from: u64,
    /// The first place that did not fit, if any did not.
    until: Option<u64>,
    keys_max: usize,
}

impl ProvideKeys {
    /// Begins a window at a part of the keyspace.
    pub fn from_part(part: u16) -> Self {
        let from = u64::from(part) << (64 - PARTS.trailing_zeros());
        Self { from, keys_max: KEYS_MAX, ..Self::default() }
    }

    /// Adds a key, if it belongs to the window and can be announced.
    pub fn push(&mut self, hash: &Multihash) {
        let key = hash.to_bytes();
        if hash.code() == IDENTITY || key.len() > KEY_LEN_MAX {
            return;
        }
        let prefix = prefix(&key);
        if prefix < self.from || self.until.is_some_and(|until| prefix >= until) {
            return;
        }
        self.put(prefix, &key);
        if self.index.len() >= 2 * self.keys_max {
            self.shrink();
        }
    }

    /// Sorts the keys and drops those that stand twice; the window is complete then.
    pub fn finish(&mut self) {
        self.shrink();
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Whether the window, once it is finished, has all keys of a part.
    pub fn covers(&self, part: u16) -> bool {
        let first = Self::from_part(part).from;
        let ends = part + 1 == PARTS;
        let next = if ends { u64::MAX } else { Self::from_part(part + 1).from };
        first >= self.from && self.until.is_none_or(|until| !ends && next <= until)
    }

    /// The keys of a part, with their places, in order.
    pub(crate) fn part(&self, part: u16) -> Vec<(Place, Vec<u8>)> {
        let first = Self::from_part(part).from;
        let begin = self.index.partition_point(|(prefix, _)| *prefix < first);
        let end = match part + 1 {
            PARTS => self.index.len(),
            next => {
                let next = Self::from_part(next).from;
                self.index.partition_point(|(prefix, _)| *prefix < next)
            }
        };
        let keys = self.index[begin..end].iter().map(|(_, at)| {
            let key = self.key(*at);
            (Place::of_key(key), key.to_vec())
        });
        let mut keys: Vec<_> = keys.collect();
        keys.sort_unstable();
        keys
    }

    fn key(&self, at: u32) -> &[u8] {
        let at = at as usize;
        let len = usize::from(self.bytes[at]);
        &self.bytes[at + 1..=at + len]
    }

    fn put(&mut self, prefix: u64, key: &[u8]) {
        let at = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.index.push((prefix, at));
        // A key is shorter than 256 bytes.
        self.bytes.push(key.len() as u8);
        self.bytes.extend_from_slice(key);
    }

    /// Sorts, drops what stands twice, and leaves out the farthest of too many.
    fn shrink(&mut self) {
        let mut index = std::mem::take(&mut self.index);
        index.sort_unstable_by(|one, other| {
            (one.0, self.key(one.1)).cmp(&(other.0, self.key(other.1)))
        });
        index.dedup_by(|one, other| one.0 == other.0 && self.key(one.1) == self.key(other.1));
        if index.len() > self.keys_max {
            self.until = Some(index[self.keys_max].0);
            index.truncate(self.keys_max);
        }
        let old = Self { bytes: std::mem::take(&mut self.bytes), ..Self::default() };
        for (prefix, at) in index {
            self.put(prefix, old.key(at));
        }
    }
}

fn prefix(key: &[u8]) -> u64 {
    let place = Place::of_key(key);
    place.0.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::{PARTS, ProvideKeys};
    use crate::dht::place::Place;
    use cairn_block::Multihash;

    fn hash(number: u64) -> Multihash {
        Multihash::sha2_256(cairn_hash::sha256(&number.to_le_bytes()))
    }

    #[test]
    fn parts_hold_every_key_once_in_order() {
        let mut keys = ProvideKeys::from_part(0);
        for number in (0..3000).chain(0..3000) {
            keys.push(&hash(number));
        }
        keys.push(&Multihash::wrap(0, b"inlined").unwrap());
        keys.finish();
        assert_eq!(keys.len(), 3000);
        let mut all = Vec::new();
        for part in 0..PARTS {
            assert!(keys.covers(part));
            let keys = keys.part(part);
            assert!(keys.iter().all(|(place, _)| u16::from(place.0[0]) == part));
            all.extend(keys);
        }
        assert!(all.is_sorted());
        assert_eq!(all.len(), 3000);
        assert!(all.iter().all(|(place, key)| *place == Place::of_key(key)));
    }

    #[test]
    fn more_keys_than_fit_come_in_windows() {
        let (mut part, mut seen, mut windows) = (0, Vec::new(), 0);
        while part < PARTS {
            let mut keys = ProvideKeys { keys_max: 500, ..ProvideKeys::from_part(part) };
            (0..3000).for_each(|number| keys.push(&hash(number)));
            keys.finish();
            assert!(keys.len() <= 500 && keys.covers(part), "{part}");
            windows += 1;
            while part < PARTS && keys.covers(part) {
                seen.extend(keys.part(part));
                part += 1;
            }
        }
        assert!((6..12).contains(&windows), "{windows}");
        assert_eq!(seen.len(), 3000);
        assert!(seen.is_sorted());
    }
}
