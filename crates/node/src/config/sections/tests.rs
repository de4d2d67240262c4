//! The readers against the file's possible contents.

use super::Settings;
use cairn_unixfs::DirectoryEstimate;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn an_empty_file_means_the_defaults() {
    let empty = json!({});
    let settings = Settings::of(&empty);
    assert!(settings.check().is_ok());
    assert_eq!(settings.addresses().unwrap().api, ["/ip4/127.0.0.1/tcp/5001"]);
    assert!(settings.mdns_enabled().unwrap());
    assert_eq!(settings.storage_max().unwrap(), 10_000_000_000);
    let import = settings.import().unwrap();
    assert_eq!((import.max_file_links, import.max_hamt_fanout), (174, 256));
    assert_eq!((import.cid_version, import.raw_leaves), (None, None));
    assert_eq!(settings.gateway().unwrap().retrieval_timeout, Duration::from_secs(30));
}

#[test]
fn null_and_default_are_as_if_missing() {
    let tree = json!({
        "Import": {"CidVersion": null, "UnixFSRawLeaves": "default", "UnixFSChunker": null},
        "Swarm": {"ConnMgr": {"LowWater": null, "GracePeriod": "default"}},
    });
    let settings = Settings::of(&tree);
    assert_eq!(settings.import().unwrap().raw_leaves, None);
    assert_eq!(settings.conn_mgr().unwrap().low_water, 32);
    assert_eq!(settings.conn_mgr().unwrap().grace_period, Duration::from_secs(20));
}

#[test]
fn auto_names_no_endpoint() {
    let tree = json!({"Bootstrap": ["auto", "/ip4/127.0.0.1/tcp/1/p2p/x"]});
    assert_eq!(Settings::of(&tree).bootstrap().unwrap(), ["/ip4/127.0.0.1/tcp/1/p2p/x"]);
}

#[test]
fn one_address_may_stand_without_a_list() {
    let tree = json!({"Addresses": {"API": "/ip4/127.0.0.1/tcp/1", "Gateway": ["a", "b"]}});
    let addresses = Settings::of(&tree).addresses().unwrap();
    assert_eq!(addresses.api, ["/ip4/127.0.0.1/tcp/1"]);
    assert_eq!(addresses.gateway, ["a", "b"]);
}

#[test]
fn import_follows_the_file() {
    let tree = json!({"Import": {
        "CidVersion": 1,
        "UnixFSChunker": "size-1048576",
        "UnixFSHAMTDirectorySizeEstimation": "block",
        "UnixFSHAMTDirectorySizeThreshold": "1MiB",
    }});
    let import = Settings::of(&tree).import().unwrap();
    assert_eq!(import.cid_version, Some(1));
    assert_eq!(import.chunker.to_string(), "size-1048576");
    assert_eq!(import.hamt_estimation, DirectoryEstimate::Block);
    assert_eq!(import.hamt_threshold, 1_048_576);
}

#[test]
fn wrong_values_name_their_key() {
    let rows: &[(&str, Value)] = &[
        ("Addresses.Swarm", json!({"Addresses": {"Swarm": [1]}})),
        ("Discovery.MDNS.Enabled", json!({"Discovery": {"MDNS": {"Enabled": "yes"}}})),
        ("Swarm.ConnMgr.LowWater", json!({"Swarm": {"ConnMgr": {"LowWater": "20"}}})),
        ("Swarm.ConnMgr.GracePeriod", json!({"Swarm": {"ConnMgr": {"GracePeriod": 20}}})),
        ("Datastore.StorageMax", json!({"Datastore": {"StorageMax": "lots"}})),
        ("Import.CidVersion", json!({"Import": {"CidVersion": 2}})),
        ("Import.HashFunction", json!({"Import": {"HashFunction": "md5"}})),
        ("Import.UnixFSChunker", json!({"Import": {"UnixFSChunker": "size-0"}})),
        ("API.HTTPHeaders", json!({"API": {"HTTPHeaders": {"A": "b"}}})),
        ("Peering.Peers", json!({"Peering": {"Peers": [{"Addrs": []}]}})),
    ];
    for (key, tree) in rows {
        let error = Settings::of(tree).check().unwrap_err().to_string();
        assert!(error.contains(key), "{key}: {error}");
    }
}

#[test]
fn authorization_errors_do_not_quote_secrets() {
    let tree = json!({"API": {"Authorizations": {"a": {"AuthSecret": ["hidden"]}}}});
    let error = Settings::of(&tree).authorizations().unwrap_err().to_string();
    assert!(!error.contains("hidden"), "{error}");
    let tree = json!({"API": {"Authorizations": {"a": {"AuthSecret": "bearer:t"}}}});
    let users = Settings::of(&tree).authorizations().unwrap();
    assert_eq!((users[0].secret.as_str(), users[0].name.as_str()), ("bearer:t", "a"));
    assert!(!format!("{users:?}").contains("bearer"));
}

#[test]
fn scrubs_follow_the_file() {
    let month = Duration::from_hours(30 * 24);
    let default = Settings::of(&json!({})).scrub().unwrap();
    assert_eq!((default.period, default.rate, default.heal), (month, 30_000_000, true));
    let tree = json!({"Cairn": {"Scrub": {"Period": "0", "Rate": "50MB", "Heal": false}}});
    let scrub = Settings::of(&tree).scrub().unwrap();
    assert_eq!((scrub.period, scrub.rate, scrub.heal), (Duration::ZERO, 50_000_000, false));
    let wrong = Settings::of(&json!({"Cairn": {"Scrub": {"Period": "monthly"}}}));
    assert!(wrong.check().unwrap_err().to_string().contains("Cairn.Scrub.Period"));
}
