//! Real swarms in one process: blocks over TCP, QUIC and WebSocket, peers that go, peers that lie.
//!
//! Not here: the rules one by one (`src/bitswap/*/tests.rs`), other implementations (`tests/`).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "swarms/hostile.rs"]
mod hostile;

use bytes::Bytes;
use cairn_block::{Block, BlockStore as _, BlockStoreExt as _, Cid, MemoryStore, codec};
use cairn_network::{
    Direction, Multiaddr, Network, NetworkConfig, NetworkError, PeerId, generate_ed25519,
};
use cairn_runtime::Tasks;
use cairn_testkit::until;
use futures::StreamExt as _;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const BLOCK_LEN: usize = 256 * 1024;
const PATIENCE: Duration = Duration::from_mins(2);

struct Node {
    network: Network,
    store: Arc<MemoryStore>,
    tasks: Tasks,
}

impl Node {
    async fn start(listen: &str) -> Self {
        let store = Arc::new(MemoryStore::default());
        let tasks = Tasks::default();
        let mut config = NetworkConfig::new(generate_ed25519());
        config.listen.push(listen.parse().unwrap());
        let network = Network::start(config, Arc::clone(&store), &tasks).await.unwrap();
        Self { network, store, tasks }
    }

    async fn addr(&self) -> Multiaddr {
        self.network.listen_addrs().await.remove(0)
    }

    async fn connect(&self, other: &Self) {
        let peer = self.network.connect(other.addr().await).await.unwrap();
        assert_eq!(peer, other.network.peer_id());
    }

    async fn put(&self, blocks: Vec<Block>) -> Vec<Cid> {
        let cids: Vec<Cid> = blocks.iter().map(|block| block.cid().clone()).collect();
        self.store.put_many(blocks).await.unwrap();
        self.network.blocks_added(&cids);
        cids
    }

    async fn fetch(&self, cids: &[Cid]) {
        let fetched = timeout(PATIENCE, self.network.session().fetch_many(cids)).await.unwrap();
        for (cid, block) in cids.iter().zip(fetched) {
            assert_eq!(block.unwrap().cid(), cid);
        }
    }
}

fn blocks(seed: u8, count: usize) -> Vec<Block> {
    let block = |index: usize| {
        let mut data = vec![seed; BLOCK_LEN];
        data[..8].copy_from_slice(&(index as u64).to_le_bytes());
        Block::sha2_256(codec::RAW, data.into())
    };
    (0..count).map(block).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_cross_every_transport_both_ways() {
    for listen in [TCP, "/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0/ws"] {
        let (left, right) = (Node::start(listen).await, Node::start(listen).await);
        let from_left = left.put(blocks(1, 128)).await;
        let from_right = right.put(blocks(2, 128)).await;
        left.connect(&right).await;
        tokio::join!(left.fetch(&from_right), right.fetch(&from_left));
        let stat = left.network.bitswap_stat().await;
        assert_eq!(stat.blocks_received, 128, "{listen}");
        assert_eq!(stat.data_received, 128 * BLOCK_LEN as u64, "{listen}");
        assert_eq!(stat.dup_blocks_received + stat.unasked_blocks_received, 0, "{listen}");
        assert_eq!(stat.wantlist, [], "{listen}");
        assert_eq!(stat.peers, [right.network.peer_id()], "{listen}");
        let ledger = left.network.ledger(right.network.peer_id()).await.unwrap();
        assert_eq!(ledger.received, stat.data_received, "{listen}");
        assert_eq!(ledger.sent, 128 * BLOCK_LEN as u64, "{listen}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_big_and_old_blocks_come_under_the_name_asked_for() {
    let (left, right) = (Node::start(TCP).await, Node::start(TCP).await);
    let sizes = [0, 1, 1024, 1025, 2 * 1024 * 1024];
    let all: Vec<Block> = sizes
        .iter()
        .map(|len| Block::sha2_256(codec::DAG_PB, Bytes::from(vec![3; *len])))
        .collect();
    let mut cids = left.put(all).await;
    let old: Vec<Cid> =
        cids.iter().map(|cid| cid.with_version(cairn_block::Version::V0).unwrap()).collect();
    cids.extend(old);
    right.connect(&left).await;
    right.fetch(&cids).await;
    let stat = right.network.bitswap_stat().await;
    assert_eq!(stat.blocks_received, 5, "both names of a block are one want");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_comes_later_is_sent_to_those_who_wait() {
    let (left, right) = (Node::start(TCP).await, Node::start(TCP).await);
    right.connect(&left).await;
    let late = blocks(4, 1);
    let cid = late[0].cid().clone();
    let wanted = [cid.clone()];
    let waiting = right.fetch(&wanted);
    let coming = async {
        let peer = right.network.peer_id();
        until(async || left.network.wantlist(Some(peer)).await == [cid.clone()]).await;
        left.put(late).await;
    };
    tokio::join!(waiting, coming);
    assert_eq!(left.network.wantlist(Some(right.network.peer_id())).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_fetched_is_passed_on_to_those_who_wait() {
    let (first, middle, last) =
        (Node::start(TCP).await, Node::start(TCP).await, Node::start(TCP).await);
    last.connect(&middle).await;
    let data = blocks(5, 3);
    let cids: Vec<Cid> = data.iter().map(|block| block.cid().clone()).collect();
    let chain = async {
        let peer = last.network.peer_id();
        until(async || middle.network.wantlist(Some(peer)).await.len() == 3).await;
        first.put(data).await;
        middle.connect(&first).await;
        middle.fetch(&cids).await;
    };
    tokio::join!(last.fetch(&cids), chain);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_fetch_takes_the_wants_back() {
    let (left, right) = (Node::start(TCP).await, Node::start(TCP).await);
    right.connect(&left).await;
    let missing = blocks(6, 1)[0].cid().clone();
    let session = right.network.session().with_timeout(Duration::from_millis(300));
    let peer = right.network.peer_id();
    let wanted = [missing.clone()];
    let fetching = session.fetch_many(&wanted);
    let watching = until(async || left.network.wantlist(Some(peer)).await.len() == 1);
    let (answers, ()) = tokio::join!(fetching, watching);
    assert!(answers[0].as_ref().unwrap_err().is_not_found());
    until(async || left.network.wantlist(Some(peer)).await.is_empty()).await;
    assert_eq!(right.network.wantlist(None).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_peer_dies_another_takes_over() {
    let (dying, living, asking) =
        (Node::start(TCP).await, Node::start(TCP).await, Node::start(TCP).await);
    let cids = dying.put(blocks(7, 200)).await;
    living.put(blocks(7, 200)).await;
    asking.connect(&dying).await;
    asking.connect(&living).await;
    let mut arrivals = std::pin::pin!(asking.network.session().fetch_stream(cids.clone()));
    let mut count = 0;
    while let Some((place, block)) = timeout(PATIENCE, arrivals.next()).await.unwrap() {
        assert_eq!(block.unwrap().cid(), &cids[place]);
        count += 1;
        if count == 20 {
            dying.tasks.stop(Duration::from_secs(10)).await;
        }
    }
    assert_eq!(count, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sessions_share_one_request() {
    let (left, right) = (Node::start(TCP).await, Node::start(TCP).await);
    let cids = left.put(blocks(8, 20)).await;
    let early = async { right.connect(&left).await };
    tokio::join!(right.fetch(&cids), right.fetch(&cids), early);
    assert_eq!(right.network.bitswap_stat().await.blocks_received, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_are_described_and_can_be_left() {
    let (left, right) = (Node::start(TCP).await, Node::start(TCP).await);
    right.connect(&left).await;
    let peer = left.network.peer_id();
    until(async || {
        let peers = right.network.peers().await;
        peers.first().is_some_and(|info| info.agent.starts_with("cairn/"))
    })
    .await;
    let info = right.network.peers().await.remove(0);
    assert_eq!((info.id, info.direction), (peer, Direction::Outbound));
    assert_eq!(info.addr, left.addr().await);
    for protocol in left.network.protocols() {
        assert!(info.protocols.contains(&protocol), "{protocol}");
    }
    let known = right.network.known_addrs().await;
    assert!(known.iter().any(|(id, addrs)| *id == peer && addrs.contains(&info.addr)));
    assert_eq!(left.network.peers().await[0].direction, Direction::Inbound);

    right.network.disconnect(peer).await.unwrap();
    until(async || right.network.peers().await.is_empty()).await;
    let again = right.network.disconnect(peer).await.unwrap_err();
    assert!(matches!(again, NetworkError::NotConnected { .. }), "{again}");
    let by_name: Multiaddr = format!("/p2p/{peer}").parse().unwrap();
    assert_eq!(right.network.connect(by_name).await.unwrap(), peer, "the address is known");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dial_that_fails_says_where_and_why() {
    let (left, right) = (Node::start(TCP).await, Node::start(TCP).await);
    let stranger = PeerId::random();
    let rows = [
        ("/ip4/127.0.0.1/tcp/1".to_owned(), "refused"),
        (format!("{}/p2p/{stranger}", left.addr().await), "peer"),
        (format!("/p2p/{stranger}"), "addresses"),
    ];
    for (addr, reason) in rows {
        let error = right.network.connect(addr.parse().unwrap()).await.unwrap_err();
        assert!(error.to_string().contains(&addr), "{error}");
        assert!(error.to_string().to_lowercase().contains(reason), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_named_and_others_still_work() {
    let holder = Node::start(TCP).await;
    let held = holder.addr().await;
    let tasks = Tasks::default();
    let mut config = NetworkConfig::new(generate_ed25519());
    config.listen = vec![held.clone()];
    let store = Arc::new(MemoryStore::default());
    let error = Network::start(config.clone(), Arc::clone(&store), &tasks).await.unwrap_err();
    assert!(matches!(&error, NetworkError::Listen { addr, .. } if *addr == held), "{error}");
    assert!(error.to_string().contains("in use"), "{error}");

    config.listen.push("/dns4/localhost/tcp/0".parse().unwrap());
    let network = Network::start(config, store, &tasks).await.unwrap();
    assert_eq!(network.listen_failures().len(), 1);
    assert_eq!(network.listen_addrs().await.len(), 1);
    tasks.stop(Duration::from_secs(10)).await;
    let stopped = network.connect(held).await.unwrap_err();
    assert!(matches!(stopped, NetworkError::Stopped), "{stopped}");
    assert_eq!(network.peers().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_cid_needs_nobody() {
    let alone = Node::start(TCP).await;
    let hash = cairn_block::Multihash::wrap(0, b"inline").unwrap();
    let cid = Cid::v1(codec::RAW, hash);
    let fetched = alone.network.session().fetch_many(&[cid]).await;
    assert_eq!(fetched[0].as_ref().unwrap().data(), &b"inline"[..]);
    assert!(alone.store.get(&blocks(1, 1)[0].cid().clone()).await.unwrap().is_none());
}
