//! Tells how many connections and streams there are, and may be.
//!
//! Not here: counting streams (`transport/permit.rs`), refusing connections (`build.rs`).

use super::SwarmTask;
use crate::{Direction, PeerId, PeerInfo, ResourceReport, Usage};
use libp2p::multiaddr::Protocol;
use std::collections::HashMap;

impl Usage {
    fn count(&mut self, info: &PeerInfo) {
        match info.direction {
            Direction::Inbound => self.conns_inbound += 1,
            Direction::Outbound => self.conns_outbound += 1,
        }
        let parts = || info.addr.iter();
        let is_circuit = parts().any(|part| part == Protocol::P2pCircuit);
        let is_tcp = parts().any(|part| matches!(part, Protocol::Tcp(_)));
        self.files += usize::from(is_tcp && !is_circuit);
    }
}

impl SwarmTask {
    pub(super) fn resource_report(&self) -> ResourceReport {
        let permits = self.meter.streams();
        let with_streams = |usage: Usage, peer: Option<&PeerId>| {
            let (streams_inbound, streams_outbound) = permits.told(peer);
            Usage { streams_inbound, streams_outbound, ..usage }
        };
        let (mut system, mut peers) = (Usage::default(), HashMap::<PeerId, Usage>::new());
        for info in self.connections.values() {
            system.count(info);
            peers.entry(info.id).or_default().count(info);
        }
        let peers = peers.into_iter().map(|(peer, usage)| (peer, with_streams(usage, Some(&peer))));
        let network = self.swarm.network_info();
        let counters = network.connection_counters();
        let transient = Usage {
            conns_inbound: counters.num_pending_incoming() as usize,
            conns_outbound: counters.num_pending_outgoing() as usize,
            ..Usage::default()
        };
        ResourceReport {
            conns: self.limits,
            streams: permits.limits().clone(),
            memory_max: self.memory_max,
            system: with_streams(system, None),
            transient,
            peers: peers.collect(),
        }
    }
}
