//! `p2p ls`: which tunnels there are.

use super::tunnels;
use crate::{
    Call, RpcError,
    command::{Command, Needs, Opt},
    text::{each, escape},
};
use cairn_node::TunnelInfo;
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "p2p ls",
    tagline: "List the tunnels",
    options: &[Opt::flag("headers", "Print what the columns are").or(&["v"])],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, list: List, text| {
            let listeners = list.listeners.unwrap_or_default();
            if request.flag("headers") && !listeners.is_empty() {
                text.line("Protocol Listen-Address Target-Address");
            }
            for one in listeners {
                let line =
                    format!("{} {} {}", one.protocol, one.listen_address, one.target_address);
                text.line(escape(&line));
            }
        })
    }),
    ..Command::BASE
};

/// The tunnels; `null` is none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    listeners: Option<Vec<Listener>>,
}

/// A tunnel.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listener {
    protocol: String,
    listen_address: String,
    target_address: String,
}

impl From<TunnelInfo> for Listener {
    fn from(info: TunnelInfo) -> Self {
        let TunnelInfo { protocol, listen, target } = info;
        Self { protocol, listen_address: listen, target_address: target }
    }
}

async fn run(call: Call) -> Result<(), RpcError> {
    let listeners: Vec<Listener> = tunnels(&call)?.list().into_iter().map(Listener::from).collect();
    call.out.once(&List { listeners: (!listeners.is_empty()).then_some(listeners) }).await
}
