//! AutoNAT 2: asking other nodes whether an address of this one can be dialled, and answering.
//!
//! The asker names an address and a number; the asked dials it over a new connection and says the
//! number there, so that nobody can claim what it has not seen. Both sides are tasks beside the
//! swarm, which opens streams and dials for them; which address is asked about, whom, and what
//! follows from the answers is decided in `swarm/reachability.rs`.
//!
//! Written here because the library's client keeps every address that any peer has ever claimed
//! and asks about none twice, and its server dials whatever it is told, without limits.
//!
//! Spec: libp2p AutoNAT v2, pinned in `spec/PINS.toml`.
//! Invariants: at most [`PROBES_MAX`] questions and [`ANSWERS_MAX`] answers are under way, each
//! within [`PROBE_TIMEOUT`]; a dial for another peer goes to a public address, to one that the
//! peer is seen at or has paid [`DIAL_DATA_LEN_MIN`] bytes for, and within the limits that the
//! config sets.
//! Not here: version 1, which is the library's (`swarm/build.rs`).

mod client;
mod server;
#[cfg(test)]
mod tests;
mod throttle;
mod wire;

use crate::{
    Multiaddr, NetworkConfig, PeerId,
    streams::{Accepted, Inbound},
    swarm,
};
use cairn_runtime::Tasks;
use libp2p::StreamProtocol;
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use throttle::Throttle;
use tokio::sync::mpsc;

/// Where questions go.
pub(crate) const DIAL_REQUEST: StreamProtocol =
    StreamProtocol::new("/libp2p/autonat/2/dial-request");

/// Where the number is told.
pub(crate) const DIAL_BACK: StreamProtocol = StreamProtocol::new("/libp2p/autonat/2/dial-back");

/// Questions under way.
pub(crate) const PROBES_MAX: usize = 4;

/// Answers under way.
const ANSWERS_MAX: usize = 16;

/// Longest that a question, or the answer to one, takes.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

/// Least bytes that a dial to an address the peer is not seen at costs it.
const DIAL_DATA_LEN_MIN: usize = 30_000;

/// Most bytes that it costs.
const DIAL_DATA_LEN_MAX: usize = 100_000;

/// One question: can `addr` be dialled?
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Probe {
    /// Who is asked.
    pub(crate) server: PeerId,
    /// What about.
    pub(crate) addr: Multiaddr,
}

/// How a question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The number arrived.
    Reached,
    /// The asked could not dial it.
    NotReached,
    /// Nothing was learnt; another peer may know.
    Unanswered,
}

/// What is needed to start both sides, once the swarm runs.
pub(crate) struct Starting {
    client: Option<(mpsc::Receiver<Probe>, mpsc::Receiver<Inbound>)>,
    server: Option<(server::Rules, mpsc::Receiver<Inbound>)>,
    swarm: mpsc::Sender<swarm::Command>,
}

/// Makes the sides that the config asks for, and where the swarm may put questions; adds the
/// protocols that it is to offer.
pub(crate) fn prepare(
    config: &NetworkConfig,
    swarm: &mpsc::Sender<swarm::Command>,
    accepted: &mut Vec<Accepted>,
) -> (Starting, Option<mpsc::Sender<Probe>>) {
    let settings = config.reachability.autonat;
    let mut starting = Starting { client: None, server: None, swarm: swarm.clone() };
    let mut probes = None;
    let is_on = Arc::new(AtomicBool::new(true));
    if settings.client {
        let (sender, questions) = mpsc::channel(PROBES_MAX);
        let (protocol, inbound) = Accepted::new(DIAL_BACK, Arc::clone(&is_on));
        accepted.push(protocol);
        starting.client = Some((questions, inbound));
        probes = Some(sender);
    }
    if settings.server {
        let (protocol, inbound) = Accepted::new(DIAL_REQUEST, is_on);
        accepted.push(protocol);
        let rules = server::Rules {
            private_addrs: settings.private_addrs,
            dial_wait_max: server::DIAL_WAIT_MAX,
            filters: config.filters.clone(),
            throttle: Throttle::new(settings, config.clock.clone()),
        };
        starting.server = Some((rules, inbound));
    }
    (starting, probes)
}

impl Starting {
    /// Starts the tasks.
    pub(crate) fn start(self, tasks: &Tasks) {
        if let Some((questions, inbound)) = self.client {
            tasks.spawn("autonat client", client::run(self.swarm.clone(), questions, inbound));
        }
        if let Some((rules, inbound)) = self.server {
            tasks.spawn("autonat server", server::run(self.swarm, Arc::new(rules), inbound));
        }
    }
}
