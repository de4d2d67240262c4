//! `swarm addrs`: addresses, of peers and one's own.

use super::{StringList, lines, network};
use crate::{
    Call, RpcError,
    command::{Command, Needs, Opt},
    text::{each, escape},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "swarm addrs",
    tagline: "List the known addresses of peers",
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(known(call))),
    text: Some(|request| {
        each(request, |_, answer: Answer, text| {
            for (peer, addresses) in answer.addrs {
                text.line(format_args!("{peer} ({})", addresses.len()));
                for address in addresses {
                    // A name in it is whatever the peer said.
                    text.line(format_args!("\t{}", escape(&address)));
                }
            }
        })
    }),
    ..Command::BASE
};

/// The row for this node's announced addresses.
pub(crate) const LOCAL: Command = Command {
    path: "swarm addrs local",
    tagline: "List the addresses that this node announces",
    options: &[Opt::flag("id", "With the peer ID")],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(local(call))),
    text: Some(lines),
    ..Command::BASE
};

/// The row for the addresses that this node listens on.
pub(crate) const LISTEN: Command = Command {
    path: "swarm addrs listen",
    tagline: "List the addresses that this node listens on",
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(listen(call))),
    text: Some(lines),
    ..Command::BASE
};

/// Addresses by peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    /// Addresses by peer.
    pub addrs: BTreeMap<String, Vec<String>>,
}

async fn known(call: Call) -> Result<(), RpcError> {
    let known = network(&call)?.known_addrs().await.into_iter();
    let texts = |addrs: Vec<_>| addrs.iter().map(ToString::to_string).collect();
    let addrs = known.map(|(peer, addrs)| (peer.to_string(), texts(addrs))).collect();
    call.out.once(&Answer { addrs }).await
}

async fn local(call: Call) -> Result<(), RpcError> {
    let network = network(&call)?;
    let own =
        if call.request.flag("id") { format!("/p2p/{}", network.peer_id()) } else { String::new() };
    let addrs = network.announced_addrs().await;
    let mut strings: Vec<String> = addrs.iter().map(|addr| format!("{addr}{own}")).collect();
    strings.sort();
    call.out.once(&StringList { strings }).await
}

async fn listen(call: Call) -> Result<(), RpcError> {
    let addrs = network(&call)?.listen_addrs().await;
    let mut strings: Vec<String> = addrs.iter().map(ToString::to_string).collect();
    strings.sort();
    call.out.once(&StringList { strings }).await
}

#[cfg(test)]
mod tests {
    use super::COMMAND;
    use crate::{Request, Text};

    #[test]
    fn an_address_that_a_peer_made_up_cannot_move_the_cursor() {
        let request = Request::new(&COMMAND, vec![], []).unwrap();
        let mut text = Text::default();
        let json = r#"{"Addrs": {"12D3": ["/dns4/\u001b[2J/tcp/1"]}}"#;
        (COMMAND.text.unwrap())(&request).answer(json.as_bytes(), &mut text).unwrap();
        assert_eq!(text.out, "12D3 (1)\n\t/dns4/\\x1b[2J/tcp/1\n");
    }
}
