//! What the operator controls: private networks, filters, how many connections, echoes, rates.
//!
//! Not here: blocks (`swarms.rs`), the DHT (`dht.rs`).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use cairn_block::MemoryStore;
use cairn_network::{
    Multiaddr, Network, NetworkConfig, NetworkError, SwarmKey, TrimSettings, generate_ed25519,
};
use cairn_runtime::Tasks;
use cairn_testkit::until;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);

struct Node {
    network: Network,
    _tasks: Tasks,
}

impl Node {
    async fn start(listen: &[&str], change: impl FnOnce(&mut NetworkConfig)) -> Self {
        let tasks = Tasks::default();
        let mut config = NetworkConfig::new(generate_ed25519());
        config.listen = listen.iter().map(|addr| addr.parse().unwrap()).collect();
        change(&mut config);
        let store = Arc::new(MemoryStore::default());
        let network = Network::start(config, store, &tasks).await.unwrap();
        Self { network, _tasks: tasks }
    }

    async fn tcp(change: impl FnOnce(&mut NetworkConfig)) -> Self {
        Self::start(&["/ip4/127.0.0.1/tcp/0"], change).await
    }

    async fn addrs(&self) -> Vec<Multiaddr> {
        let peer = self.network.peer_id();
        let addrs = self.network.listen_addrs().await.into_iter();
        addrs.map(|addr| addr.with_p2p(peer).unwrap()).collect()
    }

    async fn connect(&self, other: &Self) -> Result<(), NetworkError> {
        let addr = other.addrs().await.remove(0);
        let connected = timeout(PATIENCE, self.network.connect(addr)).await.unwrap();
        connected.map(drop)
    }
}

fn key(byte: &str) -> SwarmKey {
    let file = format!("/key/swarm/psk/1.0.0/\n/base16/\n{}\n", byte.repeat(32));
    SwarmKey::from_file(file.as_bytes()).unwrap()
}

#[tokio::test]
async fn only_who_has_the_key_gets_into_a_private_network() {
    for listen in ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws"] {
        let inside = Node::start(&[listen], |config| config.swarm_key = Some(key("0a"))).await;
        let friend = Node::tcp(|config| config.swarm_key = Some(key("0a"))).await;
        let stranger = Node::tcp(|config| config.swarm_key = Some(key("0b"))).await;
        let public = Node::tcp(|_| {}).await;
        friend.connect(&inside).await.unwrap();
        stranger.connect(&inside).await.unwrap_err();
        public.connect(&inside).await.unwrap_err();
        let peers = inside.network.peers().await;
        assert_eq!(peers.len(), 1, "{peers:?}");
        inside.connect(&public).await.unwrap_err();
    }
}

#[tokio::test]
async fn quic_is_not_spoken_in_a_private_network() {
    let listen = ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"];
    let node = Node::start(&listen, |config| config.swarm_key = Some(key("0a"))).await;
    assert_eq!(node.addrs().await.len(), 1);
    assert_eq!(node.network.listen_failures().len(), 1);
}

#[tokio::test]
async fn filtered_addresses_are_neither_dialled_nor_answered() {
    let (node, other) = (Node::tcp(|_| {}).await, Node::tcp(|_| {}).await);
    let loopback = "/ip4/127.0.0.0/ipcidr/8".parse().unwrap();
    assert!(node.network.filters().add(loopback));
    node.connect(&other).await.unwrap_err();
    other.connect(&node).await.unwrap_err();
    let port = other.addrs().await[0].to_string();
    let port = port.split('/').nth(4).unwrap().to_owned();
    let named: Multiaddr = format!("/dns4/localhost/tcp/{port}").parse().unwrap();
    node.network.connect(named.clone()).await.unwrap_err();
    assert!(node.network.filters().remove(loopback));
    node.network.connect(named).await.unwrap();
}

#[tokio::test]
async fn too_many_connections_are_closed_but_not_the_protected() {
    let settings =
        TrimSettings { low: 2, high: 4, grace: Duration::ZERO, period: Duration::from_millis(1) };
    let node = Node::tcp(|config| config.trim = Some(settings)).await;
    let mut others = Vec::new();
    for _ in 0..4 {
        let other = Node::tcp(|_| {}).await;
        other.connect(&node).await.unwrap();
        others.push(other);
    }
    let protected = others[0].network.peer_id();
    let _protection = node.network.protect(protected);
    let fifth = Node::tcp(|_| {}).await;
    fifth.connect(&node).await.unwrap();
    until(async || node.network.peers().await.len() == 2).await;
    let left = node.network.peers().await;
    assert!(left.iter().any(|info| info.id == protected), "{left:?}");
}

#[tokio::test]
async fn echoes_and_counts() {
    let (node, other) = (Node::tcp(|_| {}).await, Node::tcp(|_| {}).await);
    let peer = other.network.peer_id();
    let error = node.network.pinger(peer).await.unwrap_err();
    assert!(matches!(error, NetworkError::NotConnected { .. }), "{error}");
    node.connect(&other).await.unwrap();
    // One more stream does not end those before it, nor do the library's own pings.
    let mut pingers = Vec::new();
    for _ in 0..3 {
        pingers.push(node.network.pinger(peer).await.unwrap());
        for pinger in &mut pingers {
            assert!(pinger.ping().await.unwrap() < PATIENCE);
        }
    }
    let with_peer = node.network.bandwidth(Some(peer));
    assert!(with_peer.total_out >= 3 * 32 && with_peer.total_in >= 3 * 32, "{with_peer:?}");
    let all = node.network.bandwidth(None);
    assert!(all.total_out >= with_peer.total_out && all.total_in >= with_peer.total_in);
    let nobody = node.network.bandwidth(Some(node.network.peer_id()));
    assert_eq!((nobody.total_in, nobody.total_out), (0, 0));
}
