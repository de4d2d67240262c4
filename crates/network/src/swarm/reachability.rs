//! Which addresses of this node others can reach, and what follows.
//!
//! Candidates are the public addresses listened on, those that peers see this node at, and those
//! that the router has given out. Others are asked about each; one that was reached is told to
//! everybody, makes this node a server of the DHT and, if it may be one, a relay. They are asked
//! again from time to time, since routers and providers change.
//!
//! Invariants: at most [`CANDIDATES_MAX`] candidates; an address is reachable only when its number
//! arrived (`autonat.rs`), and no longer after [`FAILURES_MAX`] failures in a row; only peers that
//! are reached themselves over the public network are asked.
//! Not here: relays (`relay.rs`).

use super::{
    Command, Reply, SwarmTask,
    relay::{Relays, is_relayed},
    without_peer,
};
use crate::{
    Multiaddr, PeerId, PeerInfo, Reachability, ReachabilityConfig, ReachabilityReport,
    ResourceReport,
    autonat::{DIAL_REQUEST, Outcome, Probe},
    dht::scope::Scope,
};
use libp2p::{
    multiaddr::Protocol,
    relay::Status,
    swarm::{
        ConnectionId,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use rand::seq::IndexedRandom as _;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tracing::{debug, info};

/// Addresses that are asked about.
const CANDIDATES_MAX: usize = 32;

/// Failures in a row after which an address is not reachable.
const FAILURES_MAX: u32 = 3;

/// Between two questions about an address of which nothing is known.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(5);

/// About one that could not be reached.
const PRIVATE_PAUSE: Duration = Duration::from_mins(10);

/// About one that could.
const PUBLIC_PAUSE: Duration = Duration::from_mins(30);

/// What is asked of the swarm about being reached.
#[derive(Debug)]
pub(crate) enum Outward {
    /// A question ended.
    Probed(Probe, Outcome),
    /// Dials a peer over a connection of its own; answers which, if that worked.
    DialBack(PeerId, Multiaddr, Reply<Option<ConnectionId>>),
    /// Closes one connection.
    Close(ConnectionId),
    /// Tells what is known.
    Report(Reply<ReachabilityReport>),
    /// Tells what is open.
    Resources(Reply<ResourceReport>),
}

/// An address that others may reach.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    state: Reachability,
    failures: u32,
    /// How often it was heard of.
    reports: u32,
    is_asked_about: bool,
    /// When to ask again.
    next: Instant,
}

/// What is known about being reached.
pub(super) struct Outlook {
    pub(super) config: ReachabilityConfig,
    pub(super) relays: Relays,
    pub(super) began: Instant,
    /// Peers that hold a reservation here: at most as many as the service allows.
    pub(super) clients: HashSet<PeerId>,
    probes: Option<mpsc::Sender<Probe>>,
    candidates: HashMap<Multiaddr, Candidate>,
    dial_backs: HashMap<ConnectionId, Reply<Option<ConnectionId>>>,
    /// Set while this node relays for others.
    is_relaying: Arc<AtomicBool>,
}

impl Outlook {
    pub(super) fn new(
        config: ReachabilityConfig,
        probes: Option<mpsc::Sender<Probe>>,
        is_relaying: Arc<AtomicBool>,
        now: Instant,
    ) -> Self {
        Self {
            config,
            relays: Relays::default(),
            began: now,
            clients: HashSet::new(),
            probes,
            candidates: HashMap::new(),
            dial_backs: HashMap::new(),
            is_relaying,
        }
    }

    /// Whether others can be asked about an address.
    fn admits(&self, addr: &Multiaddr) -> bool {
        let is_ip = matches!(addr.iter().next(), Some(Protocol::Ip4(_) | Protocol::Ip6(_)));
        let is_public = Scope::Wan.admits(addr) || self.config.autonat.private_addrs;
        is_ip && is_public && !is_relayed(addr)
    }

    /// Notes that an address was heard of.
    fn insert(&mut self, addr: Multiaddr, now: Instant) {
        if self.config.forced.is_some() || self.probes.is_none() || !self.admits(&addr) {
            return;
        }
        if let Some(known) = self.candidates.get_mut(&addr) {
            known.reports = known.reports.saturating_add(1);
            return;
        }
        if self.candidates.len() >= CANDIDATES_MAX {
            // Whoever makes addresses up cannot drive out one that was reached.
            let doubtful = self
                .candidates
                .iter()
                .filter(|(_, known)| known.state != Reachability::Public && !known.is_asked_about);
            let least = doubtful.min_by_key(|(_, known)| known.reports);
            let Some(least) = least.map(|(addr, _)| addr.clone()) else { return };
            self.candidates.remove(&least);
        }
        let state = Reachability::Unknown;
        let candidate =
            Candidate { state, failures: 0, reports: 1, is_asked_about: false, next: now };
        self.candidates.insert(addr, candidate);
    }

    /// The address to ask about now: the one heard of most often.
    fn due(&self, now: Instant) -> Option<Multiaddr> {
        let due = self.candidates.iter();
        let due = due.filter(|(_, known)| !known.is_asked_about && known.next <= now);
        due.max_by_key(|(_, known)| known.reports).map(|(addr, _)| addr.clone())
    }

    /// Takes an answer in; tells how the address stands if that has changed.
    fn learn(&mut self, addr: &Multiaddr, outcome: Outcome, now: Instant) -> Option<Reachability> {
        let known = self.candidates.get_mut(addr)?;
        let before = known.state;
        known.is_asked_about = false;
        match outcome {
            Outcome::Reached => (known.state, known.failures) = (Reachability::Public, 0),
            Outcome::NotReached => known.failures += 1,
            Outcome::Unanswered => {}
        }
        if known.failures >= FAILURES_MAX {
            known.state = Reachability::Private;
        }
        let pause = match known.state {
            // A doubt is cleared up soon.
            _ if outcome == Outcome::Unanswered || (1..FAILURES_MAX).contains(&known.failures) => {
                UNKNOWN_PAUSE
            }
            Reachability::Unknown => UNKNOWN_PAUSE,
            Reachability::Private => PRIVATE_PAUSE,
            Reachability::Public => PUBLIC_PAUSE,
        };
        known.next = now + pause;
        (known.state != before).then_some(known.state)
    }
}

impl SwarmTask {
    pub(super) fn on_outward(&mut self, command: Outward) {
        match command {
            Outward::Probed(probe, outcome) => self.on_probed(&probe, outcome),
            Outward::DialBack(peer, addr, reply) => self.dial_back(peer, addr, reply),
            Outward::Close(id) => {
                let had_gone = !self.swarm.close_connection(id);
                debug!(%id, had_gone, "closed a connection made to dial back");
            }
            Outward::Report(reply) => drop(reply.send(self.reachability_report())),
            Outward::Resources(reply) => drop(reply.send(self.resource_report())),
        }
    }

    /// Does what is done every so often about being reached.
    pub(super) fn look_outside(&mut self, now: Instant) {
        self.ask_about_addrs(now);
        self.keep_relays(now);
        self.close_circuits(now);
    }

    /// Somebody sees this node at an address, or it listens there.
    pub(super) fn on_candidate(&mut self, addr: Multiaddr) {
        let now = self.clock.monotonic();
        self.outlook.insert(without_peer(addr), now);
    }

    /// This node listens on an address.
    pub(super) fn on_listening(&mut self, addr: &Multiaddr) {
        if is_relayed(addr) {
            return;
        }
        if self.outlook.config.forced == Some(Reachability::Public) {
            self.swarm.add_external_address(addr.clone());
            self.on_reachable(addr);
        } else {
            self.on_candidate(addr.clone());
        }
    }

    fn ask_about_addrs(&mut self, now: Instant) {
        while let Some(addr) = self.outlook.due(now) {
            let Some(probes) = &self.outlook.probes else { return };
            let is_outside = |info: &&PeerInfo| {
                let speaks = info.protocols.iter().any(|name| *name == DIAL_REQUEST.as_ref());
                speaks && self.outlook.admits(&info.addr)
            };
            let servers: Vec<PeerId> =
                self.connections.values().filter(is_outside).map(|info| info.id).collect();
            let Some(&server) = servers.choose(&mut rand::rng()) else { return };
            // Full: enough is under way.
            if probes.try_send(Probe { server, addr: addr.clone() }).is_err() {
                return;
            }
            if let Some(known) = self.outlook.candidates.get_mut(&addr) {
                known.is_asked_about = true;
            }
        }
    }

    fn on_probed(&mut self, probe: &Probe, outcome: Outcome) {
        let now = self.clock.monotonic();
        match self.outlook.learn(&probe.addr, outcome, now) {
            Some(Reachability::Public) => {
                info!(addr = %probe.addr, "others can reach this node here");
                self.swarm.add_external_address(probe.addr.clone());
                self.on_reachable(&probe.addr);
            }
            Some(_) if !self.announce.contains(&probe.addr) => {
                info!(addr = %probe.addr, "others cannot reach this node here");
                self.swarm.remove_external_address(&probe.addr);
                self.on_unreachable();
            }
            _ => {}
        }
    }

    /// An address of this node has been confirmed.
    pub(super) fn on_reachable(&mut self, addr: &Multiaddr) {
        for dht in &self.dhts {
            dht.reachable_at(addr);
        }
        self.set_relaying();
    }

    /// An address of this node has expired.
    pub(super) fn on_unreachable(&mut self) {
        let left: Vec<Multiaddr> = self.swarm.external_addresses().cloned().collect();
        for dht in &self.dhts {
            dht.reachable_only_at(&left);
        }
        self.set_relaying();
    }

    /// Relays for others while this node can be reached.
    pub(super) fn set_relaying(&mut self) {
        let is_public = self.node_reachability() == Reachability::Public;
        if let Some(relay) = self.swarm.behaviour_mut().outside.relay.as_mut() {
            let status = if is_public { Status::Enable } else { Status::Disable };
            relay.set_status(Some(status));
            self.outlook.is_relaying.store(is_public, Ordering::Relaxed);
        }
    }

    /// Whether others can reach this node, without a relay.
    pub(super) fn node_reachability(&self) -> Reachability {
        if let Some(forced) = self.outlook.config.forced {
            return forced;
        }
        let mut external = self.swarm.external_addresses();
        let states = || self.outlook.candidates.values().map(|known| known.state);
        if external.any(|addr| !is_relayed(addr)) {
            Reachability::Public
        } else if states().any(|state| state == Reachability::Private) {
            Reachability::Private
        } else {
            Reachability::Unknown
        }
    }

    fn reachability_report(&self) -> ReachabilityReport {
        let known = self.outlook.candidates.iter();
        let mut addrs: Vec<_> = known.map(|(addr, known)| (addr.clone(), known.state)).collect();
        let external = self.swarm.external_addresses().filter(|addr| !is_relayed(addr));
        for addr in external {
            if !addrs.iter().any(|(known, _)| known == addr) {
                addrs.push((addr.clone(), Reachability::Public));
            }
        }
        ReachabilityReport { node: self.node_reachability(), addrs }
    }

    fn dial_back(&mut self, peer: PeerId, addr: Multiaddr, reply: Reply<Option<ConnectionId>>) {
        // From another port: an answer through a hole that the question made says nothing.
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::Always)
            .addresses(vec![addr])
            .allocate_new_port()
            .build();
        let id = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.outlook.dial_backs.insert(id, reply);
            }
            Err(error) => {
                debug!(%peer, %error, "could not dial back");
                // Whoever asked has gone if this fails.
                reply.send(None).ok();
            }
        }
    }

    /// A dial has ended; most were for something else.
    pub(super) fn on_dialled_back(&mut self, id: ConnectionId, is_connected: bool) {
        let Some(reply) = self.outlook.dial_backs.remove(&id) else { return };
        let is_late = reply.send(is_connected.then_some(id)).is_err();
        if is_late && is_connected {
            self.on_outward(Outward::Close(id));
        }
    }
}

impl From<Outward> for Command {
    fn from(command: Outward) -> Self {
        Self::Outward(command)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        CANDIDATES_MAX, FAILURES_MAX, Multiaddr, Outcome, Outlook, PRIVATE_PAUSE, PUBLIC_PAUSE,
        Reachability, ReachabilityConfig, UNKNOWN_PAUSE,
    };
    use cairn_runtime::Clock;
    use std::{sync::Arc, time::Instant};
    use tokio::sync::mpsc;

    fn outlook() -> (Outlook, Instant) {
        let now = Clock::system().monotonic();
        let (probes, _) = mpsc::channel(1);
        let config = ReachabilityConfig::default();
        (Outlook::new(config, Some(probes), Arc::default(), now), now)
    }

    fn addr(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_asked_about_again_sooner_while_it_is_doubtful() {
        let (mut outlook, mut now) = outlook();
        let one = addr("/ip4/8.8.8.8/tcp/4001");
        outlook.insert(one.clone(), now);
        let rows = [
            (Outcome::Unanswered, None, UNKNOWN_PAUSE),
            (Outcome::NotReached, None, UNKNOWN_PAUSE),
            (Outcome::Reached, Some(Reachability::Public), PUBLIC_PAUSE),
            (Outcome::NotReached, None, UNKNOWN_PAUSE),
            (Outcome::NotReached, None, UNKNOWN_PAUSE),
            (Outcome::NotReached, Some(Reachability::Private), PRIVATE_PAUSE),
            (Outcome::NotReached, None, PRIVATE_PAUSE),
            (Outcome::Reached, Some(Reachability::Public), PUBLIC_PAUSE),
        ];
        for (step, (outcome, changed, pause)) in rows.into_iter().enumerate() {
            assert_eq!(outlook.due(now), Some(one.clone()), "step {step}");
            assert_eq!(outlook.learn(&one, outcome, now), changed, "step {step}");
            assert_eq!(outlook.due(now + pause / 2), None, "step {step}");
            now += pause;
        }
        assert_eq!(FAILURES_MAX, 3);
    }

    #[test]
    fn made_up_addresses_drive_out_none_that_was_reached() {
        let (mut outlook, now) = outlook();
        let reached = addr("/ip4/8.8.8.8/tcp/4001");
        outlook.insert(reached.clone(), now);
        outlook.learn(&reached, Outcome::Reached, now);
        let often = addr("/ip4/8.8.8.8/udp/4001/quic-v1");
        outlook.insert(often.clone(), now);
        outlook.insert(often.clone(), now);
        for port in 1..1000 {
            outlook.insert(addr(&format!("/ip4/1.1.1.1/tcp/{port}")), now);
        }
        assert_eq!(outlook.candidates.len(), CANDIDATES_MAX);
        assert!(outlook.candidates.contains_key(&reached));
        assert_eq!(outlook.due(now), Some(often), "what most peers say is asked about first");
    }

    #[test]
    fn private_addresses_are_no_candidates() {
        let (mut outlook, now) = outlook();
        let relayed = "/ip4/8.8.8.8/tcp/1/p2p/12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d/p2p-circuit";
        for text in
            ["/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1", "/dns4/a.example/tcp/1", relayed]
        {
            outlook.insert(addr(text), now);
        }
        assert!(outlook.candidates.is_empty());
    }
}
