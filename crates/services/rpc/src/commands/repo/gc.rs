//! `repo gc`: removes what nobody keeps.

use crate::{
    Call, RpcError,
    command::{Command, Opt},
    text::each,
};
use cairn_block::Cid;
use cairn_node::NodeError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Removed blocks that wait to be told.
const QUEUE_LEN: usize = 1024;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "repo gc",
    tagline: "Remove what is not pinned",
    help: "Blocks that neither a pin nor the mutable file system keeps are removed, and their\n\
           space is given back. Others may add, pin and read meanwhile. Blocks are kept without\n\
           codec, so each is printed as a raw CID of version 1.",
    options: &[
        Opt::flag("stream-errors", "Tell of an error among the lines, and not at the end"),
        Opt::flag("quiet", "Print only CIDs").or(&["q"]),
        Opt::flag("silent", "Print nothing"),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, answer: Answer, text| {
            if !answer.error.is_empty() {
                text.fail(format_args!("{}", answer.error));
            } else if let Some(cid) = answer.key.and_then(|mut key| key.remove("/")) {
                let removed = if request.flag("quiet") { "" } else { "removed " };
                text.line(format_args!("{removed}{cid}"));
            }
        })
    }),
    ..Command::BASE
};

/// One block that is gone, or what went wrong.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    /// The CID, as a link of DAG-JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<BTreeMap<String, String>>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    error: String,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let node = call.node()?;
    let silent = call.request.flag("silent");
    let (removed, mut told) = mpsc::channel::<Cid>(QUEUE_LEN);
    let collecting = node.gc((!silent).then_some(removed));
    let telling = async {
        while let Some(cid) = told.recv().await {
            let key = BTreeMap::from([("/".to_owned(), cids.of(&cid))]);
            call.out.event(&Answer { key: Some(key), ..Answer::default() }).await?;
        }
        // Without the receiver the collection stops.
        drop(told);
        Ok::<_, RpcError>(())
    };
    let (collected, told) = tokio::join!(collecting, telling);
    told?;
    let failure = match collected {
        Ok(swept) if swept.short_of_space => {
            "some packs were left as they are: the disk has no room to copy what is live in them; \
             free some and run it again"
                .to_owned()
        }
        Ok(_) => return Ok(()),
        Err(NodeError::Cancelled) => return Err(RpcError::of(&NodeError::Cancelled)),
        Err(error) if !call.request.flag("stream-errors") => return Err(RpcError::of(&error)),
        Err(error) => error.to_string(),
    };
    if call.request.flag("stream-errors") {
        return call.out.event(&Answer { error: failure, ..Answer::default() }).await;
    }
    Err(RpcError::failed(failure))
}
