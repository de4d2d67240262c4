//! Connections as operators see and change them.
//!
//! Not here: what goes over them (`transfer_*.rs`).

use cairn_tests::{Daemon, Home, run, tree};
use serde_json::{Value, json};
use std::{fs, time::Duration};

fn id_of(home: &Home) -> String {
    home.config()["Identity"]["PeerID"].as_str().expect("a peer ID").to_owned()
}

fn connect(from: &Home, to: &Daemon) {
    let said = from.run(["swarm", "connect", &to.tcp_addr()]).text();
    assert!(said.contains("success"), "{said}");
}

fn key(home: &Home, text: &str) {
    fs::write(home.repo().join("swarm.key"), text).expect("writing the key");
}

fn private(home: &Home, byte: &str) {
    key(home, &format!("/key/swarm/psk/1.0.0/\n/base16/\n{}\n", byte.repeat(32)));
}

#[test]
fn echoes_identities_and_counts() {
    let (alice, bob) = (Home::new(), Home::new());
    let (sender, receiver) = (alice.daemon(), bob.daemon());
    let id = id_of(&alice);
    connect(&bob, &sender);
    let said = bob.run(["ping", "-n", "2", &id]).text();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    assert_eq!(lines[0], format!("PING {id}."));
    assert!(lines[1].starts_with("Pong received: time=") && lines[1].ends_with(" ms"), "{said}");
    assert!(lines[3].starts_with("Average latency: ") && lines[3].ends_with("ms"), "{said}");
    assert!(bob.run(["ping", "-n", "0", &id]).failure().contains("greater than 0"));
    assert!(bob.run(["ping", &id_of(&bob)]).failure().contains("can't ping self"));

    let theirs: Value = serde_json::from_str(&bob.run(["id", &id]).text()).unwrap();
    let own = alice.run(["id", "-f", "<pubkey>"]).text();
    assert_eq!(theirs["PublicKey"], own.as_str());
    assert!(theirs["AgentVersion"].as_str().unwrap().starts_with("cairn/"));

    let bytes = tree::Random::new(21).bytes(1_000_000);
    let cid = alice.add(&alice.file("a", &bytes));
    assert_eq!(bob.run(["cat", &cid]).stdout, bytes);
    let told = receiver.rpc("stats/bw");
    assert!(told["TotalIn"].as_u64().unwrap() > 1_000_000, "{told}");
    assert_eq!(receiver.rpc(&format!("stats/bw?peer={id}"))["TotalIn"], told["TotalIn"]);
    assert!(bob.run(["stats", "bw"]).text().starts_with("Bandwidth\nTotalIn: 1.0 MB"));
}

#[test]
fn peers_stay_connected() {
    let (alice, bob) = (Home::new(), Home::new());
    let (sender, receiver) = (alice.daemon(), bob.daemon());
    let id = id_of(&alice);
    let addr = sender.tcp_addr();
    assert_eq!(bob.run(["swarm", "peering", "add", &addr]).text(), format!("add {id} success"));
    let is_connected = || receiver.rpc("swarm/peers").to_string().contains(&id);
    for _ in 0..600 {
        if is_connected() {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    assert!(is_connected());
    let listed = bob.run(["swarm", "peering", "ls"]).text();
    let bare = addr.split("/p2p/").next().unwrap();
    assert_eq!(listed, format!("{id}\n\t{bare}"));
    let removed = bob.run(["swarm", "peering", "rm", &id]).text();
    assert_eq!(removed, format!("remove {id} success"));
    assert_eq!(bob.run(["swarm", "peering", "ls"]).text(), "");
    assert!(is_connected());
    let wrong = bob.run(["swarm", "peering", "add", bare]);
    assert!(wrong.failure().contains("/p2p/PEER"), "{}", wrong.failure());
}

#[test]
fn filters_count_at_once_and_are_kept() {
    let (alice, bob) = (Home::new(), Home::new());
    let (sender, receiver) = (alice.daemon(), bob.daemon());
    let range = "/ip4/127.0.0.0/ipcidr/8";
    assert_eq!(bob.run(["swarm", "filters", "add", range]).text(), range);
    assert_eq!(bob.run(["swarm", "filters"]).text(), range);
    assert_eq!(bob.config()["Swarm"]["AddrFilters"], json!([range]));
    bob.run(["swarm", "connect", &sender.tcp_addr()]).failure();
    alice.run(["swarm", "connect", &receiver.tcp_addr()]).failure();
    assert!(bob.run(["swarm", "filters", "add", "/ip4/1.2.3.4"]).failure().contains("ipcidr"));
    receiver.stop();
    let _receiver = bob.daemon();
    bob.run(["swarm", "connect", &sender.tcp_addr()]).failure();
    assert_eq!(bob.run(["swarm", "filters", "rm", "all"]).text(), range);
    assert_eq!(bob.config()["Swarm"]["AddrFilters"], json!([]));
    connect(&bob, &sender);
}

#[test]
fn a_private_network_is_closed_to_others() {
    let (alice, bob, carol) = (Home::new(), Home::new(), Home::new());
    private(&alice, "0a");
    private(&bob, "0a");
    let cid = alice.add(&alice.file("a", "among friends"));
    let (sender, _receiver) = (alice.daemon(), bob.daemon());
    let _stranger = carol.daemon();
    connect(&bob, &sender);
    assert_eq!(bob.run(["cat", &cid]).text(), "among friends");
    carol.run(["swarm", "connect", &sender.tcp_addr()]).failure();
    assert!(sender.swarm_addrs().iter().all(|addr| !addr.contains("quic")));
}

#[test]
fn a_private_network_is_never_left_by_mistake() {
    let home = Home::new();
    for (text, expected) in [("nonsense", "first line"), ("", "first line")] {
        key(&home, text);
        let refused = home.run(["daemon"]);
        let said = refused.failure();
        assert!(said.contains("swarm.key") && said.contains(expected), "{said}");
    }
    fs::remove_file(home.repo().join("swarm.key")).unwrap();
    let mut command = home.command();
    command.arg("daemon").env("LIBP2P_FORCE_PNET", "1");
    let refused = run(&mut command);
    assert!(refused.failure().contains("LIBP2P_FORCE_PNET"), "{}", refused.failure());
}
