//! What a path below `/routing/v1/` asks for.
//!
//! Peers may be written in every form in which they are in use, as Kubo takes them.
//! Invariant: pure; what does not parse is named in the refusal.
//! Not here: filters in the query (`filter.rs`).

use crate::text;
use cairn_block::Cid;
use cairn_names::{Name, PeerId};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// `providers/{cid}`.
    Providers(Cid),
    /// `peers/{peer-id}`.
    Peer(PeerId),
    /// `ipns/{name}`.
    Record(Name),
    /// `dht/closest/peers/{key}`: the bytes of a multihash.
    Closest(Vec<u8>),
}

impl Target {
    /// Reads the part of a path behind `/routing/v1/`.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong.
    pub(super) fn parse(path: &str) -> Result<Self, String> {
        let decoded =
            text::unpercent(path, false).ok_or("the path is not percent-encoded UTF-8")?;
        let (kind, name) = decoded.rsplit_once('/').unwrap_or((&decoded, ""));
        match kind {
            "providers" => Ok(Self::Providers(cid(name)?)),
            "peers" => {
                peer(name).map(Self::Peer).ok_or_else(|| format!("{name:?} is not a peer ID"))
            }
            "ipns" => name.parse().map(Self::Record).map_err(|error| format!("{error}")),
            "dht/closest/peers" => match name.parse::<PeerId>() {
                Ok(peer) => Ok(Self::Closest(peer.to_bytes())),
                Err(_) => Ok(Self::Closest(cid(name)?.multihash().to_bytes())),
            },
            _ => Err(format!("there is no /routing/v1/{kind} in the routing API")),
        }
    }
}

fn cid(text: &str) -> Result<Cid, String> {
    text.parse().map_err(|error| format!("{text:?} is not a CID: {error}"))
}

/// A peer ID, or any CID of one, whatever its codec.
fn peer(text: &str) -> Option<PeerId> {
    let plain = text.parse::<PeerId>().ok();
    plain.or_else(|| PeerId::from_bytes(&cid(text).ok()?.multihash().to_bytes()).ok())
}

#[cfg(test)]
mod tests {
    use super::Target;
    use cairn_names::{Name, PeerId};

    const PEER: &str = "12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d";
    const CID: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";

    #[test]
    fn paths_name_what_is_asked_for() {
        let peer: PeerId = PEER.parse().unwrap();
        let name = Name::of_peer(peer);
        let cid: cairn_block::Cid = CID.parse().unwrap();
        let closest = |bytes: Vec<u8>| Target::Closest(bytes);
        let rows = [
            (format!("providers/{CID}"), Target::Providers(cid.clone())),
            (format!("peers/{PEER}"), Target::Peer(peer)),
            (format!("peers/{name}"), Target::Peer(peer)),
            (format!("ipns/{name}"), Target::Record(name)),
            (format!("ipns/{PEER}"), Target::Record(name)),
            (format!("dht/closest/peers/{CID}"), closest(cid.multihash().to_bytes())),
            (format!("dht/closest/peers/{PEER}"), closest(peer.to_bytes())),
            (format!("dht/closest/peers/{name}"), closest(peer.to_bytes())),
        ];
        for (path, expected) in rows {
            assert_eq!(Target::parse(&path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn what_names_nothing_is_refused_by_name() {
        for path in [
            "",
            "providers",
            "providers/",
            "providers/x",
            "providers/%zz",
            "peers/",
            "peers/example.org",
            "ipns/example.org",
            "dht/closest/peers/",
            "dht/closest/x",
            "unknown/x",
        ] {
            let refused = Target::parse(path).unwrap_err();
            assert!(!refused.is_empty(), "{path}");
        }
        assert!(Target::parse("ipns/x").unwrap_err().contains("\"x\""));
        assert!(Target::parse(&format!("ipns/{CID}")).is_err(), "not the CID of a key");
    }
}
