//! `pubsub reset`: forgets how far authors have come.

use super::{failed, pubsub};
use crate::{
    Call, RpcError,
    command::{Command, Needs, Opt},
    commands::swarm,
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "pubsub reset",
    tagline: "Take messages again from authors whose numbers have gone back",
    help: "A message counts only if its number is above the last one of its author. An author that\n\
           has lost its clock or its state is heard again after this.",
    options: &[Opt::text("peer", "Of this author only").or(&["p"])],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let author = call.request.given_text("peer").map(swarm::peer_id).transpose()?;
    pubsub(&call)?.reset(author).await.map_err(|error| failed(&error))
}
