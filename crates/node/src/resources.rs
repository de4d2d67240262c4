//! Limits on what connections may take: `Swarm.ResourceMgr` and the file of overrides.
//!
//! The file is the one that Kubo reads, `libp2p-resource-limit-overrides.json`. What this node
//! cannot hold to is named in one warning, so that nobody relies on it.
//!
//! Source: Kubo's `docs/libp2p-resource-management.md`.
//! Invariant: a file that cannot be understood is an error, not a node without limits.
//! Not here: holding to the limits (`cairn-network`).

use cairn_network::{ConnectionLimits, NetworkConfig, PEER_LIMITS_MAX, PeerId, StreamLimit};
use serde_json::{Map, Value};

/// The file beside the config.
pub(crate) const OVERRIDES_FILE: &str = "libp2p-resource-limit-overrides.json";

/// Longest such file, in bytes.
pub(crate) const OVERRIDES_LEN_MAX: usize = 1024 * 1024;

/// Section `Swarm.ResourceMgr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResourceSettings {
    /// Whether there are limits besides those that this node always has.
    pub(crate) enabled: bool,
    /// Memory of the process above which no connection is made, in bytes.
    pub(crate) memory_max: Option<u64>,
    /// Files that connections may take.
    pub(crate) files_max: Option<u32>,
}

/// Sets what the config says; `files` is the share of the system's files for connections.
pub(crate) fn limit(network: &mut NetworkConfig, settings: ResourceSettings, files: u32) {
    let limits = &mut network.limits;
    if !settings.enabled {
        network.streams = cairn_network::StreamLimits::none();
        let unlimited = ConnectionLimits {
            established_max: u32::MAX,
            incoming_max: u32::MAX,
            outgoing_max: u32::MAX,
            ..*limits
        };
        *limits = unlimited;
    }
    limits.outgoing_max = limits.outgoing_max.max(limits.established_max);
    network.memory_max = settings.memory_max.filter(|_| settings.enabled);
    within_files(limits, settings.files_max.filter(|_| settings.enabled).unwrap_or(files));
    within_files(limits, files);
}

fn within_files(limits: &mut ConnectionLimits, files: u32) {
    for limit in [&mut limits.established_max, &mut limits.incoming_max, &mut limits.outgoing_max] {
        *limit = (*limit).min(files);
    }
}

/// Puts what the file says over that; answers what of it cannot be held to.
pub(crate) fn override_limits(
    network: &mut NetworkConfig,
    bytes: &[u8],
) -> Result<Vec<String>, String> {
    if bytes.len() > OVERRIDES_LEN_MAX {
        return Err(format!("it is longer than {OVERRIDES_LEN_MAX} bytes"));
    }
    let tree: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut ignored = Vec::new();
    for (scope, limits) in object("the file", &tree)? {
        match scope.as_str() {
            "System" => system(network, object(scope, limits)?, &mut ignored)?,
            "PeerDefault" => {
                let limits = object(scope, limits)?;
                let max = &mut network.limits.per_peer_max;
                set(max, scope, limits, "Conns")?;
                let others = ["ConnsInbound", "ConnsOutbound", "FD", "Memory"];
                ignore(scope, limits, &others, &mut ignored);
                streams(&mut network.streams.peer, scope, limits)?;
            }
            "Peer" => {
                for (id, limits) in object(scope, limits)? {
                    peer(network, id, object(id, limits)?, &mut ignored)?;
                }
            }
            "Transient" => {
                let limits = object(scope, limits)?;
                set(&mut network.limits.pending_max, scope, limits, "ConnsInbound")?;
                let others: Vec<&str> = limits
                    .keys()
                    .map(String::as_str)
                    .filter(|key| *key != "ConnsInbound")
                    .collect();
                ignore(scope, limits, &others, &mut ignored);
            }
            other => ignored.push(other.to_owned()),
        }
    }
    Ok(ignored)
}

fn system(
    network: &mut NetworkConfig,
    limits: &Map<String, Value>,
    ignored: &mut Vec<String>,
) -> Result<(), String> {
    let scope = "System";
    set(&mut network.limits.established_max, scope, limits, "Conns")?;
    set(&mut network.limits.incoming_max, scope, limits, "ConnsInbound")?;
    set(&mut network.limits.outgoing_max, scope, limits, "ConnsOutbound")?;
    if let Some(limit) = read(scope, limits, "Memory")? {
        network.memory_max = limit.most();
    }
    ignore(scope, limits, &["FD"], ignored);
    streams(&mut network.streams.system, scope, limits)
}

fn peer(
    network: &mut NetworkConfig,
    id: &str,
    limits: &Map<String, Value>,
    ignored: &mut Vec<String>,
) -> Result<(), String> {
    let peer: PeerId = id.parse().map_err(|_| format!("{id:?} is no peer ID"))?;
    let all = &mut network.streams;
    if all.peers.len() >= PEER_LIMITS_MAX {
        return Err(format!("there are more than {PEER_LIMITS_MAX} peers"));
    }
    let mut limit = all.of(&peer);
    streams(&mut limit, id, limits)?;
    all.peers.insert(peer, limit);
    let others = ["Conns", "ConnsInbound", "ConnsOutbound", "FD", "Memory"];
    ignore(&format!("Peer.{id}"), limits, &others, ignored);
    Ok(())
}

fn streams(
    limit: &mut StreamLimit,
    scope: &str,
    limits: &Map<String, Value>,
) -> Result<(), String> {
    let rows = [
        ("Streams", &mut limit.all),
        ("StreamsInbound", &mut limit.inbound),
        ("StreamsOutbound", &mut limit.outbound),
    ];
    for (key, limit) in rows {
        if let Some(read) = read(scope, limits, key)? {
            *limit = read.most().map(|most| u32::try_from(most).unwrap_or(u32::MAX));
        }
    }
    Ok(())
}

fn set(limit: &mut u32, scope: &str, limits: &Map<String, Value>, key: &str) -> Result<(), String> {
    if let Some(read) = read(scope, limits, key)? {
        *limit = read.most().and_then(|most| most.try_into().ok()).unwrap_or(u32::MAX);
    }
    Ok(())
}

/// What the file says of one thing.
#[derive(Debug, Clone, Copy)]
enum Limit {
    None,
    Most(u64),
}

impl Limit {
    fn most(self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Most(most) => Some(most),
        }
    }
}

/// A limit that is there and not the default: a number, or none at all.
fn read(scope: &str, limits: &Map<String, Value>, key: &str) -> Result<Option<Limit>, String> {
    let Some(value) = limits.get(key) else { return Ok(None) };
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text == "default" => Ok(None),
        Value::String(text) if text == "unlimited" => Ok(Some(Limit::None)),
        Value::String(text) if text == "blockAll" => Ok(Some(Limit::Most(0))),
        _ => match value.as_i64() {
            // The numbers that Kubo writes for the words.
            Some(0) => Ok(None),
            Some(-1) => Ok(Some(Limit::None)),
            Some(-2) => Ok(Some(Limit::Most(0))),
            Some(number @ 1..) => Ok(Some(Limit::Most(number.unsigned_abs()))),
            _ => Err(format!(
                "{scope}.{key} is {value}, not a number, \"unlimited\", \"blockAll\" or \"default\""
            )),
        },
    }
}

fn ignore(scope: &str, limits: &Map<String, Value>, keys: &[&str], ignored: &mut Vec<String>) {
    let there = keys.iter().filter(|key| limits.contains_key(**key));
    ignored.extend(there.map(|key| format!("{scope}.{key}")));
}

fn object<'a>(name: &str, value: &'a Value) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{name} is no object"))
}

#[cfg(test)]
mod tests {
    use super::{NetworkConfig, ResourceSettings, limit, override_limits};
    use cairn_network::{PeerId, StreamLimit, generate_ed25519};
    use serde_json::{Value, json};

    fn overridden(tree: &Value) -> Result<(NetworkConfig, Vec<String>), String> {
        let mut network = NetworkConfig::new(generate_ed25519());
        let ignored = override_limits(&mut network, tree.to_string().as_bytes())?;
        Ok((network, ignored))
    }

    #[test]
    fn the_file_is_kubos() {
        let id = generate_ed25519().public().to_peer_id();
        let tree = json!({
            "System": {"Conns": 50, "ConnsInbound": 20, "Streams": "unlimited", "Memory": 1 << 30,
                "StreamsInbound": 7, "FD": 3},
            "PeerDefault": {"StreamsInbound": "blockAll", "Conns": 2, "StreamsOutbound": "default"},
            "Peer": {id.to_string(): {"StreamsInbound": 99, "Conns": 1}},
            "Transient": {"ConnsInbound": 5, "Streams": 1},
            "ServiceDefault": {"Streams": 1},
        });
        let (network, mut ignored) = overridden(&tree).unwrap();
        let limits = network.limits;
        assert_eq!((limits.established_max, limits.incoming_max), (50, 20));
        assert_eq!((limits.per_peer_max, limits.pending_max), (2, 5));
        assert_eq!(network.memory_max, Some(1 << 30));
        assert_eq!(network.streams.system.inbound, Some(7));
        let stranger = network.streams.of(&PeerId::random());
        assert_eq!(stranger, StreamLimit { inbound: Some(0), ..StreamLimit::default() });
        assert_eq!(network.streams.of(&id).inbound, Some(99));
        ignored.sort();
        let peer = format!("Peer.{id}.Conns");
        assert_eq!(ignored, [&peer, "ServiceDefault", "System.FD", "Transient.Streams"]);
    }

    #[test]
    fn what_cannot_be_understood_is_an_error() {
        let rows = [
            (json!([]), "no object"),
            (json!({"System": 1}), "System is no object"),
            (json!({"System": {"Conns": -7}}), "System.Conns"),
            (json!({"System": {"Conns": "many"}}), "System.Conns"),
            (json!({"Peer": {"nobody": {}}}), "no peer ID"),
        ];
        for (tree, expected) in rows {
            let error = overridden(&tree).unwrap_err();
            assert!(error.contains(expected), "{tree}: {error}");
        }
        let mut network = NetworkConfig::new(generate_ed25519());
        assert!(override_limits(&mut network, b"{").is_err());
    }

    #[test]
    fn without_a_manager_only_the_systems_files_limit() {
        let limited = |enabled, files_max| {
            let mut network = NetworkConfig::new(generate_ed25519());
            let memory_max = Some(5);
            limit(&mut network, ResourceSettings { enabled, memory_max, files_max }, 1000);
            network
        };
        let on = limited(true, Some(100));
        assert_eq!((on.limits.established_max, on.limits.incoming_max), (100, 100));
        assert_eq!(on.memory_max, Some(5));
        let off = limited(false, Some(100));
        assert_eq!((off.limits.established_max, off.limits.outgoing_max), (1000, 1000));
        assert_eq!((off.memory_max, off.streams.peer.inbound), (None, None));
    }
}
