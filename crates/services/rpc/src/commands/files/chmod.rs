//! `files chmod`: sets permissions.

use super::{FLUSH, failed, path, terms};
use crate::{
    Call, RpcError,
    command::{Argument, Command},
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "files chmod",
    tagline: "Set the permissions of a file or directory in MFS",
    arguments: &[
        Argument::text("mode", "The permissions as an octal number, such as 0644"),
        Argument::text("path", "The file or directory"),
    ],
    options: &[FLUSH],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let [mode, place] = call.request.arguments() else {
        return Err(RpcError::request("argument \"path\" is required"));
    };
    let wrong = |_| RpcError::failed(format!("invalid mode {mode:?}: not an octal number"));
    let path = path(place)?;
    let mode = u32::from_str_radix(mode, 8).map_err(wrong)?;
    if mode > 0o7777 {
        return Err(RpcError::failed(format!("invalid mode {mode:o}: over 7777")));
    }
    call.node()?.mfs_chmod(path, mode, terms(&call)).await.map_err(failed)
}
