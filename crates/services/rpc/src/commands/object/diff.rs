//! `object diff`: what was added, removed and changed between two nodes.
//!
//! Links of the same name are compared, and what they lead to likewise, down to blocks without
//! links.
//! Invariant: what waits to be compared and told is bounded ([`STEPS_MAX`]).

use super::node_of;
use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    text::{Link, Text, each},
};
use cairn_block::{Block, BlockStoreExt as _, Cid, codec};
use cairn_dag::dag_pb::PbLink;
use cairn_node::Blocks;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Most links that wait to be compared or told.
const STEPS_MAX: usize = 1_000_000;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "object diff",
    tagline: "Print what differs between two nodes",
    help: "`+` was added, `-` removed, `~` changed.",
    arguments: &[
        Argument::text("obj_a", "The node before"),
        Argument::text("obj_b", "The node after"),
    ],
    options: &[Opt::flag("verbose", "Print sentences").or(&["v"])],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, answer: Answer, text| {
            for change in answer.changes {
                line(&change, request.flag("verbose"), text);
            }
        })
    }),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    changes: Vec<Change>,
}

/// One difference.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    /// One of [`ADDED`], [`REMOVED`], [`CHANGED`].
    #[serde(rename = "Type")]
    kind: u8,
    path: String,
    before: Option<Link>,
    after: Option<Link>,
}

const ADDED: u8 = 0;
const REMOVED: u8 = 1;
const CHANGED: u8 = 2;

fn line(change: &Change, verbose: bool, text: &mut Text) {
    let cid = |link: &Option<Link>| link.as_ref().map_or_else(String::new, |link| link.cid.clone());
    let (before, after, path) = (cid(&change.before), cid(&change.after), &change.path);
    match (change.kind, verbose) {
        (ADDED, true) => text.line(format_args!("Added new link {path:?} pointing to {after}.")),
        (ADDED, false) => text.line(format_args!("+ {after} {path:?}")),
        (REMOVED, true) => text.line(format_args!("Removed link {path:?} (was {before}).")),
        (REMOVED, false) => text.line(format_args!("- {before} {path:?}")),
        (_, true) => text.line(format_args!("Changed {path:?} from {before} to {after}.")),
        (_, false) => text.line(format_args!("~ {before} {after} {path:?}")),
    }
}

/// What is still to do, the next one last.
enum Step {
    Compare { path: String, before: Cid, after: Cid },
    Tell(Change),
}

async fn run(call: Call) -> Result<(), RpcError> {
    let [before, after] = call.request.arguments() else {
        return Err(RpcError::request("two nodes are required"));
    };
    let (before, after) = (call.resolve_cid(before).await?, call.resolve_cid(after).await?);
    let blocks = call.blocks()?;
    let mut steps = vec![Step::Compare { path: String::new(), before, after }];
    let mut changes = Vec::new();
    while let Some(step) = steps.pop() {
        match step {
            Step::Tell(change) => changes.push(change),
            Step::Compare { before, after, .. } if before == after => {}
            Step::Compare { path, before, after } => {
                let mut below = compare(&blocks, &path, &before, &after).await?;
                below.reverse();
                steps.append(&mut below);
            }
        }
        if steps.len() + changes.len() > STEPS_MAX {
            return Err(RpcError::failed(format!("more than {STEPS_MAX} differences")));
        }
    }
    call.out.once(&Answer { changes }).await
}

async fn compare(
    blocks: &Blocks,
    path: &str,
    before: &Cid,
    after: &Cid,
) -> Result<Vec<Step>, RpcError> {
    let links_before = links(&blocks.require(before).await?)?;
    let links_after = links(&blocks.require(after).await?)?;
    let is_leaf = links_before.is_empty() && links_after.is_empty();
    let is_data = |cid: &Cid| cid.codec() != codec::DAG_PB;
    if is_leaf || is_data(before) || is_data(after) {
        return Ok(vec![Step::Tell(change(CHANGED, path, Some(before), Some(after)))]);
    }
    // Of several links of one name the first counts, as it does for paths.
    let mut named: HashMap<&[u8], &Cid> = HashMap::new();
    for link in &links_after {
        named.entry(link.name_bytes()).or_insert(&link.cid);
    }
    let mut steps = Vec::new();
    let mut removed = Vec::new();
    for link in &links_before {
        let path = join(path, link);
        match named.remove(link.name_bytes()) {
            Some(after) => {
                let (before, after) = (link.cid.clone(), after.clone());
                steps.push(Step::Compare { path, before, after });
            }
            None => removed.push(Step::Tell(change(REMOVED, &path, Some(&link.cid), None))),
        }
    }
    steps.append(&mut removed);
    for link in &links_after {
        if named.remove(link.name_bytes()).is_some() {
            steps.push(Step::Tell(change(ADDED, &join(path, link), None, Some(&link.cid))));
        }
    }
    Ok(steps)
}

fn links(block: &Block) -> Result<Vec<PbLink>, RpcError> {
    if block.cid().codec() == codec::DAG_PB { Ok(node_of(block)?.links) } else { Ok(Vec::new()) }
}

fn join(path: &str, link: &PbLink) -> String {
    let name = link.name_text();
    if path.is_empty() { name.into_owned() } else { format!("{path}/{name}") }
}

fn change(kind: u8, path: &str, before: Option<&Cid>, after: Option<&Cid>) -> Change {
    Change { kind, path: path.to_owned(), before: before.map(Link::of), after: after.map(Link::of) }
}
