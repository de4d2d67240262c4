//! Peers whose connections are not closed for being too many.
//!
//! Invariant: a peer is protected for as long as one [`Protection`] of it lives.
//! Not here: which connections are closed (`trim.rs`).

use crate::PeerId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The peers, and how many need each of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Protected(Arc<Mutex<HashMap<PeerId, usize>>>);

/// Keeps the connections with a peer while it lives.
#[derive(Debug)]
#[must_use = "the protection ends when this is dropped"]
pub struct Protection {
    peer: PeerId,
    protected: Protected,
}

impl Protected {
    fn peers(&self) -> MutexGuard<'_, HashMap<PeerId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hold(&self, peer: PeerId) -> Protection {
        *self.peers().entry(peer).or_default() += 1;
        Protection { peer, protected: self.clone() }
    }

    pub(crate) fn contains(&self, peer: &PeerId) -> bool {
        self.peers().contains_key(peer)
    }
}

impl Drop for Protection {
    fn drop(&mut self) {
        let mut peers = self.protected.peers();
        if let Some(count) = peers.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Protected;
    use crate::PeerId;

    #[test]
    fn the_last_one_ends_it() {
        let (protected, peer) = (Protected::default(), PeerId::random());
        let (first, second) = (protected.hold(peer), protected.hold(peer));
        drop(first);
        assert!(protected.contains(&peer));
        drop(second);
        assert!(!protected.contains(&peer));
    }
}
