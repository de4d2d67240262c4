//! `pubsub`: messages by topic.
//!
//! In requests and answers topics, data and numbers are base64url in multibase, since they may be
//! any bytes; the command line shows them as they are.
//! Not here: spreading messages (`cairn-network`).

pub(super) mod ls;
pub(super) mod peers;
pub(super) mod publish;
pub(super) mod reset;
pub(super) mod sub;

use crate::{
    Call, Request, RpcError,
    command::{Argument, Command},
    commands::swarm::{self, StringList},
    text::{Render, each, escape},
};
use cairn_block::Base;
use cairn_network::{Pubsub, PubsubError, TOPIC_LEN_MAX};

/// The group's row of the table.
pub(super) const COMMAND: Command =
    Command::group("pubsub", "Publish messages, and listen to them, by topic");

/// Longest encoded name of a topic: one of eight letters a byte. Some bases are slow to read.
const TOPIC_TEXT_LEN_MAX: usize = 8 * TOPIC_LEN_MAX + 1;

/// The topic.
const TOPIC: Argument = Argument::text("topic", "The topic's name").encoded();

/// Reads what `encoded_in_multibase` wrote, in any base.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let prefix = text.chars().next()?;
    Base::from_code(prefix).ok()?.decode(&text[prefix.len_utf8()..]).ok()
}

/// The node's part in it.
fn pubsub(call: &Call) -> Result<Pubsub, RpcError> {
    Ok(swarm::network(call)?.pubsub())
}

/// The topic of a request.
fn topic(request: &Request) -> Result<String, RpcError> {
    read_topic(request.first()?)
}

fn read_topic(text: &str) -> Result<String, RpcError> {
    if text.len() > TOPIC_TEXT_LEN_MAX {
        return Err(RpcError::request("the topic's name is too long"));
    }
    let bytes = decoded(text).ok_or_else(|| {
        RpcError::request(format!("the topic {text:?} is not encoded as multibase"))
    })?;
    String::from_utf8(bytes).map_err(|_| RpcError::request("the topic is not UTF-8"))
}

fn failed(error: &PubsubError) -> RpcError {
    match error {
        PubsubError::Topic { .. } | PubsubError::TooLong => RpcError::request(error.to_string()),
        _ => RpcError::failed(error.to_string()),
    }
}

/// Writes lines that are encoded.
fn readable(request: &Request) -> Box<dyn Render> {
    each(request, |_, list: StringList, text| {
        for line in list.strings {
            let bytes = decoded(&line).unwrap_or_default();
            text.line(escape(&String::from_utf8_lossy(&bytes)));
        }
    })
}
