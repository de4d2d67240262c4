//! What is kept of what a peer tells about itself.
//!
//! Invariant: no list or text of a peer is longer than the limits here, whatever it sends.
//! Not here: what it is kept for (`swarm.rs`).

use super::addrs::ADDRS_PER_PEER_MAX;
use libp2p::identify;

/// Longest agent version kept of a peer, in bytes.
const AGENT_LEN_MAX: usize = 128;

/// Protocols kept of a peer.
const PROTOCOLS_PER_PEER_MAX: usize = 128;

/// Cuts what a peer has told to what is kept; answers the protocols that are.
pub(super) fn cut(told: &mut identify::Info) -> Vec<String> {
    told.listen_addrs.truncate(ADDRS_PER_PEER_MAX);
    let agent_len = AGENT_LEN_MAX.min(told.agent_version.len());
    told.agent_version.truncate(told.agent_version.floor_char_boundary(agent_len));
    told.protocols.iter().take(PROTOCOLS_PER_PEER_MAX).map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::{ADDRS_PER_PEER_MAX, AGENT_LEN_MAX, PROTOCOLS_PER_PEER_MAX, cut, identify};
    use crate::generate_ed25519;
    use libp2p::StreamProtocol;

    /// go-libp2p#3486 and #3501: peers that tell thousands of addresses and protocols.
    #[test]
    fn a_peer_that_tells_too_much_is_cut_short() {
        let protocol = |index| StreamProtocol::try_from_owned(format!("/p/{index}")).unwrap();
        let addr = |port: u16| format!("/ip4/8.8.8.8/tcp/{port}").parse().unwrap();
        let mut told = identify::Info {
            public_key: generate_ed25519().public(),
            protocol_version: "ipfs/0.1.0".to_owned(),
            agent_version: "ä".repeat(1000),
            listen_addrs: (0..2000).map(addr).collect(),
            protocols: (0..2000).map(protocol).collect(),
            observed_addr: addr(1),
            signed_peer_record: None,
        };
        assert_eq!(cut(&mut told).len(), PROTOCOLS_PER_PEER_MAX);
        assert_eq!(told.listen_addrs.len(), ADDRS_PER_PEER_MAX);
        assert!(told.agent_version.len() <= AGENT_LEN_MAX);
    }
}
