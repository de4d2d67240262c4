//! `repo ls`: every block of the store, as `refs local` lists them.

use crate::{
    command::Command,
    commands::refs::{lines, local},
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "repo ls",
    tagline: "List all blocks of the store",
    help: local::COMMAND.help,
    run: Some(|call| Box::pin(local::run(call))),
    text: Some(lines),
    ..Command::BASE
};
