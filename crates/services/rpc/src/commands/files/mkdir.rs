//! `files mkdir`: makes directories.

use super::{CID_VERSION, FLUSH, HASH, failed, format, path, terms};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "files mkdir",
    tagline: "Make a directory in MFS",
    arguments: &[Argument::text("path", "The directory")],
    options: &[
        Opt::flag("parents", "Make those above it; none if it is there").or(&["p"]),
        CID_VERSION,
        HASH,
        FLUSH,
    ],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let path = path(call.request.first()?)?;
    let how = (call.request.flag("parents"), format(&call.request)?);
    call.node()?.mfs_mkdir(path, how, terms(&call)).await.map_err(failed)
}
