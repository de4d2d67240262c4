//! Which addresses belong to which of the two DHTs: the public one and the local network's.
//!
//! A node in the public DHT that told private addresses would send others to dial into their own
//! networks; one in the local DHT that told public ones would tell the neighbours' machines to
//! strangers. So each keeps, asks and answers only what fits.
//!
//! Spec: IPFS Kademlia DHT, "Routing Table", "IP Diversity Filter", pinned in `spec/PINS.toml`.
//! Invariant: an address that names no IP address and no DNS name belongs to neither.
//! Not here: which protocol is spoken (`dht.rs`).

use crate::{Multiaddr, PeerId};
use libp2p::multiaddr::Protocol;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses of one peer that are kept or told.
pub(crate) const CONTACT_ADDRS_MAX: usize = 16;

/// Longest address taken from a peer, in bytes.
const ADDR_LEN_MAX: usize = 256;

/// A peer and where it may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Who it is.
    pub peer: PeerId,
    /// Where, without `/p2p/…` at the end.
    pub addrs: Vec<Multiaddr>,
}

/// Which addresses count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Public ones.
    Wan,
    /// Private ones, and those of this machine if `loopback`.
    Lan { loopback: bool },
}

/// A part of the IP addresses that one owner can fill with machines cheaply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum IpGroup {
    V4([u8; 2]),
    V6([u8; 4]),
}

impl Scope {
    /// Whether an address belongs here.
    pub(crate) fn admits(self, addr: &Multiaddr) -> bool {
        let is_circuit = addr.iter().any(|part| part == Protocol::P2pCircuit);
        // Within the local network nobody needs a relay.
        if addr.len() > ADDR_LEN_MAX || (is_circuit && self != Self::Wan) {
            return false;
        }
        match addr.iter().next() {
            Some(Protocol::Ip4(ip)) => self.admits_ip(ip.into()),
            Some(Protocol::Ip6(ip)) => self.admits_ip(ip.into()),
            // Names are for the public network; what they resolve to is checked by nobody.
            Some(
                Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_),
            ) => self == Self::Wan,
            _ => false,
        }
    }

    /// Whether an IP address belongs here.
    pub(crate) fn admits_ip(self, ip: IpAddr) -> bool {
        match (self, Reach::of(ip)) {
            (Self::Wan, Reach::Public) | (Self::Lan { .. }, Reach::Private) => true,
            (Self::Lan { loopback }, Reach::Loopback) => loopback,
            _ => false,
        }
    }

    /// Keeps the addresses that belong here, at most [`CONTACT_ADDRS_MAX`].
    pub(crate) fn filter(self, addrs: impl IntoIterator<Item = Multiaddr>) -> Vec<Multiaddr> {
        let mut kept = Vec::new();
        for addr in addrs {
            let addr = crate::swarm::without_peer(addr);
            if kept.len() < CONTACT_ADDRS_MAX && self.admits(&addr) && !kept.contains(&addr) {
                kept.push(addr);
            }
        }
        kept
    }
}

impl IpGroup {
    /// The group of the first IP address among `addrs`; `None` if there are only names.
    pub(crate) fn of(addrs: &[Multiaddr]) -> Option<Self> {
        addrs.iter().find_map(|addr| match addr.iter().next()? {
            Protocol::Ip4(ip) => {
                let [a, b, _, _] = ip.octets();
                Some(Self::V4([a, b]))
            }
            Protocol::Ip6(ip) => {
                let [a, b, c, d, ..] = ip.octets();
                Some(Self::V6([a, b, c, d]))
            }
            _ => None,
        })
    }
}

/// From where an address can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Public,
    Private,
    Loopback,
    Nowhere,
}

impl Reach {
    fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or_else(|| Self::of_v6(ip), Self::of_v4),
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        let [a, b, ..] = ip.octets();
        let is_carrier_grade = a == 100 && (64..128).contains(&b);
        if ip.is_loopback() {
            Self::Loopback
        } else if ip.is_private() || ip.is_link_local() || is_carrier_grade {
            Self::Private
        } else if ip.is_documentation() || ip.is_multicast() || a == 0 || a >= 240 {
            Self::Nowhere
        } else {
            Self::Public
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        let [first, second, ..] = ip.segments();
        let is_documentation = first == 0x2001 && second == 0x0db8;
        if ip.is_loopback() {
            Self::Loopback
        } else if ip.is_unique_local() || ip.is_unicast_link_local() {
            Self::Private
        } else if first & 0xe000 == 0x2000 && !is_documentation {
            Self::Public
        } else {
            Self::Nowhere
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CONTACT_ADDRS_MAX, IpGroup, Scope};
    use crate::Multiaddr;

    const LAN: Scope = Scope::Lan { loopback: false };
    const LOOPBACK: Scope = Scope::Lan { loopback: true };

    #[test]
    fn every_address_belongs_to_one_network_at_most() {
        let rows: &[(&str, &[Scope])] = &[
            ("/ip4/8.8.8.8/tcp/4001", &[Scope::Wan]),
            ("/ip6/2606:4700::1/udp/4001/quic-v1", &[Scope::Wan]),
            ("/dns4/example.com/tcp/443/wss", &[Scope::Wan]),
            ("/dnsaddr/example.com", &[Scope::Wan]),
            ("/ip4/192.168.1.5/tcp/4001", &[LAN, LOOPBACK]),
            ("/ip4/10.1.2.3/tcp/4001", &[LAN, LOOPBACK]),
            ("/ip4/100.64.0.1/tcp/4001", &[LAN, LOOPBACK]),
            ("/ip6/fd00::1/tcp/4001", &[LAN, LOOPBACK]),
            ("/ip6/fe80::1/tcp/4001", &[LAN, LOOPBACK]),
            ("/ip4/127.0.0.1/tcp/4001", &[LOOPBACK]),
            ("/ip6/::1/tcp/4001", &[LOOPBACK]),
            ("/ip6/::ffff:127.0.0.1/tcp/4001", &[LOOPBACK]),
            ("/ip4/0.0.0.0/tcp/4001", &[]),
            ("/ip4/192.0.2.1/tcp/4001", &[]),
            ("/ip4/224.0.0.1/tcp/4001", &[]),
            ("/ip6/2001:db8::1/tcp/4001", &[]),
            ("/ip6/64:ff9b::1/tcp/4001", &[]),
            ("/unix/socket", &[]),
            (
                "/ip4/8.8.8.8/tcp/1/p2p/12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d/p2p-circuit",
                &[Scope::Wan],
            ),
        ];
        for (text, expected) in rows {
            let addr: Multiaddr = text.parse().unwrap();
            for scope in [Scope::Wan, LAN, LOOPBACK] {
                assert_eq!(scope.admits(&addr), expected.contains(&scope), "{text} {scope:?}");
            }
        }
    }

    #[test]
    fn what_a_peer_tells_is_cut_to_a_bound() {
        let addr = |port| format!("/ip4/8.8.8.8/tcp/{port}").parse::<Multiaddr>().unwrap();
        let kept = Scope::Wan.filter((0..1000).chain(0..1000).map(addr));
        assert_eq!(kept.len(), CONTACT_ADDRS_MAX);
        let long = format!("/dns4/{}/tcp/1", "a".repeat(300)).parse().unwrap();
        assert!(Scope::Wan.filter([long]).is_empty());
    }

    #[test]
    fn groups_are_what_one_owner_has() {
        let group = |text: &str| IpGroup::of(&[text.parse().unwrap()]);
        assert_eq!(group("/ip4/8.8.8.8/tcp/1"), group("/ip4/8.8.200.1/udp/2"));
        assert_ne!(group("/ip4/8.8.8.8/tcp/1"), group("/ip4/8.9.8.8/tcp/1"));
        assert_eq!(group("/ip6/2606:4700::1/tcp/1"), group("/ip6/2606:4700:ffff::/tcp/1"));
        assert_eq!(group("/dns4/example.com/tcp/1"), None);
    }
}
