//! The page that monitors collect: it can be read, it counts, and web pages do not get it.

use cairn_tests::{Daemon, Home, http};
use std::collections::BTreeMap;

const PATH: &str = "/debug/metrics/prometheus";

/// Reads the page by the rules of the format: every value stands below its help and type.
fn values(daemon: &Daemon) -> BTreeMap<String, f64> {
    let answer = http::get(daemon.api, PATH);
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").is_some_and(|kind| kind.contains("version=0.0.4")));
    let mut values = BTreeMap::new();
    let mut current = String::new();
    for line in answer.text().lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            help.split(' ').next().expect("a name").clone_into(&mut current);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let kinds = ["counter", "gauge"].map(|kind| format!("{current} {kind}"));
            assert!(kinds.iter().any(|known| known == kind), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            assert_eq!(name.split('{').next(), Some(current.as_str()));
            let value = value.parse().expect("a number");
            assert!(values.insert(name.to_owned(), value).is_none(), "{name} comes twice");
        }
    }
    values
}

#[test]
fn the_page_counts_what_happens() {
    let (home, other) = (Home::new(), Home::new());
    let (daemon, peer) = (home.daemon(), other.daemon());
    let before = values(&daemon);
    assert!(before["ipfs_p2p_peers_total"] < 0.5);
    assert!(before["process_resident_memory_bytes"] > 1e6);
    assert!(before["cairn_repo_max_bytes"] > 1e9);
    assert!(before["process_start_time_seconds"] > 1.7e9);
    let cid = home.add(&home.file("a", vec![7; 1_000_000]));
    other.run(["swarm", "connect", &daemon.tcp_addr()]).text();
    assert!(!other.run(["cat", &cid]).text().is_empty());
    let after = values(&daemon);
    let grown = |name: &str| after[name] - before[name];
    assert!(grown("cairn_blocks") >= 2.0);
    assert!(grown("cairn_bitswap_blocks_total{direction=\"out\"}") >= 2.0);
    assert!(grown("cairn_bitswap_bytes_total{direction=\"out\"}") >= 250_000.0);
    assert!(grown("cairn_network_bytes_total{direction=\"out\"}") >= 250_000.0);
    assert!(grown("ipfs_http_requests_total{handler=\"api\",code=\"200\"}") >= 2.0);
    assert!(after["ipfs_p2p_peers_total"] > 0.5);
    assert!(values(&peer)["cairn_bitswap_blocks_total{direction=\"in\"}"] >= 2.0);
}

#[test]
fn foreign_web_pages_do_not_get_it() {
    let home = Home::new();
    let daemon = home.daemon();
    let request = http::Request {
        method: "GET",
        target: PATH,
        headers: &[("Origin", "http://example.com")],
        ..http::Request::default()
    };
    assert_eq!(http::send(daemon.api, &request).status, 403);
    assert_eq!(http::post(daemon.api, PATH).status, 404);
    assert_eq!(http::get(daemon.api, "/debug/metrics").status, 405);
}
