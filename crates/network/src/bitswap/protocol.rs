//! The four names of Bitswap, and what each can say.
//!
//! Spec: Bitswap 1.0, 1.1 and 1.2, pinned in `spec/PINS.toml`.

use libp2p::StreamProtocol;

/// In the order in which they are offered, newest first.
pub(crate) const PROTOCOLS: [(StreamProtocol, Version); 4] = [
    (StreamProtocol::new("/ipfs/bitswap/1.2.0"), Version::V1_2),
    (StreamProtocol::new("/ipfs/bitswap/1.1.0"), Version::V1_1),
    (StreamProtocol::new("/ipfs/bitswap/1.0.0"), Version::V1_0),
    (StreamProtocol::new("/ipfs/bitswap"), Version::V1_0),
];

/// What a peer understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// Bare blocks that must be CIDv0.
    V1_0,
    /// Blocks with the prefix of their CID.
    V1_1,
    /// HAVE and `DONT_HAVE`.
    V1_2,
}

impl Version {
    /// The version that goes with a negotiated name.
    pub(crate) fn of(protocol: &StreamProtocol) -> Self {
        let row = PROTOCOLS.into_iter().find(|row| row.0 == *protocol);
        row.map_or(Self::V1_0, |row| row.1)
    }

    /// Whether HAVE, `DONT_HAVE` and wants for them are understood.
    pub(crate) fn has_presence(self) -> bool {
        self == Self::V1_2
    }
}
