//! `config show`: the whole configuration without its secrets.

use crate::{
    Call, RpcError,
    command::{Command, Opt},
    text::{each, human_json},
};
use serde_json::Value;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "config show",
    tagline: "Print the configuration",
    help: "Private keys and passwords are left out: to keep a copy of everything, copy the file.",
    options: &[Opt::flag("expand-auto", "Show what `auto` stands for; it stands for nothing here")],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| each(request, |_, config: Value, text| text.line(human_json(&config)))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let config = call.node()?.config().raw();
    call.out.once(&config).await
}
