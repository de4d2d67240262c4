//! The blocks that peers wait for, so that an arrival is noticed at the price of one lock.
//!
//! Invariant: holds at most the wants that the server's ledgers hold, so it is bounded with them.

use cairn_hash::Multihash;
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Shared between the handle, which tells of arrivals, and the engine, which serves them.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    inner: Mutex<Inner>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// How many ledgers want each.
    wanted: HashMap<Multihash, usize>,
    arrived: HashSet<Multihash>,
}

impl Awaited {
    /// One more peer wants this block.
    pub(crate) fn add(&self, hash: &Multihash) {
        *self.lock().wanted.entry(hash.clone()).or_default() += 1;
    }

    /// One peer less wants this block.
    pub(crate) fn remove(&self, hash: &Multihash) {
        let mut inner = self.lock();
        if let Some(count) = inner.wanted.get_mut(hash) {
            *count -= 1;
            if *count == 0 {
                inner.wanted.remove(hash);
                inner.arrived.remove(hash);
            }
        }
    }

    /// These blocks are in the store now.
    pub(crate) fn arrived<'a>(&self, hashes: impl Iterator<Item = &'a Multihash>) {
        let mut inner = self.lock();
        if inner.wanted.is_empty() {
            return;
        }
        let before = inner.arrived.len();
        for hash in hashes {
            if inner.wanted.contains_key(hash) {
                inner.arrived.insert(hash.clone());
            }
        }
        if inner.arrived.len() > before {
            self.notify.notify_one();
        }
    }

    /// Waits for arrivals of awaited blocks and takes them.
    pub(crate) async fn take(&self) -> Vec<Multihash> {
        loop {
            let taken: Vec<Multihash> = self.lock().arrived.drain().collect();
            if !taken.is_empty() {
                return taken;
            }
            self.notify.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Awaited;
    use cairn_hash::Multihash;
    use futures::FutureExt as _;

    #[test]
    fn only_awaited_blocks_are_reported_and_only_once() {
        let (first, second) = (Multihash::sha2_256([1; 32]), Multihash::sha2_256([2; 32]));
        let awaited = Awaited::default();
        awaited.arrived([&first].into_iter());
        assert_eq!(awaited.take().now_or_never(), None);
        awaited.add(&first);
        awaited.add(&first);
        awaited.arrived([&first, &second, &first].into_iter());
        assert_eq!(awaited.take().now_or_never(), Some(vec![first.clone()]));
        assert_eq!(awaited.take().now_or_never(), None);
        awaited.remove(&first);
        awaited.arrived([&first].into_iter());
        awaited.remove(&first);
        assert_eq!(awaited.take().now_or_never(), None, "nobody waits any more");
    }
}
