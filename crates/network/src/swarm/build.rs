//! Putting the swarm together: transports and behaviours.
//!
//! Not here: the transports (`transport.rs`), what happens with the events (`swarm.rs`).

use super::{
    outside::Outside,
    transport::{self, Meter, failed},
};
use crate::{
    NetworkConfig, NetworkError, bitswap,
    pubsub::{self, Gossip, gossip},
    streams,
};
use cairn_runtime::Tasks;
use libp2p::{
    Swarm, connection_limits, identify, mdns, memory_connection_limits, ping, relay,
    swarm::{Config, NetworkBehaviour, behaviour::toggle::Toggle},
};

/// What Kubo calls the protocol family, and expects to hear.
const PROTOCOL_VERSION: &str = "ipfs/0.1.0";

/// What this node speaks, in the order in which Kubo would print it.
const PROTOCOLS: &[&str] = &[
    "/ipfs/bitswap",
    "/ipfs/bitswap/1.0.0",
    "/ipfs/bitswap/1.1.0",
    "/ipfs/bitswap/1.2.0",
    "/ipfs/id/1.0.0",
    "/ipfs/id/push/1.0.0",
];

/// What others have this node relay by, while it does.
pub(crate) const HOP_PROTOCOL: &str = "/libp2p/circuit/relay/0.2.0/hop";

/// What a node with this config speaks at all times, besides what `streams.rs` offers.
pub(crate) fn protocols(config: &NetworkConfig) -> Vec<&'static str> {
    let settings = &config.reachability;
    let circuits = settings.relay_client.is_some();
    let more = [
        (settings.autonat.v1, "/libp2p/autonat/1.0.0"),
        (circuits, "/libp2p/circuit/relay/0.2.0/stop"),
        (circuits && settings.hole_punching, "/libp2p/dcutr"),
    ];
    let more = more.into_iter().filter_map(|(is_on, name)| is_on.then_some(name));
    let pubsub = if config.pubsub.is_some() { pubsub::PROTOCOLS } else { &[] };
    PROTOCOLS.iter().chain(pubsub).copied().chain(more).collect()
}

/// All behaviours of the node's swarm.
#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p::swarm::derive_prelude")]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    memory: Toggle<memory_connection_limits::Behaviour>,
    identify: identify::Behaviour,
    /// Before `ping`, which offers its protocol, too: the first that does answers (`ping/echo.rs`).
    pub(super) streams: streams::Behaviour,
    ping: ping::Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
    bitswap: bitswap::Behaviour,
    pub(super) pubsub: Toggle<Gossip>,
    pub(super) outside: Outside,
}

/// Builds the swarm; its connections' tasks belong to `tasks`.
pub(super) fn swarm(
    config: &NetworkConfig,
    (bitswap, streams): (bitswap::Behaviour, streams::Behaviour),
    (tasks, meter): (&Tasks, &Meter),
) -> Result<Swarm<Behaviour>, NetworkError> {
    let own = config.keypair.public().to_peer_id();
    let circuits = config.reachability.relay_client.as_ref().map(|_| relay::client::new(own));
    let (circuits, client) = circuits.unzip();
    let behaviour = behaviour(config, (bitswap, streams), Outside::new(config, client))?;
    let transport = transport::build(config, meter, circuits)?;
    let tasks = tasks.clone();
    let settings = Config::with_executor(move |work| tasks.spawn("network connection", work))
        .with_idle_connection_timeout(config.idle_timeout);
    Ok(Swarm::new(transport, behaviour, own, settings))
}

fn behaviour(
    config: &NetworkConfig,
    (bitswap, streams): (bitswap::Behaviour, streams::Behaviour),
    outside: Outside,
) -> Result<Behaviour, NetworkError> {
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_established(Some(config.limits.established_max))
        .with_max_established_incoming(Some(config.limits.incoming_max))
        .with_max_established_outgoing(Some(config.limits.outgoing_max))
        .with_max_established_per_peer(Some(config.limits.per_peer_max))
        .with_max_pending_incoming(Some(config.limits.pending_max))
        .with_max_pending_outgoing(Some(config.limits.pending_max));
    let memory = config.memory_max.map(|len| {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        memory_connection_limits::Behaviour::with_max_bytes(len)
    });
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
        memory: Toggle::from(memory),
        identify: identify::Behaviour::new(told),
        ping: ping::Behaviour::default(),
        mdns: Toggle::from(mdns),
        bitswap,
        streams,
        pubsub: Toggle::from(pubsub),
        outside,
    })
}
