//! Limits on connections and streams, as operators set and see them.

use cairn_tests::{Daemon, Home};
use serde_json::{Value, json};
use std::fs;

fn limits(home: &Home, tree: &Value) {
    let path = home.repo().join("libp2p-resource-limit-overrides.json");
    fs::write(path, tree.to_string()).expect("the file can be written");
}

fn visit(daemon: &Daemon) -> (Home, Daemon, Option<i32>) {
    let home = Home::new();
    home.edit_config(|config| config["Routing"]["Type"] = json!("none"));
    let visitor = home.daemon();
    let code = home.run(["swarm", "connect", &daemon.tcp_addr()]).code;
    (home, visitor, code)
}

#[test]
fn what_is_open_is_told_and_what_is_too_much_is_refused() {
    let home = Home::new();
    limits(&home, &json!({"System": {"ConnsInbound": 1, "StreamsInbound": 100}}));
    home.edit_config(|config| config["Routing"]["Type"] = json!("none"));
    let daemon = home.daemon();
    let (first, _first, code) = visit(&daemon);
    assert_eq!(code, Some(0));
    let cid = home.add(&home.file("a", "content"));
    assert_eq!(first.run(["cat", &cid]).text(), "content");
    let told = daemon.rpc("swarm/resources");
    let system = &told["System"];
    assert_eq!((&system["ConnsInbound"], &system["ConnsInboundUsage"]), (&json!(1), &json!(1)));
    assert_eq!(system["StreamsInbound"], 100, "{told}");
    assert!(system["StreamsUsage"].as_u64().unwrap() > 0, "{told}");
    assert_eq!(told["Peers"].as_object().unwrap().len(), 1, "{told}");
    let text = home.run(["swarm", "resources"]).text();
    assert!(text.contains("ConnsInbound") && text.contains("100.0%"), "{text}");

    let (second, _second, _) = visit(&daemon);
    // A connection that is refused after the handshake may count as one for a moment.
    let cid = home.add(&home.file("b", "more"));
    assert_ne!(second.run(["cat", "--timeout", "2s", &cid]).code, Some(0));
    assert_eq!(daemon.rpc("swarm/resources")["System"]["ConnsInboundUsage"], 1);
    assert_eq!(first.run(["cat", &cid]).text(), "more");
}

#[test]
fn who_may_open_no_streams_gets_nothing_and_the_node_goes_on() {
    let home = Home::new();
    limits(&home, &json!({"PeerDefault": {"StreamsInbound": "blockAll"}}));
    let daemon = home.daemon();
    let (visitor, _visitor, code) = visit(&daemon);
    assert_eq!(code, Some(0));
    let cid = home.add(&home.file("a", "content"));
    assert_ne!(visitor.run(["cat", "--timeout", "2s", &cid]).code, Some(0));
    assert_eq!(daemon.rpc("swarm/resources")["System"]["StreamsInboundUsage"], 0);
}

#[test]
fn a_file_that_makes_no_sense_is_an_error() {
    let home = Home::new();
    limits(&home, &json!({"System": {"Conns": "many"}}));
    let refused = home.run(["daemon"]);
    let said = refused.failure();
    assert!(said.contains("libp2p-resource-limit-overrides.json") && said.contains("System.Conns"));
    home.edit_config(|config| config["Swarm"]["ResourceMgr"] = json!({"Enabled": false}));
    let daemon = home.daemon();
    assert_eq!(daemon.rpc("swarm/resources")["System"]["StreamsInbound"], "unlimited");
}
