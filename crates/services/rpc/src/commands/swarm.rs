//! `swarm`: connections with peers.

pub(super) mod addrs;
pub(super) mod autonat;
pub(super) mod connect;
pub(super) mod disconnect;
pub(super) mod filters;
pub(super) mod peering;
pub(super) mod peers;
pub(super) mod resources;

use crate::{
    Call, Request, RpcError, answer,
    command::Command,
    text::{Render, each, escape},
};
use cairn_network::{Multiaddr, Network, PeerId};
use serde::{Deserialize, Serialize};

/// The group's row of the table.
pub(super) const COMMAND: Command =
    Command::group("swarm", "See and change connections with peers");

/// Lines of text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StringList {
    /// The lines.
    pub strings: Vec<String>,
}

/// Writes each on a line of its own.
pub(super) fn lines(request: &Request) -> Box<dyn Render> {
    each(request, |_, list: StringList, text| {
        for line in list.strings {
            text.line(escape(&line));
        }
    })
}

/// The node's network, or the error of a node without.
pub(super) fn network(call: &Call) -> Result<&Network, RpcError> {
    call.node()?.network().ok_or_else(answer::not_online)
}

/// Reads an address; the peer ID at its end is there only if the address has one.
pub(super) fn address(text: &str) -> Result<(Multiaddr, Option<PeerId>), RpcError> {
    let wrong =
        |reason: String| RpcError::request(format!("invalid peer address {text:?}: {reason}"));
    let address: Multiaddr = text.parse().map_err(|error| wrong(format!("{error}")))?;
    let id = address.to_string();
    let id = id.rsplit_once("/p2p/").map(|(_, id)| id.split('/').next().unwrap_or(""));
    let id = id.map(str::parse::<PeerId>).transpose();
    Ok((address, id.map_err(|error| wrong(error.to_string()))?))
}

/// Reads an address that has a peer ID at its end.
pub(super) fn named_address(text: &str) -> Result<(Multiaddr, PeerId), RpcError> {
    let (address, id) = address(text)?;
    let named = id.map(|id| (address, id));
    named.ok_or_else(|| {
        let text = format!("invalid peer address {text:?}: it has no /p2p/PEER at its end");
        RpcError::request(text)
    })
}

/// Reads a peer ID.
pub(super) fn peer_id(text: &str) -> Result<PeerId, RpcError> {
    text.parse().map_err(|_| RpcError::request(format!("invalid peer id {text:?}")))
}
