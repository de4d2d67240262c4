//! `cat`: the content of files.

use crate::{
    Call, RpcError,
    answer::StreamHead,
    command::{Argument, Command, Opt},
};
use cairn_block::Block;
use cairn_unixfs::{Entry, EntryKind};
use futures::StreamExt as _;
use std::{ops::Range, pin::pin};

/// The row of the table.
pub(super) const COMMAND: Command = Command {
    path: "cat",
    tagline: "Show the content of files",
    arguments: &[Argument::text("ipfs-path", "The files to show").many().or_stdin()],
    options: &[
        Opt::int("offset", "Byte to begin at").or(&["o"]),
        Opt::int("length", "Most bytes to show").or(&["l"]),
        Opt::flag("progress", "Show a progress bar (default: on a terminal)").or(&["p"]),
    ],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let number = |name: &str| match call.request.int(name) {
        Some(number) if number < 0 => {
            Err(RpcError::request(format!("cannot specify negative {name}")))
        }
        number => Ok(number.map(i64::unsigned_abs)),
    };
    let offset = number("offset")?.unwrap_or(0);
    let parts = parts(&call, offset, number("length")?).await?;
    let len = parts.iter().map(|(_, range)| range.end - range.start).sum();
    call.out.stream(StreamHead { content_type: "text/plain", len: Some(len) }).await?;
    for (block, range) in parts {
        let mut pieces = pin!(cairn_unixfs::read(call.blocks()?, &block, range));
        while let Some(piece) = pieces.next().await {
            call.out.data(piece.map_err(|error| RpcError::of(&error))?).await?;
        }
    }
    Ok(())
}

/// The ranges to read of each file: offset and length count over all of them together.
async fn parts(
    call: &Call,
    mut offset: u64,
    length: Option<u64>,
) -> Result<Vec<(Block, Range<u64>)>, RpcError> {
    let mut left = length.unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for argument in call.request.arguments() {
        if left == 0 {
            break;
        }
        let resolved = call.resolve(argument).await?;
        let entry = Entry::of(&resolved.block).map_err(|error| RpcError::of(&error))?;
        match entry.kind {
            EntryKind::File => {}
            EntryKind::Directory { .. } => {
                return Err(RpcError::failed("this dag node is a directory").about(argument));
            }
            _ => return Err(RpcError::failed("this is not a file").about(argument)),
        }
        if offset > entry.len {
            offset -= entry.len;
            continue;
        }
        let len = (entry.len - offset).min(left);
        parts.push((resolved.block, offset..offset + len));
        left -= len;
        offset = 0;
    }
    Ok(parts)
}
