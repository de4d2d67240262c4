//! `p2p stream`: the connections that tunnels carry.

use super::tunnels;
use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs, Opt},
    text::{each, escape},
};
use cairn_node::CarriedStream;
use serde::{Deserialize, Serialize};

/// The group's row of the table.
pub(crate) const COMMAND: Command =
    Command::group("p2p stream", "Show and close the connections that are carried");

/// The row of `p2p stream ls`.
pub(crate) const LS: Command = Command {
    path: "p2p stream ls",
    tagline: "List the connections that are carried",
    options: &[Opt::flag("headers", "Print what the columns are").or(&["v"])],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(list(call))),
    text: Some(|request| {
        each(request, |request, list: List, text| {
            let streams = list.streams.unwrap_or_default();
            if request.flag("headers") && !streams.is_empty() {
                text.line("ID Protocol Origin Target");
            }
            for one in streams {
                let Stream { handler_id, protocol, origin_address, target_address } = one;
                let line = format!("{handler_id} {protocol} {origin_address} {target_address}");
                text.line(escape(&line));
            }
        })
    }),
    ..Command::BASE
};

/// The row of `p2p stream close`.
pub(crate) const CLOSE: Command = Command {
    path: "p2p stream close",
    tagline: "Break a connection that is carried off",
    arguments: &[Argument::text("id", "Its number, as `cairn p2p stream ls` tells it").optional()],
    options: &[Opt::flag("all", "All of them").or(&["a"])],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(async move { close(&call) })),
    ..Command::BASE
};

/// The connections; `null` is none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    streams: Option<Vec<Stream>>,
}

/// A connection.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stream {
    #[serde(rename = "HandlerID")]
    handler_id: String,
    protocol: String,
    origin_address: String,
    target_address: String,
}

impl From<CarriedStream> for Stream {
    fn from(stream: CarriedStream) -> Self {
        let CarriedStream { id, protocol, origin, target } = stream;
        let handler_id = id.to_string();
        Self { handler_id, protocol, origin_address: origin, target_address: target }
    }
}

async fn list(call: Call) -> Result<(), RpcError> {
    let streams: Vec<Stream> = tunnels(&call)?.streams().into_iter().map(Stream::from).collect();
    call.out.once(&List { streams: (!streams.is_empty()).then_some(streams) }).await
}

fn close(call: &Call) -> Result<(), RpcError> {
    let tunnels = tunnels(call)?;
    if call.request.flag("all") {
        tunnels.close_streams(None);
        return Ok(());
    }
    let Some(text) = call.request.arguments().first() else {
        return Err(RpcError::request("no id specified"));
    };
    let id = text.parse();
    let id = id.map_err(|_| RpcError::request(format!("{text:?} is not a stream's number")))?;
    match tunnels.close_streams(Some(id)) {
        0 => Err(RpcError::failed(format!("there is no stream {id}"))),
        _ => Ok(()),
    }
}
