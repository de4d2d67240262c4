//! `swarm disconnect`: closes connections.

use super::{StringList, lines, named_address, network};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs},
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "swarm disconnect",
    tagline: "Close connections with peers",
    help: "The node may connect again when it needs to.",
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
        let (_, id) = named_address(argument)?;
        strings.push(match network.disconnect(id).await {
            Ok(()) => format!("disconnect {id} success"),
            Err(error) => format!("disconnect {id} failure: {}", RpcError::of(&error)),
        });
    }
    call.out.once(&StringList { strings }).await
}
