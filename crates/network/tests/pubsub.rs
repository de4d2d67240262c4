//! Messages by topic, between real swarms in one process.
//!
//! Not here: the numbers of messages (`src/pubsub/hub.rs`), other implementations (`tests/`).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use cairn_block::MemoryStore;
use cairn_network::{
    MESSAGE_LEN_MAX, Network, NetworkConfig, PubsubConfig, PubsubError, Subscription,
    TOPIC_LEN_MAX, generate_ed25519,
};
use cairn_runtime::Tasks;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);

struct Node {
    network: Network,
    _tasks: Tasks,
}

impl Node {
    async fn start(pubsub: Option<PubsubConfig>) -> Self {
        let tasks = Tasks::default();
        let mut config = NetworkConfig::new(generate_ed25519());
        config.listen.push("/ip4/127.0.0.1/tcp/0".parse().unwrap());
        config.pubsub = pubsub;
        let store = Arc::new(MemoryStore::default());
        let network = Network::start(config, store, &tasks).await.unwrap();
        Self { network, _tasks: tasks }
    }

    async fn new() -> Self {
        Self::start(Some(PubsubConfig::default())).await
    }

    async fn connect(&self, other: &Self) {
        let addr = other.network.listen_addrs().await.remove(0);
        self.network.connect(addr).await.unwrap();
    }

    async fn listen(&self, topic: &str) -> Subscription {
        self.network.pubsub().subscribe(topic.to_owned()).await.unwrap()
    }

    /// Waits until so many peers are known to listen.
    async fn sees(&self, topic: &str, count: usize) {
        let looking = async {
            while self.network.pubsub().peers(Some(topic.to_owned())).await.unwrap().len() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, looking).await.expect("it never came to that");
    }

    async fn publish(&self, topic: &str, text: &str) -> Result<(), PubsubError> {
        self.network.pubsub().publish(topic.to_owned(), text.as_bytes().to_vec().into()).await
    }
}

async fn next(subscription: &mut Subscription) -> String {
    let message = timeout(PATIENCE, subscription.next()).await.unwrap().unwrap();
    String::from_utf8(message.data.to_vec()).unwrap()
}

#[tokio::test]
async fn messages_reach_whoever_listens_over_others_too() {
    let nodes = [Node::new().await, Node::new().await, Node::new().await];
    nodes[0].connect(&nodes[1]).await;
    nodes[1].connect(&nodes[2]).await;
    let mut heard = Vec::new();
    for node in &nodes {
        heard.push(node.listen("news").await);
    }
    for (node, count) in nodes.iter().zip([1, 2, 1]) {
        node.sees("news", count).await;
    }
    let id = nodes[0].network.peer_id();
    // Meshes form with the next heartbeats; until then messages may reach neighbours only.
    let mut number = 0;
    let last = loop {
        number += 1;
        nodes[0].publish("news", &number.to_string()).await.unwrap();
        let far = timeout(Duration::from_millis(500), heard[2].next()).await;
        if let Ok(message) = far {
            break message.unwrap();
        }
        assert!(number < 100, "nothing ever came");
    };
    assert_eq!((last.from, last.topic.as_str()), (id, "news"));
    // One's own messages are heard as well, each once.
    for expected in 1..=number {
        assert_eq!(next(&mut heard[0]).await, expected.to_string());
    }
    let own = nodes[0].network.pubsub().topics().await.unwrap();
    assert_eq!(own, ["news"]);
}

#[tokio::test]
async fn a_topic_ends_with_its_last_listener() {
    let (node, other) = (Node::new().await, Node::new().await);
    node.connect(&other).await;
    let (first, second) = (node.listen("a").await, node.listen("a").await);
    other.sees("a", 1).await;
    drop(first);
    assert_eq!(node.network.pubsub().topics().await.unwrap(), ["a"]);
    drop(second);
    let ending = async {
        while !node.network.pubsub().topics().await.unwrap().is_empty()
            || !other.network.pubsub().peers(Some("a".to_owned())).await.unwrap().is_empty()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, ending).await.expect("it never ended");
}

#[tokio::test]
async fn limits_are_named() {
    let node = Node::new().await;
    let mut heard = node.listen("a").await;
    let longest = "x".repeat(MESSAGE_LEN_MAX);
    node.publish("a", &longest).await.unwrap();
    assert_eq!(next(&mut heard).await, longest);
    assert_eq!(node.publish("a", &format!("{longest}x")).await, Err(PubsubError::TooLong));
    let len = TOPIC_LEN_MAX + 1;
    assert_eq!(node.publish(&"t".repeat(len), "").await, Err(PubsubError::Topic { len }));
    assert_eq!(node.publish("", "").await, Err(PubsubError::Topic { len: 0 }));
    let deaf = Node::start(None).await;
    assert_eq!(deaf.publish("a", "").await, Err(PubsubError::Disabled));
    assert_eq!(deaf.network.pubsub().topics().await, Err(PubsubError::Disabled));
    assert_eq!(deaf.network.pubsub().reset(None).await, Err(PubsubError::Disabled));
    let speaks = |node: &Node| node.network.protocols().iter().any(|name| name.contains("meshsub"));
    assert!(speaks(&node) && !speaks(&deaf));
    assert!(matches!(
        deaf.network.pubsub().subscribe("a".to_owned()).await,
        Err(PubsubError::Disabled)
    ));
}
