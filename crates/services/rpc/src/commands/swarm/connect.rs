//! `swarm connect`: opens connections.

use super::{StringList, lines, named_address, network};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs},
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "swarm connect",
    tagline: "Connect to peers",
    help: "An address looks like /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…; /p2p/12D3Koo… alone looks for\n\
           the peer.",
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
        let (address, id) = named_address(argument)?;
        let result = match address.iter().count() {
            1 => network.connect_peer(id, Vec::new()).await,
            _ => network.connect(address).await.map(drop),
        };
        result.map_err(|error| {
            RpcError::failed(format!("connect {id} failure: {}", RpcError::of(&error)))
        })?;
        strings.push(format!("connect {id} success"));
    }
    call.out.once(&StringList { strings }).await
}
