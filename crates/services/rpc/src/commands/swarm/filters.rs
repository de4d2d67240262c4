//! `swarm filters`: ranges of addresses that the node has nothing to do with.
//!
//! Changes count at once, for new connections, and are kept in `Swarm.AddrFilters`.
//! Not here: filtering (`cairn-network`).

use super::{StringList, lines, network};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs},
    commands::config,
};
use cairn_network::Range;
use serde_json::json;

/// The key of the config.
const KEY: &str = "Swarm.AddrFilters";

/// The row of the group, which lists when it is called by itself.
pub(crate) const COMMAND: Command = Command {
    path: "swarm filters",
    tagline: "Show or change the addresses that are neither dialled nor answered",
    help: "A filter looks like /ip4/192.168.0.0/ipcidr/16.",
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(list(call))),
    text: Some(lines),
    ..Command::BASE
};

/// The row of `swarm filters add`.
pub(crate) const ADD: Command = Command {
    path: "swarm filters add",
    tagline: "Filter addresses",
    help: "Counts at once for new connections, and is kept in Swarm.AddrFilters.",
    arguments: &[Argument::text("address", "Ranges of addresses").many().or_stdin()],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(add(call))),
    text: Some(lines),
    ..Command::BASE
};

/// The row of `swarm filters rm`.
pub(crate) const REMOVE: Command = Command {
    path: "swarm filters rm",
    tagline: "Filter addresses no longer",
    arguments: &[Argument::text("address", "Ranges of addresses, or `all`").many().or_stdin()],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(remove(call))),
    text: Some(lines),
    ..Command::BASE
};

fn texts(ranges: &[Range]) -> StringList {
    StringList { strings: ranges.iter().map(ToString::to_string).collect() }
}

fn ranges(call: &Call) -> Result<Vec<Range>, RpcError> {
    let read = |text: &String| text.parse().map_err(|error: String| RpcError::request(error));
    call.request.arguments().iter().map(read).collect()
}

/// Writes what is filtered now into the config.
async fn keep(call: &Call) -> Result<(), RpcError> {
    let list = json!(texts(&network(call)?.filters().list()).strings);
    config::change(call.node()?.clone(), |node| node.config().set(KEY, list).map(drop)).await
}

async fn list(call: Call) -> Result<(), RpcError> {
    call.out.once(&texts(&network(&call)?.filters().list())).await
}

async fn add(call: Call) -> Result<(), RpcError> {
    let ranges = ranges(&call)?;
    let filters = network(&call)?.filters();
    if !ranges.iter().all(|range| filters.add(*range)) {
        return Err(RpcError::failed("there are too many filters: remove some first"));
    }
    keep(&call).await?;
    call.out.once(&texts(&ranges)).await
}

async fn remove(call: Call) -> Result<(), RpcError> {
    let filters = network(&call)?.filters();
    let mut ranges = match call.request.arguments() {
        [all] if all == "all" || all == "*" => filters.list(),
        _ => ranges(&call)?,
    };
    ranges.retain(|range| filters.remove(*range));
    keep(&call).await?;
    call.out.once(&texts(&ranges)).await
}
