//! Places in the keyspace: where keys and peers lie, and how far from each other.
//!
//! Spec: IPFS Kademlia DHT, "Kademlia Keyspace" and "Distance Function", pinned in
//! `spec/PINS.toml`.
//! Invariant: a place is the SHA-256 of the bytes that name the key or peer, so nobody chooses
//! where a key lies without work.

use crate::PeerId;
use cairn_hash::{SHA256_LEN, sha256};
use std::fmt;

/// Bits of a place.
pub(crate) const PLACE_BITS: u32 = 8 * SHA256_LEN as u32;

/// One place in the keyspace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place(pub(crate) [u8; SHA256_LEN]);

/// How far two places are from each other: the smaller, the nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Distance([u8; SHA256_LEN]);

impl Place {
    /// Where a key lies: a multihash, or `/ipns/…`.
    pub(crate) fn of_key(key: &[u8]) -> Self {
        Self(sha256(key))
    }

    /// Where a peer lies.
    pub(crate) fn of_peer(peer: &PeerId) -> Self {
        Self(sha256(&peer.to_bytes()))
    }

    pub(crate) fn distance(&self, other: &Self) -> Distance {
        Distance(std::array::from_fn(|index| self.0[index] ^ other.0[index]))
    }

    /// How many leading bits both share.
    pub(crate) fn common_bits(&self, other: &Self) -> u32 {
        let mut bits = 0;
        for byte in self.distance(other).0 {
            bits += byte.leading_zeros();
            if byte != 0 {
                break;
            }
        }
        bits
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..4] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::{PLACE_BITS, Place};

    #[test]
    fn distances_are_a_metric_of_bits() {
        let (zero, one) = (Place([0; 32]), Place::of_key(b"one"));
        assert_eq!(zero.common_bits(&zero), PLACE_BITS);
        assert_eq!(one.distance(&zero), zero.distance(&one));
        assert!(one.distance(&one) < one.distance(&zero));
    }
}
