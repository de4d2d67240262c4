//! `routing get`: the best value under a key.

use super::{Answer, VERBOSE, key, kind, routing, steps, telling};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "routing get",
    tagline: "Get the best value that is known under a key",
    help: "Keys are /ipns/NAME, whose value is a signed record, and /pk/PEER, a public key.\n\
           Values that are not valid are never printed.",
    arguments: &[Argument::text("key", "The keys to look for").many().or_stdin()],
    options: &[VERBOSE],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        steps(request, kind::VALUE, |_, answer, text| {
            // The value is binary, so it is printed in the form in which it came.
            text.line(answer.extra);
        })
    }),
};

/// The row under the old name.
pub(crate) const DHT: Command = Command { path: "dht get", ..COMMAND };

async fn run(call: Call) -> Result<(), RpcError> {
    let routing = routing(&call)?;
    for argument in call.request.arguments() {
        let key = key(argument)?;
        let value = telling(&call, async |events| {
            let value = routing.get_value(&key, Some(events)).await;
            value.map_err(|error| RpcError::of(&error))
        })
        .await?;
        let extra = STANDARD.encode(value);
        call.out.event(&Answer { extra, kind: kind::VALUE, ..Answer::default() }).await?;
    }
    Ok(())
}
