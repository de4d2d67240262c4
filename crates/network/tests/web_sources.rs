//! Blocks from web servers on loopback: good ones, and all the ways in which others are not.
//!
//! Not here: real gateways (`tests/`), which addresses are servers (`src/retrieval/web/`).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "delegated/server.rs"]
mod server;

use cairn_block::{Block, BlockStore as _, Cid, MemoryStore, codec};
use cairn_network::{Network, NetworkConfig, PeerId, RoutersConfig, WebConfig, generate_ed25519};
use cairn_runtime::Tasks;
use serde_json::json;
use server::{Asked, Reply, Server};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(2);
const RAW: &str = "application/vnd.ipld.raw";

fn blocks(count: usize, len: usize) -> Vec<Block> {
    let block = |index: usize| {
        let mut data = vec![7; len];
        data[..8].copy_from_slice(&(index as u64).to_le_bytes());
        Block::sha2_256(codec::RAW, data.into())
    };
    (0..count).map(block).collect()
}

fn cids(blocks: &[Block]) -> Vec<Cid> {
    blocks.iter().map(|block| block.cid().clone()).collect()
}

/// What a gateway with these blocks answers.
fn gateway(blocks: &[Block]) -> impl Fn(&Asked) -> Reply + Send + Sync + 'static {
    let paths: HashMap<String, Block> = blocks
        .iter()
        .map(|block| (format!("/ipfs/{}?format=raw", block.cid()), block.clone()))
        .collect();
    move |asked| match paths.get(path(asked)) {
        Some(block) => Reply::of(RAW, block.data().to_vec()),
        None => Reply::status(404),
    }
}

fn path(asked: &Asked) -> &str {
    asked.head.split(' ').nth(1).unwrap()
}

/// A router that says these servers have everything.
async fn router(servers: &[&Server]) -> Server {
    let line = |server: &&Server| {
        let addr = server.url().replace("http://", "").replace(':', "/tcp/");
        let record = json!({
            "Schema": "peer", "ID": PeerId::random().to_string(),
            "Addrs": [format!("/ip4/{addr}/http")],
            "Protocols": ["transport-ipfs-gateway-http"],
        });
        format!("{record}\n")
    };
    let text: String = servers.iter().map(line).collect();
    Server::start(move |_| Reply::of("application/x-ndjson", text.clone())).await
}

struct Node {
    network: Network,
    store: Arc<MemoryStore>,
    _tasks: Tasks,
}

async fn node(router: Option<&Server>, web: WebConfig) -> Node {
    let tasks = Tasks::default();
    let mut config = NetworkConfig::new(generate_ed25519());
    config.listen.push("/ip4/127.0.0.1/tcp/0".parse().unwrap());
    let routers = router.iter().map(|router| router.url().parse().unwrap()).collect();
    config.routers = RoutersConfig { routers, ..RoutersConfig::default() };
    config.web = web;
    let store = Arc::new(MemoryStore::default());
    let network = Network::start(config, Arc::clone(&store), &tasks).await.unwrap();
    Node { network, store, _tasks: tasks }
}

async fn fetch(node: &Node, wanted: &[Block]) {
    let fetched = timeout(PATIENCE, node.network.session().fetch_many(&cids(wanted))).await;
    for (block, fetched) in wanted.iter().zip(fetched.unwrap()) {
        assert_eq!(&fetched.unwrap(), block);
    }
}

/// Fetches one block within a second, or not.
async fn has(node: &Node, wanted: &Block) -> bool {
    let session = node.network.session().with_timeout(Duration::from_secs(1));
    session.fetch_many(&[wanted.cid().clone()]).await.remove(0).is_ok()
}

#[tokio::test]
async fn a_server_that_a_router_names_gives_all_blocks_once_each() {
    let wanted = blocks(200, 5000);
    let server = Server::start(gateway(&wanted)).await;
    let router = router(&[&server]).await;
    let node = node(Some(&router), WebConfig::default()).await;
    fetch(&node, &wanted).await;
    let asked = server.asked();
    assert_eq!(asked.len(), 200, "each block is asked for once");
    assert!(asked.iter().all(|asked| asked.body.is_empty()));
    assert!(asked[0].head.to_lowercase().contains(&format!("accept: {RAW}")), "{}", asked[0].head);
    let stat = node.network.bitswap_stat().await;
    assert_eq!((stat.blocks_received, stat.dup_blocks_received), (200, 0));
}

#[tokio::test]
async fn peers_and_servers_share_the_work_of_one_session() {
    let wanted = blocks(400, 20_000);
    let server = Server::start(gateway(&wanted)).await;
    let router = router(&[&server]).await;
    let (node, peer) =
        (node(Some(&router), WebConfig::default()).await, node(None, WebConfig::default()).await);
    peer.store.put_many(wanted.clone()).await.unwrap();
    node.network.connect(peer.network.listen_addrs().await.remove(0)).await.unwrap();
    fetch(&node, &wanted).await;
    let stat = node.network.bitswap_stat().await;
    let from_web = server.asked().len();
    assert!(stat.dup_blocks_received <= 12, "{stat:?}");
    assert!(from_web <= 412, "{from_web}");
}

#[tokio::test]
async fn only_sessions_that_learned_of_a_server_ask_it() {
    let wanted = blocks(2, 100);
    let server = Server::start(gateway(&wanted)).await;
    let answers = AtomicUsize::new(0);
    let named = router(&[&server]).await;
    let text = {
        // The first question is answered with the server, later ones with nobody.
        let asked = reply_of(&named).await;
        Server::start(move |_| match answers.fetch_add(1, Ordering::Relaxed) {
            0 => Reply::of("application/x-ndjson", asked.clone()),
            _ => Reply::status(404),
        })
        .await
    };
    let node = node(Some(&text), WebConfig::default()).await;
    fetch(&node, &wanted[..1]).await;
    assert!(!has(&node, &wanted[1]).await, "another session does not know of it");
    let other = wanted[1].cid().to_string();
    assert!(server.asked().iter().all(|asked| !path(asked).contains(&other)), "nor tells it");
}

/// Makes the answer of a server that is no good.
type Make = fn() -> Reply;

/// The body that a server answers with.
async fn reply_of(server: &Server) -> Vec<u8> {
    let tasks = Tasks::default();
    let web = cairn_web::Client::new(&tasks, cairn_web::Trust::System);
    let answer = web.send(cairn_web::Ask::get(server.url())).await.unwrap();
    answer.whole(1 << 20).await.unwrap().to_vec()
}

#[tokio::test]
async fn servers_that_lie_or_fail_are_left_and_others_asked() {
    let wanted = blocks(20, 3000);
    let good = Server::start(gateway(&wanted)).await;
    let rows: [(&str, Make, usize); 7] = [
        ("wrong bytes", || Reply::of(RAW, b"something else".to_vec()), 8),
        ("no end", || Reply::of(RAW, vec![0; 3 << 20]), 10),
        ("elsewhere", || Reply::status(302).with("Location", "http://127.0.0.1:1/"), 10),
        ("an error", || Reply::status(500), 10),
        ("for much later", || Reply::status(429).with("Retry-After", "3600"), 8),
        ("nothing", || Reply::status(404), 20),
        ("half a block", || Reply::of(RAW, vec![0; 10]).with("Content-Length", "3000"), 12),
    ];
    for (name, make, most) in rows {
        let bad = Server::start(move |_| make()).await;
        let router = router(&[&bad, &good]).await;
        let node = node(Some(&router), WebConfig::default()).await;
        fetch(&node, &wanted).await;
        let asked = bad.asked();
        assert!(asked.len() <= most, "{name}: asked {} times", asked.len());
        let stat = node.network.bitswap_stat().await;
        assert_eq!(stat.blocks_received, 20, "{name}: what was wrong never counted");
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again_when_it_says() {
    let wanted = blocks(10, 100);
    let (answer, count) = (gateway(&wanted), AtomicUsize::new(0));
    let server = Server::start(move |asked| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::status(429).with("Retry-After", "1"),
        _ => answer(asked),
    })
    .await;
    let router = router(&[&server]).await;
    let node = node(Some(&router), WebConfig::default()).await;
    fetch(&node, &wanted).await;
    assert_eq!(server.asked().len(), 11);
}

#[tokio::test]
async fn a_slow_server_stops_nobody_and_is_left_with_its_session() {
    let wanted = blocks(3, 100);
    let slow = Server::start(|_| Reply::of(RAW, vec![0; 10]).without_end()).await;
    let first = router(&[&slow]).await;
    let node = node(Some(&first), WebConfig::default()).await;
    let session = node.network.session();
    let cids = cids(&wanted);
    let fetching = session.fetch_many(&cids);
    let asked = async {
        while slow.asked().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = fetching => unreachable!("nobody has it"),
        asked = timeout(PATIENCE, asked) => asked.unwrap(),
    }
    // The fetch is dropped: so is the request.
    timeout(PATIENCE, slow.until_left()).await.unwrap();
}

#[tokio::test]
async fn named_gateways_are_asked_for_what_nobody_has() {
    let wanted = blocks(5, 100);
    let server = Server::start(gateway(&wanted)).await;
    let gateways = vec![server.url().parse().unwrap()];
    let node = node(None, WebConfig { gateways, ..WebConfig::default() }).await;
    fetch(&node, &wanted).await;
    assert_eq!(server.asked().len(), 5);
}

#[tokio::test]
async fn lists_of_hosts_are_heeded() {
    let wanted = blocks(1, 100);
    let server = Server::start(gateway(&wanted)).await;
    let router = router(&[&server]).await;
    let names = |name: &str| vec![name.to_owned()];
    let usual = WebConfig::default();
    let rows = [
        (WebConfig { enabled: false, ..usual.clone() }, false),
        (WebConfig { allowed: names("example.com"), ..usual.clone() }, false),
        (WebConfig { denied: names("127.0.0.1"), ..usual.clone() }, false),
        (WebConfig { block_len_max: 99, ..usual.clone() }, false),
        (WebConfig { allowed: names("127.0.0.1"), ..usual }, true),
    ];
    for (config, expected) in rows {
        let node = node(Some(&router), config.clone()).await;
        assert_eq!(has(&node, &wanted[0]).await, expected, "{config:?}");
    }
}
