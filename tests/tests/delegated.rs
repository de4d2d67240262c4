//! Routing and retrieval over HTTP with the programs of others: Helia's client asks our router,
//! our node asks Helia's, and a gateway is the only place where blocks are.
//!
//! Not here: answers one by one (`crates/services/gateway/tests/http/delegated.rs`), servers that
//! fail or lie (`crates/network/tests/`).

use cairn_tests::{Daemon, Home, Peer, node_script, peers, tree, until};
use serde_json::json;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// A record that is valid for a hundred years, and its name.
const RECORD: &str =
    "k51qzi5uqu5dlkw8pxuw9qmqayfdeh4kfebhmreauqdc6a7c3y7d5i9fi8mk9w_v1-v2.ipns-record";

fn record() -> (PathBuf, &'static str) {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/ipns");
    (vectors.join(RECORD), RECORD.split('_').next().expect("a name"))
}

fn id(daemon: &Daemon) -> String {
    daemon.rpc("id")["ID"].as_str().expect("a node has an ID").to_owned()
}

fn has_peers(daemon: &Daemon) -> bool {
    let stat = daemon.rpc("stats/dht?arg=lan");
    let buckets = stat["Buckets"].as_array().expect("a table has buckets").clone();
    buckets.iter().any(|bucket| bucket["Peers"].as_array().is_some_and(|peers| !peers.is_empty()))
}

/// A node that knows nobody but a router.
fn delegated(router: &str) -> (Home, Daemon) {
    let home = Home::new();
    home.edit_config(|config| {
        config["Routing"]["Type"] = json!("delegated");
        config["Routing"]["DelegatedRouters"] = json!([router]);
        config["Ipns"]["DelegatedPublishers"] = json!([router]);
    });
    let daemon = home.daemon();
    (home, daemon)
}

fn web_addr(socket: SocketAddr) -> String {
    format!("/ip4/{}/tcp/{}/http", socket.ip(), socket.port())
}

#[test]
fn helias_client_finds_what_our_router_finds() {
    let Some(peers) = peers() else { return };
    let near = Home::new();
    let router = near.daemon();
    let far = Home::new();
    far.edit_config(|config| config["Bootstrap"] = json!([router.tcp_addr()]));
    let other = far.daemon();
    until("the nodes know each other", || has_peers(&router) && has_peers(&other));
    let cid = far.add(&far.file("a", "theirs"));
    far.run(["routing", "provide", &cid]).text();
    until("it is announced", || !near.run(["routing", "findprovs", &cid]).text().is_empty());
    let (record, name) = record();
    let record = record.to_str().expect("the path is text");
    let url = format!("http://{}/", router.gateway);
    let args = [url.as_str(), &cid, &id(&other), name, record];
    let outcome = node_script(&peers, "routing_client.mjs", &args);
    let parts = "providers filters peers closest records";
    let expected: Vec<String> = parts.split(' ').map(|part| format!("ok {part}")).collect();
    assert_eq!(outcome.text(), expected.join("\n"));
    // What Helia published is known in the DHT.
    let got = far.run(["routing", "get", &format!("/ipns/{name}")]).text();
    assert!(got.len() > 100, "{got}");
}

#[test]
fn our_node_finds_what_helias_router_knows() {
    let Some(peers) = peers() else { return };
    let peer = "12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d";
    let router = Peer::router(&peers, peer, "/ip4/127.0.0.1/tcp/4001");
    let (home, daemon) = delegated(router.url());
    assert_eq!(home.run(["routing", "findprovs", "bafkqaaa"]).text(), peer);
    assert_eq!(home.run(["routing", "findpeer", peer]).text(), "/ip4/127.0.0.1/tcp/4001");
    let missing = home.run(["routing", "findpeer", &id(&daemon)]);
    assert!(missing.failure().contains("not found"), "{missing:?}");
    let (record, name) = record();
    let name = format!("/ipns/{name}");
    assert!(home.run(["routing", "get", &name]).failure().contains("not found"));
    let put = ["routing".as_ref(), "put".as_ref(), name.as_ref(), record.as_os_str()];
    home.run(put).text();
    assert!(home.run(["routing", "get", &name]).text().len() > 100);
    let refused = home.run(["routing", "provide", "bafkqaaa"]);
    assert_eq!(refused.code, Some(1), "there is no way to announce");
}

#[test]
fn a_gateway_that_a_router_names_is_the_only_source() {
    let Some(peers) = peers() else { return };
    let source = Home::new();
    let files = source.path("source");
    tree::make(&files, 51);
    let root = source.add(&files);
    let gateway = source.daemon();
    let router = Peer::router(&peers, &id(&gateway), &web_addr(gateway.gateway));
    let (home, daemon) = delegated(router.url());
    let target = home.path("target");
    home.run(["get".as_ref(), root.as_ref(), "-o".as_ref(), target.as_os_str()]).text();
    tree::assert_same(&files, &target);
    assert_eq!(daemon.rpc("swarm/peers")["Peers"].as_array().map_or(0, Vec::len), 0, "by HTTP");
    let stat = daemon.rpc("bitswap/stat");
    assert_eq!(stat["DupBlksReceived"], json!(0), "{stat}");
}

#[test]
fn a_gateway_that_the_operator_names_is_asked_for_what_nobody_has() {
    let source = Home::new();
    let files = source.path("source");
    tree::make(&files, 52);
    let root = source.add(&files);
    let gateway = source.daemon();
    let home = Home::new();
    home.edit_config(|config| {
        config["Routing"]["Type"] = json!("none");
        let url = format!("http://{}", gateway.gateway);
        config["Cairn"]["HTTPRetrieval"] = json!({"Gateways": [url]});
    });
    let _daemon = home.daemon();
    let target = home.path("target");
    home.run(["get".as_ref(), root.as_ref(), "-o".as_ref(), target.as_os_str()]).text();
    tree::assert_same(&files, &target);
}

#[test]
fn our_router_serves_our_own_nodes() {
    let source = Home::new();
    let files = source.path("source");
    tree::make(&files, 53);
    let root = source.add(&files);
    let between = Home::new();
    let router = between.daemon();
    source.edit_config(|config| config["Bootstrap"] = json!([router.tcp_addr()]));
    let other = source.daemon();
    until("the nodes know each other", || has_peers(&router) && has_peers(&other));
    source.run(["routing", "provide", &root]).text();
    let (home, _daemon) = delegated(&format!("http://{}", router.gateway));
    until("it is announced", || !home.run(["routing", "findprovs", &root]).text().is_empty());
    let target = home.path("target");
    home.run(["get".as_ref(), root.as_ref(), "-o".as_ref(), target.as_os_str()]).text();
    tree::assert_same(&files, &target);
}
