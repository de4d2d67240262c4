//! `config`: reads and changes the configuration.
//!
//! Not here: the file and its meaning (`cairn_node::config`); `config edit`, which needs an
//! editor and is the command line's own.

pub(super) mod profile;
pub(super) mod replace;
pub(super) mod show;

use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    text::{each, human_json},
};
use cairn_node::{
    Node,
    config::{ValueFormat, parse_value},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The row of the table.
pub(super) const COMMAND: Command = Command {
    path: "config",
    tagline: "Read and change the configuration",
    help: "Keys have dots, such as Addresses.API. A running daemon reads most of them when it\n\
           starts.",
    arguments: &[
        Argument::text("key", "The key"),
        Argument::text("value", "The new value").optional(),
    ],
    options: &[
        Opt::flag("bool", "The value is true or false"),
        Opt::flag("json", "The value is JSON"),
        Opt::flag("expand-auto", "Show what `auto` stands for; it stands for nothing here"),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, answer: Answer, text| {
            if request.arguments().len() < 2 {
                text.line(human_json(&answer.value));
            }
        })
    }),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    /// The key.
    pub key: String,
    /// Its value now.
    pub value: Value,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let request = &call.request;
    let key = request.first()?.to_owned();
    let node = call.node()?.clone();
    let value = match request.arguments().get(1) {
        None => node.config().get(&key).map_err(|error| RpcError::of(&error))?,
        Some(_) if request.flag("expand-auto") => {
            return Err(RpcError::request(
                "--expand-auto can only be used for reading config values, not for setting them",
            ));
        }
        Some(text) => {
            let format = match (request.flag("json"), request.flag("bool")) {
                (true, _) => ValueFormat::Json,
                (false, true) => ValueFormat::Bool,
                (false, false) => ValueFormat::Text,
            };
            let value = parse_value(text, format).map_err(|error| RpcError::of(&error))?;
            let key = key.clone();
            change(node, move |node| node.config().set(&key, value)).await?
        }
    };
    call.out.once(&Answer { key, value }).await
}

/// Runs what writes the file on a thread that may block.
pub(super) async fn change<T: Send + 'static, E: std::error::Error + Send + 'static>(
    node: Node,
    work: impl FnOnce(&Node) -> Result<T, E> + Send + 'static,
) -> Result<T, RpcError> {
    let result = cairn_runtime::blocking(move || work(&node)).await;
    result.map_err(|error| RpcError::of(&error))
}
