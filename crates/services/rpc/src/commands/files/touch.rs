//! `files touch`: sets times of last change.

use super::{FLUSH, failed, path, terms};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
};
use cairn_node::Mtime;
use std::time::UNIX_EPOCH;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "files touch",
    tagline: "Set the time of last change of a file or directory in MFS",
    arguments: &[Argument::text("path", "The file or directory")],
    options: &[
        Opt::int("mtime", "Seconds since 1970 (default: now)"),
        Opt::uint("mtime-nsecs", "The nanoseconds of --mtime"),
        FLUSH,
    ],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let path = path(call.request.first()?)?;
    let nanos = call.request.int("mtime-nsecs").unwrap_or(0);
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let nanos = nanos.ok_or_else(|| RpcError::request("option \"mtime-nsecs\" is too large"))?;
    let node = call.node()?;
    let given = call.request.int("mtime").filter(|secs| *secs != 0);
    let mtime = given.map_or_else(
        || {
            let now = node.clock().now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Mtime { secs: now.as_secs().cast_signed(), nanos: now.subsec_nanos() }
        },
        |secs| Mtime { secs, nanos },
    );
    node.mfs_touch(path, mtime, terms(&call)).await.map_err(failed)
}
