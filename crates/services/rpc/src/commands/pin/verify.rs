//! `pin verify`: whether everything below the recursive pins is here.

use crate::{
    Call, RpcError,
    command::{Command, Opt},
    text::each,
};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "pin verify",
    tagline: "Check that recursive pins are complete",
    help: "Nothing is fetched. Pins that miss something are printed with what they miss.",
    options: &[
        Opt::flag("verbose", "Print the pins that are complete, too"),
        Opt::flag("quiet", "Print the CIDs of broken pins only").or(&["q"]),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, answer: Answer, text| match (request.flag("quiet"), answer.ok) {
            (true, true) => {}
            (true, false) => text.line(answer.cid),
            (false, true) => text.line(format_args!("{} ok", answer.cid)),
            (false, false) => {
                text.line(format_args!("{} broken", answer.cid));
                for bad in answer.bad_nodes {
                    text.line(format_args!("  {}: {}", bad.cid, bad.err));
                }
            }
        })
    }),
    ..Command::BASE
};

/// One pin.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    /// Its root.
    cid: String,
    /// Whether it is complete.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ok: bool,
    /// What is not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bad_nodes: Vec<BadNode>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct BadNode {
    cid: String,
    err: String,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let (verbose, quiet) = (call.request.flag("verbose"), call.request.flag("quiet"));
    if verbose && quiet {
        let text = "the --verbose and --quiet options can not be used at the same time";
        return Err(RpcError::request(text));
    }
    let cids = call.request.cid_text()?;
    let mut checks = call.node()?.pin_verify();
    while let Some(check) = checks.next().await {
        let check = check.map_err(|error| RpcError::of(&error))?;
        let ok = check.bad.is_empty();
        if ok && !verbose {
            continue;
        }
        let bad = check.bad.into_iter().filter(|_| !quiet);
        let bad_nodes = bad.map(|bad| BadNode { cid: cids.of(&bad.cid), err: bad.reason });
        let answer = Answer { cid: cids.of(&check.cid), ok, bad_nodes: bad_nodes.collect() };
        call.out.event(&answer).await?;
    }
    Ok(())
}
