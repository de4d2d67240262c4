//! `bootstrap`: who is dialled first.
//!
//! Not here: dialling (`cairn-node`).

use crate::{
    Call, Request, RpcError,
    command::{Argument, Command, Opt},
    commands::config,
    text::{Render, each, escape},
};
use cairn_node::{Node, NodeError};
use serde::{Deserialize, Serialize};

/// What stands for the endpoints of a service that gives out configuration.
const AUTO: &str = "auto";

/// The row of the group, which lists when it is called by itself.
pub(super) const COMMAND: Command = Command {
    path: "bootstrap",
    tagline: "Show or change the peers that are dialled first",
    run: Some(|call| Box::pin(list(call))),
    text: Some(|request| peers(request, "")),
    ..Command::BASE
};

/// The row of `bootstrap list`.
pub(super) const LIST: Command = Command {
    path: "bootstrap list",
    tagline: "List the peers that are dialled first",
    help: "The placeholder `auto` stands for nothing: no endpoint is contacted that is not named.",
    options: &[Opt::flag("expand-auto", "Leave the placeholder out, since it stands for nothing")],
    run: Some(|call| Box::pin(list(call))),
    text: Some(|request| peers(request, "")),
    ..Command::BASE
};

/// The row of `bootstrap add`.
pub(super) const ADD: Command = Command {
    path: "bootstrap add",
    tagline: "Add peers to those that are dialled first",
    help: "An address looks like /dnsaddr/example.com/p2p/12D3Koo…. It counts from the next start.",
    arguments: &[Argument::text("peer", "The peers' addresses").many().optional().or_stdin()],
    options: &[Opt::flag("default", "The same as the argument `auto` (deprecated)")],
    run: Some(|call| Box::pin(add(call))),
    text: Some(|request| peers(request, "added ")),
    ..Command::BASE
};

/// The row of `bootstrap rm`.
pub(super) const REMOVE: Command = Command {
    path: "bootstrap rm",
    tagline: "Remove peers from those that are dialled first",
    arguments: &[Argument::text("peer", "The addresses, as they are listed").many().optional()],
    options: &[Opt::flag("all", "All of them")],
    run: Some(|call| Box::pin(remove(call))),
    text: Some(|request| peers(request, "removed ")),
    ..Command::BASE
};

/// The row of `bootstrap rm all`.
pub(super) const REMOVE_ALL: Command = Command {
    path: "bootstrap rm all",
    tagline: "Remove all peers from those that are dialled first",
    run: Some(|call| Box::pin(remove_all(call))),
    text: Some(|request| peers(request, "removed ")),
    ..Command::BASE
};

/// The answer of each.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    /// The entries.
    peers: Vec<String>,
}

fn peers(request: &Request, before: &'static str) -> Box<dyn Render> {
    each(request, move |_, answer: Answer, text| {
        for peer in answer.peers {
            text.line(format_args!("{before}{}", escape(&peer)));
        }
    })
}

async fn list(call: Call) -> Result<(), RpcError> {
    let is_list = call.request.command().option("expand-auto").is_some();
    let expand = is_list && call.request.flag("expand-auto");
    let listed = call.node()?.bootstrap_list();
    let mut peers = listed.map_err(|error| RpcError::of(&error))?;
    peers.retain(|peer| !expand || peer != AUTO);
    call.out.once(&Answer { peers }).await
}

async fn add(call: Call) -> Result<(), RpcError> {
    let mut entries = call.request.arguments().to_vec();
    if call.request.flag("default") {
        entries.push(AUTO.to_owned());
    }
    if entries.is_empty() {
        return Err(RpcError::request("no bootstrap peers to add"));
    }
    change(&call, move |node| node.bootstrap_add(&entries)).await
}

async fn remove(call: Call) -> Result<(), RpcError> {
    let entries = call.request.arguments().to_vec();
    if call.request.flag("all") {
        return remove_all(call).await;
    }
    if entries.is_empty() {
        return Err(RpcError::request("no bootstrap peers to remove"));
    }
    change(&call, move |node| node.bootstrap_remove(Some(&entries))).await
}

async fn remove_all(call: Call) -> Result<(), RpcError> {
    change(&call, |node| node.bootstrap_remove(None)).await
}

/// Changes the config, and answers with what was changed.
async fn change(
    call: &Call,
    work: impl FnOnce(&Node) -> Result<Vec<String>, NodeError> + Send + 'static,
) -> Result<(), RpcError> {
    let peers = config::change(call.node()?.clone(), work).await?;
    call.out.once(&Answer { peers }).await
}
