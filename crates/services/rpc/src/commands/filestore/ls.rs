//! `filestore ls`: which blocks refer to what.

use super::{Answer, FILE_ORDER, OBJECTS};
use crate::{Command, text::each};

/// The row of the table.
pub(in crate::commands) const COMMAND: Command = Command {
    path: "filestore ls",
    tagline: "List blocks that refer to files and URLs",
    help: "Prints `CID SIZE PATH OFFSET` for each; paths are below the directory that holds the\n\
           repository. Nothing is read but the list: see `filestore verify`.",
    arguments: &[OBJECTS.many()],
    options: &[FILE_ORDER],
    run: Some(|call| Box::pin(super::run(call, |_, _, _| Ok(())))),
    text: Some(|request| {
        each(request, |_, answer: Answer, text| {
            if answer.error_msg.is_empty() {
                text.line(answer.line());
            } else {
                text.fail(answer.error_msg);
            }
        })
    }),
    ..Command::BASE
};
