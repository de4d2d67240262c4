//! Nodes that find out, over real connections on loopback, whether they can be reached.
//!
//! Not here: the rules one by one (`src/autonat/`, `src/swarm/`), routers (`tests/tests/nat.rs`).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use cairn_block::MemoryStore;
use cairn_network::{
    AutonatConfig, DhtConfig, DhtMode, Network, NetworkConfig, Reachability, RelayClientConfig,
    RelayServiceConfig, generate_ed25519,
};
use cairn_runtime::Tasks;
use cairn_testkit::until;
use std::sync::Arc;

const HOP: &str = "/libp2p/circuit/relay/0.2.0/hop";

struct Node {
    network: Network,
    _tasks: Tasks,
}

impl Node {
    async fn start(edit: impl FnOnce(&mut NetworkConfig)) -> Self {
        let tasks = Tasks::default();
        let mut config = NetworkConfig::new(generate_ed25519());
        config.listen.push("/ip4/127.0.0.1/tcp/0".parse().unwrap());
        edit(&mut config);
        let store = Arc::new(MemoryStore::default());
        let network = Network::start(config, store, &tasks).await.unwrap();
        Self { network, _tasks: tasks }
    }

    async fn connect(&self, other: &Self) {
        let addr = other.network.listen_addrs().await.remove(0);
        self.network.connect(addr).await.unwrap();
    }

    fn speaks(&self, protocol: &str) -> bool {
        self.network.protocols().iter().any(|name| name == protocol)
    }
}

fn autonat() -> AutonatConfig {
    AutonatConfig { private_addrs: true, ..AutonatConfig::default() }
}

#[tokio::test]
async fn a_node_that_others_reach_serves_the_dht_and_relays() {
    let asker = Node::start(|config| {
        config.reachability.autonat = AutonatConfig { client: true, ..autonat() };
        config.reachability.relay_service = Some(RelayServiceConfig::default());
        config.dht =
            DhtConfig { lan: Some(DhtMode::Auto), lan_loopback: true, ..DhtConfig::default() };
    })
    .await;
    let server = Node::start(|config| {
        config.reachability.autonat = AutonatConfig { server: true, ..autonat() };
    })
    .await;
    let report = asker.network.reachability().await;
    assert_eq!(report.node, Reachability::Unknown);
    assert!(!asker.speaks(HOP) && !asker.speaks("/ipfs/lan/kad/1.0.0"));

    asker.connect(&server).await;
    until(async || asker.network.reachability().await.node == Reachability::Public).await;
    let listens = asker.network.listen_addrs().await.remove(0);
    let report = asker.network.reachability().await;
    assert!(report.addrs.contains(&(listens, Reachability::Public)), "{report:?}");
    assert!(asker.speaks(HOP) && asker.speaks("/ipfs/lan/kad/1.0.0"));
    // The connection that was made for it is closed again.
    until(async || asker.network.peers().await.len() == 1).await;
}

#[tokio::test]
async fn a_peer_that_answers_no_questions_is_not_asked() {
    let asker = Node::start(|config| {
        config.reachability.autonat = AutonatConfig { client: true, ..autonat() };
    })
    .await;
    let silent = Node::start(|_| {}).await;
    asker.connect(&silent).await;
    let peer = silent.network.peer_id();
    assert!(asker.network.identified(peer).await.is_some());
    assert_eq!(asker.network.reachability().await.node, Reachability::Unknown);
}

#[tokio::test]
async fn a_circuit_is_no_reason_to_serve_the_dht_or_to_relay() {
    let relay = Node::start(|config| {
        config.reachability.forced = Some(Reachability::Public);
        config.reachability.relay_service = Some(RelayServiceConfig::default());
    })
    .await;
    let addr = relay.network.listen_addrs().await.remove(0);
    let addr = format!("{addr}/p2p/{}", relay.network.peer_id());
    let hidden = Node::start(|config| {
        let static_relays = vec![addr.parse().unwrap()];
        let client = RelayClientConfig { static_relays, listens: true };
        config.reachability.relay_client = Some(client);
        config.reachability.relay_service = Some(RelayServiceConfig::default());
        config.dht =
            DhtConfig { lan: Some(DhtMode::Auto), lan_loopback: true, ..DhtConfig::default() };
    })
    .await;
    let has_circuit = async || {
        let addrs = hidden.network.announced_addrs().await;
        addrs.iter().any(|addr| addr.to_string().ends_with("/p2p-circuit"))
    };
    until(has_circuit).await;
    assert_eq!(hidden.network.reachability().await.node, Reachability::Unknown);
    assert!(!hidden.speaks(HOP) && !hidden.speaks("/ipfs/lan/kad/1.0.0"));
}
