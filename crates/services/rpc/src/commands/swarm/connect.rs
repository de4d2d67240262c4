//! `swarm connect`: opens connections.

use super::{StringList, address, lines, network};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs},
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "swarm connect",
    tagline: "Connect to peers",
    help: "An address looks like /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…",
    arguments: &[Argument::text("address", "The peers' addresses").many().or_stdin()],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(lines),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let network = network(&call)?;
    let mut strings = Vec::new();
    for argument in call.request.arguments() {
        let (address, id) = address(argument)?;
        let Some(id) = id else {
            let text = format!("invalid peer address {argument:?}: it has no /p2p/PEER at its end");
            return Err(RpcError::request(text));
        };
        let result = network.connect(address).await;
        result.map_err(|error| {
            RpcError::failed(format!("connect {id} failure: {}", RpcError::of(&error)))
        })?;
        strings.push(format!("connect {id} success"));
    }
    call.out.once(&StringList { strings }).await
}
