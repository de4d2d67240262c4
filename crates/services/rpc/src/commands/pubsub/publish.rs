//! `pubsub pub`: publishes a message.

use super::{TOPIC, failed, pubsub, topic};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs},
    files,
};
use cairn_network::MESSAGE_LEN_MAX;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "pubsub pub",
    tagline: "Publish a message to a topic",
    help: "It reaches whoever listens now; nothing is kept for later. At most 1 MiB.",
    arguments: &[TOPIC, Argument::file("data", "The message")],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(mut call: Call) -> Result<(), RpcError> {
    let topic = topic(&call.request)?;
    let files = call.take_files()?;
    let Some((data, _)) = files::read_next(files, MESSAGE_LEN_MAX).await? else {
        return Err(RpcError::request("argument \"data\" is required"));
    };
    let published = pubsub(&call)?.publish(topic, data.into()).await;
    published.map_err(|error| failed(&error))
}
