//! What must hold of routers' answers whatever the bytes, for `cairn-fuzz`.
//!
//! Not here: HTTP itself, which is hyper's.

use super::{
    answer::{ADDRS_MAX, FOUND_MAX, Heard, PROTOCOLS_MAX, Records},
    endpoint::Endpoint,
};
use serde_json::json;

fn read(mut records: Records, pieces: &[&[u8]]) -> Option<Vec<Heard>> {
    let mut found = Vec::new();
    for piece in pieces {
        found.extend(records.push(piece).ok()?);
    }
    found.extend(records.finish().ok()?);
    Some(found)
}

/// The first byte says where the answer is cut in two; the rest is the answer.
pub(crate) fn answer(input: &[u8]) {
    let Some((cut, input)) = input.split_first() else { return };
    let (first, second) = input.split_at(usize::from(*cut).min(input.len()));
    for make in [Records::lines, Records::document] {
        let whole = read(make(), &[input]);
        assert_eq!(read(make(), &[first, second]), whole, "pieces change nothing");
        let Some(found) = whole else { continue };
        assert!(found.len() <= FOUND_MAX);
        let record = |heard: &Heard| {
            assert!(heard.addrs.len() <= ADDRS_MAX && heard.protocols.len() <= PROTOCOLS_MAX + 1);
            let addrs: Vec<String> = heard.addrs.iter().map(ToString::to_string).collect();
            let (id, protocols) = (heard.peer.to_string(), &heard.protocols);
            json!({"Schema": "peer", "ID": id, "Addrs": addrs, "Protocols": protocols})
        };
        let written: Vec<_> = found.iter().map(record).collect();
        let document = json!({ "Providers": written }).to_string();
        let again = read(Records::document(), &[document.as_bytes()]);
        let again = again.expect("what is written is read");
        assert_eq!(again.len(), found.len());
        for (again, found) in again.iter().zip(&found) {
            assert_eq!((again.peer, &again.addrs), (found.peer, &found.addrs));
        }
    }
}

pub(crate) fn answers() -> Vec<Vec<u8>> {
    const PEER: &str = "12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d";
    let record = json!({
        "Schema": "peer", "ID": PEER, "Protocols": ["transport-bitswap"],
        "Addrs": ["/ip4/1.2.3.4/tcp/1", "/dns4/x.example/tcp/443/tls/http"],
    });
    let old = json!({"Schema": "bitswap", "Protocol": "transport-bitswap", "ID": PEER});
    let lines = format!("\x09{record}\n\n{old}\n");
    let document = |name: &str| format!("\x20{}", json!({ name: [record, old, null] }));
    [lines, document("Providers"), document("Peers")].map(String::into_bytes).to_vec()
}

/// What an operator writes as a router.
pub(crate) fn endpoint(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(endpoint) = text.parse::<Endpoint>() else { return };
    let base = endpoint.base();
    assert!(base.starts_with("http") && !base.ends_with('/') && !base.contains(['?', '#', ' ']));
    let again: Endpoint = base.parse().expect("a base is an endpoint");
    assert_eq!(again.base(), base);
}

pub(crate) fn endpoints() -> Vec<Vec<u8>> {
    ["https://r.example/routing/v1/providers", "http://[::1]:8080/a/", "HTTPS://X/routing/v1/ipns"]
        .map(|seed| seed.as_bytes().to_vec())
        .to_vec()
}
