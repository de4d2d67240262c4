//! The blocks that came last.
//!
//! A block is on its way from here to the store for a moment, and whoever looks for it in that
//! moment finds it in neither place and wants it again. Peers may take such a want for a mistake:
//! Helia ignores one for a block that it has just sent, for five seconds and more.
//!
//! Invariants: at most [`LEN_MAX`] bytes and [`COUNT_MAX`] blocks, none older than [`AGE_MAX`]
//! for longer than a tick.
//! Not here: keeping blocks (`cairn-store`).

use cairn_block::Block;
use cairn_hash::Multihash;
use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// Most bytes that are remembered.
const LEN_MAX: usize = 8 * 1024 * 1024;

/// Most blocks that are remembered.
const COUNT_MAX: usize = 1024;

/// How long a block may be on its way to the store.
const AGE_MAX: Duration = Duration::from_secs(5);

/// Blocks that were delivered lately.
#[derive(Debug, Default)]
pub(super) struct Recent {
    blocks: HashMap<Multihash, Block>,
    order: VecDeque<(Instant, Multihash)>,
    len: usize,
}

impl Recent {
    /// Remembers a block.
    pub(super) fn insert(&mut self, block: &Block, now: Instant) {
        let hash = block.cid().multihash();
        if self.blocks.insert(hash.clone(), block.clone()).is_some() {
            return;
        }
        self.len += block.data().len();
        self.order.push_back((now, hash.clone()));
        while self.len > LEN_MAX || self.order.len() > COUNT_MAX {
            self.forget_oldest();
        }
    }

    /// A block that came lately.
    pub(super) fn get(&self, hash: &Multihash) -> Option<&Block> {
        self.blocks.get(hash)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Forgets what is older than [`AGE_MAX`].
    pub(super) fn tick(&mut self, now: Instant) {
        while let Some((at, _)) = self.order.front()
            && now.saturating_duration_since(*at) >= AGE_MAX
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, hash)) = self.order.pop_front() else { return };
        if let Some(block) = self.blocks.remove(&hash) {
            self.len -= block.data().len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AGE_MAX, COUNT_MAX, LEN_MAX, Recent};
    use cairn_block::{Block, codec};
    use cairn_runtime::Clock;
    use std::time::Duration;

    fn block(number: usize, len: usize) -> Block {
        let mut data = (number as u64).to_le_bytes().to_vec();
        data.resize(len.max(8), 0);
        Block::sha2_256(codec::RAW, data.into())
    }

    #[test]
    fn remembers_so_many_for_so_long() {
        let now = Clock::system().monotonic();
        let mut recent = Recent::default();
        for number in 0..COUNT_MAX + 10 {
            recent.insert(&block(number, 8), now);
            recent.insert(&block(number, 8), now);
        }
        assert!(recent.get(block(9, 8).cid().multihash()).is_none());
        assert!(recent.get(block(10, 8).cid().multihash()).is_some());
        for number in 0..20 {
            recent.insert(&block(number, 1 << 20), now + Duration::from_secs(1));
        }
        assert!(recent.len <= LEN_MAX && recent.blocks.len() == 8);
        assert_eq!(recent.get(block(19, 1 << 20).cid().multihash()), Some(&block(19, 1 << 20)));
        recent.tick(now + AGE_MAX);
        assert!(!recent.is_empty());
        recent.tick(now + AGE_MAX + Duration::from_secs(1));
        assert!(recent.is_empty() && recent.len == 0 && recent.blocks.is_empty());
    }
}
