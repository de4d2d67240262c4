//! `files write`: bytes into a file.

use super::{CID_VERSION, FLUSH, HASH, failed, format, path};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    files,
};
use cairn_node::{AddKind, MfsWrite};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "files write",
    tagline: "Write to a file in MFS",
    help: "What the file holds at the offset is overwritten, the rest stays; behind its end it is\n\
           filled with zeros. New files have the CIDs that `cairn add` gives the same bytes.",
    arguments: &[
        Argument::text("path", "The file"),
        Argument::file("data", "What to write; - is standard input"),
    ],
    options: &[
        Opt::int("offset", "Byte to begin at").or(&["o"]),
        Opt::flag("create", "Make the file if it is not there").or(&["e"]),
        Opt::flag("parents", "Make the directories above it").or(&["p"]),
        Opt::flag("truncate", "Cut the file off first").or(&["t"]),
        Opt::int("count", "Most bytes to write").or(&["n"]),
        Opt::flag("raw-leaves", "Leaves without wrapper (Import.UnixFSRawLeaves)"),
        CID_VERSION,
        HASH,
        FLUSH,
    ],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(mut call: Call) -> Result<(), RpcError> {
    let files = call.take_files()?;
    let is_small = files.are_here();
    let request = &call.request;
    let path = path(request.first()?)?;
    let negative = |text: &str| RpcError::failed(text);
    let offset = u64::try_from(request.int("offset").unwrap_or(0));
    let count = request.int("count").map(u64::try_from).transpose();
    let write = MfsWrite {
        offset: offset.map_err(|_| negative("cannot have negative write offset"))?,
        create: request.flag("create"),
        parents: request.flag("parents"),
        truncate: request.flag("truncate"),
        count: count.map_err(|_| negative("cannot have negative byte count"))?,
        raw_leaves: request.given_flag("raw-leaves"),
        format: format(request)?,
        flush: request.flag("flush"),
        fetch: call.fetch(),
        is_small,
    };
    let entry = files::next(files)
        .await
        .ok_or_else(|| RpcError::request("file argument 'data' is required"))?;
    let AddKind::File(data) = entry.map_err(|error| RpcError::of(&error))?.kind else {
        return Err(RpcError::request("expected a file"));
    };
    call.node()?.mfs_write(path, data, write).await.map_err(failed)
}
