//! The node: a repository, a network if it is online, and what belongs to both.
//!
//! Not here: adding (`add.rs`), pins (`pins.rs`), single blocks (`block_ops.rs`).

mod start;

use crate::{
    Blocks, Config, Fetch, Identity, NodeError,
    add::add_count_max,
    blocks::Reach,
    bootstrap,
    config::Settings,
    init::open_config,
    mfs::Mfs,
    outside::Outside,
    peering::Peerings,
    provide::{ProvideStat, Provider},
    scrub::Scrubber,
    tunnels::Tunnels,
};
use cairn_block::Cid;
use cairn_dag::{DagError, IpfsPath, Visit, WalkOptions};
use cairn_network::{Network, Swept};
use cairn_runtime::{Budget, Clock, RealVfs, Tasks, Vfs, blocking};
use cairn_store::{Pins, Repo, Store};
use cairn_unixfs::Resolved;
use futures::Stream;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How long background work may take to end at shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// How to open a node.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Where the repository is.
    pub path: PathBuf,
    /// Whether to start the network.
    pub online: bool,
    /// Whether to take part in pubsub whatever `Pubsub.Enabled` says.
    pub pubsub: bool,
}

/// An open repository with everything that works on it; cheap to clone.
#[derive(Debug, Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    repo: Arc<Repo>,
    config: Config,
    identity: Identity,
    network: Option<Network>,
    peerings: Option<Peerings>,
    tunnels: Option<Tunnels>,
    tasks: Tasks,
    clock: Clock,
    shutdown: CancellationToken,
    budget: Budget,
    add_turns: Semaphore,
    scrubber: Arc<Scrubber>,
    outside: Arc<Outside>,
    mfs: Arc<Mfs>,
    provider: Option<Arc<Provider>>,
}

impl Node {
    /// Opens the repository, takes its lock and, if asked, starts the network.
    ///
    /// # Errors
    ///
    /// [`NodeError::Repo`] says what is at the path instead: nothing, a repository in use, one of
    /// Kubo's, or a newer one. [`NodeError::Config`] names a key that cannot be understood.
    /// [`NodeError::Network`] if no address could be listened on.
    pub async fn open(options: OpenOptions) -> Result<Self, NodeError> {
        let opening = cairn_store::OpenOptions::default().with_clock(Clock::system());
        Self::open_on(Arc::new(RealVfs), options, opening).await
    }

    /// Opens a repository that lies in `vfs`, in other ways than the usual ones: for simulations.
    ///
    /// # Errors
    ///
    /// As [`Node::open`].
    pub async fn open_on(
        vfs: Arc<dyn Vfs>,
        options: OpenOptions,
        opening: cairn_store::OpenOptions,
    ) -> Result<Self, NodeError> {
        let path = options.path.clone();
        let clock = opening.clock.clone();
        let (repo, config) = blocking(move || {
            let repo = Repo::open(vfs, &path, opening)?;
            let repo = Arc::new(repo);
            let config = open_config(&repo)?;
            Ok::<_, NodeError>((repo, config))
        })
        .await?;
        repo.store().set_compression(config.read(Settings::compression)?);
        let identity = config.identity()?;
        let tasks = Tasks::default();
        let enabled = config.read(Settings::experimental)?;
        let outside = Arc::new(Outside::new(repo.path(), enabled, tasks.child())?);
        repo.store().set_sources(Arc::<Outside>::clone(&outside));
        let (network, peerings) = if options.online {
            let start =
                start::network(&config, &identity, (&repo, options.pubsub), (&tasks, &clock));
            let (network, peerings) = Box::pin(start).await?;
            (Some(network), Some(peerings))
        } else {
            (None, None)
        };
        let tunnels = network.clone().map(|network| Tunnels::new(network, tasks.clone()));
        let shutdown = CancellationToken::new();
        let budget = config.read(Settings::memory)?;
        let add_turns = Semaphore::new(add_count_max(budget));
        let kept = (repo.store().clone(), repo.meta().clone(), repo.pins().clone());
        let scrubber = config
            .read(|settings| Scrubber::new(kept, network.clone(), clock.clone(), settings))?;
        let scrubber = Arc::new(scrubber);
        let mfs = Arc::new(Mfs::new(Arc::clone(&repo)));
        let kept = (Arc::clone(&repo), Arc::clone(&mfs));
        let provider = start::provider(&config, kept, network.as_ref(), (&tasks, &clock))?;
        let inner = Inner {
            repo,
            config,
            identity,
            network,
            peerings,
            tunnels,
            tasks,
            clock,
            shutdown,
            budget,
            add_turns,
            scrubber,
            outside,
            mfs,
            provider,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Stops background work, commits MFS and flushes the store; the lock is given back when the last clone
    /// of the node is dropped.
    ///
    /// # Errors
    ///
    /// [`NodeError::Store`] if the last flush failed; what was acknowledged before is safe.
    pub async fn shutdown(&self) -> Result<(), NodeError> {
        self.inner.shutdown.cancel();
        self.inner.tasks.stop(SHUTDOWN_GRACE).await;
        let (store, mfs) = (self.store().clone(), Arc::clone(self.mfs()));
        blocking(move || {
            let flushed = mfs.flush();
            store.close()?;
            flushed
        })
        .await
    }

    /// Cancelled when somebody has asked the node to stop; whoever runs it waits for this and
    /// then calls [`Node::shutdown`].
    pub fn shutdown_requested(&self) -> CancellationToken {
        self.inner.shutdown.clone()
    }

    /// Background work that ends with the node.
    pub fn tasks(&self) -> &Tasks {
        &self.inner.tasks
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Whether there is a network.
    pub fn is_online(&self) -> bool {
        self.inner.network.is_some()
    }

    /// The network, if the node is online.
    pub fn network(&self) -> Option<&Network> {
        self.inner.network.as_ref()
    }

    /// The network, or the error that tells the user to start the daemon.
    ///
    /// # Errors
    ///
    /// [`NodeError::Offline`].
    pub fn require_network(&self) -> Result<&Network, NodeError> {
        self.network().ok_or(NodeError::Offline)
    }

    /// The entries of `Bootstrap`.
    ///
    /// # Errors
    ///
    /// [`NodeError::Config`].
    pub fn bootstrap_list(&self) -> Result<Vec<String>, NodeError> {
        bootstrap::list(self.config())
    }

    /// Adds entries to `Bootstrap` and returns those that were not there. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`NodeError::Multiaddr`] for what is no address of a peer; [`NodeError::Config`].
    pub fn bootstrap_add(&self, entries: &[String]) -> Result<Vec<String>, NodeError> {
        bootstrap::add(self.config(), entries)
    }

    /// Removes entries of `Bootstrap`, or all with `None`, and returns them. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`NodeError::Config`].
    pub fn bootstrap_remove(&self, entries: Option<&[String]>) -> Result<Vec<String>, NodeError> {
        bootstrap::remove(self.config(), entries)
    }

    /// The peers that the node stays connected with, if it is online.
    pub fn peerings(&self) -> Option<&Peerings> {
        self.inner.peerings.as_ref()
    }

    /// Whether `Experimental.Libp2pStreamMounting` allows them to be made.
    ///
    /// # Errors
    ///
    /// [`NodeError::Config`].
    pub fn tunnels_enabled(&self) -> Result<bool, NodeError> {
        Ok(self.inner.config.read(Settings::stream_mounting)?)
    }

    /// The connections that are carried over streams with peers; `None` without a network.
    pub fn tunnels(&self) -> Option<&Tunnels> {
        self.inner.tunnels.as_ref()
    }

    /// Who this node is.
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// The config.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The repository, for its address files and keys.
    pub fn repo(&self) -> &Repo {
        &self.inner.repo
    }

    pub(crate) fn shared_repo(&self) -> &Arc<Repo> {
        &self.inner.repo
    }

    /// The local blocks.
    pub fn store(&self) -> &Store {
        self.inner.repo.store()
    }

    pub(crate) fn pins(&self) -> &Pins {
        self.inner.repo.pins()
    }

    /// The blocks as one store: local ones, and with [`Fetch::Network`] everybody's.
    ///
    /// Each call starts a session; use one for everything that belongs together.
    pub fn blocks(&self, fetch: Fetch) -> Blocks {
        let reach = match (fetch, self.network()) {
            (Fetch::Network, Some(network)) => Reach::Network(network.session()),
            (Fetch::Network, None) => Reach::Offline,
            (Fetch::Local, _) => Reach::Local,
        };
        Blocks::new(self.store().clone(), reach)
    }

    /// Follows a path of `/ipfs/…`.
    ///
    /// # Errors
    ///
    /// [`NodeError::Unixfs`] naming the segment or block that is not there.
    pub async fn resolve(&self, path: &IpfsPath, fetch: Fetch) -> Result<Resolved, NodeError> {
        Ok(cairn_unixfs::resolve(&self.blocks(fetch), path).await?)
    }

    /// Visits everything below `roots`, parents first.
    pub fn walk(
        &self,
        roots: &[Cid],
        options: WalkOptions,
        fetch: Fetch,
    ) -> impl Stream<Item = Result<Visit, DagError>> + Send + use<> {
        cairn_dag::walk(self.blocks(fetch), roots, options)
    }

    /// Tells whether blocks may refer to files or URLs.
    ///
    /// # Errors
    ///
    /// [`NodeError::Options`] says how to enable it.
    pub fn check_references_enabled(&self) -> Result<(), NodeError> {
        self.inner.outside.check_enabled()
    }

    pub(crate) fn outside(&self) -> &Arc<Outside> {
        &self.inner.outside
    }

    pub(crate) fn mfs(&self) -> &Arc<Mfs> {
        &self.inner.mfs
    }

    /// Announces new roots soon, if `Provide` wants that; costs nothing otherwise.
    pub(crate) fn announce_roots(&self, roots: &[Cid], are_pinned: bool) {
        if let Some(provider) = &self.inner.provider {
            provider.announce(roots, are_pinned);
        }
    }

    /// How announcing goes; `None` if nothing is announced.
    pub fn provide_stat(&self) -> Option<ProvideStat> {
        self.inner.provider.as_ref().map(|provider| provider.stat())
    }

    /// Takes the roots that wait to be announced out of their queue; returns how many.
    pub async fn provide_clear(&self) -> u64 {
        match &self.inner.provider {
            Some(provider) => provider.clear().await,
            None => 0,
        }
    }

    /// Announces everything that `Provide.Strategy` names once, now; `None` if nothing is
    /// announced at all. Dropping the future stops it.
    ///
    /// # Errors
    ///
    /// [`NodeError::Routing`] if nobody can be told.
    pub async fn reprovide(&self) -> Result<Option<Swept>, NodeError> {
        match &self.inner.provider {
            Some(provider) => Ok(Some(provider.reprovide().await?)),
            None => Ok(None),
        }
    }

    pub(crate) fn scrubber(&self) -> &Arc<Scrubber> {
        &self.inner.scrubber
    }

    /// The memory that queues and caches may fill.
    pub fn budget(&self) -> Budget {
        self.inner.budget
    }

    pub(crate) fn add_turns(&self) -> &Semaphore {
        &self.inner.add_turns
    }

    /// Tells peers that wait for them that these blocks are here now.
    pub(crate) fn announce_local(&self, cids: &[Cid]) {
        if let Some(network) = self.network() {
            network.blocks_added(cids);
        }
    }
}
