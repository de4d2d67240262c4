//! The config of a Kubo repository as the config of one of ours.
//!
//! It is the same file (same keys, same meaning), so nearly everything is taken over as it is,
//! unknown keys included. Left out is what speaks of things that are not the same: how the
//! blocks are kept, mounts, plugins; and a value that this node could not start with.
//! Not here: reading and writing files.

use super::{ConfigError, check, initial, tree};
use crate::identity::Identity;
use serde_json::Value;
use std::sync::Arc;

/// Keys of `Datastore` that mean the same here.
const DATASTORE: &[&str] = &["StorageMax", "StorageGCWatermark", "GCPeriod", "HashOnRead"];

/// Most values that are left out because they cannot be understood.
const WRONG_COUNT_MAX: usize = 64;

/// A config taken over.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Adopted {
    /// The config of the new repository.
    pub config: Value,
    /// Keys that were not taken over, with the reason.
    pub left_out: Vec<(String, String)>,
}

/// Makes a config of Kubo's `theirs`: with its identity, or with a new one.
///
/// # Errors
///
/// [`ConfigError::NotAnObject`]; [`ConfigError::Identity`] if the identity is wanted and cannot
/// be used.
pub fn adopt(theirs: &Value, keep_identity: bool) -> Result<Adopted, ConfigError> {
    let sections = theirs.as_object().ok_or(ConfigError::NotAnObject)?;
    let mut config = initial::config(&Identity::generate());
    let mut left_out = Vec::new();
    let mut leave = |key: String, reason: &str| left_out.push((key, reason.to_owned()));
    for (section, value) in sections {
        match section.as_str() {
            "Identity" if keep_identity => {
                drop(Identity::from_config(theirs)?);
                config["Identity"] = value.clone();
            }
            // Kubo ignores its section `Migration`, too.
            "Identity" | "Migration" => {}
            "Datastore" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if DATASTORE.contains(&key.as_str()) {
                        config["Datastore"][key] = value.clone();
                    } else if !is_empty(value) {
                        leave(format!("Datastore.{key}"), "blocks are kept in packs here");
                    }
                }
            }
            "Mounts" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if !is_empty(value) && config["Mounts"][key] != *value {
                        leave(format!("Mounts.{key}"), "there are no mounts yet");
                    }
                }
            }
            "Plugins" => {
                for (name, _) in value["Plugins"].as_object().into_iter().flatten() {
                    leave(format!("Plugins.Plugins.{name}"), "Kubo's plugins cannot be loaded");
                }
            }
            _ => config[section] = value.clone(),
        }
    }
    for _ in 0..WRONG_COUNT_MAX {
        match check(&Arc::new(config.clone())) {
            Err(ConfigError::Value { key, expected, found }) => {
                let parts: Vec<&str> = key.split('.').collect();
                tree::remove(&mut config, &parts);
                left_out.push((key, format!("it must be {expected}, not {found}")));
            }
            Err(error) => return Err(error),
            Ok(()) => break,
        }
    }
    check(&Arc::new(config.clone()))?;
    Ok(Adopted { config, left_out })
}

/// Whether a value says nothing.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::adopt;
    use crate::{ConfigError, identity::Identity};
    use serde_json::json;

    fn keys(left_out: &[(String, String)]) -> Vec<&str> {
        left_out.iter().map(|(key, _)| key.as_str()).collect()
    }

    #[test]
    fn takes_what_means_the_same() {
        let theirs = json!({
            "Identity": {"PeerID": "x", "PrivKey": "y"},
            "Datastore": {"StorageMax": "77GB", "Spec": {"type": "mount"}, "BloomFilterSize": 0},
            "Addresses": {"API": "/ip4/127.0.0.1/tcp/5999"},
            "Mounts": {"IPFS": "/ipfs", "IPNS": "/elsewhere", "FuseAllowOther": false},
            "Gateway": {"HTTPHeaders": {"X": ["1"]}},
            "Plugins": {"Plugins": {"peerlog": {"Disabled": true}}},
            "Migration": {"Keep": "cache"},
            "Unheard": {"of": [1, 2]},
        });
        let adopted = adopt(&theirs, false).unwrap();
        let config = &adopted.config;
        for section in ["Addresses", "Gateway", "Unheard"] {
            assert_eq!(config[section], theirs[section], "{section}");
        }
        assert_eq!(config["Datastore"]["StorageMax"], "77GB");
        assert_eq!(config["Datastore"]["Spec"]["type"], "packs");
        assert_eq!(config["Mounts"]["IPNS"], "/ipns");
        assert_ne!(config["Identity"]["PeerID"], "x", "a new identity");
        let left_out = ["Datastore.Spec", "Mounts.IPNS", "Plugins.Plugins.peerlog"];
        assert_eq!(keys(&adopted.left_out), left_out);
    }

    #[test]
    fn leaves_out_what_it_could_not_start_with() {
        let theirs = json!({
            "Addresses": {"API": 17, "Gateway": "/ip4/127.0.0.1/tcp/8081"},
            "Swarm": {"ConnMgr": {"HighWater": "many"}},
        });
        let adopted = adopt(&theirs, false).unwrap();
        let left_out = keys(&adopted.left_out);
        assert!(left_out.contains(&"Addresses.API"), "{left_out:?}");
        assert!(left_out.contains(&"Swarm.ConnMgr.HighWater"), "{left_out:?}");
        assert_eq!(adopted.config["Addresses"]["Gateway"], "/ip4/127.0.0.1/tcp/8081");
    }

    #[test]
    fn keeps_an_identity_that_can_be_used() {
        let identity = Identity::generate();
        let section = json!({
            "PeerID": identity.peer_id().to_string(),
            "PrivKey": identity.private_key_base64(),
        });
        let adopted = adopt(&json!({"Identity": section}), true).unwrap();
        assert_eq!(adopted.config["Identity"], section);
        let broken = json!({"Identity": {"PeerID": "x", "PrivKey": "AAAA"}});
        assert!(matches!(adopt(&broken, true), Err(ConfigError::Identity { .. })));
        assert!(matches!(adopt(&json!([]), false), Err(ConfigError::NotAnObject)));
    }
}
