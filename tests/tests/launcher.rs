//! What programs that start a daemon rely on: its lines, its files, its end.
//!
//! The contract is that of ipfsd-ctl, the Python clients and shell harnesses: they read standard
//! output for addresses, rewrite the config between `init` and `daemon`, and allow ten seconds
//! for an end.

use cairn_tests::{Daemon, Home, http};
use serde_json::json;

#[test]
fn a_daemon_says_where_it_listens_and_tidies_up() {
    let home = Home::new();
    let daemon = home.daemon();
    let api = format!("RPC API server listening on /ip4/127.0.0.1/tcp/{}", daemon.api.port());
    assert!(daemon.said().contains(&api), "{}", daemon.said());
    assert!(daemon.said().starts_with("Initializing daemon"), "{}", daemon.said());
    for (name, port) in [("api", daemon.api.port()), ("gateway", daemon.gateway.port())] {
        let text = std::fs::read_to_string(home.repo().join(name)).expect("the file is there");
        assert!(text.contains(&port.to_string()), "{name}: {text}");
    }
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(!home.repo().join("api").exists() && !home.repo().join("gateway").exists());
}

#[test]
fn one_command_starts_from_nothing() {
    let home = Home::empty();
    // The default ports may be taken on this machine, so only they are changed.
    home.run(["init", "--profile", "test"]).text();
    home.edit_config(|config| {
        config["Addresses"]["API"] = json!("/ip4/127.0.0.1/tcp/0");
        config["Addresses"]["Gateway"] = json!("/ip4/127.0.0.1/tcp/0");
    });
    let daemon = home.daemon_with(&["--init"]);
    assert_eq!(daemon.rpc("id")["ID"], home.config()["Identity"]["PeerID"]);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn a_fresh_folder_is_initialised_on_request() {
    let home = Home::empty();
    let mut command = home.command();
    command.args(["daemon", "--init", "--init-profile", "test,randomports", "--offline"]);
    let mut process = cairn_tests::Running::start(&mut command);
    // Whether the default API port is free is this machine's affair; the repository is not.
    while let Ok(Some(line)) = process.line_within(std::time::Duration::from_secs(20)) {
        if line == "Daemon is ready" {
            break;
        }
    }
    assert!(home.config()["Identity"]["PeerID"].is_string());
}

#[test]
fn launchers_may_ask_for_transports_that_are_not_there() {
    let home = Home::new();
    home.edit_config(|config| {
        config["Addresses"]["Swarm"] = json!([
            "/ip4/127.0.0.1/tcp/0",
            "/ip4/127.0.0.1/tcp/0/ws",
            "/ip4/127.0.0.1/udp/0/quic-v1",
            "/ip4/127.0.0.1/udp/0/quic-v1/webtransport",
            "/ip4/127.0.0.1/tcp/0/webrtc-direct"
        ]);
        config["API"]["HTTPHeaders"] = json!({ "Access-Control-Allow-Origin": ["*"] });
    });
    let daemon = home.daemon();
    assert!(daemon.tcp_addr().contains("/p2p/"));
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn usual_flags_are_taken() {
    let home = Home::new();
    let flags =
        ["--migrate", "--enable-gc", "--enable-pubsub-experiment", "--enable-namesys-pubsub"];
    let daemon = home.daemon_with(&flags);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn shutdown_over_rpc_ends_it() {
    let home = Home::new();
    let daemon = home.daemon();
    assert_eq!(http::post(daemon.api, "/api/v0/shutdown").status, 200);
    assert_eq!(daemon.wait().code(), Some(0));
    assert!(!home.repo().join("api").exists());

    let daemon = home.daemon();
    home.run(["shutdown"]).text();
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn a_daemon_starts_again_after_it_was_killed() {
    let home = Home::new();
    let daemon = home.daemon();
    let cid = home.add(&home.file("a", "kept"));
    daemon.kill();
    assert!(home.repo().join("api").exists(), "a killed daemon cannot tidy up");
    assert_eq!(home.run(["cat", &cid]).text(), "kept", "a stale api file stops nobody");
    let daemon = home.daemon();
    assert_eq!(home.run(["cat", &cid]).text(), "kept");
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn the_environment_of_kubo_works() {
    let home = Home::new();
    let mut command = home.command();
    command.env_remove("CAIRN_PATH").env("IPFS_PATH", home.repo()).arg("daemon");
    let daemon = Daemon::start(&mut command);
    assert_eq!(daemon.rpc("id")["ID"], home.config()["Identity"]["PeerID"]);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn an_offline_daemon_serves_without_a_network() {
    let home = Home::new();
    let cid = home.add(&home.file("a", "local"));
    let daemon = home.daemon_with(&["--offline"]);
    assert_eq!(http::post(daemon.api, &format!("/api/v0/cat?arg={cid}")).text(), "local");
    assert_eq!(http::get(daemon.gateway, &format!("/ipfs/{cid}")).text(), "local");
    assert_eq!(daemon.stop().code(), Some(0));
}
