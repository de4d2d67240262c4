//! The row of `files chroot`; the command line runs it.

use crate::command::{Argument, Command, Needs, Opt};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "files chroot",
    tagline: "Make another directory the root of MFS",
    help: "For a root that is lost, or to go back to one that was kept. The daemon must be stopped.\n\
           Without a CID the new root is empty. The old one is garbage then unless it is pinned.",
    arguments: &[Argument::text("cid", "The new root (default: an empty directory)").optional()],
    options: &[Opt::flag("confirm", "Do it")],
    needs: Needs::CommandLine,
    ..Command::BASE
};
