//! `object stat`: how long a node and its parts are.

use super::{node_of, total_len};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    text::{columns, each, human_len},
};
use cairn_block::codec;
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "object stat",
    tagline: "Print how long a node and its parts are",
    help: "CumulativeSize is what the node's links say is below, and the node; a block that is\n\
           linked twice counts twice. `cairn dag stat` counts blocks.",
    arguments: &[Argument::text("key", "The node").or_stdin()],
    options: &[Opt::flag("human", "Print lengths for people")],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, answer: Answer, text| {
            let len = |len: u64| {
                if request.flag("human") { human_len(len) } else { len.to_string() }
            };
            let row = |name: &str, value: String| vec![format!("{name}:"), value];
            let rows = [
                row("NumLinks", answer.num_links.to_string()),
                row("BlockSize", len(answer.block_size)),
                row("LinksSize", len(answer.links_size)),
                row("DataSize", len(answer.data_size)),
                row("CumulativeSize", len(answer.cumulative_size)),
            ];
            text.write(columns(&rows, 0, 1));
        })
    }),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    hash: String,
    num_links: u64,
    block_size: u64,
    links_size: u64,
    data_size: u64,
    cumulative_size: u64,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let block = call.resolve(call.request.first()?).await?.block;
    let block_size = block.data().len() as u64;
    let (num_links, data_size) = if block.cid().codec() == codec::DAG_PB {
        let node = node_of(&block)?;
        (node.links.len() as u64, node.data.map_or(0, |data| data.len() as u64))
    } else {
        let links = cairn_dag::links(&block).map_err(|error| RpcError::of(&error))?;
        (links.len() as u64, block_size)
    };
    let answer = Answer {
        hash: call.request.cid_text()?.of(block.cid()),
        num_links,
        block_size,
        links_size: block_size.saturating_sub(data_size),
        data_size,
        cumulative_size: total_len(&block)?,
    };
    call.out.once(&answer).await
}
