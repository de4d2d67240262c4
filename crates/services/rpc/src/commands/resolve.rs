//! `resolve`: where a path leads.
//!
//! Not here: names (`/ipns/…`), which are refused with a clear error until they are served.

use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    text::each,
};
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(super) const COMMAND: Command = Command {
    path: "resolve",
    tagline: "Resolve a path to a CID",
    arguments: &[Argument::text("name", "The path to resolve").or_stdin()],
    options: &[
        Opt::flag("recursive", "Resolve until the result is a CID").or(&["r"]).default("true"),
        Opt::int("dht-record-count", "Records to ask the DHT for").or(&["dhtrc"]),
        Opt::text("dht-timeout", "Longest time to ask the DHT").or(&["dhtt"]),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| each(request, |_, answer: Answer, text| text.line(answer.path))),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    /// A path of a CID, and what is left inside its block.
    pub path: String,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let name = call.request.first()?;
    let (cid, inside) = call.resolve_place(name).await?;
    let mut path = format!("/ipfs/{}", call.request.cid_text()?.of(&cid));
    for segment in &inside {
        path.push('/');
        path.push_str(segment);
    }
    call.out.once(&Answer { path }).await
}
