//! `pin update`: from one version of something to the next.

use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    text::each,
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "pin update",
    tagline: "Move a recursive pin to another version",
    help: "What both versions share is not fetched again. The pin keeps its name and its end; the\n\
           old one goes in the same moment, unless --unpin=false.",
    arguments: &[
        Argument::text("from-path", "What is pinned now"),
        Argument::text("to-path", "What is to be pinned instead"),
    ],
    options: &[
        Opt::flag("unpin", "Remove the old pin").default("true"),
        Opt::flag("fast-provide-root", "Accepted; there is no providing yet"),
        Opt::flag("fast-provide-dag", "Accepted; there is no providing yet"),
        Opt::flag("fast-provide-wait", "Accepted; there is no providing yet"),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, answer: super::rm::Answer, text| {
            if let [from, to] = &answer.pins[..] {
                text.line(format_args!("updated {from} to {to}"));
            }
        })
    }),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let [from, to] = call.request.arguments() else {
        return Err(RpcError::request("two paths are required"));
    };
    let (from, to) = (call.resolve_cid(from).await?, call.resolve_cid(to).await?);
    let updated = call.node()?.pin_update(&from, &to, call.request.flag("unpin")).await;
    updated.map_err(|error| RpcError::of(&error))?;
    call.out.once(&super::rm::Answer { pins: vec![cids.of(&from), cids.of(&to)] }).await
}
