//! This node itself: where it listens, whether it is reached, why it does not announce.
//!
//! Not here: other peers (`stranger.rs`).

use super::{Findings, Verdict};
use crate::Node;
use cairn_network::{Network, Reachability};

impl Node {
    /// Why a block that is here is not found with this node's name.
    pub(super) fn why_not_announced(&self, network: &Network) -> String {
        if !network.routing().has_peers() {
            return "it knows nobody who could keep that; is it connected? (`cairn swarm peers`, \
                    and the key Bootstrap)"
                .to_owned();
        }
        let Some(stat) = self.provide_stat() else {
            return "Provide.Enabled is false, or there is no DHT to announce in".to_owned();
        };
        if stat.roots_waiting > 0 {
            return format!("{} new roots wait to be announced", stat.roots_waiting);
        }
        let how = "`cairn provide once CID` announces it now";
        if stat.ended.is_none() {
            return format!("the first round of announcements has not ended; {how}");
        }
        format!(
            "it is left out by Provide.Strategy ({}), or came after the last round; {how}",
            stat.settings.strategy
        )
    }

    /// Looks at this node as others see it; answers whether they can reach it, as far as is known.
    pub(super) async fn check_own(&self, network: &Network, findings: &Findings) -> bool {
        let tell = |verdict, step, text| findings.tell(verdict, step, ("", text));
        for failure in network.listen_failures() {
            tell(Verdict::Bad, "reachable", failure.to_string()).await;
        }
        let listening = network.listen_addrs().await;
        let (verdict, text) = match listening.len() {
            0 => (Verdict::Bad, "it listens nowhere: see Addresses.Swarm".to_owned()),
            count => (Verdict::Good, format!("it listens on {count} addresses")),
        };
        tell(verdict, "reachable", text).await;
        let peers = network.peers().await.len();
        let (verdict, text) = match peers {
            0 => {
                (Verdict::Bad, "it is connected with nobody: see Bootstrap and Peering".to_owned())
            }
            _ => (Verdict::Good, format!("it has {peers} connections")),
        };
        tell(verdict, "reachable", text).await;
        for dht in network.routing().stat() {
            let known: usize = dht.buckets.iter().map(|bucket| bucket.peers.len()).sum();
            let role = if dht.is_server { "answers others" } else { "only asks" };
            let text = format!("in the {} DHT it {role}, and knows {known} peers", dht.name);
            tell(Verdict::Note, "reachable", text).await;
        }
        let report = network.reachability().await;
        for (addr, reachability) in &report.addrs {
            let (verdict, text) = said_of(*reachability);
            findings.tell(verdict, "reachable", (&addr.to_string(), text.to_owned())).await;
        }
        let (verdict, text) = match report.node {
            Reachability::Public => (Verdict::Good, "peers have reached it from outside"),
            Reachability::Private => (
                Verdict::Bad,
                "peers cannot reach it: forward a port in the router, name the address in \
                 Addresses.Announce, or let it use a relay (Swarm.RelayClient)",
            ),
            Reachability::Unknown => (
                Verdict::Note,
                "nobody has told yet whether it can be reached from outside; peers in public are \
                 asked a while after they are connected",
            ),
        };
        tell(verdict, "reachable", text.to_owned()).await;
        report.node == Reachability::Public
    }
}

fn said_of(reachability: Reachability) -> (Verdict, &'static str) {
    match reachability {
        Reachability::Public => (Verdict::Good, "a peer has reached it here"),
        Reachability::Private => (Verdict::Bad, "peers have tried to reach it here, and could not"),
        Reachability::Unknown => (Verdict::Note, "nobody has tried it yet"),
    }
}
