//! From one of our nodes to another over loopback: everything arrives, byte for byte.

use cairn_tests::{Home, http, tree};
use std::{fs, thread};

/// Enough entries of this name's length to make a sharded directory.
const SHARDED_ENTRIES: usize = 4500;

fn connect(from: &Home, addr: &str) {
    let said = from.run(["swarm", "connect", addr]).text();
    assert!(said.contains("success"), "{said}");
}

fn get(home: &Home, cid: &str, name: &str) -> std::path::PathBuf {
    let target = home.path(name);
    home.run(["get".as_ref(), cid.as_ref(), "-o".as_ref(), target.as_os_str()]).text();
    target
}

#[test]
fn a_tree_goes_from_one_node_to_another() {
    let (alice, bob) = (Home::new(), Home::new());
    let source = alice.path("source");
    tree::make(&source, 11);
    let root = alice.add(&source);
    let (sender, receiver) = (alice.daemon(), bob.daemon());
    connect(&bob, &sender.tcp_addr());
    tree::assert_same(&source, &get(&bob, &root, "target"));

    // What was fetched is there without the network, and after a restart.
    assert_eq!(receiver.stop().code(), Some(0));
    assert_eq!(sender.stop().code(), Some(0));
    let target = bob.path("again");
    bob.run([
        "--offline".as_ref(),
        "get".as_ref(),
        root.as_ref(),
        "-o".as_ref(),
        target.as_os_str(),
    ])
    .text();
    tree::assert_same(&source, &target);
}

#[test]
fn web_sockets_carry_it_too() {
    let (alice, bob) = (Home::new(), Home::new());
    let bytes = tree::Random::new(12).bytes(3 * tree::CHUNK_LEN + 1);
    let cid = alice.add(&alice.file("a", &bytes));
    let (sender, _receiver) = (alice.daemon(), bob.daemon());
    connect(&bob, &sender.ws_addr());
    assert_eq!(bob.run(["cat", &cid]).stdout, bytes);
    let peers = bob.run(["swarm", "peers"]).text();
    assert!(peers.contains("/ws"), "{peers}");
}

#[test]
fn both_ends_may_dial() {
    let (alice, bob) = (Home::new(), Home::new());
    let cid = alice.add(&alice.file("a", "from the one that dialled"));
    let (_sender, receiver) = (alice.daemon(), bob.daemon());
    connect(&alice, &receiver.tcp_addr());
    assert_eq!(bob.run(["cat", &cid]).text(), "from the one that dialled");
}

#[test]
fn pinning_fetches_everything() {
    let (alice, bob) = (Home::new(), Home::new());
    let source = alice.path("source");
    tree::make(&source, 13);
    let root = alice.add(&source);
    let (sender, receiver) = (alice.daemon(), bob.daemon());
    connect(&bob, &sender.tcp_addr());
    assert_eq!(bob.run(["pin", "add", &root]).text(), format!("pinned {root} recursively"));
    sender.kill();
    receiver.kill();
    tree::assert_same(&source, &get(&bob, &root, "target"));
    assert!(bob.run(["pin", "ls", "--type=recursive", "-q"]).text().contains(&root));
}

#[test]
fn a_sharded_directory_goes_over_whole() {
    let (alice, bob) = (Home::new(), Home::new());
    let source = alice.path("source");
    for index in 0..SHARDED_ENTRIES {
        let name = format!("a name that is long enough to fill a directory {index}");
        tree::write(&source.join(name), index.to_string().as_bytes());
    }
    let root = alice.add(&source);
    let (sender, _receiver) = (alice.daemon(), bob.daemon());
    connect(&bob, &sender.tcp_addr());
    tree::assert_same(&source, &get(&bob, &root, "target"));
    let listed = bob.run(["ls", "--size=false", "--resolve-type=false", &root]).text();
    assert_eq!(listed.lines().count(), SHARDED_ENTRIES);
}

#[test]
fn many_can_ask_at_once() {
    let (alice, bob) = (Home::new(), Home::new());
    let bytes = tree::Random::new(14).bytes(20 * tree::CHUNK_LEN);
    let cid = alice.add(&alice.file("a", &bytes));
    let (sender, receiver) = (alice.daemon(), bob.daemon());
    connect(&bob, &sender.tcp_addr());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let answer = http::get(receiver.gateway, &format!("/ipfs/{cid}"));
                assert!(answer.status == 200 && answer.body == bytes, "{}", answer.status);
            });
        }
    });
    let stat = receiver.rpc("bitswap/stat");
    let bytes_in = stat["DataReceived"].as_u64().expect("it counts bytes");
    assert!(bytes_in < 2 * bytes.len() as u64, "shared, not fetched eight times: {bytes_in}");
}

#[test]
fn a_transfer_survives_the_loss_of_its_source() {
    let (alice, bob) = (Home::new(), Home::new());
    let bytes = tree::Random::new(15).bytes(200 * tree::CHUNK_LEN);
    let cid = alice.add(&alice.file("a", &bytes));
    let (sender, receiver) = (alice.daemon(), bob.daemon());
    connect(&bob, &sender.tcp_addr());
    let target = format!("/api/v0/cat?arg={cid}&timeout=3s");
    thread::scope(|scope| {
        let reader = scope.spawn(|| http::post(receiver.api, &target));
        sender.kill();
        let answer = reader.join().expect("the client ends");
        let told = !answer.whole || answer.status != 200 || !answer.trailers.is_empty();
        assert!(told || answer.body == bytes, "a cut answer does not look whole");
        assert!(bytes.starts_with(&answer.body) || answer.status != 200, "no wrong byte");
    });
    let sender = alice.daemon();
    connect(&bob, &sender.tcp_addr());
    assert_eq!(http::post(receiver.api, &target.replace("3s", "60s")).body, bytes);
}

#[test]
fn a_missing_block_is_named_in_time() {
    let home = Home::new();
    let cid = home.run(["add".as_ref(), "-Qn".as_ref(), home.file("a", "nowhere").as_os_str()]);
    let cid = cid.text();
    let _daemon = home.daemon();
    let outcome = home.run(["cat", "--timeout=1s", &cid]);
    assert!(!outcome.failure().is_empty(), "{outcome:?}");
    assert!(home.run(["--offline", "cat", &cid]).failure().contains(&cid));
    assert!(fs::metadata(home.repo()).is_ok());
}
