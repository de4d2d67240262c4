//! The handle on the running network.
//!
//! Two tasks do the work: the swarm's (connections) and Bitswap's engine (wants and serving).
//! The handle only sends them commands over bounded channels, so every method is safe to cancel
//! and waits when the tasks are busy.
//!
//! Not here: the tasks themselves (`swarm.rs`, `bitswap/engine.rs`).

use crate::{
    Bandwidth, BitswapStat, Filters, LedgerInfo, Multiaddr, NetworkConfig, NetworkError, PeerId,
    PeerInfo, Pinger, PublicKey, Pubsub, ReachabilityReport, ResourceReport, Routing, Session,
    autonat,
    bitswap::{self, engine},
    dht, ping,
    pubsub::Hub,
    retrieval::{Retrieval, SEARCHES_MAX, Seeker, ToEngine, WebSources},
    streams::{self, Accepted, Inbound, IncomingStreams, Offered, PeerStream, StreamError},
    swarm::{self, Meter, Protected, Protection, Reach, Reply},
};
use cairn_block::{BlockStore, Cid};
use cairn_runtime::{Clock, Tasks};
use cairn_web::{Client, Trust};
use libp2p::StreamProtocol;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::sleep,
};

/// Longest wait for what a peer tells about itself.
pub const IDENTIFY_PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks whether it has.
const IDENTIFY_PAUSE: Duration = Duration::from_millis(20);

/// Commands that may wait for one of the two tasks.
const COMMAND_QUEUE_LEN: usize = 256;

/// The running network; cheap to clone. It stops with the [`Tasks`] it was started on.
#[derive(Debug, Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    public_key: PublicKey,
    swarm: mpsc::Sender<swarm::Command>,
    engine: mpsc::Sender<engine::Command>,
    awaited: Arc<bitswap::Awaited>,
    routing: Routing,
    /// Protocols that the config has turned on.
    protocols: Vec<&'static str>,
    is_relaying: Arc<AtomicBool>,
    offered: Offered,
    protected: Protected,
    filters: Filters,
    meter: Meter,
    clock: Clock,
    listen_failures: Vec<NetworkError>,
    retrieval: Arc<Retrieval>,
    sessions: AtomicU64,
    fetches: Arc<AtomicU64>,
}

/// What runs beside the swarm and takes streams from it.
struct Beside {
    dhts: dht::Starting,
    autonat: autonat::Starting,
    echoes: mpsc::Receiver<Inbound>,
}

impl Beside {
    /// Makes what the config asks for, the protocols that the swarm is to offer for it, and where
    /// questions about reachability go.
    fn prepare(
        config: &NetworkConfig,
        swarm: &mpsc::Sender<swarm::Command>,
    ) -> (Self, Vec<Accepted>, Option<mpsc::Sender<autonat::Probe>>) {
        let (dhts, mut accepted) = dht::prepare(config, swarm);
        let (autonat, probes) = autonat::prepare(config, swarm, &mut accepted);
        let echoes = ping::echo::prepare(&mut accepted);
        (Self { dhts, autonat, echoes }, accepted, probes)
    }

    /// Starts the tasks.
    fn start(self, tasks: &Tasks) {
        self.dhts.start(tasks);
        self.autonat.start(tasks);
        tasks.spawn("ping echoes", ping::echo::run(self.echoes));
    }
}

impl Network {
    /// Opens the listeners and starts the tasks.
    ///
    /// Returns when every address is either listened on or has failed; failures are logged and
    /// kept in [`Network::listen_failures`].
    ///
    /// # Errors
    ///
    /// [`NetworkError::Listen`] if there were addresses and not one of them could be listened on;
    /// [`NetworkError::Transport`] if the system has no resolver configuration or the like.
    pub async fn start(
        config: NetworkConfig,
        store: impl BlockStore + Clone + 'static,
        tasks: &Tasks,
    ) -> Result<Self, NetworkError> {
        let public_key = config.keypair.public();
        let (swarm_sender, swarm_commands) = mpsc::channel(COMMAND_QUEUE_LEN);
        let (engine_sender, engine_commands) = mpsc::channel(COMMAND_QUEUE_LEN);
        let awaited = Arc::new(bitswap::Awaited::default());
        let links = engine::Links {
            commands: engine_commands,
            swarm: swarm_sender.clone(),
            awaited: Arc::clone(&awaited),
            tasks: tasks.clone(),
            serve: config.serve,
            budget: config.budget,
        };
        let (behaviour, events, start_engine) = bitswap::new(links);
        let (beside, accepted, probes) = Beside::prepare(&config, &swarm_sender);
        let (dhts, offered) = (beside.dhts.dhts(), Offered::new(accepted));
        let behaviours = (behaviour, streams::Behaviour::new(offered.clone()));
        let (filters, clock) = (config.filters.clone(), config.clock.clone());
        let (routers, sources) = (config.routers.clone(), config.web.clone());
        let protocols = swarm::protocols(&config);
        let (is_relaying, protected) = <(Arc<AtomicBool>, Protected)>::default();
        let meter = Meter::new(config.bandwidth, &clock).with_stream_limits(&config.streams);
        let links = swarm::Links {
            dhts: dhts.clone(),
            meter: meter.clone(),
            hub: Hub::new(public_key.to_peer_id(), swarm_sender.clone()),
            protected: protected.clone(),
            probes,
            is_relaying: Arc::clone(&is_relaying),
        };
        let swarm = Box::pin(swarm::open(config, behaviours, links, tasks)).await?;
        let listen_failures = swarm.listen_failures.clone();
        start_engine(store);
        let web = Client::new(tasks, Trust::System);
        let routing = Routing::new(dhts, routers, &web, &clock);
        beside.start(tasks);
        tasks.spawn("network swarm", swarm.run(swarm_commands));
        let to_engine = ToEngine { events, commands: engine_sender.clone() };
        let sources = WebSources::new(sources, filters.clone(), to_engine, (tasks, &clock));
        let retrieval = Retrieval {
            sources,
            own: public_key.to_peer_id(),
            routing: routing.clone(),
            swarm: swarm_sender.clone(),
            engine: engine_sender.clone(),
            turns: Semaphore::new(SEARCHES_MAX),
        };
        let shared = Shared {
            retrieval: Arc::new(retrieval),
            public_key,
            swarm: swarm_sender,
            engine: engine_sender,
            awaited,
            routing,
            protocols,
            is_relaying,
            offered,
            protected,
            filters,
            meter,
            clock,
            listen_failures,
            sessions: AtomicU64::new(0),
            fetches: Arc::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// This node's peer ID.
    pub fn peer_id(&self) -> PeerId {
        self.shared.public_key.to_peer_id()
    }

    /// This node's public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.shared.public_key
    }

    /// What this node speaks, as it tells its peers.
    pub fn protocols(&self) -> Vec<String> {
        let offered = self.shared.offered.names();
        let offered = offered.iter().map(ToString::to_string);
        let is_relaying = self.shared.is_relaying.load(Ordering::Relaxed);
        let relay = is_relaying.then(|| swarm::HOP_PROTOCOL.to_owned());
        self.own_protocols().map(str::to_owned).chain(offered).chain(relay).collect()
    }

    /// What cannot be taken by others, besides what the DHTs offer.
    fn own_protocols(&self) -> impl Iterator<Item = &'static str> {
        self.shared.protocols.iter().copied()
    }

    /// Who has what, and where peers are.
    pub fn routing(&self) -> &Routing {
        &self.shared.routing
    }

    /// The addresses that could not be listened on, with reasons.
    pub fn listen_failures(&self) -> &[NetworkError] {
        &self.shared.listen_failures
    }

    /// The addresses listened on, with the ports and interfaces that the system chose.
    ///
    /// Empty once the network has been shut down.
    pub async fn listen_addrs(&self) -> Vec<Multiaddr> {
        self.ask(swarm::Command::ListenAddrs).await.unwrap_or_default()
    }

    /// The addresses told to peers: those listened on, those configured, those confirmed.
    pub async fn announced_addrs(&self) -> Vec<Multiaddr> {
        self.ask(swarm::Command::AnnouncedAddrs).await.unwrap_or_default()
    }

    /// Connects to an address, with or without `/p2p/…`; a bare `/p2p/…` uses known addresses.
    ///
    /// Returns at once when there is a connection to that peer already.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Dial`] with every attempt's reason.
    pub async fn connect(&self, addr: Multiaddr) -> Result<PeerId, NetworkError> {
        self.ask(|reply| swarm::Command::Connect(addr, reply)).await?
    }

    /// Connects to a peer by these addresses (those known, if there are none), or else by those
    /// that routing finds.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Dial`].
    pub async fn connect_peer(
        &self,
        peer: PeerId,
        addrs: Vec<Multiaddr>,
    ) -> Result<(), NetworkError> {
        let Err(error) = self.reach(peer, addrs).await else { return Ok(()) };
        match self.routing().find_peer(peer, None).await {
            Ok(found) => self.reach(peer, found.addrs).await,
            Err(_) => Err(error),
        }
    }

    async fn reach(&self, peer: PeerId, addrs: Vec<Multiaddr>) -> Result<(), NetworkError> {
        let reach = Reach { peer, addrs, is_kept: true };
        let reached = self.ask(|reply| swarm::Command::Reach(reach, reply)).await?;
        reached.map(drop)
    }

    /// What a connected peer tells about itself, which comes a moment after the connection; what
    /// is known if it has not told within [`IDENTIFY_PATIENCE`]. `None` if it has gone.
    pub async fn identified(&self, peer: PeerId) -> Option<PeerInfo> {
        let mut looks = IDENTIFY_PATIENCE.as_millis() / IDENTIFY_PAUSE.as_millis();
        loop {
            let info = self.peers().await.into_iter().find(|info| info.id == peer)?;
            if info.public_key.is_some() || looks == 0 {
                return Some(info);
            }
            looks -= 1;
            sleep(IDENTIFY_PAUSE).await;
        }
    }

    /// Closes all connections with `peer`.
    ///
    /// # Errors
    ///
    /// [`NetworkError::NotConnected`].
    pub async fn disconnect(&self, peer: PeerId) -> Result<(), NetworkError> {
        self.ask(|reply| swarm::Command::Disconnect(peer, reply)).await?
    }

    /// Keeps the connections with a peer, when others are closed for being too many, for as long
    /// as the answer lives.
    pub fn protect(&self, peer: PeerId) -> Protection {
        self.shared.protected.hold(peer)
    }

    /// The addresses that are neither dialled nor answered; changes count for new connections.
    pub fn filters(&self) -> &Filters {
        &self.shared.filters
    }

    /// What went through since the start, with all peers or with one.
    pub fn bandwidth(&self, peer: Option<PeerId>) -> Bandwidth {
        self.shared.meter.told(peer)
    }

    /// Opens a stream of echoes with a peer that is connected.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Ping`] and [`NetworkError::NotConnected`].
    pub async fn pinger(&self, peer: PeerId) -> Result<Pinger, NetworkError> {
        let (reply, answer) = oneshot::channel();
        self.tell(swarm::Command::OpenStream(peer, ping::PING, reply)).await?;
        let stream = answer.await.map_err(|_| NetworkError::NotConnected { peer })?;
        let stream = stream.map_err(|error| ping::not_opened(peer, error))?;
        Ok(Pinger { peer, stream, clock: self.shared.clock.clone() })
    }

    /// Whether others can reach this node, and at which addresses.
    pub async fn reachability(&self) -> ReachabilityReport {
        let ask = |reply| swarm::Outward::Report(reply).into();
        self.ask(ask).await.unwrap_or_default()
    }

    /// How many connections and streams there are, and may be; `None` once shut down.
    pub async fn resources(&self) -> Option<ResourceReport> {
        self.ask(|reply| swarm::Outward::Resources(reply).into()).await.ok()
    }

    /// Takes the streams that peers open of a protocol, from now on.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Protocol`] if its name will not do, or is taken.
    pub fn take_streams(&self, protocol: &str) -> Result<IncomingStreams, NetworkError> {
        let is_own = |own| own == protocol;
        if self.own_protocols().any(is_own) || is_own(swarm::HOP_PROTOCOL) {
            let reason = "the node speaks it itself";
            return Err(NetworkError::Protocol { name: protocol.to_owned(), reason });
        }
        IncomingStreams::begin(protocol, self.shared.offered.clone())
    }

    /// Opens a stream with a peer, which is connected to if need be: by the addresses given, those
    /// that are known, or those that routing finds.
    ///
    /// Dropping the future gives up, and closes the stream if it is there.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Dial`] and [`NetworkError::Stream`].
    pub async fn open_stream(
        &self,
        (peer, addrs): (PeerId, Vec<Multiaddr>),
        protocol: &str,
    ) -> Result<PeerStream, NetworkError> {
        let failed = |reason: &str| NetworkError::Stream {
            wanted: format!("{protocol} with {peer}"),
            reason: reason.to_owned(),
        };
        let name = StreamProtocol::try_from_owned(protocol.to_owned())
            .map_err(|_| failed("its name does not begin with a slash"))?;
        self.connect_peer(peer, addrs).await?;
        let (reply, answer) = oneshot::channel();
        self.tell(swarm::Command::OpenStream(peer, name, reply)).await?;
        match answer.await {
            Ok(Ok(stream)) => Ok(streams::readable(stream)),
            Ok(Err(StreamError::Unsupported)) => Err(failed("the peer does not speak it")),
            Ok(Err(StreamError::Failed(reason))) => Err(failed(&reason)),
            Err(_) => Err(failed("the connection closed")),
        }
    }

    /// Messages by topic.
    pub fn pubsub(&self) -> Pubsub {
        Pubsub { swarm: self.shared.swarm.clone() }
    }

    /// Every connection, in no order.
    pub async fn peers(&self) -> Vec<PeerInfo> {
        self.ask(swarm::Command::Peers).await.unwrap_or_default()
    }

    /// Every address heard of, by peer.
    pub async fn known_addrs(&self) -> Vec<(PeerId, Vec<Multiaddr>)> {
        self.ask(swarm::Command::KnownAddrs).await.unwrap_or_default()
    }

    /// Starts a session for blocks that belong together, such as one DAG's.
    pub fn session(&self) -> Session {
        let id = self.shared.sessions.fetch_add(1, Ordering::Relaxed);
        Session {
            id,
            seeker: Arc::new(Seeker::new(Arc::clone(&self.shared.retrieval), id)),
            fetches: Arc::clone(&self.shared.fetches),
            commands: self.shared.engine.clone(),
            patience: None,
        }
    }

    /// Tells that blocks are in the store now, so that peers waiting for them are served.
    ///
    /// Costs one lock when nobody waits. Blocks fetched through a [`Session`] are known already.
    pub fn blocks_added(&self, cids: &[Cid]) {
        self.shared.awaited.arrived(cids.iter().map(Cid::multihash));
    }

    /// Bitswap's counters.
    pub async fn bitswap_stat(&self) -> BitswapStat {
        let (reply, answer) = oneshot::channel();
        // A failed send drops the reply, which the next line sees.
        drop(self.shared.engine.send(engine::Command::Stat(reply)).await);
        answer.await.unwrap_or_default()
    }

    /// What this node wants (`None`), or what a peer wants from it.
    pub async fn wantlist(&self, peer: Option<PeerId>) -> Vec<Cid> {
        let (reply, answer) = oneshot::channel();
        drop(self.shared.engine.send(engine::Command::Wantlist(peer, reply)).await);
        answer.await.unwrap_or_default()
    }

    /// What was exchanged with `peer`; `None` if it never spoke Bitswap with this node.
    pub async fn ledger(&self, peer: PeerId) -> Option<LedgerInfo> {
        let (reply, answer) = oneshot::channel();
        drop(self.shared.engine.send(engine::Command::Ledger(peer, reply)).await);
        answer.await.ok().flatten()
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> swarm::Command,
    ) -> Result<T, NetworkError> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| NetworkError::Stopped)
    }

    async fn tell(&self, command: swarm::Command) -> Result<(), NetworkError> {
        self.shared.swarm.send(command).await.map_err(|_| NetworkError::Stopped)
    }
}
