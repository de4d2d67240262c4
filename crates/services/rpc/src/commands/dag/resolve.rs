//! `dag resolve`: the last block on a path, and what of the path lies inside it.

use crate::{
    Call, RpcError,
    command::{Argument, Command},
    text::{Link, each},
};
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "dag resolve",
    tagline: "Resolve a path to the last block on it",
    help: "Prints the block's CID, followed by what is left of the path inside it.",
    arguments: &[Argument::text("ref", "The path to resolve").or_stdin()],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, answer: Answer, text| {
            text.write(answer.cid.cid);
            if !answer.rem_path.is_empty() {
                text.write(format_args!("/{}", crate::escape(&answer.rem_path)));
            }
        })
    }),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    cid: Link,
    rem_path: String,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let resolved = call.resolve_inside(call.request.first()?).await?;
    let cid = Link { cid: call.request.cid_text()?.of(&resolved.cid) };
    let rem_path = resolved.remaining.join("/");
    call.out.once(&Answer { cid, rem_path }).await
}
