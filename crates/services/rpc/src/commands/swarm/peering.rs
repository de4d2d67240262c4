//! `swarm peering`: the peers that the node stays connected with.
//!
//! What is added here counts until the daemon ends; `Peering.Peers` in the config is for ever.
//! Not here: staying connected (`cairn-node`).

use super::{named_address, peer_id};
use crate::{
    Call, Request, RpcError, answer,
    command::{Argument, Command, Needs},
    text::{Render, each, escape},
};
use cairn_network::{Multiaddr, PeerId};
use cairn_node::{PEERING_COUNT_MAX, Peerings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The group's row of the table.
pub(crate) const COMMAND: Command =
    Command::group("swarm peering", "Show or change the peers that are always connected");

/// The row of `swarm peering add`.
pub(crate) const ADD: Command = Command {
    path: "swarm peering add",
    tagline: "Stay connected with peers",
    help: "Counts until the daemon ends; add them to Peering.Peers in the config to keep them.",
    arguments: &[Argument::text("address", "The peers' addresses, with /p2p/PEER")
        .many()
        .or_stdin()],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(add(call))),
    text: Some(|request| done(request, "add")),
    ..Command::BASE
};

/// The row of `swarm peering ls`.
pub(crate) const LS: Command = Command {
    path: "swarm peering ls",
    tagline: "List the peers that are always connected",
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(ls(call))),
    text: Some(|request| {
        each(request, |_, answer: Answer, text| {
            for peer in answer.peers {
                text.line(&peer.id);
                for addr in peer.addrs {
                    text.line(format_args!("\t{}", escape(&addr)));
                }
            }
        })
    }),
    ..Command::BASE
};

/// The row of `swarm peering rm`.
pub(crate) const REMOVE: Command = Command {
    path: "swarm peering rm",
    tagline: "Stay connected with peers no longer",
    help: "Connections that there are stay open.",
    arguments: &[Argument::text("ID", "The peers' IDs").many().or_stdin()],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(remove(call))),
    text: Some(|request| done(request, "remove")),
    ..Command::BASE
};

/// What became of one peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Done {
    /// Which.
    #[serde(rename = "ID")]
    id: String,
    /// `success`, or `not found`.
    status: String,
}

/// All peers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    /// The peers.
    peers: Vec<Peer>,
}

/// One peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Peer {
    /// Its ID.
    #[serde(rename = "ID")]
    id: String,
    /// Where it is dialled.
    addrs: Vec<String>,
}

fn done(request: &Request, verb: &'static str) -> Box<dyn Render> {
    each(request, move |_, done: Done, text| {
        text.line(format_args!("{verb} {} {}", escape(&done.id), escape(&done.status)));
    })
}

fn peerings(call: &Call) -> Result<&Peerings, RpcError> {
    call.node()?.peerings().ok_or_else(answer::not_online)
}

/// Addresses are gathered by peer, so that each is named once; all are read before any is added.
async fn add(call: Call) -> Result<(), RpcError> {
    let mut peers: BTreeMap<PeerId, Vec<Multiaddr>> = BTreeMap::new();
    for argument in call.request.arguments() {
        let (mut addr, id) = named_address(argument)?;
        addr.pop();
        let addrs = peers.entry(id).or_default();
        if !addr.is_empty() {
            addrs.push(addr);
        }
    }
    for (peer, addrs) in peers {
        if !peerings(&call)?.add(peer, addrs) {
            let text = format!("there are {PEERING_COUNT_MAX} peers already: remove some first");
            return Err(RpcError::failed(text));
        }
        call.out.event(&Done { id: peer.to_string(), status: "success".to_owned() }).await?;
    }
    Ok(())
}

async fn ls(call: Call) -> Result<(), RpcError> {
    let texts = |addrs: Vec<Multiaddr>| addrs.iter().map(ToString::to_string).collect();
    let peers = peerings(&call)?.list().into_iter();
    let peers =
        peers.map(|(peer, addrs)| Peer { id: peer.to_string(), addrs: texts(addrs) }).collect();
    call.out.once(&Answer { peers }).await
}

async fn remove(call: Call) -> Result<(), RpcError> {
    let ids = call.request.arguments().iter().map(|text| peer_id(text));
    for peer in ids.collect::<Result<Vec<_>, _>>()? {
        let was_there = peerings(&call)?.remove(peer);
        let status = if was_there { "success" } else { "not found" };
        call.out.event(&Done { id: peer.to_string(), status: status.to_owned() }).await?;
    }
    Ok(())
}
