//! `routing findprovs`: who has announced a block.

use super::{Answer, VERBOSE, kind, routing, steps, telling};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs, Opt},
    text::escape,
};
use cairn_block::Cid;
use futures::StreamExt as _;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "routing findprovs",
    tagline: "Find peers that have announced a block",
    help: "The search ends when so many were found, or everybody near the key was asked.",
    arguments: &[Argument::text("key", "The CIDs to look for").many().or_stdin()],
    options: &[VERBOSE, Opt::uint("num-providers", "How many to find").or(&["n"]).default("20")],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        steps(request, kind::PROVIDER, |request, answer, text| {
            for named in answer.responses.unwrap_or_default() {
                let prefix = if request.flag("verbose") { "provider: " } else { "" };
                text.line(format_args!("{prefix}{}", escape(&named.id)));
                if request.flag("verbose") {
                    for addr in named.addrs {
                        text.line(format_args!("\t{}", escape(&addr)));
                    }
                }
            }
        })
    }),
};

/// The row under the old name.
pub(crate) const DHT: Command = Command { path: "dht findprovs", ..COMMAND };

async fn run(call: Call) -> Result<(), RpcError> {
    let count = call.request.int("num-providers").unwrap_or(20);
    let count = usize::try_from(count)
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| RpcError::request("number of providers must be greater than 0"))?;
    let routing = routing(&call)?;
    for argument in call.request.arguments() {
        let cid = cid(argument)?;
        telling(&call, async |events| {
            let mut found = routing.find_providers(&cid, Some(events)).take(count);
            while let Some(contact) = found.next().await {
                call.out.event(&Answer::naming(kind::PROVIDER, &contact)).await?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Reads a CID, alone or after `/ipfs/`.
pub(super) fn cid(text: &str) -> Result<Cid, RpcError> {
    let bare = text.strip_prefix("/ipfs/").unwrap_or(text);
    bare.parse().map_err(|error| RpcError::request(format!("invalid CID {text:?}: {error}")))
}
