//! The swarm's task: listeners, connections, and what is known about peers.
//!
//! Invariants: nothing here blocks; connections are bounded by `ConnectionLimits`, known
//! addresses by `addrs.rs`.
//! Not here: Bitswap, which is one behaviour among others for the swarm (`bitswap/behaviour.rs`).

mod addrs;
mod build;
mod identified;
mod listen;
mod outside;
mod protect;
mod reach;
mod reachability;
mod relay;
mod resources;
mod transport;
mod trim;

pub(crate) use protect::Protected;
pub use protect::Protection;
pub(crate) use transport::Meter;
pub use transport::{Bandwidth, BandwidthLimits, Filters, Range};
pub use trim::TrimSettings;

use crate::{
    ConnectionLimits, Direction, Multiaddr, NetworkConfig, NetworkError, PeerId, PeerInfo,
    autonat::Probe,
    bitswap,
    dht::Dht,
    pubsub::{Hub, PubsubCommand},
    streams::{self, StreamReply},
};
pub(crate) use addrs::KnownAddrs;
use build::{Behaviour, BehaviourEvent};
pub(crate) use build::{HOP_PROTOCOL, protocols};
use cairn_runtime::{Clock, Tasks};
use futures::StreamExt as _;
use libp2p::{
    StreamProtocol, Swarm,
    core::{ConnectedPoint, transport::ListenerId},
    identify, mdns,
    multiaddr::Protocol,
    ping,
    swarm::{
        ConnectionId, DialError, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use reach::DialReply;
pub(crate) use reach::Reach;
use reachability::Outlook;
pub(crate) use reachability::Outward;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};
use tracing::{debug, info, warn};

/// Callers that may wait for the same or different dials.
const DIAL_WAITERS_MAX: usize = 1024;

/// How long the start waits for the system to report what it listens on.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How often rates are worked out.
const STEP_PERIOD: Duration = Duration::from_secs(1);

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<T>;

/// What the handle may ask of the swarm.
#[derive(Debug)]
pub(crate) enum Command {
    ListenAddrs(Reply<Vec<Multiaddr>>),
    AnnouncedAddrs(Reply<Vec<Multiaddr>>),
    Connect(Multiaddr, Reply<Result<PeerId, NetworkError>>),
    Disconnect(PeerId, Reply<Result<(), NetworkError>>),
    Peers(Reply<Vec<PeerInfo>>),
    KnownAddrs(Reply<Vec<(PeerId, Vec<Multiaddr>)>>),
    /// Connects to a peer by any of these addresses; answers whether it had to.
    Reach(Reach, Reply<Result<bool, NetworkError>>),
    /// Opens a stream on a connection that is there.
    OpenStream(PeerId, StreamProtocol, StreamReply),
    /// Opens a stream on one of them.
    OpenStreamOn((PeerId, ConnectionId), StreamProtocol, StreamReply),
    /// Closes a connection that only [`Command::Reach`] wanted.
    Release(PeerId),
    /// The peer broke Bitswap's rules too often.
    Punish(PeerId),
    Pubsub(PubsubCommand),
    Outward(Outward),
}

/// What the swarm shares with other tasks.
pub(crate) struct Links {
    pub(crate) dhts: Vec<Dht>,
    pub(crate) meter: Meter,
    pub(crate) hub: Hub,
    pub(crate) protected: Protected,
    /// Where questions about reachability go, if any are asked.
    pub(crate) probes: Option<mpsc::Sender<Probe>>,
    /// Set while this node relays for others.
    pub(crate) is_relaying: Arc<AtomicBool>,
}

/// Someone waiting for a dial to end.
struct DialWaiter {
    target: String,
    peer: Option<PeerId>,
    reply: DialReply,
}

/// The swarm and what is known about its peers.
pub(crate) struct SwarmTask {
    swarm: Swarm<Behaviour>,
    announce: Vec<Multiaddr>,
    connections: HashMap<ConnectionId, PeerInfo>,
    known: KnownAddrs,
    dials: HashMap<ConnectionId, Vec<DialWaiter>>,
    dhts: Vec<Dht>,
    /// Peers that somebody has asked for by name, which are not released.
    kept: HashSet<PeerId>,
    /// Peers whose connections are not closed when there are too many.
    protected: Protected,
    meter: Meter,
    hub: Hub,
    outlook: Outlook,
    trim: Option<TrimSettings>,
    limits: ConnectionLimits,
    memory_max: Option<u64>,
    clock: Clock,
    /// Listeners that have not reported an address yet.
    opening: HashMap<ListenerId, Multiaddr>,
    pub(crate) listen_failures: Vec<NetworkError>,
}

/// Sets up the transports and opens the listeners.
pub(crate) async fn open(
    config: NetworkConfig,
    behaviours: (bitswap::Behaviour, streams::Behaviour),
    Links { dhts, meter, hub, protected, probes, is_relaying }: Links,
    tasks: &Tasks,
) -> Result<SwarmTask, NetworkError> {
    let mut swarm = build::swarm(&config, behaviours, (tasks, &meter))?;
    for addr in &config.announce {
        swarm.add_external_address(addr.clone());
        for dht in &dhts {
            dht.reachable_at(addr);
        }
    }
    let mut task = SwarmTask {
        swarm,
        announce: config.announce,
        connections: HashMap::new(),
        known: KnownAddrs::default(),
        dials: HashMap::new(),
        dhts,
        kept: HashSet::new(),
        protected,
        meter,
        hub,
        outlook: Outlook::new(config.reachability, probes, is_relaying, config.clock.monotonic()),
        trim: config.trim,
        limits: config.limits,
        memory_max: config.memory_max,
        clock: config.clock,
        opening: HashMap::new(),
        listen_failures: Vec::new(),
    };
    task.set_relaying();
    task.listen(config.listen).await?;
    Ok(task)
}

impl SwarmTask {
    /// Serves commands and events until the handle is gone.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut steps = interval(STEP_PERIOD);
        steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut stepped, mut trimmed) = (self.clock.monotonic(), self.clock.monotonic());
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                _ = steps.tick() => self.step(&mut stepped, &mut trimmed),
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
            }
        }
    }

    /// Does what is done every so often.
    fn step(&mut self, stepped: &mut Instant, trimmed: &mut Instant) {
        let now = self.clock.monotonic();
        self.meter.step(now.saturating_duration_since(*stepped));
        *stepped = now;
        self.look_outside(now);
        if let Some(settings) = self.trim
            && now.saturating_duration_since(*trimmed) >= settings.period
        {
            *trimmed = now;
            self.trim(settings, now);
        }
    }

    fn on_command(&mut self, command: Command) {
        // Whoever asked may have gone: a reply that nobody takes is no error.
        match command {
            Command::ListenAddrs(reply) => {
                drop(reply.send(self.swarm.listeners().cloned().collect()));
            }
            Command::AnnouncedAddrs(reply) => drop(reply.send(self.announced())),
            Command::Connect(addr, reply) => self.connect(addr, reply),
            Command::Disconnect(peer, reply) => {
                let result = self.swarm.disconnect_peer_id(peer);
                drop(reply.send(result.map_err(|()| NetworkError::NotConnected { peer })));
            }
            Command::Peers(reply) => {
                drop(reply.send(self.connections.values().cloned().collect()));
            }
            Command::KnownAddrs(reply) => drop(reply.send(self.known.all())),
            Command::Reach(reach, reply) => self.reach(reach, reply),
            Command::OpenStream(peer, protocol, reply) => {
                self.swarm.behaviour_mut().streams.open(peer, protocol, reply);
            }
            Command::OpenStreamOn(connection, protocol, reply) => {
                self.swarm.behaviour_mut().streams.open_on(connection, protocol, reply);
            }
            Command::Outward(command) => self.on_outward(command),
            Command::Release(peer) => self.release(peer),
            Command::Pubsub(command) => {
                self.hub.on_command(self.swarm.behaviour_mut().pubsub.as_mut(), command);
            }
            Command::Punish(peer) => {
                debug!(%peer, "disconnected for breaking bitswap's rules");
                if self.swarm.disconnect_peer_id(peer).is_err() {
                    debug!(%peer, "had gone already");
                }
            }
        }
    }

    fn announced(&self) -> Vec<Multiaddr> {
        let mut addrs: Vec<Multiaddr> = self.announce.clone();
        let more = self.swarm.listeners().chain(self.swarm.external_addresses());
        for addr in more {
            // Circuits come with this node's name, which whoever asks adds.
            let addr = without_peer(addr.clone());
            if !addrs.contains(&addr) {
                addrs.push(addr);
            }
        }
        addrs
    }

    fn connect(&mut self, addr: Multiaddr, reply: Reply<Result<PeerId, NetworkError>>) {
        let target = addr.to_string();
        let peer = peer_of(&addr);
        if let Some(peer) = peer
            && self.swarm.is_connected(&peer)
        {
            self.kept.insert(peer);
            return drop(reply.send(Ok(peer)));
        }
        let waiter = DialWaiter { target, peer, reply: DialReply::Named(reply) };
        if self.dials.len() >= DIAL_WAITERS_MAX {
            return waiter.fail("too many dials under way".to_owned());
        }
        let options = match peer {
            Some(peer) => {
                let addrs = match addr.iter().count() {
                    1 => self.known.of(&peer),
                    _ => vec![addr],
                };
                DialOpts::peer_id(peer).addresses(addrs).condition(PeerCondition::Always).build()
            }
            None => DialOpts::unknown_peer_id().address(addr).build(),
        };
        let id = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => drop(self.dials.insert(id, vec![waiter])),
            Err(error) => waiter.fail(describe(&error)),
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_established(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                debug!(peer = %peer_id, ?cause, "connection closed");
                self.connections.remove(&connection_id);
                if !self.swarm.is_connected(&peer_id) {
                    self.kept.remove(&peer_id);
                }
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.on_dialled_back(connection_id, false);
                for waiter in self.dials.remove(&connection_id).into_iter().flatten() {
                    self.on_dial_failed(waiter, &error);
                }
            }
            SwarmEvent::NewListenAddr { listener_id, address } => {
                self.opening.remove(&listener_id);
                if !self.outlook.relays.ready(listener_id) {
                    info!(addr = %address, "listening");
                }
                self.on_listening(&address);
            }
            SwarmEvent::NewExternalAddrCandidate { address } => self.on_candidate(address),
            SwarmEvent::ExternalAddrConfirmed { address } => self.on_reachable(&address),
            SwarmEvent::ExternalAddrExpired { .. } => self.on_unreachable(),
            SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                self.on_listener_closed(listener_id, reason.err());
            }
            SwarmEvent::ListenerError { error, .. } => warn!(%error, "listener failed once"),
            _ => {}
        }
    }

    fn on_established(&mut self, id: PeerId, connection: ConnectionId, at: &ConnectedPoint) {
        let direction = if at.is_dialer() { Direction::Outbound } else { Direction::Inbound };
        // Who comes over a relay has no address of its own, only the relay's.
        let at_relay = Some(at).filter(|at| at.is_listener() && at.is_relayed());
        let addr = match at_relay {
            Some(ConnectedPoint::Listener { local_addr, .. }) => local_addr.clone(),
            _ => without_peer(at.get_remote_address().clone()),
        };
        if direction == Direction::Outbound {
            self.known.insert(id, addr.clone());
        }
        let opened = self.clock.monotonic();
        // What another connection of this peer has taught holds here, too.
        let known = self.connections.values().find(|info| info.id == id).cloned();
        let info = match known {
            Some(known) => PeerInfo { addr, direction, opened, latency: None, ..known },
            None => PeerInfo {
                id,
                addr,
                direction,
                opened,
                latency: None,
                agent: String::new(),
                protocols: Vec::new(),
                listen_addrs: Vec::new(),
                public_key: None,
            },
        };
        self.connections.insert(connection, info);
        self.on_dialled_back(connection, true);
        for waiter in self.dials.remove(&connection).into_iter().flatten() {
            self.reached(waiter, id, true);
        }
    }

    fn on_dial_failed(&mut self, waiter: DialWaiter, error: &DialError) {
        // The peer may have dialled here meanwhile, and then all is well.
        match waiter.peer {
            Some(peer) if self.swarm.is_connected(&peer) => self.reached(waiter, peer, false),
            _ => waiter.fail(describe(error)),
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.on_identified(peer_id, info);
            }
            BehaviourEvent::Ping(ping::Event { connection, result: Ok(rtt), .. }) => {
                if let Some(info) = self.connections.get_mut(&connection) {
                    info.latency = Some(rtt);
                }
            }
            BehaviourEvent::Pubsub(event) => {
                if let Some(gossip) = self.swarm.behaviour_mut().pubsub.as_mut() {
                    self.hub.on_event(gossip, event);
                }
            }
            BehaviourEvent::Mdns(mdns::Event::Discovered(found)) => self.on_discovered(found),
            BehaviourEvent::Outside(event) => self.on_outside(event),
            _ => {}
        }
    }

    fn on_identified(&mut self, peer: PeerId, mut told: identify::Info) {
        let protocols = identified::cut(&mut told);
        for addr in &told.listen_addrs {
            self.known.insert(peer, without_peer(addr.clone()));
        }
        self.tell_dhts(peer, &protocols, &told.listen_addrs);
        for info in self.connections.values_mut().filter(|info| info.id == peer) {
            info.agent.clone_from(&told.agent_version);
            info.protocols.clone_from(&protocols);
            info.listen_addrs.clone_from(&told.listen_addrs);
            info.public_key = Some(told.public_key.clone());
        }
    }

    fn on_discovered(&mut self, found: Vec<(PeerId, Multiaddr)>) {
        for (peer, addr) in found {
            self.known.insert(peer, without_peer(addr.clone()));
            let options = DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(vec![addr])
                .build();
            if let Err(error) = self.swarm.dial(options) {
                debug!(%peer, %error, "did not dial a neighbour");
            }
        }
    }
}

/// The peer at the end of an address, if it names one.
fn peer_of(addr: &Multiaddr) -> Option<PeerId> {
    match addr.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

pub(crate) fn without_peer(mut addr: Multiaddr) -> Multiaddr {
    if peer_of(&addr).is_some() {
        addr.pop();
    }
    addr
}

/// All that a failed dial tells, in one line.
fn describe(error: &DialError) -> String {
    let DialError::Transport(attempts) = error else { return chain(error) };
    let attempts = attempts.iter().map(|(addr, error)| format!("{addr}: {}", chain(error)));
    attempts.collect::<Vec<_>>().join("; ")
}

/// An error with its causes; a cause that its parent already quotes is left out.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}
