//! Between one of our nodes and Helia, over TCP and over WebSocket on loopback.

use cairn_tests::{Home, Peer, peers, tree};

/// Our tree to Helia and Helia's tree to us, over one transport, Helia dialling or we.
fn both_ways(transport: &str, helia_dials: bool, seed: u64) {
    let Some(peers) = peers() else { return };
    let home = Home::new();
    let (ours, theirs) = (home.path("ours"), home.path("theirs"));
    tree::make(&ours, seed);
    tree::make(&theirs, seed + 1);
    let our_root = home.add(&ours);
    let daemon = home.daemon();
    let mut helia = Peer::helia(&peers, &[transport]);
    let their_root = helia.add(&theirs);
    if helia_dials {
        let addr = if transport == "ws" { daemon.ws_addr() } else { daemon.tcp_addr() };
        helia.connect(&addr);
    } else {
        let addr = if transport == "ws" { helia.ws_addr() } else { helia.tcp_addr() };
        home.run(["swarm", "connect", addr]).text();
    }

    tree::assert_same(&ours, &helia.get(&our_root, "fetched"));
    let target = home.path("fetched");
    home.run(["get".as_ref(), their_root.as_ref(), "-o".as_ref(), target.as_os_str()]).text();
    tree::assert_same(&theirs, &target);
}

#[test]
fn over_tcp_when_helia_dials() {
    both_ways("tcp", true, 31);
}

#[test]
fn over_tcp_when_we_dial() {
    both_ways("tcp", false, 33);
}

#[test]
fn over_web_socket_when_helia_dials() {
    both_ways("ws", true, 35);
}

#[test]
fn over_web_socket_when_we_dial() {
    both_ways("ws", false, 37);
}

#[test]
fn helia_reads_our_sharded_directory() {
    let Some(peers) = peers() else { return };
    let home = Home::new();
    let source = home.path("source");
    for index in 0..4500 {
        let name = format!("a name that is long enough to fill a directory {index}");
        tree::write(&source.join(name), &[b'x'; 3]);
    }
    let root = home.add(&source);
    let daemon = home.daemon();
    let mut helia = Peer::helia(&peers, &["tcp"]);
    helia.connect(&daemon.tcp_addr());
    tree::assert_same(&source, &helia.get(&root, "fetched"));
}
