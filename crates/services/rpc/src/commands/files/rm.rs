//! `files rm`: removes.

use super::{FLUSH, failed, path};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    text::{Render, Text, escape},
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "files rm",
    tagline: "Remove from MFS",
    help: "What was removed is garbage unless something else keeps it. Of many, those that can be\n\
           removed are.",
    arguments: &[Argument::text("path", "What to remove").many()],
    options: &[
        Opt::flag("recursive", "Directories, too").or(&["r"]),
        Opt::flag("force", "Whatever is there, also if it cannot be read; no error if nothing is"),
        FLUSH,
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|_| Box::new(Refused)),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    if call.request.given_flag("flush") == Some(false) {
        return Err(RpcError::failed(
            "files rm always flushes for safety. The --flush flag cannot be set to false for this \
             command",
        ));
    }
    let how = (call.request.flag("recursive"), call.request.flag("force"));
    let mut refused = Vec::new();
    for argument in call.request.arguments() {
        match path(argument) {
            Err(error) => refused.push(error.about(&format!("{argument} is not a valid path"))),
            Ok(path) => {
                let text = path.to_string();
                let removed = call.node()?.mfs_remove(path, how, call.fetch()).await;
                refused.extend(removed.err().map(|error| failed(error).about(&text)));
            }
        }
    }
    for error in &refused {
        call.out.event(&error.message()).await?;
    }
    if refused.is_empty() { Ok(()) } else { Err(RpcError::failed("can't remove some files")) }
}

/// Writes what could not be removed.
struct Refused;

impl Render for Refused {
    fn answer(&mut self, json: &[u8], text: &mut Text) -> Result<(), RpcError> {
        text.fail(escape(&serde_json::from_slice::<String>(json)?));
        Ok(())
    }
}
