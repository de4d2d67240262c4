//! `pin`: what must stay in the store.

pub(crate) mod add;
pub(super) mod ls;
pub(super) mod rm;
pub(super) mod update;
pub(super) mod verify;

use crate::{Command, RpcError};

/// Longest name of a pin, in bytes. Source: Kubo's `--pin-name`.
pub(crate) const PIN_NAME_LEN_MAX: usize = 255;

/// The group's row of the table.
pub(crate) const COMMAND: Command =
    Command::group("pin", "Keep content in the store, or let it go");

/// Refuses names that are too long.
pub(super) fn check_name(name: &str) -> Result<(), RpcError> {
    if name.len() <= PIN_NAME_LEN_MAX {
        return Ok(());
    }
    let len = name.len();
    Err(RpcError::request(format!("pin name is {len} bytes (max {PIN_NAME_LEN_MAX})")))
}
