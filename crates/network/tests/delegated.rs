//! Routers over HTTP: servers on loopback that answer well, badly, or never.
//!
//! Not here: reading answers (`src/routing/delegated/`), our own server (`cairn-gateway`).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "delegated/server.rs"]
mod server;

use cairn_block::{Block, Cid, MemoryStore, codec};
use cairn_names::{Keypair, Name, Record, RecordContent};
use cairn_network::{
    Contact, Network, NetworkConfig, PeerId, RoutersConfig, RoutingError, generate_ed25519,
};
use cairn_runtime::{Clock, Tasks};
use futures::StreamExt as _;
use serde_json::json;
use server::{Reply, Server};
use std::{sync::Arc, time::Duration};

/// A node that finds others by these servers only.
async fn node(
    routers: &[&Server],
    publishers: &[&Server],
    ignored: Vec<PeerId>,
) -> (Network, Tasks) {
    let tasks = Tasks::default();
    let mut config = NetworkConfig::new(generate_ed25519());
    let endpoints =
        |servers: &[&Server]| servers.iter().map(|server| server.url().parse().unwrap()).collect();
    config.routers =
        RoutersConfig { routers: endpoints(routers), publishers: endpoints(publishers), ignored };
    let store = Arc::new(MemoryStore::default());
    (Network::start(config, store, &tasks).await.unwrap(), tasks)
}

fn cid(text: &str) -> Cid {
    Block::sha2_256(codec::RAW, text.to_owned().into()).cid().clone()
}

fn line(peer: PeerId, addr: &str) -> String {
    format!("{}\n", json!({"Schema": "peer", "ID": peer.to_string(), "Addrs": [addr]}))
}

fn lines(text: impl Into<String>) -> Reply {
    Reply::of("application/x-ndjson", text.into().into_bytes())
}

async fn providers(network: &Network, cid: &Cid) -> Vec<Contact> {
    network.routing().find_providers(cid, None).collect().await
}

/// Makes the answer of a router that fails.
type Make = fn() -> Reply;

const ADDR: &str = "/ip4/127.0.0.1/tcp/4001";

#[tokio::test]
async fn several_routers_are_asked_and_each_peer_is_told_once() {
    let (one, two, three) = (PeerId::random(), PeerId::random(), PeerId::random());
    let as_lines = Server::start(move |_| lines([line(one, ADDR), line(two, ADDR)].concat())).await;
    let as_document = Server::start(move |_| {
        let peer =
            |peer: PeerId| json!({"Schema": "peer", "ID": peer.to_string(), "Addrs": [ADDR]});
        let document = json!({"Providers": [peer(two), peer(three)]});
        Reply::of("application/json; charset=utf-8", document.to_string().into_bytes())
    })
    .await;
    let (network, _tasks) = node(&[&as_lines, &as_document], &[], vec![three]).await;
    let cid = cid("wanted");
    let found = providers(&network, &cid).await;
    let mut peers: Vec<PeerId> = found.iter().map(|contact| contact.peer).collect();
    peers.sort_unstable();
    let mut expected = [one, two];
    expected.sort_unstable();
    assert_eq!(peers, expected, "once each, and nobody who is ignored");
    assert!(found.iter().all(|contact| contact.addrs == [ADDR.parse().unwrap()]));
    let asked = as_lines.asked();
    let head = &asked[0].head;
    assert!(
        head.starts_with(&format!("GET /routing/v1/providers/{cid}?filter-protocols=")),
        "{head}"
    );
    assert!(head.to_lowercase().contains("accept: application/x-ndjson"), "{head}");
    assert_eq!(as_document.asked().len(), 1);
}

#[tokio::test]
async fn a_router_that_fails_is_left_alone_and_stops_nobody() {
    let peer = PeerId::random();
    let good = Server::start(move |_| lines(line(peer, ADDR))).await;
    let bad: [(&str, Make, bool); 7] = [
        ("an error", || Reply::status(500), true),
        ("too busy", || Reply::status(429).with("Retry-After", "60"), true),
        ("another kind", || Reply::of("text/html", b"<p>".to_vec()), true),
        ("no end", || lines("x".repeat(100_000)), true),
        ("broken lines", || lines("{\n]\n\"x\"\n"), false),
        ("elsewhere", || Reply::status(302).with("Location", "file:///etc/passwd"), true),
        ("nothing", || Reply::status(404), false),
    ];
    for (name, make, is_left) in bad {
        let broken = Server::start(move |_| make()).await;
        let (network, tasks) = node(&[&broken, &good], &[], vec![]).await;
        for text in ["a", "b"] {
            let found = providers(&network, &cid(text)).await;
            assert_eq!(found.len(), 1, "{name}");
        }
        assert_eq!(broken.asked().len(), if is_left { 1 } else { 2 }, "{name}");
        tasks.stop(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn peers_are_asked_for_by_their_name() {
    let (peer, other) = (PeerId::random(), PeerId::random());
    let server = Server::start(move |_| {
        let records = [other, peer].map(|peer| {
            json!({"Schema": "peer", "ID": Name::of_peer(peer).to_string(), "Addrs": [ADDR]})
        });
        Reply::of("application/json", json!({"Peers": records}).to_string().into_bytes())
    })
    .await;
    let (network, _tasks) = node(&[&server], &[], vec![]).await;
    let found = network.routing().find_peer(peer, None).await.unwrap();
    assert_eq!((found.peer, found.addrs), (peer, vec![ADDR.parse().unwrap()]));
    let stranger = PeerId::random();
    let missing = network.routing().find_peer(stranger, None).await;
    assert_eq!(missing, Err(RoutingError::NotFound));
    let expected = format!("GET /routing/v1/peers/{} ", Name::of_peer(stranger));
    assert!(server.asked()[1].head.starts_with(&expected));
}

fn record(keys: &Keypair, sequence: u64) -> Vec<u8> {
    let end = Clock::system().now() + Duration::from_hours(1);
    let content =
        RecordContent::new(b"/ipfs/bafkqaaa".to_vec(), end.into(), sequence, Duration::ZERO);
    Record::create(keys, &content, true).unwrap().encode()
}

#[tokio::test]
async fn records_are_believed_if_they_are_signed_and_the_newest_counts() {
    let keys = Keypair::generate_ed25519();
    let name = Name::of_key(&keys.public());
    let (old, new) = (record(&keys, 1), record(&keys, 2));
    let forged = record(&Keypair::generate_ed25519(), 9);
    let serve = async |bytes: Vec<u8>, kind: &'static str| {
        Server::start(move |_| Reply::of(kind, bytes.clone())).await
    };
    let kind = "application/vnd.ipfs.ipns-record";
    let (liar, none) = (serve(forged, kind).await, serve(new.clone(), "text/plain").await);
    let (older, newer) = (serve(old.clone(), kind).await, serve(new.clone(), kind).await);
    let key = name.routing_key();
    let rows = [
        (vec![&liar], Err(RoutingError::NotFound)),
        (vec![&none], Err(RoutingError::NotFound)),
        (vec![&older, &liar], Ok(old)),
        (vec![&newer, &older], Ok(new.clone())),
    ];
    for (routers, expected) in rows {
        let (network, _tasks) = node(&routers, &[], vec![]).await;
        assert_eq!(network.routing().get_value(&key, None).await, expected);
    }
    let publisher = Server::start(|_| Reply::status(200)).await;
    let (network, _tasks) = node(&[&liar], &[&publisher], vec![]).await;
    assert_eq!(network.routing().put_value(&key, &new, None).await, Ok(1));
    let asked = publisher.asked();
    assert!(asked[0].head.starts_with(&format!("PUT /routing/v1/ipns/{name} ")));
    assert!(asked[0].body == new && asked[0].head.contains(kind));
    let refusing = Server::start(|_| Reply::status(400)).await;
    let (network, _tasks) = node(&[&liar], &[&refusing], vec![]).await;
    let refused = network.routing().put_value(&key, &new, None).await;
    assert_eq!(refused, Err(RoutingError::NotStored));
    assert!(liar.asked().iter().all(|asked| asked.head.starts_with("GET ")), "only asked");
}

#[tokio::test]
async fn a_search_that_is_dropped_ends_its_request() {
    let server = Server::start(|_| lines(line(PeerId::random(), ADDR)).without_end()).await;
    let (network, _tasks) = node(&[&server], &[], vec![]).await;
    let mut found = network.routing().find_providers(&cid("x"), None);
    assert!(found.next().await.is_some(), "told before the answer ends");
    drop(found);
    server.until_left().await;
}
