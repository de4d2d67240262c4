//! `p2p forward`: makes a peer's service one of this machine.

use super::{CUSTOM, FOREGROUND, PROTOCOL, failed, protocol, stay, told, tunnels};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs},
    commands::swarm,
};
use cairn_node::Place;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "p2p forward",
    tagline: "Carry connections that are made here to a service of a peer",
    help: "The peer is looked for with each connection; it has to listen for the protocol. `cairn\n\
           p2p ls` tells the port where 0 was given.\n\n\
           cairn p2p forward /x/ssh /ip4/127.0.0.1/tcp/2222 /p2p/12D3Koo...",
    arguments: &[
        PROTOCOL,
        Argument::text("listen-address", "Where to take connections"),
        Argument::text("target-address", "The peer, as /p2p/ID or by an address that ends in that"),
    ],
    options: &[CUSTOM, FOREGROUND],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        told(request, |status| format!("Forwarding {} to {}", status.protocol, status.address))
    }),
};

async fn run(call: Call) -> Result<(), RpcError> {
    let request = &call.request;
    let [_, listen, target] = request.arguments() else {
        return Err(RpcError::request("a protocol, a local address and a peer are needed"));
    };
    let at: Place = listen.parse().map_err(|error| failed(&error))?;
    let (address, peer) = swarm::named_address(target)?;
    // A bare /p2p/ID says nothing about where.
    let addrs = if address.iter().count() > 1 { vec![address] } else { Vec::new() };
    let tunnel = tunnels(&call)?.forward(protocol(request)?, &at, (peer, addrs)).await;
    stay(&call, &tunnel.map_err(|error| failed(&error))?, listen).await
}
