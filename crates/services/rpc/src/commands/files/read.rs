//! `files read`: the bytes of a file.

use super::{FLUSH, failed, path};
use crate::{
    Call, RpcError,
    answer::StreamHead,
    command::{Argument, Command, Opt},
};
use cairn_unixfs::{Entry, EntryKind};
use futures::StreamExt as _;
use std::pin::pin;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "files read",
    tagline: "Show the content of a file in MFS",
    arguments: &[Argument::text("path", "The file")],
    options: &[
        Opt::int("offset", "Byte to begin at").or(&["o"]),
        Opt::int("count", "Most bytes to show").or(&["n"]),
        FLUSH,
    ],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let path = path(call.request.first()?)?;
    let offset = call.request.int("offset").unwrap_or(0);
    let blocks = call.blocks()?;
    let found = call.node()?.mfs_find(&path, &blocks).await;
    let block = found.map_err(|error| failed(error).about(&path.to_string()))?;
    let entry = Entry::of(&block).map_err(|error| RpcError::of(&error))?;
    match entry.kind {
        EntryKind::File => {}
        EntryKind::Symlink { .. } => return Err(RpcError::failed("symlinks not yet supported")),
        _ => return Err(RpcError::failed(format!("{path} was not a file"))),
    }
    let offset = u64::try_from(offset);
    let offset = offset.map_err(|_| RpcError::failed("cannot specify negative offset"))?;
    let len = entry.len;
    if offset > len {
        let text = format!("offset was past end of file ({offset} > {len})");
        return Err(RpcError::failed(text));
    }
    let count = match call.request.int("count").map(u64::try_from) {
        None => len - offset,
        Some(Ok(count)) => count.min(len - offset),
        Some(Err(_)) => return Err(RpcError::failed("cannot specify negative 'count'")),
    };
    call.out.stream(StreamHead { content_type: "text/plain", len: Some(count) }).await?;
    let mut pieces = pin!(cairn_unixfs::read(blocks, &block, offset..offset + count));
    while let Some(piece) = pieces.next().await {
        call.out.data(piece.map_err(|error| RpcError::of(&error))?).await?;
    }
    Ok(())
}
