//! `routing provide` and `provide once`: announces blocks at once.

use super::{VERBOSE, findprovs::cid, kind, routing, steps, telling};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs, Opt},
    text::escape,
};
use cairn_block::{BlockStore as _, Cid};
use cairn_dag::WalkOptions;
use cairn_node::Fetch;
use futures::TryStreamExt as _;
use std::pin::pin;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "routing provide",
    tagline: "Announce blocks that are here",
    help: "Others find them then. They are announced again only if Provide.Strategy says so.",
    arguments: &[Argument::text("key", "The CIDs to announce").many().or_stdin()],
    options: &[VERBOSE, Opt::flag("recursive", "With everything below them").or(&["r"])],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        steps(request, kind::VALUE, |request, answer, text| {
            if request.flag("verbose") {
                text.line(format_args!("* told {}", escape(&answer.id)));
            }
        })
    }),
};

/// The row under the old name.
pub(crate) const DHT: Command = Command { path: "dht provide", ..COMMAND };

/// The row of `routing reprovide`.
pub(crate) const REPROVIDE: Command = Command {
    path: "routing reprovide",
    tagline: "Announce everything again, now",
    help: "Everything that Provide.Strategy names, once; the usual rounds go on as they were.",
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(reprovide(call))),
    ..Command::BASE
};

async fn reprovide(call: Call) -> Result<(), RpcError> {
    let swept = call.node()?.reprovide().await.map_err(|error| RpcError::of(&error))?;
    let swept = swept.ok_or_else(super::super::provide::off)?;
    if swept.missed > 0 {
        let text = format!("{} keys could not be announced to anybody", swept.missed);
        return Err(RpcError::failed(text));
    }
    Ok(())
}

async fn run(call: Call) -> Result<(), RpcError> {
    let node = call.node()?.clone();
    let mut roots = Vec::new();
    for argument in call.request.arguments() {
        roots.push(cid(argument)?);
    }
    let here = node.blocks(Fetch::Local).has_many(&roots).await;
    let here = here.map_err(|error| RpcError::of(&error))?;
    if let Some((cid, _)) = roots.iter().zip(here).find(|(_, here)| !here) {
        let text = format!("block {cid} not found locally, cannot provide");
        return Err(RpcError::failed(text));
    }
    if !call.request.flag("recursive") {
        for root in &roots {
            announce(&call, root).await?;
        }
        return Ok(());
    }
    let mut visits = pin!(node.walk(&roots, WalkOptions::default(), Fetch::Local));
    while let Some(visit) = visits.try_next().await.map_err(|error| RpcError::of(&error))? {
        announce(&call, &visit.cid).await?;
    }
    Ok(())
}

async fn announce(call: &Call, cid: &Cid) -> Result<(), RpcError> {
    let routing = routing(call)?;
    telling(call, async |events| {
        let told = routing.provide(cid, Some(events)).await;
        told.map(drop).map_err(|error| RpcError::of(&error))
    })
    .await
}
