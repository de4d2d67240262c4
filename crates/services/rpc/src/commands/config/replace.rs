//! `config replace`: a whole new configuration from a file.

use crate::{
    Call, RpcError,
    command::{Argument, Command},
    files,
};

/// Longest configuration, in bytes.
pub(crate) const CONFIG_LEN_MAX: usize = 16 * 1024 * 1024;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "config replace",
    tagline: "Replace the configuration by a file's",
    help: "The identity stays as it is.",
    arguments: &[Argument::file("file", "The new configuration")],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(mut call: Call) -> Result<(), RpcError> {
    let bytes = files::read_one(call.take_files()?, CONFIG_LEN_MAX).await?;
    let wrong = |error| RpcError::request(format!("failed to decode file as config: {error}"));
    let config = serde_json::from_slice(&bytes).map_err(wrong)?;
    super::change(call.node()?.clone(), move |node| node.config().replace(config)).await
}
