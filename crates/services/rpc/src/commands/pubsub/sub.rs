//! `pubsub sub`: listens to a topic.

use super::{TOPIC, decoded, failed, pubsub, topic};
use crate::{
    Call, RpcError,
    command::{Command, Needs},
    text::{each, encoded_in_multibase},
};
use cairn_network::PubsubMessage;
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "pubsub sub",
    tagline: "Listen to a topic",
    help: "Prints the messages one after the other, as they are, with nothing between them.",
    arguments: &[TOPIC],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, message: Answer, text| {
            let bytes = decoded(&message.data).unwrap_or_default();
            text.write(String::from_utf8_lossy(&bytes));
        })
    }),
    ..Command::BASE
};

/// A message.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Answer {
    /// Its author.
    from: String,
    /// What it says, encoded.
    data: String,
    /// Its number: eight bytes, the highest first, encoded.
    seqno: String,
    /// Where it was published, encoded.
    #[serde(rename = "topicIDs")]
    topic_ids: Vec<String>,
}

impl Answer {
    fn of(message: &PubsubMessage) -> Self {
        Self {
            from: message.from.to_string(),
            data: encoded_in_multibase(&message.data),
            seqno: encoded_in_multibase(&message.sequence.to_be_bytes()),
            topic_ids: vec![encoded_in_multibase(message.topic.as_bytes())],
        }
    }
}

async fn run(call: Call) -> Result<(), RpcError> {
    let topic = topic(&call.request)?;
    let subscribed = pubsub(&call)?.subscribe(topic).await;
    let mut subscription = subscribed.map_err(|error| failed(&error))?;
    call.out.begin().await?;
    while let Some(message) = subscription.next().await {
        call.out.event(&Answer::of(&message)).await?;
    }
    Ok(())
}
