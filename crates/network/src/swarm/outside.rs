//! The library's behaviours about being reached from outside, as one.
//!
//! Not here: AutoNAT 2, which is our own (`autonat.rs`), what happens with the events
//! (`reachability.rs`, `relay.rs`).

use super::relay::reservations_per_ip;
use crate::{Multiaddr, NetworkConfig, PeerId, RelayServiceConfig};
use libp2p::{
    autonat::v1 as autonat,
    core::{Endpoint, transport::PortUse},
    dcutr, relay,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm, behaviour::toggle::Toggle,
    },
    upnp,
};
use std::task::{Context, Poll};

/// Circuits in all, whatever each peer may have.
const CIRCUITS_MAX: usize = 1024;

/// Reservations of one peer: one, and another while it is renewed.
const RESERVATIONS_PER_PEER_MAX: usize = 2;

/// The behaviours.
#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p::swarm::derive_prelude")]
pub(super) struct Outside {
    ports: Toggle<Ports>,
    autonat: Toggle<autonat::Behaviour>,
    relay_client: Toggle<relay::client::Behaviour>,
    pub(super) relay: Toggle<relay::Behaviour>,
    hole_punching: Toggle<dcutr::Behaviour>,
}

impl Outside {
    /// What the config asks for; `relay_client` belongs to the transport of circuits.
    pub(super) fn new(
        config: &NetworkConfig,
        relay_client: Option<relay::client::Behaviour>,
    ) -> Self {
        let settings = &config.reachability;
        let own = config.keypair.public().to_peer_id();
        let ports = settings.port_mapping.then(|| Ports {
            inner: upnp::tokio::Behaviour::default(),
            is_doubted: settings.autonat.client,
        });
        let limits = settings.autonat;
        let autonat = limits.v1.then(|| {
            let config = autonat::Config {
                use_connected: !limits.client,
                throttle_clients_global_max: limits.global_limit as usize,
                throttle_clients_peer_max: limits.peer_limit as usize,
                throttle_clients_period: limits.interval,
                only_global_ips: !limits.private_addrs,
                ..autonat::Config::default()
            };
            autonat::Behaviour::new(own, config)
        });
        let hole_punching = settings.hole_punching && relay_client.is_some();
        let service = settings.relay_service.map(|service| {
            let mut relay = relay::Behaviour::new(own, service_config(service));
            // It begins when an address is known to be reachable.
            relay.set_status(Some(relay::Status::Disable));
            relay
        });
        Self {
            ports: ports.into(),
            autonat: autonat.into(),
            relay_client: relay_client.into(),
            relay: service.into(),
            hole_punching: hole_punching.then(|| dcutr::Behaviour::new(own)).into(),
        }
    }
}

fn service_config(service: RelayServiceConfig) -> relay::Config {
    let mut config = relay::Config {
        max_reservations: service.reservations_max,
        max_reservations_per_peer: RESERVATIONS_PER_PEER_MAX,
        reservation_duration: service.reservation_ttl,
        max_circuits: CIRCUITS_MAX,
        max_circuits_per_peer: service.circuits_per_peer_max,
        max_circuit_duration: service.duration_max,
        max_circuit_bytes: service.len_max,
        ..relay::Config::default()
    };
    config.reservation_rate_limiters.push(reservations_per_ip(service));
    config
}

/// Ports of the router that lead here (`UPnP`).
pub(super) struct Ports {
    inner: upnp::tokio::Behaviour,
    /// Whether others are asked about the addresses, since a router may have one above it.
    is_doubted: bool,
}

impl NetworkBehaviour for Ports {
    type ConnectionHandler = <upnp::tokio::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = upnp::Event;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_outbound_connection(id, peer, addr, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.inner.on_connection_handler_event(peer, id, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<upnp::Event, THandlerInEvent<Self>>> {
        self.inner.poll(cx).map(|event| match event {
            ToSwarm::ExternalAddrConfirmed(addr) if self.is_doubted => {
                ToSwarm::NewExternalAddrCandidate(addr)
            }
            event => event,
        })
    }
}
