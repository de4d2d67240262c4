//! `routing put`: stores a value under a key.

use super::{Answer, VERBOSE, key, kind, routing, steps, telling};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs, Opt},
    files,
    text::escape,
};
use cairn_names::RECORD_LEN_MAX;
use cairn_network::RoutingError;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "routing put",
    tagline: "Store a value under a key",
    help: "Keys are /ipns/NAME and /pk/PEER; the value must be a record signed by that name, or\n\
           that public key. The peers that took it are printed.",
    arguments: &[
        Argument::text("key", "The key to store it under"),
        Argument::file("value-file", "The value"),
    ],
    options: &[VERBOSE, Opt::flag("allow-offline", "Keep it here if there is no peer to take it")],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        steps(request, kind::VALUE, |_, answer, text| text.line(escape(&answer.id)))
    }),
};

/// The row under the old name.
pub(crate) const DHT: Command = Command { path: "dht put", ..COMMAND };

async fn run(mut call: Call) -> Result<(), RpcError> {
    let key = key(call.request.first()?)?;
    let value = files::read_one(call.take_files()?, RECORD_LEN_MAX).await?;
    let routing = routing(&call)?;
    let offline = call.request.flag("allow-offline");
    let stored =
        telling(&call, async |events| Ok(routing.put_value(&key, &value, Some(events)).await))
            .await?;
    match stored {
        Ok(_) => Ok(()),
        // It is kept here in any case.
        Err(RoutingError::NoPeers | RoutingError::NotStored) if offline => {
            let id = call.node()?.identity().peer_id().to_string();
            call.out.event(&Answer { id, kind: kind::VALUE, ..Answer::default() }).await
        }
        Err(error) => Err(RpcError::of(&error)),
    }
}
