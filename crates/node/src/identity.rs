//! Who this node is: the key in the config and what follows from it.
//!
//! Invariant: the private key leaves this module only for the config file and the network's
//! handshakes; `Debug` does not show it.
//! Not here: keys for names (the keystore).

use crate::config::ConfigError;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cairn_network::{Keypair, PeerId, PublicKey, decode_private_key, generate_ed25519};
use serde_json::Value;
use std::fmt;

/// The node's key pair and peer ID.
#[derive(Clone)]
pub struct Identity {
    keypair: Keypair,
    peer_id: PeerId,
}

impl Identity {
    /// Makes a new Ed25519 key from the system's randomness.
    pub fn generate() -> Self {
        Self::new(generate_ed25519())
    }

    fn new(keypair: Keypair) -> Self {
        let peer_id = keypair.public().to_peer_id();
        Self { keypair, peer_id }
    }

    /// Reads the section `Identity` of a config: base64 of libp2p's protobuf form.
    pub(crate) fn from_config(config: &Value) -> Result<Self, ConfigError> {
        let section = &config["Identity"];
        let key = section["PrivKey"].as_str().unwrap_or_default();
        let refused = |reason: String| ConfigError::Identity { reason };
        if key.is_empty() {
            return Err(refused("Identity.PrivKey is missing".to_owned()));
        }
        let bytes = STANDARD.decode(key);
        let bytes = bytes.map_err(|_| refused("Identity.PrivKey is not base64".to_owned()))?;
        let keypair = decode_private_key(&bytes).map_err(|error| refused(error.to_string()))?;
        let identity = Self::new(keypair);
        let claimed = section["PeerID"].as_str().unwrap_or_default();
        if claimed.parse().ok() == Some(identity.peer_id) {
            Ok(identity)
        } else {
            Err(refused("Identity.PeerID does not belong to Identity.PrivKey".to_owned()))
        }
    }

    /// The peer ID.
    pub fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    /// The public key in libp2p's protobuf form, as base64 (`id` shows it).
    pub fn public_key_base64(&self) -> String {
        public_key_base64(&self.keypair.public())
    }

    /// The key pair, for the network's handshakes.
    pub fn keypair(&self) -> &Keypair {
        &self.keypair
    }

    /// The private key as the config keeps it.
    pub(crate) fn private_key_base64(&self) -> String {
        let encoded = self.keypair.to_protobuf_encoding();
        STANDARD.encode(encoded.expect("invariant: only key types with an encoding are read"))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("peer_id", &self.peer_id).finish_non_exhaustive()
    }
}

/// A public key in libp2p's protobuf form, as base64.
#[must_use]
pub fn public_key_base64(key: &PublicKey) -> String {
    STANDARD.encode(key.encode_protobuf())
}

#[cfg(test)]
mod tests {
    use super::Identity;
    use serde_json::json;

    #[test]
    fn survives_the_config_and_hides_the_key() {
        let identity = Identity::generate();
        let key = identity.private_key_base64();
        let peer_id = identity.peer_id().to_string();
        assert!(peer_id.starts_with("12D3KooW"), "{peer_id}");
        let config = json!({"Identity": {"PeerID": peer_id, "PrivKey": key}});
        let read = Identity::from_config(&config).unwrap();
        assert_eq!(read.peer_id(), identity.peer_id());
        assert!(!format!("{read:?}").contains(&key[10..]));
    }

    #[test]
    fn refuses_what_does_not_fit_together() {
        let (one, two) = (Identity::generate(), Identity::generate());
        let (id, key) = (one.peer_id().to_string(), one.private_key_base64());
        let rows = [
            json!({}),
            json!({"Identity": {"PeerID": id}}),
            json!({"Identity": {"PeerID": id, "PrivKey": "!!"}}),
            json!({"Identity": {"PeerID": id, "PrivKey": "AAAA"}}),
            json!({"Identity": {"PrivKey": key}}),
            json!({"Identity": {"PeerID": two.peer_id().to_string(), "PrivKey": key}}),
        ];
        for row in rows {
            let error = Identity::from_config(&row).unwrap_err().to_string();
            assert!(!error.contains(&key), "{error}");
        }
    }
}
