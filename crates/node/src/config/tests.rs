//! The config as a whole: show, set, replace, profiles.

use super::{Config, ConfigError, Settings, ValueFormat, fresh, parse_value};
use crate::identity::Identity;
use cairn_store::RepoError;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// A config whose file is a variable.
fn config() -> (Config, Arc<Mutex<Value>>) {
    let value = fresh(&Identity::generate(), None, &[]).unwrap();
    let file = Arc::new(Mutex::new(value.clone()));
    let written = Arc::clone(&file);
    let config = Config::new(value, move |value| {
        *written.lock().unwrap() = value.clone();
        Ok(())
    });
    (config.unwrap(), file)
}

#[test]
fn a_fresh_config_has_kubo_s_sections_in_order() {
    let (config, _) = config();
    let raw = config.raw();
    let keys: Vec<&String> = raw.as_object().unwrap().keys().collect();
    assert_eq!(&keys[..4], ["Identity", "Datastore", "Addresses", "Mounts"]);
    assert_eq!(*keys.last().unwrap(), "Bitswap");
    assert_eq!(config.get("Addresses.API").unwrap(), json!("/ip4/127.0.0.1/tcp/5001"));
    assert_eq!(config.get("Bootstrap").unwrap(), json!(["auto"]));
    assert!(config.read(Settings::bootstrap).unwrap().is_empty());
}

#[test]
fn values_are_set_as_they_are_meant() {
    let rows = [
        ("Gateway.RootRedirect", "/x", ValueFormat::Text, json!("/x")),
        ("Discovery.MDNS.Enabled", "true", ValueFormat::Bool, json!(true)),
        ("Discovery.MDNS.Enabled", "yes", ValueFormat::Bool, json!(false)),
        ("Swarm.ConnMgr.LowWater", "12", ValueFormat::Json, json!(12)),
        (
            "Addresses.Swarm",
            "[\"/ip4/127.0.0.1/tcp/0\"]",
            ValueFormat::Json,
            json!(["/ip4/127.0.0.1/tcp/0"]),
        ),
        ("Unknown.Key", "kept", ValueFormat::Text, json!("kept")),
        ("Cairn.Own", "{\"a\":null}", ValueFormat::Json, json!({"a": null})),
    ];
    let (config, file) = config();
    for (key, text, format, expected) in rows {
        let value = parse_value(text, format).unwrap();
        assert_eq!(config.set(key, value).unwrap(), expected, "{key}");
        let pointer = format!("/{}", key.replace('.', "/"));
        assert_eq!(file.lock().unwrap().pointer(&pointer), Some(&expected), "{key} on disk");
    }
    assert!(matches!(parse_value("{", ValueFormat::Json), Err(ConfigError::Json { .. })));
}

#[test]
fn what_would_be_unreadable_is_refused_and_not_written() {
    let (config, file) = config();
    let before = file.lock().unwrap().clone();
    let error = config.set("Datastore.StorageMax", json!("many")).unwrap_err();
    assert!(error.to_string().contains("Datastore.StorageMax"), "{error}");
    assert!(config.set("Swarm.ConnMgr.LowWater", json!("20")).is_err());
    assert_eq!(*file.lock().unwrap(), before);
    assert_eq!(config.get("Datastore.StorageMax").unwrap(), json!("10GB"));
}

#[test]
fn a_failed_write_changes_nothing() {
    let value = fresh(&Identity::generate(), None, &[]).unwrap();
    let config = Config::new(value, |_| Err(RepoError::Missing { path: "/gone".into() })).unwrap();
    assert!(matches!(config.set("Cairn.A", json!(1)), Err(ConfigError::Repo(_))));
    assert!(matches!(config.get("Cairn.A"), Err(ConfigError::NotFound { .. })));
}

#[test]
fn the_identity_is_hidden_and_stays() {
    let (config, file) = config();
    let identity = config.identity().unwrap();
    let key = identity.private_key_base64();
    assert!(!config.raw().to_string().contains(&key));
    assert!(!format!("{config:?}").contains(&key));
    assert!(matches!(config.get("Identity.PrivKey"), Err(ConfigError::PrivateKey)));
    assert!(matches!(config.set("Identity.PrivKey", json!("x")), Err(ConfigError::PrivateKey)));
    assert!(matches!(config.set("Identity.PeerID", json!("x")), Err(ConfigError::PeerId)));
    let own = json!(identity.peer_id().to_string());
    assert_eq!(config.set("Identity.PeerID", own.clone()).unwrap(), own);

    config.replace(json!({"Identity": {"PeerID": "other"}, "Addresses": {}, "X": 1})).unwrap();
    assert_eq!(config.identity().unwrap().peer_id(), identity.peer_id());
    assert_eq!(config.get("X").unwrap(), json!(1));
    assert!(file.lock().unwrap().to_string().contains(&key));
    assert!(matches!(config.replace(json!([1])), Err(ConfigError::NotAnObject)));
}

#[test]
fn a_dry_run_only_tells() {
    let (config, file) = config();
    let before = file.lock().unwrap().clone();
    let change = config.apply_profile("server", true).unwrap();
    assert_eq!(change.new["Discovery"]["MDNS"]["Enabled"], json!(false));
    assert_eq!(*file.lock().unwrap(), before);
    let change = config.apply_profile("server", false).unwrap();
    assert_eq!(change.old["Discovery"]["MDNS"]["Enabled"], json!(true));
    assert_eq!(file.lock().unwrap()["Discovery"]["MDNS"]["Enabled"], json!(false));
    assert!(!change.new.to_string().contains("PrivKey"));
}
