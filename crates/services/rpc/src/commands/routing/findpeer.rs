//! `routing findpeer`: where a peer may be reached.

use super::{Answer, VERBOSE, kind, routing, steps, telling};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs},
    commands::swarm,
    text::escape,
};
use cairn_network::Contact;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "routing findpeer",
    tagline: "Find the addresses of a peer",
    arguments: &[Argument::text("peerID", "The peers to look for").many().or_stdin()],
    options: &[VERBOSE],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        steps(request, kind::FINAL, |_, answer, text| {
            for addr in answer.responses.into_iter().flatten().flat_map(|named| named.addrs) {
                text.line(escape(&addr));
            }
        })
    }),
    ..Command::BASE
};

/// The row under the old name.
pub(crate) const DHT: Command = Command { path: "dht findpeer", ..COMMAND };

async fn run(call: Call) -> Result<(), RpcError> {
    let network = swarm::network(&call)?;
    for argument in call.request.arguments() {
        let peer = swarm::peer_id(argument)?;
        let connected = network.peers().await.into_iter().find(|info| info.id == peer);
        let contact = if let Some(info) = connected {
            // Nobody knows better.
            let mut addrs = info.listen_addrs;
            if !addrs.contains(&info.addr) {
                addrs.insert(0, info.addr);
            }
            Contact { peer, addrs }
        } else {
            let routing = routing(&call)?;
            telling(&call, async |events| {
                let found = routing.find_peer(peer, Some(events)).await;
                found.map_err(|error| RpcError::of(&error))
            })
            .await?
        };
        call.out.event(&Answer::naming(kind::FINAL, &contact)).await?;
    }
    Ok(())
}
