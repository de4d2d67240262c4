//! `stats dht`: the routing tables.

use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs},
    commands::swarm,
    text::{each, escape},
};
use cairn_names::Timestamp;
use cairn_network::{DhtPeer, DhtStat, PeerInfo};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, time::Duration, time::SystemTime};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "stats dht",
    tagline: "Show the routing tables",
    help: "`wan` is the public table, `lan` that of the local network. An @ marks peers that are\n\
           connected.",
    arguments: &[Argument::text("dht", "Which of them (default: all there are)").many().optional()],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, answer: Answer, text| {
            let count: usize = answer.buckets.iter().map(|bucket| bucket.peers.len()).sum();
            text.line(format_args!("DHT {} ({count} peers):", escape(&answer.name)));
            for (number, bucket) in answer.buckets.iter().enumerate() {
                text.line(format_args!("  Bucket {number:2} ({} peers)", bucket.peers.len()));
                for peer in &bucket.peers {
                    let mark = if peer.connected { '@' } else { ' ' };
                    let agent = escape(&peer.agent_version);
                    text.line(format_args!("  {mark} {}  {agent}", escape(&peer.id)));
                }
            }
        })
    }),
    ..Command::BASE
};

/// One table.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    /// `wan` or `lan`.
    name: String,
    /// Its buckets, from none to most bits shared.
    buckets: Vec<Bucket>,
}

/// Peers that share so many bits.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Bucket {
    /// Not told: the whole table is looked over at once.
    last_refresh: String,
    /// The peers.
    peers: Vec<Peer>,
}

/// One peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Peer {
    /// Who it is.
    #[serde(rename = "ID")]
    id: String,
    /// Whether there is a connection.
    connected: bool,
    /// What it runs, if it is connected.
    agent_version: String,
    /// When it last answered a request; empty for never.
    last_useful_at: String,
    /// When it was last heard of.
    last_queried_at: String,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let network = swarm::network(&call)?;
    let wanted = call.request.arguments();
    if let Some(unknown) = wanted.iter().find(|name| !["wan", "lan"].contains(&name.as_str())) {
        return Err(RpcError::request(format!("unknown dht type: {unknown}")));
    }
    let now = call.node()?.clock().now();
    let peers = network.peers().await;
    let peers: HashMap<String, PeerInfo> =
        peers.into_iter().map(|info| (info.id.to_string(), info)).collect();
    for stat in network.routing().stat() {
        if wanted.is_empty() || wanted.iter().any(|name| name == stat.name) {
            call.out.event(&answer(&stat, &peers, now)).await?;
        }
    }
    Ok(())
}

fn answer(stat: &DhtStat, peers: &HashMap<String, PeerInfo>, now: SystemTime) -> Answer {
    let last = stat.buckets.last().map_or(0, |bucket| bucket.shared_bits as usize + 1);
    let mut buckets = vec![Bucket::default(); last];
    for bucket in &stat.buckets {
        let told = bucket.peers.iter().map(|peer| describe(peer, peers, now));
        buckets[bucket.shared_bits as usize].peers = told.collect();
    }
    Answer { name: stat.name.to_owned(), buckets }
}

fn describe(peer: &DhtPeer, peers: &HashMap<String, PeerInfo>, now: SystemTime) -> Peer {
    let at = |age: Duration| now.checked_sub(age).map(|at| Timestamp::from(at).to_string());
    let id = peer.peer.to_string();
    let info = peers.get(&id);
    Peer {
        connected: info.is_some(),
        agent_version: info.map(|info| info.agent.clone()).unwrap_or_default(),
        last_useful_at: peer.useful.and_then(at).unwrap_or_default(),
        last_queried_at: at(peer.seen).unwrap_or_default(),
        id,
    }
}
