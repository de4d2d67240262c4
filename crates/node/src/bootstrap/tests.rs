//! The file of remembered peers, and what may stand in the list.

use super::{FILE_LEN_MAX, REMEMBERED_MAX, check, read, text, write};
use cairn_network::Multiaddr;

const PEER: &str = "12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d";

#[test]
fn remembered_peers_survive_and_a_damaged_file_costs_only_its_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peers");
    assert!(read(&path).is_empty());
    let addrs: Vec<Multiaddr> = (1..4)
        .map(|port| format!("/ip4/127.0.0.1/tcp/{port}/p2p/{PEER}").parse().unwrap())
        .collect();
    write(&path, &text(&addrs)).unwrap();
    assert_eq!(read(&path), addrs);
    std::fs::write(&path, format!("nonsense\n\n{}", text(&addrs))).unwrap();
    assert_eq!(read(&path), addrs);
    std::fs::write(&path, vec![0xff; 100]).unwrap();
    assert!(read(&path).is_empty());
    std::fs::write(&path, format!("{}\n", text(&addrs)).repeat(FILE_LEN_MAX as usize / 10))
        .unwrap();
    assert_eq!(read(&path).len(), REMEMBERED_MAX);
}

#[test]
fn only_addresses_of_peers_may_be_named() {
    let peer = format!("/ip4/127.0.0.1/tcp/1/p2p/{PEER}");
    for good in ["auto", &peer, &format!("/dnsaddr/example.com/p2p/{PEER}")] {
        assert!(check(good).is_ok(), "{good}");
    }
    for bad in ["", "nonsense", "/ip4/127.0.0.1/tcp/1", "/ip4/1.2.3.4/tcp/1/p2p/x", PEER] {
        let error = check(bad).unwrap_err().to_string();
        assert!(error.contains("Bootstrap"), "{bad}: {error}");
    }
}
