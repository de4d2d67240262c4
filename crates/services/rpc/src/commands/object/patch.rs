//! `object patch`: a new node that differs a little from an old one.

pub(crate) mod data;
pub(crate) mod links;

use crate::Command;

/// The group's row of the table.
pub(crate) const COMMAND: Command =
    Command::group("object patch", "Make a node that differs a little from another");
