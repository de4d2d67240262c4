//! Publish and subscribe over the binary, in the form that Kubo's clients speak.
//!
//! Not here: how messages spread (`crates/network/tests/pubsub.rs`).

use cairn_tests::{Daemon, Home, Peer, Running, fail, http, peers};
use serde_json::json;

const FLAG: &[&str] = &["--enable-pubsub-experiment"];

fn connect(from: &Home, to: &Daemon) {
    let said = from.run(["swarm", "connect", &to.tcp_addr()]).text();
    assert!(said.contains("success"), "{said}");
}

/// Publishes until what is published is heard: a subscription takes a moment to be known.
fn publish_until_heard(home: &Home, heard: &mut Running, topic: &str) -> String {
    let message = home.file("message", "hello, peers\n");
    for _ in 0..100 {
        let published = home.run(["pubsub", "pub", topic, message.to_str().expect("a name")]);
        assert_eq!(published.text(), "");
        if let Ok(Some(line)) = heard.line_within(std::time::Duration::from_millis(300)) {
            return line;
        }
    }
    fail("nothing was heard")
}

#[test]
fn messages_go_from_one_node_to_another() {
    let (alice, bob) = (Home::new(), Home::new());
    let (sender, receiver) = (alice.daemon_with(FLAG), bob.daemon_with(FLAG));
    connect(&bob, &sender);
    let topic = "a topic, with ümlauts";
    let mut heard = Running::start(bob.command().args(["pubsub", "sub", topic]));
    let line = publish_until_heard(&alice, &mut heard, topic);
    assert_eq!(line, "hello, peers");
    assert_eq!(bob.run(["pubsub", "ls"]).text(), topic);
    let encoded = "uYSB0b3BpYywgd2l0aCDDvG1sYXV0cw";
    assert_eq!(receiver.rpc("pubsub/ls"), json!({"Strings": [encoded]}));
    let id = bob.config()["Identity"]["PeerID"].clone();
    assert_eq!(sender.rpc(&format!("pubsub/peers?arg={encoded}")), json!({"Strings": [id]}));
    assert_eq!(bob.run(["pubsub", "reset"]).text(), "");
    drop(heard);
}

#[test]
fn what_is_wrong_is_said() {
    let (quiet, home) = (Home::new(), Home::new());
    let _quiet = quiet.daemon();
    assert!(quiet.run(["pubsub", "ls"]).failure().contains("Pubsub.Enabled"));
    home.edit_config(|config| config["Pubsub"] = json!({"Enabled": true}));
    let daemon = home.daemon();
    let long = home.file("long", vec![b'x'; 1024 * 1024 + 1]);
    let refused = home.run(["pubsub", "pub", "a", long.to_str().expect("a name")]);
    assert!(refused.failure().contains("1048576"), "{}", refused.failure());
    let plain = http::post(daemon.api, "/api/v0/pubsub/peers?arg=!plain");
    assert_eq!(plain.status, 400);
    assert!(plain.text().contains("multibase"), "{}", plain.text());
}

#[test]
fn messages_go_to_kubo_and_back() {
    let Some(peers) = peers() else { return };
    let home = Home::new();
    let daemon = home.daemon_with(FLAG);
    let mut kubo = Peer::kubo(&peers);
    kubo.connect(&daemon.tcp_addr());
    let topic = "between implementations";
    let listening = kubo.ask(&json!({"op": "subscribe", "topic": topic}))["id"].clone();
    let mut heard = Running::start(home.command().args(["pubsub", "sub", topic]));
    let from_us = home.file("message", "from cairn");
    let (mut there, mut back) = (false, false);
    for _ in 0..200 {
        home.run(["pubsub", "pub", topic, from_us.to_str().expect("a name")]).text();
        kubo.ask(&json!({"op": "publish", "topic": topic, "text": "from kubo\n"}));
        let message = kubo.ask(&json!({"op": "next", "id": listening}))["message"].clone();
        there |= message["data"] == "ZnJvbSBjYWlybg==";
        let wait = std::time::Duration::from_millis(100);
        while let Ok(Some(line)) = heard.line_within(wait) {
            back |= line.ends_with("from kubo");
        }
        if there && back {
            return;
        }
    }
    fail(&format!("heard there: {there}, heard here: {back}"));
}
