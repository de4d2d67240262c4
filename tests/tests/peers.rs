//! The peers by themselves: Kubo's core and Helia exchange a tree without us.
//!
//! When a transfer test fails and this does not, the fault is ours.

use cairn_tests::{Peer, peers, tree};

#[test]
fn kubo_and_helia_exchange_trees() {
    let Some(peers) = peers() else { return };
    let mut kubo = Peer::kubo(&peers);
    let mut helia = Peer::helia(&peers, &["tcp", "ws"]);
    let (theirs, others) = (kubo.path("source"), helia.path("source"));
    tree::make(&theirs, 91);
    tree::make(&others, 92);
    let (from_kubo, from_helia) = (kubo.add(&theirs), helia.add(&others));
    kubo.connect(helia.tcp_addr());
    tree::assert_same(&theirs, &helia.get(&from_kubo, "fetched"));
    let expected = tree::with_symlinks_as_files(tree::read(&others));
    let fetched = kubo.get(&from_helia, "fetched");
    tree::assert_same_entries(&expected, &tree::read(&fetched));
}

#[test]
fn two_helias_exchange_a_tree_over_web_socket() {
    let Some(peers) = peers() else { return };
    let mut one = Peer::helia(&peers, &["ws"]);
    let mut two = Peer::helia(&peers, &["ws"]);
    let source = one.path("source");
    tree::make(&source, 93);
    let cid = one.add(&source);
    two.connect(one.ws_addr());
    tree::assert_same(&source, &two.get(&cid, "fetched"));
}
