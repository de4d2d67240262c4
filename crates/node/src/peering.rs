//! Peers that the node stays connected with.
//!
//! Each has a task that dials whenever the connection is gone, and waits longer after each failure.
//! Such a connection is not closed when there are too many.
//!
//! Invariant: at most [`PEERING_COUNT_MAX`] peers.
//! Not here: which connections are closed (`cairn-network`).
//!
//! Source: `Peering` of Kubo's `docs/config.md`.

use cairn_network::{Multiaddr, Network, PeerId};
use cairn_runtime::Tasks;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// Most peers.
pub const PEERING_COUNT_MAX: usize = 1024;

/// How long a lost connection is left alone, at first and at most.
const DELAY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(10));

/// The peers, and the tasks that keep them connected.
#[derive(Debug)]
pub struct Peerings {
    network: Network,
    tasks: Tasks,
    peers: Mutex<BTreeMap<PeerId, Peering>>,
}

#[derive(Debug)]
struct Peering {
    addrs: Vec<Multiaddr>,
    stop: CancellationToken,
}

impl Peerings {
    pub(crate) fn new(network: Network, tasks: Tasks) -> Self {
        Self { network, tasks, peers: Mutex::default() }
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<PeerId, Peering>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects with a peer and stays connected; without addresses, by those that are known or
    /// found. Addresses given before for it are replaced. Answers whether there was room.
    pub fn add(&self, peer: PeerId, addrs: Vec<Multiaddr>) -> bool {
        let mut peers = self.peers();
        if peers.len() >= PEERING_COUNT_MAX && !peers.contains_key(&peer) {
            return false;
        }
        let stop = CancellationToken::new();
        let peering = Peering { addrs: addrs.clone(), stop: stop.clone() };
        if let Some(before) = peers.insert(peer, peering) {
            before.stop.cancel();
        }
        let network = self.network.clone();
        self.tasks.spawn("peering", async move {
            tokio::select! {
                () = keep_connected(&network, peer, &addrs) => {}
                () = stop.cancelled() => {}
            }
        });
        true
    }

    /// Stays connected no longer, without closing the connection; answers whether it was there.
    pub fn remove(&self, peer: PeerId) -> bool {
        let removed = self.peers().remove(&peer);
        let Some(peering) = removed else { return false };
        peering.stop.cancel();
        true
    }

    /// The peers and their addresses.
    #[must_use]
    pub fn list(&self) -> Vec<(PeerId, Vec<Multiaddr>)> {
        self.peers().iter().map(|(peer, peering)| (*peer, peering.addrs.clone())).collect()
    }
}

/// Dials until connected, waits, looks again; the wait doubles while the peer is away.
async fn keep_connected(network: &Network, peer: PeerId, addrs: &[Multiaddr]) {
    let _protection = network.protect(peer);
    let (first, longest) = DELAY;
    let mut delay = first;
    loop {
        let connected = network.peers().await.iter().any(|known| known.id == peer);
        delay = if connected || dial(network, peer, addrs).await {
            first
        } else {
            (delay * 2).min(longest)
        };
        sleep(delay).await;
    }
}

async fn dial(network: &Network, peer: PeerId, addrs: &[Multiaddr]) -> bool {
    let dialled = network.connect_peer(peer, addrs.to_vec()).await;
    if let Err(error) = &dialled {
        debug!(%error, "peer not reached");
    }
    dialled.is_ok()
}
