//! A node that nobody can reach is reached over a relay.
//!
//! Here everything is on loopback, so what can be reached is said by the config; behind real
//! routers: `nat.rs`.

use cairn_tests::{Daemon, Home, Peer, peers, tree::Random, until};
use serde_json::{Value, json};
use std::{thread, time::Duration};

/// A node that relays with these limits.
fn relay(service: Value) -> (Home, Daemon) {
    let home = Home::new();
    home.edit_config(|config| {
        config["Internal"]["Libp2pForceReachability"] = json!("public");
        config["Swarm"]["RelayService"] = service;
    });
    let daemon = home.daemon();
    (home, daemon)
}

/// A node that listens on nothing but a circuit over `relay`.
fn hidden(relay: &Daemon) -> (Home, Daemon) {
    let home = Home::new();
    home.edit_config(|config| {
        config["Addresses"]["Swarm"] = json!([]);
        config["Internal"]["Libp2pForceReachability"] = json!("private");
        config["Routing"]["Type"] = json!("none");
        config["Swarm"]["EnableHolePunching"] = json!(false);
        config["Swarm"]["RelayClient"] = json!({"StaticRelays": [relay.tcp_addr()]});
    });
    let daemon = home.daemon();
    until("a reservation", || !circuits(&daemon).is_empty());
    (home, daemon)
}

/// A node that keeps to circuits where it has dialled one.
fn visitor() -> (Home, Daemon) {
    let home = Home::new();
    home.edit_config(|config| {
        // A lookup of the other's would find this node and dial it.
        config["Routing"]["Type"] = json!("none");
        config["Swarm"]["EnableHolePunching"] = json!(false);
    });
    let daemon = home.daemon();
    (home, daemon)
}

fn circuits(daemon: &Daemon) -> Vec<String> {
    let mut addrs = daemon.swarm_addrs();
    addrs.retain(|addr| addr.contains("/p2p-circuit/p2p/"));
    addrs
}

#[test]
fn a_file_comes_over_a_relay_and_is_counted_once() {
    let (relay_home, relay) = relay(json!({"ConnectionDataLimit": 64 << 20}));
    let (alice, sender) = hidden(&relay);
    let (bob, receiver) = visitor();
    let told = relay.rpc("swarm/addrs/autonat");
    assert_eq!(told["reachability"], "Public", "{told}");
    assert!(relay_home.run(["id"]).text().contains("/libp2p/circuit/relay/0.2.0/hop"));
    assert_eq!(sender.rpc("swarm/addrs/autonat"), json!({"reachability": "Private"}));

    let bytes = Random::new(31).bytes(4 << 20);
    let cid = alice.add(&alice.file("a", &bytes));
    let addr = &circuits(&sender)[0];
    bob.run(["swarm", "connect", addr]).text();
    assert!(bob.run(["cat", &cid]).stdout == bytes);
    let peers = bob.run(["swarm", "peers"]).text();
    let circuit = peers.lines().find(|line| line.contains("/p2p-circuit")).expect(&peers);
    assert_eq!(circuit, addr, "the circuit is how they are connected");
    let seen = alice.run(["swarm", "peers"]).text();
    assert!(seen.lines().any(|line| line.contains("/p2p-circuit/p2p/")), "{seen}");

    let total = receiver.rpc("stats/bw")["TotalIn"].as_u64().unwrap();
    assert!((4 << 20..6 << 20).contains(&total), "counted twice: {total}");
}

#[test]
fn a_relay_cuts_what_exceeds_its_limit() {
    let (_relay_home, relay) = relay(json!({"ConnectionDataLimit": 256 << 10}));
    let (alice, sender) = hidden(&relay);
    let (bob, _receiver) = visitor();
    let (small, large) = (Random::new(32).bytes(20 << 10), Random::new(33).bytes(4 << 20));
    let (small_cid, large_cid) =
        (alice.add(&alice.file("s", &small)), alice.add(&alice.file("l", &large)));
    let addr = &circuits(&sender)[0];
    bob.run(["swarm", "connect", addr]).text();
    assert_eq!(bob.run(["cat", &small_cid]).stdout, small);
    let cut = bob.run(["cat", "--timeout", "5s", &large_cid]);
    assert!(cut.code == Some(1) && cut.stdout.len() < 256 << 10, "{:?}", cut.code);
    let peers = bob.run(["swarm", "peers"]).text();
    assert!(!peers.contains("/p2p-circuit"), "{peers}");
    // The relay goes on, and so does the reservation.
    bob.run(["swarm", "connect", addr]).text();
}

#[test]
fn a_reservation_is_renewed_and_made_again() {
    let (_relay_home, relay) = relay(json!({"ReservationTTL": "4s"}));
    let (_alice, sender) = hidden(&relay);
    let addr = circuits(&sender)[0].clone();
    // Three times as long as it lasts, reached by somebody new each time.
    for _ in 0..6 {
        let (bob, _visitor) = visitor();
        bob.run(["swarm", "connect", &addr]).text();
        thread::park_timeout(Duration::from_secs(2));
    }
}

#[test]
fn what_is_not_public_does_not_relay() {
    let home = Home::new();
    let daemon = home.daemon();
    assert!(!home.run(["id"]).text().contains("/libp2p/circuit/relay/0.2.0/hop"));
    let told = daemon.rpc("swarm/addrs/autonat");
    assert_eq!(told, json!({"reachability": "Unknown"}));
    let (bob, _visitor) = visitor();
    let nobody = "12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d";
    let over = format!("{}/p2p-circuit/p2p/{nobody}", daemon.tcp_addr());
    bob.run(["swarm", "connect", &over]).failure();
}

#[test]
fn a_direct_connection_takes_a_circuits_place() {
    let (_relay_home, relay) = relay(json!({}));
    let (alice, bob) = (Home::new(), Home::new());
    alice.edit_config(|config| {
        config["Internal"]["Libp2pForceReachability"] = json!("private");
        config["Swarm"]["RelayClient"] = json!({"StaticRelays": [relay.tcp_addr()]});
    });
    let (sender, receiver) = (alice.daemon(), bob.daemon());
    let id = sender.rpc("id")["ID"].as_str().unwrap().to_owned();
    until("a reservation", || !circuits(&sender).is_empty());
    bob.run(["swarm", "connect", &circuits(&sender)[0]]).text();
    until("a direct connection, and no other", || {
        let told = receiver.rpc("swarm/peers");
        let peers = told["Peers"].as_array().unwrap().iter();
        let addrs = peers.filter(|peer| peer["Peer"] == id.as_str()).map(|peer| &peer["Addr"]);
        let addrs: Vec<_> = addrs.filter_map(Value::as_str).collect();
        !addrs.is_empty() && addrs.iter().all(|addr| !addr.contains("/p2p-circuit"))
    });
    // More than the circuit would have carried.
    let bytes = Random::new(34).bytes(2 << 20);
    let cid = alice.add(&alice.file("a", &bytes));
    assert!(bob.run(["cat", &cid]).stdout == bytes);
}

#[test]
fn helia_is_reached_over_our_relay_and_dials_over_it() {
    let Some(installed) = peers() else { return };
    let (_relay_home, relay) = relay(json!({}));
    let (_alice, sender) = hidden(&relay);
    let (bob, _receiver) = visitor();
    let mut helia = Peer::helia(&installed, &["tcp", &relay.tcp_addr()]);
    let mut circuit = None;
    for _ in 0..600 {
        let told = helia.ask(&json!({"op": "addrs"}));
        let addrs = told["addrs"].as_array().unwrap().iter().filter_map(Value::as_str);
        circuit = addrs.into_iter().find(|addr| addr.contains("/p2p-circuit/")).map(str::to_owned);
        if circuit.is_some() {
            break;
        }
        thread::park_timeout(Duration::from_millis(100));
    }
    let circuit = circuit.expect("Helia got a reservation");
    bob.run(["swarm", "connect", &circuit]).text();
    let id = circuit.rsplit('/').next().unwrap();
    assert!(bob.run(["id", id]).text().contains("js-libp2p"), "who answers is Helia");
    helia.connect(&circuits(&sender)[0]);
}
