//! A node for the occasion, which knows nobody.
//!
//! Not here: what the findings mean together (`check.rs`).

use super::{Findings, Verdict};
use crate::{Node, NodeError, node::start};
use cairn_block::{Cid, MemoryStore};
use cairn_network::{
    Contact, Network, NetworkConfig, NetworkError, Protocol, ReachabilityConfig, RelayClientConfig,
    generate_ed25519, is_web,
};
use cairn_runtime::{Clock, Tasks};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long one address may take.
const DIAL_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a provider may take to deliver one block.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// What Bitswap's protocols begin with.
const BITSWAP: &str = "/ipfs/bitswap";

/// The node; its connections end with it.
pub(super) struct Stranger {
    network: Network,
    tasks: Tasks,
    /// The node's own, which outlive this.
    others: Tasks,
    clock: Clock,
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let tasks = self.tasks.clone();
        // Its swarm stops beside whoever goes on.
        self.others.spawn("check ends", async move { tasks.stop(Duration::ZERO).await });
    }
}

impl Stranger {
    /// Makes one that listens nowhere and belongs to the same private network, if to any.
    pub(super) async fn new(node: &Node) -> Result<Self, NodeError> {
        let mut config = NetworkConfig::new(generate_ed25519());
        config.swarm_key = start::own_swarm_key(node.repo().path()).await?;
        if let Some(network) = node.network() {
            config.filters = network.filters().clone();
        }
        let relays = RelayClientConfig { listens: false, ..RelayClientConfig::default() };
        config.reachability =
            ReachabilityConfig { relay_client: Some(relays), ..ReachabilityConfig::default() };
        config.serve = false;
        let tasks = node.tasks().child();
        let network = Network::start(config, Arc::new(MemoryStore::default()), &tasks).await?;
        Ok(Self { network, tasks, others: node.tasks().clone(), clock: node.clock().clone() })
    }

    /// Tries a provider: connects, and asks for the block.
    pub(super) async fn check_provider(
        &self,
        contact: &Contact,
        cid: &Cid,
        findings: &Findings,
    ) -> bool {
        let about = contact.peer.to_string();
        let tell = |verdict, step, text| findings.tell(verdict, step, (&about, text));
        if !contact.addrs.is_empty() && contact.addrs.iter().all(is_web) {
            let text = "a web server, which is not checked".to_owned();
            tell(Verdict::Note, "dialed", text).await;
            return false;
        }
        let dialed = self.timed(self.network.connect_peer(contact.peer, contact.addrs.clone()));
        match dialed.await {
            (Ok(()), took) => tell(Verdict::Good, "dialed", format!("connected in {took}")).await,
            (Err(reason), _) => {
                tell(Verdict::Bad, "dialed", format!("not reached: {reason}")).await;
                return false;
            }
        }
        let info = self.network.identified(contact.peer).await;
        let speaks =
            info.is_some_and(|info| info.protocols.iter().any(|name| name.starts_with(BITSWAP)));
        let delivered = if speaks {
            let session = self.network.session().with_timeout(DELIVERY_TIMEOUT);
            let start = self.clock.monotonic();
            let cids = [cid.clone()];
            let came = session.fetch_many(&cids).await.pop().and_then(Result::ok);
            let took = seconds(self.clock.monotonic() - start);
            let late = format!(
                "it did not deliver the block within {} s: it may not have it any more, or be \
                 too busy",
                DELIVERY_TIMEOUT.as_secs()
            );
            let (verdict, text) = came.as_ref().map_or((Verdict::Bad, late), |block| {
                (Verdict::Good, format!("{} bytes in {took}", block.data().len()))
            });
            tell(verdict, "delivered", text).await;
            came.is_some()
        } else {
            let text = "it does not speak Bitswap, so it gives no blocks".to_owned();
            tell(Verdict::Bad, "delivered", text).await;
            false
        };
        self.part_from(contact).await;
        delivered
    }

    /// Tries every address of a peer by itself.
    pub(super) async fn check_addresses(&self, contact: &Contact, findings: &Findings) -> bool {
        let mut reached = false;
        for addr in &contact.addrs {
            let about = addr.to_string();
            let mut whole = addr.clone();
            if !matches!(whole.iter().last(), Some(Protocol::P2p(_))) {
                whole.push(Protocol::P2p(contact.peer));
            }
            let (verdict, text) = match self.timed(self.network.connect(whole)).await {
                (Ok(_), took) => (Verdict::Good, format!("connected in {took}")),
                (Err(reason), _) => (Verdict::Bad, format!("not reached: {reason}")),
            };
            findings.tell(verdict, "dialed", (&about, text)).await;
            if verdict != Verdict::Good {
                continue;
            }
            if !reached && let Some(info) = self.network.identified(contact.peer).await {
                let text = format!("{} with {} protocols", info.agent, info.protocols.len());
                findings.tell(Verdict::Good, "identified", (&contact.peer.to_string(), text)).await;
            }
            reached = true;
            self.part_from(contact).await;
        }
        reached
    }

    async fn part_from(&self, contact: &Contact) {
        // It may have gone by itself.
        self.network.disconnect(contact.peer).await.unwrap_or(());
    }

    /// How long it took, in words, and what became of it.
    async fn timed<T>(
        &self,
        dialing: impl Future<Output = Result<T, NetworkError>>,
    ) -> (Result<T, String>, String) {
        let start = self.clock.monotonic();
        let result = match timeout(DIAL_TIMEOUT, dialing).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no connection within {} s", DIAL_TIMEOUT.as_secs())),
        };
        (result, seconds(self.clock.monotonic() - start))
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
