//! Profiles: named changes to the config.
//!
//! Names and effects are Kubo's (`config profile apply`, `init --profile`). The datastore
//! profiles choose among stores that this node does not have; they are accepted and change
//! nothing, because one store serves all their purposes.
//!
//! Not here: the keys' meaning (`sections.rs`).

use super::{ConfigError, initial, tree};
use serde_json::{Value, json};

/// Address ranges that are never on the public internet. Source: IANA's special registries.
const PRIVATE_RANGES: &[&str] = &[
    "/ip4/10.0.0.0/ipcidr/8",
    "/ip4/100.64.0.0/ipcidr/10",
    "/ip4/169.254.0.0/ipcidr/16",
    "/ip4/172.16.0.0/ipcidr/12",
    "/ip4/192.0.0.0/ipcidr/24",
    "/ip4/192.0.2.0/ipcidr/24",
    "/ip4/192.168.0.0/ipcidr/16",
    "/ip4/198.18.0.0/ipcidr/15",
    "/ip4/198.51.100.0/ipcidr/24",
    "/ip4/203.0.113.0/ipcidr/24",
    "/ip4/240.0.0.0/ipcidr/4",
    "/ip6/100::/ipcidr/64",
    "/ip6/2001:2::/ipcidr/48",
    "/ip6/2001:db8::/ipcidr/32",
    "/ip6/fc00::/ipcidr/7",
    "/ip6/fe80::/ipcidr/10",
];

/// One profile, for lists and help texts.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Profile {
    /// What it is called.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub description: &'static str,
    /// Whether it only has a meaning for a new repository.
    pub init_only: bool,
    changes: Changes,
}

type Changes = fn(&mut Value) -> Result<(), ConfigError>;

const fn profile(name: &'static str, description: &'static str, changes: Changes) -> Profile {
    Profile { name, description, init_only: false, changes }
}

const fn datastore(name: &'static str) -> Profile {
    let description = "Accepted for compatibility; this node has one store for all purposes.";
    Profile { name, description, init_only: true, changes: |_| Ok(()) }
}

const UNIXFS_V0: &str = "CIDs as before 2025: version 0, wrapped leaves, 256 KiB chunks.";

/// Every profile, by name.
pub const PROFILES: &[Profile] = &[
    profile("announce-off", "Announces nothing to the routing system.", |tree| {
        apply(tree, [("Provide.Enabled", json!(false)), ("Provide.DHT.Interval", json!("0s"))])
    }),
    profile("announce-on", "Announces content again.", |tree| {
        apply(tree, [("Provide.Enabled", json!(true)), ("Provide.DHT.Interval", json!("22h0m0s"))])
    }),
    profile("autoconf-off", "Leaves every automatic endpoint empty.", autoconf_off),
    profile("autoconf-on", "Sets every automatic endpoint to \"auto\".", autoconf_on),
    datastore("badgerds"),
    datastore("badgerds-measure"),
    datastore("default-datastore"),
    profile("default-networking", "Restores the default addresses.", default_networking),
    datastore("flatfs"),
    datastore("flatfs-measure"),
    profile("legacy-cid-v0", UNIXFS_V0, unixfs_v0),
    profile("local-discovery", "Finds peers in the local network.", local_discovery),
    profile("lowpower", "Holds few connections and serves nobody else.", lowpower),
    datastore("pebbleds"),
    datastore("pebbleds-measure"),
    profile("randomports", "Listens on a random port of the swarm.", randomports),
    profile("server", "For hosts with public addresses: no local discovery.", server),
    profile("test", "Loopback and random ports only, no peers.", test),
    profile("unixfs-v0-2015", UNIXFS_V0, unixfs_v0),
    profile("unixfs-v1-2025", "CIDs by IPIP-499: version 1, raw leaves, 1 MiB chunks.", unixfs_v1),
];

/// Changes `tree` by each profile of a list such as `"server,randomports"`.
pub(super) fn apply_named(tree: &mut Value, names: &str) -> Result<(), ConfigError> {
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let found = PROFILES.iter().find(|profile| profile.name == name);
        let profile = found.ok_or_else(|| ConfigError::Profile { name: name.to_owned() })?;
        (profile.changes)(tree)?;
    }
    Ok(())
}

fn apply<const N: usize>(tree: &mut Value, changes: [(&str, Value); N]) -> Result<(), ConfigError> {
    changes.into_iter().try_for_each(|(key, value)| tree::set(tree, key, value))
}

fn strings(tree: &Value, key: &str) -> Vec<String> {
    let list = tree::find(tree, key).and_then(Value::as_array);
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn with_ranges(tree: &Value, key: &str) -> Value {
    let mut list = strings(tree, key);
    for range in PRIVATE_RANGES {
        if !list.iter().any(|known| known == range) {
            list.push((*range).to_owned());
        }
    }
    json!(list)
}

fn without_ranges(tree: &Value, key: &str) -> Value {
    let mut list = strings(tree, key);
    list.retain(|entry| !PRIVATE_RANGES.contains(&entry.as_str()));
    json!(list)
}

fn server(tree: &mut Value) -> Result<(), ConfigError> {
    let no_announce = with_ranges(tree, "Addresses.NoAnnounce");
    let filters = with_ranges(tree, "Swarm.AddrFilters");
    apply(
        tree,
        [
            ("Addresses.NoAnnounce", no_announce),
            ("Swarm.AddrFilters", filters),
            ("Discovery.MDNS.Enabled", json!(false)),
            ("Swarm.DisableNatPortMap", json!(true)),
        ],
    )
}

fn local_discovery(tree: &mut Value) -> Result<(), ConfigError> {
    let no_announce = without_ranges(tree, "Addresses.NoAnnounce");
    let filters = without_ranges(tree, "Swarm.AddrFilters");
    apply(
        tree,
        [
            ("Addresses.NoAnnounce", no_announce),
            ("Swarm.AddrFilters", filters),
            ("Discovery.MDNS.Enabled", json!(true)),
            ("Swarm.DisableNatPortMap", json!(false)),
        ],
    )
}

fn test(tree: &mut Value) -> Result<(), ConfigError> {
    apply(
        tree,
        [
            ("Addresses.API", json!("/ip4/127.0.0.1/tcp/0")),
            ("Addresses.Gateway", json!("/ip4/127.0.0.1/tcp/0")),
            ("Addresses.Swarm", json!(["/ip4/127.0.0.1/tcp/0"])),
            ("Swarm.DisableNatPortMap", json!(true)),
            ("Routing.LoopbackAddressesOnLanDHT", json!(true)),
            ("Bootstrap", json!([])),
            ("Discovery.MDNS.Enabled", json!(false)),
            ("AutoTLS.Enabled", json!(false)),
            ("AutoConf.Enabled", json!(false)),
            ("DNS.Resolvers", json!({})),
            ("Routing.DelegatedRouters", json!([])),
            ("Ipns.DelegatedPublishers", json!([])),
        ],
    )
}

fn default_networking(tree: &mut Value) -> Result<(), ConfigError> {
    apply(
        tree,
        [
            ("Addresses", initial::addresses()),
            ("Bootstrap", json!(["auto"])),
            ("AutoConf", json!({})),
            ("Swarm.DisableNatPortMap", json!(false)),
            ("Discovery.MDNS.Enabled", json!(true)),
            ("AutoTLS.Enabled", Value::Null),
        ],
    )
}

fn lowpower(tree: &mut Value) -> Result<(), ConfigError> {
    apply(
        tree,
        [
            ("Routing.Type", json!("autoclient")),
            ("AutoNAT.ServiceMode", json!("disabled")),
            ("Swarm.RelayService.Enabled", json!(false)),
            ("Swarm.ConnMgr.Type", json!("basic")),
            ("Swarm.ConnMgr.LowWater", json!(20)),
            ("Swarm.ConnMgr.HighWater", json!(40)),
            ("Swarm.ConnMgr.GracePeriod", json!("1m0s")),
        ],
    )
}

fn randomports(tree: &mut Value) -> Result<(), ConfigError> {
    let refused = |source| ConfigError::NoPort { source };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(refused)?;
    let port = listener.local_addr().map_err(refused)?.port();
    let swarm = json!([format!("/ip4/0.0.0.0/tcp/{port}"), format!("/ip6/::/tcp/{port}")]);
    apply(tree, [("Addresses.Swarm", swarm)])
}

fn autoconf_on(tree: &mut Value) -> Result<(), ConfigError> {
    apply(
        tree,
        [
            ("Bootstrap", json!(["auto"])),
            ("DNS.Resolvers", json!({".": "auto"})),
            ("Routing.DelegatedRouters", json!(["auto"])),
            ("Ipns.DelegatedPublishers", json!(["auto"])),
            ("AutoConf.Enabled", json!(true)),
        ],
    )
}

fn autoconf_off(tree: &mut Value) -> Result<(), ConfigError> {
    apply(
        tree,
        [
            ("Bootstrap", Value::Null),
            ("DNS.Resolvers", Value::Null),
            ("Routing.DelegatedRouters", Value::Null),
            ("Ipns.DelegatedPublishers", Value::Null),
            ("AutoConf.Enabled", json!(false)),
        ],
    )
}

fn unixfs_v0(tree: &mut Value) -> Result<(), ConfigError> {
    unixfs(tree, 0, "size-262144", "links")?;
    apply(tree, [("Import.UnixFSFileMaxLinks", json!(174))])
}

fn unixfs_v1(tree: &mut Value) -> Result<(), ConfigError> {
    unixfs(tree, 1, "size-1048576", "block")?;
    apply(tree, [("Import.UnixFSFileMaxLinks", json!(1024))])
}

fn unixfs(tree: &mut Value, version: u8, cut: &str, size: &str) -> Result<(), ConfigError> {
    apply(
        tree,
        [
            ("Import.CidVersion", json!(version)),
            ("Import.UnixFSRawLeaves", json!(version == 1)),
            ("Import.UnixFSChunker", json!(cut)),
            ("Import.HashFunction", json!("sha2-256")),
            ("Import.UnixFSDirectoryMaxLinks", json!(0)),
            ("Import.UnixFSHAMTDirectoryMaxFanout", json!(256)),
            ("Import.UnixFSHAMTDirectorySizeThreshold", json!("256KiB")),
            ("Import.UnixFSHAMTDirectorySizeEstimation", json!(size)),
            ("Import.UnixFSDAGLayout", json!("balanced")),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::{PROFILES, apply_named};
    use crate::config::{ConfigError, tree};
    use serde_json::{Value, json};

    #[test]
    fn profiles_change_what_they_name() {
        let rows: &[(&str, &str, Value)] = &[
            ("server", "Discovery.MDNS.Enabled", json!(false)),
            ("server,local-discovery", "Discovery.MDNS.Enabled", json!(true)),
            ("server,local-discovery", "Swarm.AddrFilters", json!(["/ip4/9.0.0.0/ipcidr/8"])),
            ("test", "Addresses.Swarm", json!(["/ip4/127.0.0.1/tcp/0"])),
            ("test", "Bootstrap", json!([])),
            ("test, default-networking", "Bootstrap", json!(["auto"])),
            ("test,default-networking", "Addresses.API", json!("/ip4/127.0.0.1/tcp/5001")),
            ("lowpower", "Swarm.ConnMgr.HighWater", json!(40)),
            ("announce-off", "Provide.Enabled", json!(false)),
            ("announce-off,announce-on", "Provide.Enabled", json!(true)),
            ("unixfs-v1-2025", "Import.UnixFSChunker", json!("size-1048576")),
            ("unixfs-v1-2025,legacy-cid-v0", "Import.CidVersion", json!(0)),
            ("autoconf-off,autoconf-on", "DNS.Resolvers", json!({".": "auto"})),
            ("flatfs", "Swarm.AddrFilters", json!(["/ip4/9.0.0.0/ipcidr/8"])),
        ];
        for (names, key, expected) in rows {
            let mut tree = json!({"Swarm": {"AddrFilters": ["/ip4/9.0.0.0/ipcidr/8"]}});
            apply_named(&mut tree, names).unwrap();
            assert_eq!(tree::find(&tree, key), Some(expected), "{names} {key}");
        }
    }

    #[test]
    fn unknown_profiles_are_named() {
        let error = apply_named(&mut json!({}), "test,nonsense");
        assert!(matches!(error, Err(ConfigError::Profile { name }) if name == "nonsense"));
    }

    #[test]
    fn every_profile_applies_to_an_empty_config() {
        for profile in PROFILES {
            assert!(apply_named(&mut json!({}), profile.name).is_ok(), "{}", profile.name);
        }
    }

    #[test]
    fn randomports_keeps_both_families_on_one_port() {
        let mut tree = json!({});
        apply_named(&mut tree, "randomports").unwrap();
        let swarm = tree["Addresses"]["Swarm"].as_array().unwrap();
        let port = |row: usize| swarm[row].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        assert_eq!(port(0), port(1));
        assert_ne!(port(0), "0");
    }
}
