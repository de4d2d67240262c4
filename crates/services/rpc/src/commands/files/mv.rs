//! `files mv`: moves.

use super::{FLUSH, failed, path, terms};
use crate::{
    Call, RpcError,
    command::{Argument, Command},
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "files mv",
    tagline: "Move within MFS",
    arguments: &[
        Argument::text("source", "What to move"),
        Argument::text("dest", "Where to; into it if it is a directory"),
    ],
    options: &[FLUSH],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let [source, dest] = call.request.arguments() else {
        return Err(RpcError::request("argument \"dest\" is required"));
    };
    let (from, to) = (path(source)?, path(dest)?);
    call.node()?.mfs_move(from, to, terms(&call)).await.map_err(failed)
}
