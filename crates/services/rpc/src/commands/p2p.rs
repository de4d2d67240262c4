//! `p2p`: TCP connections carried over streams between peers.
//!
//! Source: Kubo's commands and answers, with its switch `Experimental.Libp2pStreamMounting`.
//! Not here: carrying (`cairn_node::Tunnels`).

pub(super) mod close;
pub(super) mod forward;
pub(super) mod listen;
pub(super) mod ls;
pub(super) mod stream;

use crate::{
    Call, Request, RpcError, answer,
    command::{Argument, Command, Opt},
    text::{Render, each, escape},
};
use cairn_node::{Tunnel, TunnelError, Tunnels};
use serde::{Deserialize, Serialize};

/// The group's row of the table.
pub(super) const COMMAND: Command =
    Command::group("p2p", "Carry TCP connections to services of peers, and from them");

/// What names of protocols begin with unless told otherwise.
const PREFIX: &str = "/x/";

/// The first argument of `listen` and `forward`.
const PROTOCOL: Argument = Argument::text("protocol", "The protocol's name, such as /x/ssh");

/// Options that `listen` and `forward` share.
const CUSTOM: Opt = Opt::flag("allow-custom-protocol", "Take names that do not begin with /x/");
const FOREGROUND: Opt =
    Opt::flag("foreground", "Stay until interrupted, and close the tunnel then").or(&["f"]);

/// What became of a tunnel in the foreground.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    /// `active` or `closing`.
    #[serde(rename = "Status")]
    state: String,
    protocol: String,
    /// The local address.
    address: String,
}

/// The tunnels, if they are allowed.
fn tunnels(call: &Call) -> Result<&Tunnels, RpcError> {
    let node = call.node()?;
    if !node.tunnels_enabled().map_err(|error| RpcError::of(&error))? {
        return Err(RpcError::failed(
            "libp2p stream mounting not enabled: set Experimental.Libp2pStreamMounting to true",
        ));
    }
    node.tunnels().ok_or_else(answer::not_online)
}

/// The protocol of a request.
fn protocol(request: &Request) -> Result<&str, RpcError> {
    let name = request.first()?;
    if !name.starts_with(PREFIX) && !request.flag("allow-custom-protocol") {
        let text = format!(
            "protocol name must be within '{PREFIX}' namespace: {name:?} is not (or use \
             --allow-custom-protocol)"
        );
        return Err(RpcError::request(text));
    }
    Ok(name)
}

fn failed(error: &TunnelError) -> RpcError {
    match error {
        TunnelError::Address { .. } => RpcError::request(error.to_string()),
        _ => RpcError::of(error),
    }
}

/// Stays with a tunnel as long as the caller does, if that was asked for.
async fn stay(call: &Call, tunnel: &Tunnel, address: &str) -> Result<(), RpcError> {
    if !call.request.flag("foreground") {
        return Ok(());
    }
    let _closes = tunnel.close_on_drop();
    let status = |state: &str| Status {
        state: state.to_owned(),
        protocol: tunnel.info.protocol.clone(),
        address: address.to_owned(),
    };
    call.out.event(&status("active")).await?;
    tunnel.closed().await;
    call.out.event(&status("closing")).await
}

/// Tells of a tunnel in the foreground; `doing` names what it does.
fn told(request: &Request, doing: fn(&Status) -> String) -> Box<dyn Render> {
    each(request, move |_, status: Status, text| {
        if status.state == "active" {
            text.line(escape(&format!("{}, waiting for interrupt...", doing(&status))));
        } else {
            text.line(escape(&format!("Closed {} at {}", status.protocol, status.address)));
        }
    })
}
