//! `files chcid`: changes in which form a directory is named.

use super::{CID_VERSION, FLUSH, HASH, failed, format, path, terms};
use crate::{
    Call, RpcError,
    command::{Argument, Command},
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "files chcid",
    tagline: "Change the CID version or hash function of a directory in MFS",
    help: "The root's are Import.CidVersion and Import.HashFunction.",
    arguments: &[Argument::text("path", "The directory; not the root")],
    options: &[CID_VERSION, HASH, FLUSH],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let path = path(call.request.first()?)?;
    let format = format(&call.request)?;
    if format.is_empty() && !path.is_root() {
        return Ok(());
    }
    call.node()?.mfs_reform(path, format, terms(&call)).await.map_err(failed)
}
