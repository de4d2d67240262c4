//! `refs`: the links of blocks.

pub(super) mod local;

use crate::{
    Call, Request, RpcError,
    command::{Argument, Command, Opt},
    text::{CidText, Render, each},
};
use cairn_block::{Block, BlockStoreExt as _, Cid, codec};
use cairn_dag::{WalkOptions, dag_pb, links, walk};
use cairn_node::Blocks;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, pin::pin};

/// Most blocks that `--unique` with link names remembers.
pub(super) const SEEN_MAX: usize = 64 * 1024 * 1024;

/// The row of the table.
pub(super) const COMMAND: Command = Command {
    path: "refs",
    tagline: "List the links of blocks",
    help: "Prints the CID of each link. With --recursive, every block below is fetched.",
    arguments: &[Argument::text("ipfs-path", "What to list the links of").many().or_stdin()],
    options: &[
        Opt::text("format", "Pattern to print; it may hold <src>, <dst> and <linkname>")
            .default("<dst>"),
        Opt::flag("edges", "Print `from -> to`").or(&["e"]),
        Opt::flag("unique", "Print each CID once").or(&["u"]),
        Opt::flag("recursive", "Also the links of what is linked").or(&["r"]),
        Opt::int("max-depth", "With --recursive: how deep to go; -1 is all the way").default("-1"),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(lines),
    ..Command::BASE
};

/// One link, or why there is none.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    /// The link, in the format asked for.
    #[serde(rename = "Ref")]
    pub reference: String,
    /// What went wrong.
    pub err: String,
}

impl Answer {
    /// An answer without error.
    pub(super) fn link(reference: String) -> Self {
        Self { reference, err: String::new() }
    }
}

/// Writes each link on a line of its own.
pub(super) fn lines(request: &Request) -> Box<dyn Render> {
    each(request, |_, answer: Answer, text| {
        if answer.err.is_empty() {
            text.line(crate::escape(&answer.reference));
        } else {
            text.fail(format_args!("Error: {}", answer.err));
        }
    })
}

async fn run(call: Call) -> Result<(), RpcError> {
    let request = &call.request;
    let mut format = request.text("format").unwrap_or("<dst>").to_owned();
    if request.flag("edges") {
        if format != "<dst>" {
            return Err(RpcError::request("using format argument with edges is not allowed"));
        }
        "<src> -> <dst>".clone_into(&mut format);
    }
    let depth = request.int("max-depth").and_then(|depth| usize::try_from(depth).ok());
    let depth = if request.flag("recursive") { depth } else { Some(1) };
    let cids = request.cid_text()?;
    for argument in request.arguments() {
        let root = call.resolve(argument).await?.block;
        let task = Task { call: &call, blocks: call.blocks()?, format: &format, cids };
        let result = if depth == Some(1) || format.contains("<linkname>") {
            task.by_name(root, depth, request.flag("unique")).await
        } else {
            task.by_walk(&root, depth, request.flag("unique")).await
        };
        if let Err(error) = result {
            let err = error.message().to_owned();
            call.out.event(&Answer { reference: String::new(), err }).await?;
        }
    }
    Ok(())
}

struct Task<'a> {
    call: &'a Call,
    blocks: Blocks,
    format: &'a str,
    cids: CidText,
}

impl Task<'_> {
    /// Walks with blocks fetched far ahead; names of links are not known this way.
    async fn by_walk(
        &self,
        root: &Block,
        depth: Option<usize>,
        unique: bool,
    ) -> Result<(), RpcError> {
        let options = WalkOptions { unique, max_depth: depth, ..WalkOptions::default() };
        let mut visits = pin!(walk(self.blocks.clone(), std::slice::from_ref(root.cid()), options));
        while let Some(visit) = visits.next().await {
            let visit = visit.map_err(|error| RpcError::of(&error))?;
            if let Some(parent) = &visit.parent {
                self.emit(parent, &visit.cid, "").await?;
            }
        }
        Ok(())
    }

    /// Goes from link to link, so that each one's name is known.
    async fn by_name(
        &self,
        root: Block,
        depth: Option<usize>,
        unique: bool,
    ) -> Result<(), RpcError> {
        let limit = depth.unwrap_or(usize::MAX);
        let mut seen = HashMap::new();
        let mut stack = vec![(root.cid().clone(), named_links(&root)?.into_iter(), 1)];
        while let Some((parent, links, depth)) = stack.last_mut() {
            let Some((name, cid)) = links.next() else {
                stack.pop();
                continue;
            };
            let (parent, depth) = (parent.clone(), *depth);
            if depth > limit {
                continue;
            }
            let before = if unique { seen.insert(cid.clone(), depth) } else { None };
            if seen.len() > SEEN_MAX {
                return Err(RpcError::failed(format!("over {SEEN_MAX} different blocks")));
            }
            if before.is_none() {
                self.emit(&parent, &cid, &name).await?;
            }
            if before.is_some_and(|before| before <= depth) {
                seen.extend(before.map(|before| (cid, before)));
                continue;
            }
            if depth < limit {
                let block = self.blocks.require(&cid).await?;
                stack.push((cid, named_links(&block)?.into_iter(), depth + 1));
            }
        }
        Ok(())
    }

    async fn emit(&self, from: &Cid, to: &Cid, name: &str) -> Result<(), RpcError> {
        let text = self.format.replace("<src>", &self.cids.of(from));
        let text = text.replace("<dst>", &self.cids.of(to)).replace("<linkname>", name);
        self.call.out.event(&Answer::link(text)).await
    }
}

/// The links of a block with their names; only dag-pb has any.
fn named_links(block: &Block) -> Result<Vec<(String, Cid)>, RpcError> {
    if block.cid().codec() != codec::DAG_PB {
        let found = links(block).map_err(|error| RpcError::of(&error))?;
        return Ok(found.into_iter().map(|cid| (String::new(), cid)).collect());
    }
    let node = dag_pb::decode(block.data());
    let node = node.map_err(|error| RpcError::of(&error).about(&block.cid().to_string()))?;
    Ok(node.links.iter().map(|link| (link.name_text().into_owned(), link.cid.clone())).collect())
}
