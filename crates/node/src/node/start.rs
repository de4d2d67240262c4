//! Starts the network as the config says.
//!
//! Not here: what runs in it (`cairn-network`).

use crate::{
    Config, NodeError, bootstrap,
    config::{Addresses, Settings, Transports},
    identity::Identity,
    mfs::Mfs,
    provide::Provider,
};
use cairn_network::{Multiaddr, Network, NetworkConfig, PeerId};
use cairn_runtime::{Clock, Tasks, open_files_max};
use cairn_store::Repo;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use tracing::debug;

/// Connections take at most one part in so many of the files that the process may open.
const CONNECTIONS_SHARE: u64 = 4;

/// How long a lost peering connection is left alone, at first and at most.
const PEERING_DELAY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(10));

/// Opens the listeners, then dials whom the operator has named.
pub(super) async fn network(
    config: &Config,
    identity: &Identity,
    repo: &Repo,
    tasks: &Tasks,
) -> Result<Network, NodeError> {
    let mut settings = config.read(|settings| Ok(network_config(identity, settings)))??;
    let folder = repo.path().to_owned();
    settings.dht.folder = Some(folder.clone());
    let store = repo.store().clone();
    let network = Network::start(settings, store, tasks).await?;
    let named = config.read(Settings::bootstrap)?;
    let named = multiaddrs("Bootstrap", &named)?;
    tasks.spawn("bootstrap", bootstrap::run(network.clone(), folder, named));
    for peer in config.read(Settings::peering)? {
        let Ok(id) = peer.id.parse::<PeerId>() else {
            let reason = "the ID is not a peer ID".to_owned();
            return Err(NodeError::Multiaddr { key: "Peering.Peers", addr: peer.id, reason });
        };
        let addrs = multiaddrs("Peering.Peers", &peer.addrs)?;
        tasks.spawn("peering", keep_connected(network.clone(), id, addrs));
    }
    Ok(network)
}

/// Starts announcing, if there is anybody to tell and the config wants it.
pub(super) fn provider(
    config: &Config,
    kept: (Arc<Repo>, Arc<Mfs>),
    network: Option<&Network>,
    tasks: &Tasks,
) -> Result<Option<Arc<Provider>>, NodeError> {
    let settings = config.read(Settings::provide)?;
    let Some(network) = network.filter(|network| network.routing().is_on() && settings.enabled)
    else {
        return Ok(None);
    };
    let provider = Arc::new(Provider::new(kept, network, settings, Clock::system()));
    tasks.spawn("provide roots", Arc::clone(&provider).announce_roots());
    tasks.spawn("provide round", Arc::clone(&provider).go_round());
    Ok(Some(provider))
}

fn network_config(identity: &Identity, settings: &Settings) -> Result<NetworkConfig, NodeError> {
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
    let limits = &mut network.limits;
    limits.established_max = limits.established_max.max(settings.conn_mgr()?.high_water);
    let files = u32::try_from(open_files_max() / CONNECTIONS_SHARE).unwrap_or(u32::MAX);
    limits.established_max = limits.established_max.min(files);
    limits.incoming_max = limits.incoming_max.min(files);
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

/// Dials until connected, waits, looks again; the wait doubles while the peer is away.
async fn keep_connected(network: Network, peer: PeerId, addrs: Vec<Multiaddr>) {
    let (first, longest) = PEERING_DELAY;
    let mut delay = first;
    loop {
        let connected = network.peers().await.iter().any(|known| known.id == peer);
        delay = if connected || dial(&network, peer, &addrs).await {
            first
        } else {
            (delay * 2).min(longest)
        };
        sleep(delay).await;
    }
}

async fn dial(network: &Network, peer: PeerId, addrs: &[Multiaddr]) -> bool {
    for addr in addrs {
        let Ok(addr) = addr.clone().with_p2p(peer) else { continue };
        match network.connect(addr).await {
            Ok(_) => return true,
            Err(error) => debug!(%error, "peer not reached"),
        }
    }
    false
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
