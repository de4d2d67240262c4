//! `object links`: the links of a node.

use super::{Link, links_of, node_of};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    text::{columns, each},
};
use cairn_block::{Block, codec};
use cairn_dag::dag_pb::{PbLink, PbNode};
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "object links",
    tagline: "List the links of a node",
    help: "For older programs; `cairn ls` and `cairn refs` tell more.",
    arguments: &[Argument::text("key", "The node").or_stdin()],
    options: &[Opt::flag("headers", "Print the names of the columns").or(&["v"])],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, answer: Answer, text| {
            let mut rows = Vec::with_capacity(answer.links.len() + 1);
            if request.flag("headers") {
                rows.push(["Hash", "Size", "Name"].map(str::to_owned).to_vec());
            }
            let row =
                |link: Link| vec![link.hash, link.size.to_string(), crate::escape(&link.name)];
            rows.extend(answer.links.into_iter().map(row));
            text.write(columns(&rows, 1, 1));
        })
    }),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    hash: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let block = call.resolve(call.request.first()?).await?.block;
    let hash = call.request.cid_text()?.of(block.cid());
    let links = links_of(&call, &links_only(&block)?)?;
    call.out.once(&Answer { hash, links }).await
}

/// The links of any codec; only those of dag-pb have names and sizes.
fn links_only(block: &Block) -> Result<PbNode, RpcError> {
    if block.cid().codec() == codec::DAG_PB {
        return node_of(block);
    }
    let links = cairn_dag::links(block).map_err(|error| RpcError::of(&error))?;
    let link = |cid| PbLink { cid, name: None, size: None };
    Ok(PbNode { links: links.into_iter().map(link).collect(), data: None })
}
