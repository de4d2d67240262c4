//! An IPNS name: the identity of a key, in each form in which people and routers write it.
//!
//! Spec: IPNS, "IPNS Name", pinned in `spec/PINS.toml`; libp2p `peer-ids/peer-ids.md`.
//! Invariant: equal names have equal bytes, whatever text they came from.
//! Not here: what a name points at (`record.rs`).

use cairn_block::{Base, Cid};
use cairn_hash::Multihash;
use libp2p_identity::{PeerId, PublicKey};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// The codec of CIDs that name keys.
pub const LIBP2P_KEY: u64 = 0x72;

/// What the keys of IPNS records begin with in a routing system.
pub(crate) const NAMESPACE: &[u8] = b"/ipns/";

/// The function of hashes that are the data itself.
const IDENTITY: u64 = 0;

/// Why a text or bytes are no name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// Neither a peer ID nor a CID of a key.
    #[error("{text:?} is not an IPNS name: it must be a peer ID or a CID of a key")]
    Text {
        /// What was given.
        text: String,
    },
    /// Not `/ipns/` and the bytes of a peer ID.
    #[error("the routing key is not that of an IPNS name")]
    RoutingKey,
}

/// The name that belongs to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(PeerId);

impl Name {
    /// The name of whoever has this public key.
    pub fn of_key(key: &PublicKey) -> Self {
        Self(key.to_peer_id())
    }

    /// The name of a peer.
    pub fn of_peer(peer: PeerId) -> Self {
        Self(peer)
    }

    /// The peer ID that it is.
    pub fn peer_id(&self) -> PeerId {
        self.0
    }

    /// The key's CID, of which [`fmt::Display`] prints the usual form (base 36).
    ///
    /// # Panics
    ///
    /// Never: a peer ID is a multihash.
    pub fn cid(&self) -> Cid {
        let bytes = self.0.to_bytes();
        let (hash, _) = Multihash::decode(&bytes).expect("invariant: a peer ID is a multihash");
        Cid::v1(LIBP2P_KEY, hash)
    }

    /// The public key, where the name holds it whole (Ed25519 and other short ones).
    pub fn inlined_key(&self) -> Option<PublicKey> {
        let hash = self.0.as_ref();
        let inlined = (hash.code() == IDENTITY).then(|| hash.digest())?;
        PublicKey::try_decode_protobuf(inlined).ok()
    }

    /// Under which key routing systems keep its record.
    pub fn routing_key(&self) -> Vec<u8> {
        [NAMESPACE, &self.0.to_bytes()].concat()
    }

    /// Reads what [`Name::routing_key`] wrote.
    ///
    /// # Errors
    ///
    /// [`NameError::RoutingKey`].
    pub fn from_routing_key(key: &[u8]) -> Result<Self, NameError> {
        let bytes = key.strip_prefix(NAMESPACE).ok_or(NameError::RoutingKey)?;
        PeerId::from_bytes(bytes).map(Self).map_err(|_| NameError::RoutingKey)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cid().to_text(Base::Base36Lower))
    }
}

impl FromStr for Name {
    type Err = NameError;

    /// Reads a peer ID, the CID of a key in any base, either after `/ipns/` or alone.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let bare = text.strip_prefix("/ipns/").unwrap_or(text);
        let refused = || NameError::Text { text: text.to_owned() };
        if bare.starts_with("Qm") || bare.starts_with('1') {
            return bare.parse().map(Self).map_err(|_| refused());
        }
        let (cid, _) = Cid::parse_with_base(bare).map_err(|_| refused())?;
        if cid.codec() != LIBP2P_KEY {
            return Err(refused());
        }
        PeerId::from_bytes(&cid.multihash().to_bytes()).map(Self).map_err(|_| refused())
    }
}

#[cfg(test)]
mod tests {
    use super::{Name, NameError};

    const RSA: &str = "QmVujd5Vb7moysJj8itnGufN7MEtPRCNHkKpNuA4onsRa3";
    const ED25519: &str = "12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d";

    #[test]
    fn every_form_is_the_same_name() {
        for text in [RSA, ED25519] {
            let name: Name = text.parse().unwrap();
            let cid = name.to_string();
            assert!(cid.starts_with('k'), "{cid}");
            let upper = name.cid().to_text(cairn_block::Base::Base32Lower);
            for form in [cid.clone(), format!("/ipns/{cid}"), format!("/ipns/{text}"), upper] {
                assert_eq!(form.parse(), Ok(name), "{form}");
            }
            assert_eq!(Name::from_routing_key(&name.routing_key()), Ok(name));
            assert_eq!(name.inlined_key().is_some(), text == ED25519);
        }
    }

    #[test]
    fn other_things_are_no_names() {
        let raw = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
        for text in ["", "/ipns/", "example.com", "Qm", "1", "12D3KooW", raw, "k51qzi5uqu5"] {
            assert!(matches!(text.parse::<Name>(), Err(NameError::Text { .. })), "{text}");
        }
        for key in [&b""[..], b"/ipns/", b"/ipns/abc", b"/pk/abc"] {
            assert_eq!(Name::from_routing_key(key), Err(NameError::RoutingKey));
        }
    }
}
