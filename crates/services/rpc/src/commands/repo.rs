//! `repo`: the repository as a whole.

pub(crate) mod backup;
pub(super) mod gc;
pub(super) mod ls;
pub(super) mod scrub;
pub(super) mod stat;
pub(crate) mod verify;
pub(super) mod version;

use crate::Command;

/// The group's row of the table.
pub(super) const COMMAND: Command = Command::group("repo", "See the repository as a whole");
