//! Whether others get a block, or reach a peer, and if not, why: in sentences.
//!
//! Providers are tried by a node of its own, made for the occasion with a key that nobody knows:
//! it has no blocks, no connections and no favours, so what it gets a stranger gets. It dials from
//! the same machine, though: what only this network reaches looks reachable.
//!
//! Invariants: at most [`PROVIDERS_MAX`] providers and [`ADDRS_MAX`] addresses are tried, each for
//! at most a named time; dropping the future stops everything.
//! Not here: finding providers (`cairn-network`).

mod own;
mod stranger;

use crate::{Node, NodeError};
use cairn_block::{BlockStoreExt as _, Cid};
use cairn_network::{Contact, Network, PeerId};
use futures::StreamExt as _;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use stranger::Stranger;
use tokio::{sync::mpsc, time::timeout};

/// Providers that are tried.
pub const PROVIDERS_MAX: usize = 20;

/// Addresses of one peer that are tried.
const ADDRS_MAX: usize = 16;

/// How long is asked for providers.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(30);

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it should be.
    Good,
    /// It is in the way, and what to do about it.
    Bad,
    /// Worth knowing.
    Note,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is good.
    pub verdict: Verdict,
    /// What was looked at: `here`, `announced`, `found`, `dialed`, `identified`, `delivered`,
    /// `reachable`.
    pub step: &'static str,
    /// The peer or address, if it is about one.
    pub subject: String,
    /// The sentence.
    pub text: String,
}

/// What is to be checked.
#[derive(Debug, Clone)]
pub enum CheckTarget {
    /// Whether others get this block; with peers, from these.
    Block(Cid, Vec<Contact>),
    /// Whether this peer is reached; without addresses, it is looked for.
    Peer(Contact),
}

/// Where findings go.
struct Findings(mpsc::Sender<Finding>);

impl Findings {
    async fn tell(&self, verdict: Verdict, step: &'static str, about: (&str, String)) {
        let (subject, text) = about;
        let finding = Finding { verdict, step, subject: subject.to_owned(), text };
        // Nobody reads any more: the caller drops the future, too.
        self.0.send(finding).await.unwrap_or(());
    }
}

impl Node {
    /// Checks, and tells what is found as it comes; answers whether all is well: the block comes
    /// from somebody else, or the peer is reached.
    ///
    /// # Errors
    ///
    /// [`NodeError::Offline`], or if no second node can be made.
    pub async fn check(
        &self,
        target: CheckTarget,
        findings: mpsc::Sender<Finding>,
    ) -> Result<bool, NodeError> {
        let network = self.require_network()?;
        let findings = Findings(findings);
        match target {
            CheckTarget::Block(cid, peers) => {
                self.check_block(network, (&cid, peers), &findings).await
            }
            CheckTarget::Peer(contact) if contact.peer == network.peer_id() => {
                Ok(self.check_own(network, &findings).await)
            }
            CheckTarget::Peer(contact) => {
                let stranger = Stranger::new(self).await?;
                let Some(contact) = addresses_of(network, contact, &findings).await else {
                    return Ok(false);
                };
                Ok(stranger.check_addresses(&contact, &findings).await)
            }
        }
    }

    async fn check_block(
        &self,
        network: &Network,
        (cid, peers): (&Cid, Vec<Contact>),
        findings: &Findings,
    ) -> Result<bool, NodeError> {
        let has = self.store().has(cid).await?;
        let text = if has { "the block is in this repository" } else { "not in this repository" };
        let verdict = if has { Verdict::Good } else { Verdict::Note };
        findings.tell(verdict, "here", ("", text.to_owned())).await;
        let peers = if peers.is_empty() {
            self.announced(network, (cid, has), findings).await
        } else {
            peers
        };
        if peers.is_empty() {
            return Ok(false);
        }
        let stranger = Stranger::new(self).await?;
        let mut delivered = false;
        for contact in peers.into_iter().take(PROVIDERS_MAX) {
            if let Some(contact) = addresses_of(network, contact, findings).await {
                delivered |= stranger.check_provider(&contact, cid, findings).await;
            }
        }
        Ok(delivered)
    }

    /// Who announces the block, this node apart.
    async fn announced(
        &self,
        network: &Network,
        (cid, has): (&Cid, bool),
        findings: &Findings,
    ) -> Vec<Contact> {
        let routing = network.routing();
        if !routing.is_on() {
            let text = "nobody can be asked who has it: Routing.Type is none".to_owned();
            findings.tell(Verdict::Bad, "announced", ("", text)).await;
            return Vec::new();
        }
        let mut found: HashMap<PeerId, Contact> = HashMap::new();
        let search = async {
            let mut providers = routing.find_providers(cid, None);
            while let Some(contact) = providers.next().await {
                let known = found.entry(contact.peer).or_insert_with(|| contact.clone());
                known.addrs.extend(contact.addrs);
                if found.len() > PROVIDERS_MAX {
                    break;
                }
            }
        };
        let ended = timeout(SEARCH_TIMEOUT, search).await.is_ok();
        let own = found.remove(&network.peer_id()).is_some();
        if own {
            let text = "this node announces it".to_owned();
            findings.tell(Verdict::Good, "announced", ("", text)).await;
        } else if has {
            let text =
                format!("this node does not announce it: {}", self.why_not_announced(network));
            findings.tell(Verdict::Bad, "announced", ("", text)).await;
        }
        let others = found.len();
        let (verdict, text) = match others {
            0 if ended => (Verdict::Bad, "nobody else announces it".to_owned()),
            0 => (Verdict::Bad, format!("nobody else was found within {SEARCH_TIMEOUT:?}")),
            1 => (Verdict::Good, "one other peer announces it".to_owned()),
            _ => (Verdict::Good, format!("{others} other peers announce it")),
        };
        findings.tell(verdict, "announced", ("", text)).await;
        found.into_values().collect()
    }
}

/// Finds out where a peer is: as told, as known, or as routing says.
async fn addresses_of(
    network: &Network,
    mut contact: Contact,
    findings: &Findings,
) -> Option<Contact> {
    if contact.addrs.is_empty() {
        let known = network.known_addrs().await.into_iter();
        contact.addrs =
            known.filter(|(peer, _)| *peer == contact.peer).flat_map(|(_, addrs)| addrs).collect();
    }
    if contact.addrs.is_empty() {
        let found = timeout(SEARCH_TIMEOUT, network.routing().find_peer(contact.peer, None)).await;
        let failure = match found {
            Ok(Ok(found)) => {
                contact.addrs = found.addrs;
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("nothing was found within {SEARCH_TIMEOUT:?}")),
        };
        if let Some(failure) = failure {
            let text = format!("its addresses are not known: {failure}");
            findings.tell(Verdict::Bad, "found", (&contact.peer.to_string(), text)).await;
            return None;
        }
    }
    let mut seen = HashSet::new();
    contact.addrs.retain(|addr| seen.insert(addr.clone()));
    contact.addrs.truncate(ADDRS_MAX);
    Some(contact)
}
