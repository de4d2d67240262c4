//! Putting the swarm together: transports and behaviours.
//!
//! Not here: the transports (`transport.rs`), what happens with the events (`swarm.rs`).

use super::transport::{self, Meter, failed};
use crate::{
    NetworkConfig, NetworkError, bitswap,
    pubsub::{Gossip, gossip},
    streams,
};
use cairn_runtime::Tasks;
use libp2p::{
    Swarm, connection_limits, identify, mdns, ping,
    swarm::{Config, NetworkBehaviour, behaviour::toggle::Toggle},
};

/// What Kubo calls the protocol family, and expects to hear.
const PROTOCOL_VERSION: &str = "ipfs/0.1.0";

/// All behaviours of the node's swarm.
#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p::swarm::derive_prelude")]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
    bitswap: bitswap::Behaviour,
    pub(super) streams: streams::Behaviour,
    pub(super) pubsub: Toggle<Gossip>,
}

/// Builds the swarm; its connections' tasks belong to `tasks`.
pub(super) fn swarm(
    config: &NetworkConfig,
    (bitswap, streams): (bitswap::Behaviour, streams::Behaviour),
    (tasks, meter): (&Tasks, &Meter),
) -> Result<Swarm<Behaviour>, NetworkError> {
    let behaviour = behaviour(config, bitswap, streams)?;
    let transport = transport::build(config, meter)?;
    let tasks = tasks.clone();
    let settings = Config::with_executor(move |work| tasks.spawn("network connection", work))
        .with_idle_connection_timeout(config.idle_timeout);
    let peer = config.keypair.public().to_peer_id();
    Ok(Swarm::new(transport, behaviour, peer, settings))
}

fn behaviour(
    config: &NetworkConfig,
    bitswap: bitswap::Behaviour,
    streams: streams::Behaviour,
) -> Result<Behaviour, NetworkError> {
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_established(Some(config.limits.established_max))
        .with_max_established_incoming(Some(config.limits.incoming_max))
        .with_max_established_per_peer(Some(config.limits.per_peer_max))
        .with_max_pending_incoming(Some(config.limits.pending_max))
        .with_max_pending_outgoing(Some(config.limits.pending_max));
    // Without a signed peer record: Kubo signs another domain and would log ours as invalid.
    let told = identify::Config::new(PROTOCOL_VERSION.to_owned(), config.keypair.public());
    let told = told.with_agent_version(config.agent.clone()).with_push_listen_addr_updates(true);
    let mdns = if config.mdns {
        let peer = config.keypair.public().to_peer_id();
        let mdns = mdns::tokio::Behaviour::new(mdns::Config::default(), peer);
        Some(mdns.map_err(|error| failed("mdns", &error))?)
    } else {
        None
    };
    let pubsub = config.pubsub.map(|settings| gossip(&config.keypair, settings)).transpose();
    let pubsub =
        pubsub.map_err(|reason| NetworkError::Transport { transport: "pubsub", reason })?;
    Ok(Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        identify: identify::Behaviour::new(told),
        ping: ping::Behaviour::default(),
        mdns: Toggle::from(mdns),
        bitswap,
        streams,
        pubsub: Toggle::from(pubsub),
    })
}
