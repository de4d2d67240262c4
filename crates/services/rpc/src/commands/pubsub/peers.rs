//! `pubsub peers`: who takes part.

use super::{TOPIC, failed, pubsub, read_topic};
use crate::{
    Call, RpcError,
    command::{Command, Needs},
    commands::swarm::{StringList, lines},
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "pubsub peers",
    tagline: "List the peers that listen to a topic",
    help: "Without a topic: those that take part at all. Only peers that are connected are known.",
    arguments: &[TOPIC.optional()],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(lines),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let topic = call.request.arguments().first().map(|text| read_topic(text)).transpose()?;
    let peers = pubsub(&call)?.peers(topic).await.map_err(|error| failed(&error))?;
    let mut strings: Vec<String> = peers.iter().map(ToString::to_string).collect();
    strings.sort();
    call.out.once(&StringList { strings }).await
}
