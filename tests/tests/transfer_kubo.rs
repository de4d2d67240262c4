//! Between one of our nodes and Kubo's own core (0.22), over TCP on loopback.

use cairn_tests::{Daemon, Home, Peer, peers, tree};

fn pair() -> Option<(Home, Daemon, Peer)> {
    let peers = peers()?;
    let home = Home::new();
    let daemon = home.daemon();
    Some((home, daemon, Peer::kubo(&peers)))
}

#[test]
fn kubo_gets_our_tree() {
    let Some((home, daemon, mut kubo)) = pair() else { return };
    let source = home.path("source");
    tree::make(&source, 21);
    let root = home.add(&source);
    kubo.connect(&daemon.tcp_addr());
    let target = kubo.get(&root, "target");
    let expected = tree::with_symlinks_as_files(tree::read(&source));
    tree::assert_same_entries(&expected, &tree::read(&target));
}

#[test]
fn kubo_gets_raw_leaves_and_new_cids() {
    let Some((home, daemon, mut kubo)) = pair() else { return };
    let file = home.file("a", tree::Random::new(22).bytes(5 * tree::CHUNK_LEN + 3));
    let flags = ["add", "-Q", "--cid-version=1", "--chunker=size-1048576"].map(AsRef::as_ref);
    let cid = home.run(flags.into_iter().chain([file.as_os_str()])).text();
    kubo.connect(&daemon.tcp_addr());
    let target = kubo.get(&cid, "target");
    assert_eq!(std::fs::read(target).expect("it was written"), std::fs::read(file).expect("ours"));
}

#[test]
fn we_get_kubos_tree() {
    let Some((home, _daemon, mut kubo)) = pair() else { return };
    let source = kubo.path("source");
    tree::make(&source, 23);
    let root = kubo.add(&source);
    home.run(["swarm", "connect", kubo.tcp_addr()]).text();
    let target = home.path("target");
    home.run(["get".as_ref(), root.as_ref(), "-o".as_ref(), target.as_os_str()]).text();
    tree::assert_same(&source, &target);
}

#[test]
fn we_get_kubos_tree_over_its_own_connection() {
    let Some((home, daemon, mut kubo)) = pair() else { return };
    let source = kubo.path("source");
    for index in 0..300 {
        let bytes = tree::Random::new(index).bytes(index as usize * 7);
        tree::write(&source.join(format!("folder {}/{index}", index % 17)), &bytes);
    }
    let root = kubo.add(&source);
    kubo.connect(&daemon.tcp_addr());
    home.run(["pin", "add", &root]).text();
    let target = home.path("target");
    home.run(["get".as_ref(), root.as_ref(), "-o".as_ref(), target.as_os_str()]).text();
    tree::assert_same(&source, &target);
}
