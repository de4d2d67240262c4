//! `p2p listen`: lets peers connect to a service of this machine.

use super::{CUSTOM, FOREGROUND, PROTOCOL, failed, protocol, stay, told, tunnels};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs, Opt},
};
use cairn_node::Place;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "p2p listen",
    tagline: "Let peers connect to a service of this machine",
    help: "Every peer that can reach this node can use the service, so it should ask who they\n\
           are. With --report-peer-id each connection begins with the peer's ID and a line's end.\n\n\
           cairn p2p listen /x/ssh /ip4/127.0.0.1/tcp/22",
    arguments: &[PROTOCOL, Argument::text("target-address", "The service")],
    options: &[
        CUSTOM,
        Opt::flag("report-peer-id", "Tell the service first who connects").or(&["r"]),
        FOREGROUND,
    ],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        told(request, |status| {
            format!("Listening on {}, forwarding to {}", status.protocol, status.address)
        })
    }),
};

async fn run(call: Call) -> Result<(), RpcError> {
    let request = &call.request;
    let [_, address] = request.arguments() else {
        return Err(RpcError::request("a protocol and the service's address are needed"));
    };
    let target: Place = address.parse().map_err(|error| failed(&error))?;
    if target.port() == 0 {
        return Err(RpcError::request(format!("{address}: the port cannot be 0")));
    }
    let tells_peer = request.flag("report-peer-id");
    let tunnel = tunnels(&call)?.listen(protocol(request)?, target, tells_peer);
    stay(&call, &tunnel.map_err(|error| failed(&error))?, address).await
}
