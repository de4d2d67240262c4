//! `dht query`: the peers nearest to a peer ID.

use super::{Answer, VERBOSE, kind, routing, steps};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs},
    commands::swarm,
    text::escape,
};
use futures::StreamExt as _;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "dht query",
    tagline: "Find the peers nearest to a peer ID",
    arguments: &[Argument::text("peerID", "The peer IDs to ask for").many()],
    options: &[VERBOSE],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        steps(request, kind::FINAL, |_, answer, text| text.line(escape(&answer.id)))
    }),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let routing = routing(&call)?;
    for argument in call.request.arguments() {
        let peer = swarm::peer_id(argument)?;
        let mut events = routing.query(&peer.to_bytes());
        let mut found = false;
        while let Some(event) = events.next().await {
            if let Some(answer) = Answer::of(event) {
                found |= answer.kind == kind::FINAL;
                call.out.event(&answer).await?;
            }
        }
        if !found {
            return Err(RpcError::of(&cairn_network::RoutingError::NoPeers));
        }
    }
    Ok(())
}
