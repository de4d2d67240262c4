//! Starts the network as the config says.
//!
//! Not here: what runs in it (`cairn-network`).

use crate::{
    Config, NodeError, bootstrap,
    config::{Addresses, Settings, Transports, private_network_forced},
    identity::Identity,
    mfs::Mfs,
    peering::{PEERING_COUNT_MAX, Peerings},
    provide::Provider,
    resources::{OVERRIDES_FILE, OVERRIDES_LEN_MAX, limit, override_limits},
};
use cairn_network::{
    Filters, Multiaddr, Network, NetworkConfig, PeerId, SWARM_KEY_FILE_LEN_MAX, SwarmKey,
    TrimSettings,
};
use cairn_runtime::{Clock, Tasks, blocking, open_files_max};
use cairn_store::Repo;
use std::{
    fs::File,
    io::{self, Read as _},
    path::PathBuf,
    sync::Arc,
};
use tracing::{debug, info, warn};

/// The file that makes a node part of a private network.
const SWARM_KEY_FILE: &str = "swarm.key";

/// Connections take at most one part in so many of the files that the process may open.
const CONNECTIONS_SHARE: u64 = 4;

/// Opens the listeners, then dials whom the operator has named.
pub(super) async fn network(
    config: &Config,
    identity: &Identity,
    (repo, pubsub): (&Repo, bool),
    (tasks, clock): (&Tasks, &Clock),
) -> Result<(Network, Peerings), NodeError> {
    let mut settings = config.read(|settings| Ok(network_config(identity, settings, pubsub)))??;
    for key in config.read(|settings| Ok(settings.routers_left_to_others()))? {
        info!(key, "\"auto\" stands for nobody here: name the routers that are to be asked");
    }
    let folder = repo.path().to_owned();
    settings.clock = clock.clone();
    settings.swarm_key = swarm_key(folder.join(SWARM_KEY_FILE)).await?;
    if config.read(Settings::resources)?.enabled {
        override_resources(&mut settings, folder.join(OVERRIDES_FILE)).await?;
    }
    let is_private = settings.swarm_key.is_some();
    settings.web = config.read(|settings| settings.http_retrieval(is_private))?;
    settings.dht.folder = Some(folder.clone());
    let store = repo.store().clone();
    let network = Network::start(settings, store, tasks).await?;
    let named = config.read(Settings::bootstrap)?;
    let named = multiaddrs("Bootstrap", &named)?;
    tasks.spawn("bootstrap", bootstrap::run(network.clone(), folder, named));
    let peerings = Peerings::new(network.clone(), tasks.clone());
    for peer in config.read(Settings::peering)? {
        let Ok(id) = peer.id.parse::<PeerId>() else {
            let reason = "the ID is not a peer ID".to_owned();
            return Err(NodeError::Multiaddr { key: "Peering.Peers", addr: peer.id, reason });
        };
        let addrs = multiaddrs("Peering.Peers", &peer.addrs)?;
        if !peerings.add(id, addrs) {
            let reason = format!("there are more than {PEERING_COUNT_MAX} peers");
            return Err(NodeError::Multiaddr { key: "Peering.Peers", addr: peer.id, reason });
        }
    }
    Ok((network, peerings))
}

/// Reads the limits that the operator has set by hand.
async fn override_resources(network: &mut NetworkConfig, path: PathBuf) -> Result<(), NodeError> {
    let wrong = |reason| NodeError::ResourceOverrides { path: path.clone(), reason };
    match read_small(path.clone(), OVERRIDES_LEN_MAX).await {
        Ok(bytes) => {
            let ignored = override_limits(network, &bytes).map_err(wrong)?;
            if !ignored.is_empty() {
                warn!(file = OVERRIDES_FILE, limits = ignored.join(", "), "not held to");
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// Reads a file, and a byte more than is allowed, so that it is seen.
async fn read_small(path: PathBuf, len_max: usize) -> io::Result<Vec<u8>> {
    let read = blocking(move || {
        let mut bytes = Vec::new();
        File::open(path)?.take(len_max as u64 + 1).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    });
    read.await
}

/// Reads the key of a private network. A file that cannot be understood is an error: whoever has
/// one does not want to be in public.
async fn swarm_key(path: PathBuf) -> Result<Option<SwarmKey>, NodeError> {
    let wrong = |reason: String| NodeError::SwarmKey { path: path.clone(), reason };
    match read_small(path.clone(), SWARM_KEY_FILE_LEN_MAX).await {
        Ok(bytes) => SwarmKey::from_file(&bytes).map(Some).map_err(wrong),
        Err(error) if error.kind() == io::ErrorKind::NotFound && private_network_forced() => {
            Err(wrong("it is not there, but LIBP2P_FORCE_PNET is set".to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// Starts announcing, if there is anybody to tell and the config wants it.
pub(super) fn provider(
    config: &Config,
    kept: (Arc<Repo>, Arc<Mfs>),
    network: Option<&Network>,
    (tasks, clock): (&Tasks, &Clock),
) -> Result<Option<Arc<Provider>>, NodeError> {
    let settings = config.read(Settings::provide)?;
    let Some(network) = network.filter(|network| network.routing().has_dht() && settings.enabled)
    else {
        return Ok(None);
    };
    let provider = Arc::new(Provider::new(kept, network, settings, clock.clone()));
    tasks.spawn("provide roots", Arc::clone(&provider).announce_roots());
    tasks.spawn("provide round", Arc::clone(&provider).go_round());
    Ok(Some(provider))
}

fn network_config(
    identity: &Identity,
    settings: &Settings,
    pubsub_forced: bool,
) -> Result<NetworkConfig, NodeError> {
    let addresses = settings.addresses()?;
    let bitswap = settings.bitswap()?;
    let mut network = NetworkConfig::new(identity.keypair().clone());
    network.listen = listen(&addresses, settings.transports()?)?;
    let announce = [addresses.announce.as_slice(), addresses.append_announce.as_slice()].concat();
    network.announce = multiaddrs("Addresses.Announce", &announce)?;
    network.mdns = settings.mdns_enabled()?;
    network.serve = bitswap.enabled && bitswap.server_enabled;
    network.budget = settings.memory()?;
    network.dht = settings.routing()?;
    network.routers = settings.routers()?;
    let (is_enabled, pubsub) = settings.pubsub()?;
    network.pubsub = (is_enabled || pubsub_forced).then_some(pubsub);
    network.filters = Filters::new(settings.addr_filters()?);
    network.bandwidth = settings.bandwidth()?;
    network.reachability = settings.reachability()?;
    // No router has anything to give to a node that only this machine can reach.
    network.reachability.port_mapping &= !network.listen.iter().all(is_loopback);
    let conn_mgr = settings.conn_mgr()?;
    network.trim = conn_mgr.enabled.then_some(TrimSettings {
        low: conn_mgr.low_water as usize,
        high: conn_mgr.high_water as usize,
        grace: conn_mgr.grace_period,
        period: conn_mgr.silence_period,
    });
    let limits = &mut network.limits;
    limits.established_max = limits.established_max.max(conn_mgr.high_water);
    let files = u32::try_from(open_files_max() / CONNECTIONS_SHARE).unwrap_or(u32::MAX);
    limit(&mut network, settings.resources()?, files);
    let suffix = settings.agent_suffix()?;
    if !suffix.is_empty() {
        network.agent = format!("{}/{suffix}", network.agent);
    }
    Ok(network)
}

/// The addresses of `Addresses.Swarm` whose transport is on and known here.
///
/// Configs written by Kubo name transports that this node does not speak; those are left out.
fn listen(addresses: &Addresses, transports: Transports) -> Result<Vec<Multiaddr>, NodeError> {
    let mut listen = multiaddrs("Addresses.Swarm", &addresses.swarm)?;
    listen.retain(|addr| {
        let text = addr.to_string();
        let has = |part: &str| text.split('/').any(|segment| segment == part);
        let spoken = if has("webtransport") || has("webrtc-direct") || has("p2p-circuit") {
            false
        } else if has("ws") || has("wss") {
            transports.websocket
        } else if has("quic-v1") {
            transports.quic
        } else {
            has("tcp") && transports.tcp
        };
        if !spoken {
            debug!(addr = text, "not listening: the transport is off or not known");
        }
        spoken
    });
    Ok(listen)
}

fn is_loopback(addr: &Multiaddr) -> bool {
    let text = addr.to_string();
    text.starts_with("/ip4/127.") || text.starts_with("/ip6/::1/")
}

fn multiaddrs(key: &'static str, texts: &[String]) -> Result<Vec<Multiaddr>, NodeError> {
    let parse = |text: &String| {
        let parsed: Result<Multiaddr, _> = text.parse();
        parsed.map_err(|error| NodeError::Multiaddr {
            key,
            addr: text.clone(),
            reason: error.to_string(),
        })
    };
    texts.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::{Settings, listen};
    use serde_json::json;

    #[test]
    fn listens_on_what_is_spoken() {
        let swarm = [
            "/ip4/0.0.0.0/tcp/4001",
            "/ip4/0.0.0.0/tcp/4002/ws",
            "/ip4/0.0.0.0/udp/4001/quic-v1",
            "/ip4/0.0.0.0/udp/4001/webrtc-direct",
            "/ip4/0.0.0.0/udp/4001/quic-v1/webtransport",
        ];
        let rows = [(json!({}), 3), (json!({"QUIC": false}), 2), (json!({"TCP": false}), 2)];
        for (network, expected) in rows {
            let tree = json!({
                "Addresses": {"Swarm": swarm},
                "Swarm": {"Transports": {"Network": network}},
            });
            let settings = Settings::of(&tree);
            let addrs = listen(&settings.addresses().unwrap(), settings.transports().unwrap());
            assert_eq!(addrs.unwrap().len(), expected, "{network}");
        }
        let tree = json!({"Addresses": {"Swarm": ["nonsense"]}});
        let settings = Settings::of(&tree);
        let addrs = listen(&settings.addresses().unwrap(), settings.transports().unwrap());
        assert!(addrs.unwrap_err().to_string().contains("Addresses.Swarm"));
    }
}
