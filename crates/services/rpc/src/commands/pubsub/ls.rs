//! `pubsub ls`: what is listened to.

use super::{failed, pubsub, readable};
use crate::{
    Call, RpcError,
    command::{Command, Needs},
    commands::swarm::StringList,
    text::encoded_in_multibase,
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "pubsub ls",
    tagline: "List the topics that this node listens to",
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(readable),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let topics = pubsub(&call)?.topics().await.map_err(|error| failed(&error))?;
    let strings = topics.iter().map(|topic| encoded_in_multibase(topic.as_bytes())).collect();
    call.out.once(&StringList { strings }).await
}
