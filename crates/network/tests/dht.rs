//! DHT nodes over real connections on loopback: joining, finding, serving, leaving.
//!
//! Not here: the rules one by one (`src/dht/`), other implementations (`tests/`).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use cairn_block::{Block, BlockStore as _, Cid, MemoryStore, codec};
use cairn_names::{Keypair, Name, Record, RecordContent};
use cairn_network::{
    DhtConfig, DhtMode, Network, NetworkConfig, QueryEvent, RoutingError, generate_ed25519,
};
use cairn_runtime::{Clock, Tasks};
use cairn_testkit::until;
use futures::StreamExt as _;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(2);

struct Node {
    network: Network,
    store: Arc<MemoryStore>,
    tasks: Tasks,
}

impl Node {
    async fn start(mode: DhtMode) -> Self {
        Self::with(DhtConfig { lan: Some(mode), lan_loopback: true, ..DhtConfig::default() }).await
    }

    async fn with(dht: DhtConfig) -> Self {
        let tasks = Tasks::default();
        let mut config = NetworkConfig::new(generate_ed25519());
        config.listen.push("/ip4/127.0.0.1/tcp/0".parse().unwrap());
        config.dht = dht;
        let store = Arc::new(MemoryStore::default());
        let network = Network::start(config, Arc::clone(&store), &tasks).await.unwrap();
        Self { network, store, tasks }
    }

    async fn join(&self, other: &Self) {
        let addr = other.network.listen_addrs().await.remove(0);
        self.network.connect(addr).await.unwrap();
        until(async || self.network.routing().has_peers()).await;
    }

    fn table_len(&self) -> usize {
        let stat = self.network.routing().stat();
        stat.iter().flat_map(|dht| &dht.buckets).map(|bucket| bucket.peers.len()).sum()
    }
}

/// `count` servers, of which each but the first knows the first.
async fn servers(count: usize) -> Vec<Node> {
    let first = Node::start(DhtMode::Server).await;
    let mut nodes = vec![first];
    for _ in 1..count {
        let node = Node::start(DhtMode::Server).await;
        node.join(&nodes[0]).await;
        nodes.push(node);
    }
    for node in &nodes {
        until(async || node.table_len() == count - 1).await;
    }
    nodes
}

fn cid(text: &str) -> Cid {
    Block::sha2_256(codec::RAW, text.to_owned().into()).cid().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_know_one_find_each_other_and_what_they_announce() {
    let nodes = servers(6).await;
    let cid = cid("announced");
    let told = nodes[4].network.routing().provide(&cid, None).await.unwrap();
    assert_eq!(told, 5, "everybody else keeps it");
    let provider = nodes[4].network.peer_id();
    let addr = nodes[4].network.listen_addrs().await;
    let mut found = nodes[5].network.routing().find_providers(&cid, None);
    let first = timeout(PATIENCE, found.next()).await.unwrap().unwrap();
    assert_eq!((first.peer, first.addrs), (provider, addr.clone()));
    assert_eq!(timeout(PATIENCE, found.next()).await.unwrap(), None, "each is told once");
    let contact = nodes[1].network.routing().find_peer(provider, None).await.unwrap();
    assert_eq!(contact.addrs, addr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_is_fetched_from_whoever_announced_it() {
    let nodes = servers(3).await;
    let (provider, fetcher) =
        (Node::start(DhtMode::Client).await, Node::start(DhtMode::Client).await);
    provider.join(&nodes[0]).await;
    fetcher.join(&nodes[1]).await;
    let block = Block::sha2_256(codec::RAW, "somewhere".into());
    let cid = block.cid().clone();
    provider.store.put_many(vec![block.clone()]).await.unwrap();
    // Nobody has announced it at first; the search goes on until somebody has.
    let session = fetcher.network.session();
    let wanted = [cid.clone()];
    let fetching = session.fetch_many(&wanted);
    let announcing = async {
        until(async || fetcher.table_len() == 3).await;
        provider.network.routing().provide(&cid, None).await.unwrap();
    };
    let (arrived, ()) =
        timeout(PATIENCE, async { tokio::join!(fetching, announcing) }).await.unwrap();
    assert_eq!(arrived[0].as_ref().unwrap().data(), block.data());
    let peers = fetcher.network.peers().await;
    assert!(peers.iter().any(|info| info.id == provider.network.peer_id()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_ask_but_are_not_asked() {
    let nodes = servers(3).await;
    let client = Node::start(DhtMode::Client).await;
    client.join(&nodes[0]).await;
    until(async || client.table_len() == 3).await;
    assert!(nodes.iter().all(|node| node.table_len() == 2), "a client is in no table");
    let protocols = client.network.protocols();
    assert!(!protocols.iter().any(|name| name.contains("kad")), "{protocols:?}");
    assert!(nodes[0].network.protocols().iter().any(|name| name == "/ipfs/lan/kad/1.0.0"));
    let cid = cid("of a client");
    assert_eq!(client.network.routing().provide(&cid, None).await, Ok(3));
    let mut found = nodes[2].network.routing().find_providers(&cid, None);
    let first = timeout(PATIENCE, found.next()).await.unwrap().unwrap();
    assert_eq!(first.peer, client.network.peer_id());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_names_are_stored_and_found_and_forged_ones_are_not() {
    let nodes = servers(4).await;
    let key = Keypair::generate_ed25519();
    let name = Name::of_key(&key.public()).routing_key();
    let end = Clock::system().now() + Duration::from_hours(1);
    let content = RecordContent::new(b"/ipfs/x".to_vec(), end.into(), 1, Duration::ZERO);
    let record = Record::create(&key, &content, false).unwrap().encode();
    let routing = nodes[0].network.routing();
    let forged = routing.put_value(&name, b"nonsense", None).await;
    assert!(matches!(forged, Err(RoutingError::Value { .. })));
    assert_eq!(routing.get_value(&name, None).await, Err(RoutingError::NotFound));
    assert_eq!(routing.put_value(&name, &record, None).await, Ok(3));
    assert_eq!(nodes[3].network.routing().get_value(&name, None).await, Ok(record));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_left_is_forgotten_and_its_keys_are_still_found() {
    let mut nodes = servers(5).await;
    let cid = cid("kept by others");
    nodes[1].network.routing().provide(&cid, None).await.unwrap();
    nodes.remove(4).tasks.stop(PATIENCE).await;
    let provider = nodes[1].network.peer_id();
    let routing = nodes[3].network.routing();
    let found: Vec<_> =
        timeout(PATIENCE, routing.find_providers(&cid, None).collect()).await.unwrap();
    assert!(found.iter().any(|contact| contact.peer == provider));
    until(async || {
        let events: Vec<_> = routing.query(b"anything").collect().await;
        assert!(events.iter().any(|event| matches!(event, QueryEvent::Final { .. })));
        nodes[3].table_len() == 3
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_dht_everything_says_so() {
    let node = Node::with(DhtConfig::default()).await;
    let routing = node.network.routing();
    assert!(!routing.is_on());
    let off = RoutingError::Off;
    assert_eq!(routing.provide(&cid("x"), None).await, Err(off.clone()));
    assert_eq!(routing.find_peer(node.network.peer_id(), None).await, Err(off.clone()));
    assert_eq!(routing.get_value(b"/ipns/x", None).await, Err(off));
    assert_eq!(routing.find_providers(&cid("x"), None).next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_address_has_no_place_in_the_public_dht() {
    let wan = || DhtConfig { wan: Some(DhtMode::Server), ..DhtConfig::default() };
    let (one, other) = (Node::with(wan()).await, Node::with(wan()).await);
    let addr = other.network.listen_addrs().await.remove(0);
    one.network.connect(addr).await.unwrap();
    until(async || {
        let peers = one.network.peers().await;
        peers[0].protocols.iter().any(|name| name == "/ipfs/kad/1.0.0")
    })
    .await;
    assert_eq!((one.table_len(), other.table_len()), (0, 0));
}
