//! Relays: listening on those of others, and leaving a circuit for a direct connection.
//!
//! A node that cannot be reached holds reservations with relays, so that others reach it over
//! them: with those that the operator has named, or with a few of the connected peers that relay.
//! The library makes and renews reservations; here is decided where, and what comes after one is
//! lost.
//!
//! Spec: libp2p Circuit Relay v2 and `DCUtR`, pinned in `spec/PINS.toml`.
//! Invariants: at most [`STATIC_MAX`] reservations with relays that were named, [`FOUND_MAX`] with
//! others; a relay that lost one is not asked again at once, nor ever more often.
//! Not here: whether this node can be reached (`reachability.rs`), relaying for others and holes,
//! which are the library's (`outside.rs`).

use super::{SwarmTask, outside::OutsideEvent, peer_of, without_peer};
use crate::{Direction, Multiaddr, PeerId, PeerInfo, Reachability, RelayServiceConfig};
use libp2p::{
    autonat::v1 as autonat,
    core::transport::ListenerId,
    multiaddr::Protocol,
    relay::{HOP_PROTOCOL_NAME, RateLimiter},
};
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    time::{Duration, Instant},
};
use tracing::{debug, info};

/// Relays that the operator may name.
pub(crate) const STATIC_MAX: usize = 8;

/// Reservations with relays found among the peers.
const FOUND_MAX: usize = 2;

/// How long this node waits to be found reachable before it looks for relays.
const BOOT_PAUSE: Duration = Duration::from_secs(15);

/// Until a relay is asked again after a reservation was lost or refused; doubles each time.
const PAUSE_MIN: Duration = Duration::from_secs(5);

/// At most so long: a node is back soon after the network was.
const PAUSE_MAX: Duration = Duration::from_mins(2);

/// Relays whose failures are remembered.
const FAILED_MAX: usize = 256;

/// How long a direct connection lasts before the circuit beside it is closed: what is under way
/// there may end.
const CIRCUIT_GRACE: Duration = Duration::from_secs(5);

/// A reservation, asked for or held.
#[derive(Debug, Clone, Copy)]
struct Held {
    relay: PeerId,
    is_ready: bool,
}

/// The reservations.
#[derive(Debug, Default)]
pub(super) struct Relays {
    held: HashMap<ListenerId, Held>,
    failed: HashMap<PeerId, (u32, Instant)>,
}

impl Relays {
    /// Whether a peer is a relay that this node is reached over.
    pub(super) fn has(&self, peer: &PeerId) -> bool {
        self.held.values().any(|held| held.relay == *peer)
    }

    /// A listener has got an address; true if that is a reservation.
    pub(super) fn ready(&mut self, id: ListenerId) -> bool {
        let Some(held) = self.held.get_mut(&id) else { return false };
        if !held.is_ready {
            info!(relay = %held.relay, "others can reach this node over a relay");
        }
        held.is_ready = true;
        let relay = held.relay;
        self.failed.remove(&relay);
        true
    }

    /// A listener has closed; true if it was a reservation.
    pub(super) fn closed(&mut self, id: ListenerId, reason: &str, now: Instant) -> bool {
        let Some(held) = self.held.remove(&id) else { return false };
        debug!(relay = %held.relay, was_ready = held.is_ready, reason, "a reservation ended");
        self.failed(held.relay, now);
        true
    }

    fn failed(&mut self, relay: PeerId, now: Instant) {
        if self.failed.len() >= FAILED_MAX && !self.failed.contains_key(&relay) {
            self.failed.retain(|_, (_, until)| *until > now);
            if self.failed.len() >= FAILED_MAX {
                self.failed.clear();
            }
        }
        let (count, until) = self.failed.entry(relay).or_insert((0, now));
        *until = now + (PAUSE_MIN * 2_u32.saturating_pow(*count)).min(PAUSE_MAX);
        *count = (*count + 1).min(16);
    }

    fn may_ask(&self, relay: &PeerId, now: Instant) -> bool {
        !self.has(relay) && self.failed.get(relay).is_none_or(|(_, until)| *until <= now)
    }
}

/// Whether an address leads over a relay.
pub(super) fn is_relayed(addr: &Multiaddr) -> bool {
    addr.iter().any(|part| part == Protocol::P2pCircuit)
}

impl SwarmTask {
    pub(super) fn on_outside(&mut self, event: OutsideEvent) {
        use libp2p::relay::Event;
        match event {
            OutsideEvent::Relay(Event::ReservationReqAccepted { src_peer_id, .. }) => {
                self.outlook.clients.insert(src_peer_id);
            }
            OutsideEvent::Relay(
                Event::ReservationClosed { src_peer_id }
                | Event::ReservationTimedOut { src_peer_id },
            ) => {
                self.outlook.clients.remove(&src_peer_id);
            }
            OutsideEvent::Autonat(autonat::Event::InboundProbe(
                autonat::InboundProbeEvent::Response { peer, address, .. },
            )) => self.close_probe(peer, &without_peer(address)),
            other => debug!(event = ?other, "outside"),
        }
    }

    /// Closes the connection that version 1 of AutoNAT has made to see whether it can.
    fn close_probe(&mut self, peer: PeerId, addr: &Multiaddr) {
        let of_peer = || self.connections.iter().filter(|(_, info)| info.id == peer);
        if of_peer().count() < 2 {
            return;
        }
        let made = of_peer()
            .filter(|(_, info)| info.direction == Direction::Outbound && info.addr == *addr)
            .max_by_key(|(_, info)| info.opened);
        if let Some(id) = made.map(|(id, _)| *id) {
            let had_gone = !self.swarm.close_connection(id);
            debug!(%peer, had_gone, "closed a connection made to dial back");
        }
    }

    /// Whether connections go over a peer, to this node or from it.
    pub(super) fn is_relay_in_use(&self, peer: &PeerId) -> bool {
        let is_between = |info: &PeerInfo| {
            let parts = info.addr.iter();
            is_relayed(&info.addr) && parts.into_iter().any(|part| part == Protocol::P2p(*peer))
        };
        self.outlook.relays.has(peer) || self.connections.values().any(is_between)
    }

    /// Holds as many reservations as are needed.
    pub(super) fn keep_relays(&mut self, now: Instant) {
        let config = &self.outlook.config;
        let Some(client) = config.relay_client.as_ref().filter(|client| client.listens) else {
            return;
        };
        let named = client.static_relays.iter().take(STATIC_MAX);
        let wanted: Vec<(PeerId, Multiaddr)> = if !client.static_relays.is_empty() {
            named.filter_map(|addr| Some((peer_of(addr)?, without_peer(addr.clone())))).collect()
        } else if self.needs_relays(now) {
            self.relays_found()
        } else {
            return self.leave_relays();
        };
        let most = if client.static_relays.is_empty() { FOUND_MAX } else { STATIC_MAX };
        for (relay, addr) in wanted {
            if self.outlook.relays.held.len() >= most {
                return;
            }
            if self.outlook.relays.may_ask(&relay, now) {
                self.reserve(relay, addr, now);
            }
        }
    }

    fn needs_relays(&self, now: Instant) -> bool {
        let waited = now.saturating_duration_since(self.outlook.began) >= BOOT_PAUSE;
        match self.node_reachability() {
            Reachability::Public => false,
            Reachability::Private => true,
            Reachability::Unknown => waited,
        }
    }

    /// The connected peers that relay, with an address at which others reach them, too.
    fn relays_found(&self) -> Vec<(PeerId, Multiaddr)> {
        let relays = self.connections.values().filter(|info| {
            let relays = info.protocols.iter().any(|name| *name == HOP_PROTOCOL_NAME.as_ref());
            relays && !is_relayed(&info.addr)
        });
        relays.filter_map(|info| Some((info.id, dialled_at(info)?))).collect()
    }

    fn reserve(&mut self, relay: PeerId, addr: Multiaddr, now: Instant) {
        let addr = addr.with(Protocol::P2p(relay)).with(Protocol::P2pCircuit);
        match self.swarm.listen_on(addr) {
            Ok(id) => {
                debug!(%relay, "asked for a reservation");
                self.outlook.relays.held.insert(id, Held { relay, is_ready: false });
            }
            Err(error) => {
                debug!(%relay, %error, "no relay");
                self.outlook.relays.failed(relay, now);
            }
        }
    }

    /// This node can be reached without them.
    ///
    /// By closing connections, not listeners: the library has no place for the answer to a
    /// request for a reservation whose listener has gone, and panics.
    fn leave_relays(&mut self) {
        let relays: Vec<PeerId> =
            self.outlook.relays.held.values().map(|held| held.relay).collect();
        for relay in relays {
            let had_gone = self.swarm.disconnect_peer_id(relay).is_err();
            debug!(%relay, had_gone, "left a relay");
        }
    }

    /// Closes circuits beside which there is a direct connection.
    pub(super) fn close_circuits(&mut self, now: Instant) {
        let lasting = self.connections.values().filter(|info| {
            let age = now.saturating_duration_since(info.opened);
            !is_relayed(&info.addr) && age >= CIRCUIT_GRACE
        });
        let direct: HashSet<PeerId> = lasting.map(|info| info.id).collect();
        let circuits = self.connections.iter();
        let beside =
            circuits.filter(|(_, info)| is_relayed(&info.addr) && direct.contains(&info.id));
        for id in beside.map(|(id, _)| *id).collect::<Vec<_>>() {
            let had_gone = !self.swarm.close_connection(id);
            debug!(%id, had_gone, "closed a circuit for a direct connection");
        }
    }
}

/// Where a peer can be dialled: where this node has, or where it says it listens.
fn dialled_at(info: &PeerInfo) -> Option<Multiaddr> {
    match info.direction {
        Direction::Outbound => Some(info.addr.clone()),
        Direction::Inbound => {
            let told = info.listen_addrs.iter().filter(|addr| !is_relayed(addr));
            let scope = crate::dht::scope::Scope::Wan;
            told.into_iter().find(|addr| scope.admits(addr)).cloned().map(without_peer)
        }
    }
}

/// Refuses reservations beyond so many peers of one IP address.
pub(super) fn reservations_per_ip(service: RelayServiceConfig) -> Box<dyn RateLimiter> {
    let mut by_ip: HashMap<IpAddr, HashMap<PeerId, Instant>> = HashMap::new();
    let (most, ttl) = (service.reservations_per_ip_max, service.reservation_ttl);
    Box::new(move |peer: PeerId, addr: &Multiaddr, now: Instant| {
        let ip = addr.iter().find_map(|part| match part {
            Protocol::Ip4(ip) => Some(IpAddr::from(ip)),
            Protocol::Ip6(ip) => Some(IpAddr::V6(ip).to_canonical()),
            _ => None,
        });
        let Some(ip) = ip else { return false };
        by_ip.retain(|_, peers| {
            peers.retain(|_, made| now.saturating_duration_since(*made) < ttl);
            !peers.is_empty()
        });
        // More addresses than there are reservations: they are all taken.
        if by_ip.len() >= service.reservations_max && !by_ip.contains_key(&ip) {
            return false;
        }
        let peers = by_ip.entry(ip).or_default();
        let admitted = peers.contains_key(&peer) || peers.len() < most;
        if admitted {
            peers.insert(peer, now);
        }
        admitted
    })
}

#[cfg(test)]
mod tests {
    use super::{
        FAILED_MAX, Held, Multiaddr, PAUSE_MAX, PAUSE_MIN, PeerId, RelayServiceConfig, Relays,
        reservations_per_ip,
    };
    use cairn_runtime::Clock;
    use libp2p::core::transport::ListenerId;
    use std::time::Duration;

    #[test]
    fn a_relay_that_fails_is_asked_ever_less_often() {
        let (mut relays, mut now) = (Relays::default(), Clock::system().monotonic());
        let relay = PeerId::random();
        let mut pause = PAUSE_MIN;
        for _ in 0..20 {
            assert!(relays.may_ask(&relay, now));
            let id = ListenerId::next();
            relays.held.insert(id, Held { relay, is_ready: false });
            assert!(!relays.may_ask(&relay, now), "one reservation a relay");
            assert!(relays.closed(id, "refused", now));
            assert!(!relays.closed(id, "refused", now));
            assert!(!relays.may_ask(&relay, now + pause / 2));
            now += pause;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        let id = ListenerId::next();
        relays.held.insert(id, Held { relay, is_ready: false });
        assert!(relays.ready(id) && relays.has(&relay));
        relays.closed(id, "gone", now);
        assert!(relays.may_ask(&relay, now + PAUSE_MIN), "one that worked is asked soon");
        for _ in 0..1000 {
            relays.failed(PeerId::random(), now);
        }
        assert!(relays.failed.len() <= FAILED_MAX);
    }

    #[test]
    fn reservations_are_counted_by_ip() {
        let service = RelayServiceConfig { reservations_per_ip_max: 2, ..Default::default() };
        let mut limiter = reservations_per_ip(service);
        let now = Clock::system().monotonic();
        let [here, there]: [Multiaddr; 2] =
            ["/ip4/8.8.8.8/tcp/1", "/ip4/8.8.4.4/tcp/1"].map(|addr| addr.parse().unwrap());
        let peers = [(); 4].map(|()| PeerId::random());
        assert!(limiter.try_next(peers[0], &here, now));
        assert!(limiter.try_next(peers[1], &here, now));
        assert!(!limiter.try_next(peers[2], &here, now), "the third at one address");
        assert!(limiter.try_next(peers[0], &here, now), "renewing is no new reservation");
        assert!(limiter.try_next(peers[3], &there, now));
        let nowhere: Multiaddr = "/dns4/a.example/tcp/1".parse().unwrap();
        assert!(!limiter.try_next(peers[3], &nowhere, now));
        let later = now + service.reservation_ttl + Duration::from_secs(1);
        assert!(limiter.try_next(peers[2], &here, later), "the others have lapsed");
    }
}
