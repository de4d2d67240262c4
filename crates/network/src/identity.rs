//! The node's key, and the peer ID that follows from it.
//!
//! New keys are Ed25519; whatever Kubo has written into a config (Ed25519, RSA, secp256k1, ECDSA)
//! is read.
//!
//! Spec: libp2p `peer-ids/peer-ids.md`, pinned in `spec/PINS.toml`.
//! Not here: where the key is kept (`cairn-node`'s config, `cairn-store`'s keystore).

use crate::NetworkError;

pub use libp2p::{
    PeerId,
    identity::{Keypair, PublicKey},
};

/// Makes a new Ed25519 key from the system's randomness.
pub fn generate_ed25519() -> Keypair {
    Keypair::generate_ed25519()
}

/// Reads a private key as the config's `Identity.PrivKey` holds it, after base64.
///
/// # Errors
///
/// [`NetworkError::Key`] if the bytes are not such a key.
pub fn decode_private_key(protobuf: &[u8]) -> Result<Keypair, NetworkError> {
    Keypair::from_protobuf_encoding(protobuf)
        .map_err(|error| NetworkError::Key { reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::{decode_private_key, generate_ed25519};
    use crate::NetworkError;

    #[test]
    fn keys_survive_the_config() {
        let key = generate_ed25519();
        let encoded = key.to_protobuf_encoding().unwrap();
        assert_eq!(encoded.len(), 68, "type, length, 64 bytes of key");
        let decoded = decode_private_key(&encoded).unwrap();
        assert_eq!(decoded.public().to_peer_id(), key.public().to_peer_id());
    }

    #[test]
    fn broken_keys_are_refused_without_being_shown() {
        for bytes in [&[][..], &[8, 1][..], &[0xff; 80][..], &[8, 1, 18, 2, 65, 66][..]] {
            let error = decode_private_key(bytes).unwrap_err();
            assert!(matches!(error, NetworkError::Key { .. }), "{error}");
        }
    }
}
