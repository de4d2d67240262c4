//! `get`: a file or a whole directory, packed as a tar stream.
//!
//! The command line unpacks the stream; over HTTP it is the answer.
//!
//! Invariants: nothing of a file is kept but the piece being sent; names in the archive are the
//! directory's own, so whoever unpacks must not trust them.
//! Not here: unpacking (the `cairn` binary).

mod archive;

use crate::{
    Call, RpcError,
    answer::StreamHead,
    command::{Argument, Command, Opt},
};
use archive::Packer;
use cairn_block::Block;
use cairn_node::Blocks;
use cairn_unixfs::{Entry, EntryKind};
use futures::{StreamExt as _, future::BoxFuture};
use std::pin::pin;

/// Deepest directory that is packed.
pub(super) const DEPTH_MAX: usize = 256;

/// The row of the table.
pub(super) const COMMAND: Command = Command {
    path: "get",
    tagline: "Download files and directories",
    help: "Saves to a file or directory in the current directory that is named like the last part\n\
           of the path, or as --output says. Nothing outside of it is ever written.",
    arguments: &[Argument::text("ipfs-path", "What to download").or_stdin()],
    options: &[
        Opt::text("output", "Where to save it").or(&["o"]),
        Opt::flag("archive", "Save a tar archive instead of unpacking").or(&["a"]),
        Opt::flag("compress", "Compress it with gzip").or(&["C"]),
        Opt::int("compression-level", "How hard to compress, 1 to 9").or(&["l"]),
        Opt::flag("progress", "Show a progress bar (default: on a terminal)").or(&["p"]),
    ],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let level = level(&call)?;
    let argument = call.request.first()?.to_owned();
    let resolved = call.resolve(&argument).await?;
    let entry = Entry::of(&resolved.block).map_err(|error| RpcError::of(&error))?;
    let archive = call.request.flag("archive");
    if level.is_some() && !archive && entry.kind != EntryKind::File {
        return Err(RpcError::request("file is not regular: compressing needs --archive, too"));
    }
    let content_type = if level.is_some() { "application/gzip" } else { "application/x-tar" };
    let len = if entry.is_directory() { entry.total_len } else { entry.len };
    call.out.stream(StreamHead { content_type, len: Some(len) }).await?;
    let mut packer = Packer::new(call.out.clone(), level);
    if level.is_some() && !archive {
        content(&mut packer, call.blocks()?, &resolved.block, entry.len).await?;
    } else {
        let name = argument.trim_end_matches('/').rsplit('/').next().unwrap_or("").to_owned();
        let blocks = call.blocks()?;
        let item = Item { path: name, block: resolved.block, depth: 0 };
        blocks.fetching_ahead(&resolved.cid, pack(&mut packer, blocks.clone(), item)).await?;
        packer.end().await?;
    }
    packer.finish().await
}

fn level(call: &Call) -> Result<Option<u32>, RpcError> {
    if !call.request.flag("compress") {
        return Ok(None);
    }
    match call.request.int("compression-level") {
        None => Ok(Some(6)),
        Some(level @ 1..=9) => Ok(u32::try_from(level).ok()),
        Some(_) => Err(RpcError::request("compression level must be between 1 and 9")),
    }
}

struct Item {
    path: String,
    block: Block,
    depth: usize,
}

/// Packs one entry and everything below it, parents first.
fn pack(packer: &mut Packer, blocks: Blocks, item: Item) -> BoxFuture<'_, Result<(), RpcError>> {
    Box::pin(async move {
        let named = |error: &cairn_unixfs::UnixfsError| RpcError::of(error);
        let entry = Entry::of(&item.block).map_err(|error| named(&error))?;
        packer.head(&item.path, &entry).await?;
        match entry.kind {
            EntryKind::File => {
                content(packer, blocks, &item.block, entry.len).await?;
                packer.pad(entry.len).await
            }
            EntryKind::Directory { .. } if item.depth == DEPTH_MAX => {
                Err(RpcError::failed(format!("{:?} is more than {DEPTH_MAX} deep", item.path)))
            }
            EntryKind::Directory { .. } => {
                let mut entries = pin!(cairn_unixfs::list(blocks.clone(), &item.block));
                while let Some(child) = entries.next().await {
                    let child = child.map_err(|error| named(&error))?;
                    let block = require(&blocks, &child.cid).await?;
                    let path = format!("{}/{}", item.path, child.name);
                    let item = Item { path, block, depth: item.depth + 1 };
                    pack(packer, blocks.clone(), item).await?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    })
}

async fn require(blocks: &Blocks, cid: &cairn_block::Cid) -> Result<Block, RpcError> {
    use cairn_block::BlockStoreExt as _;
    Ok(blocks.require(cid).await?)
}

async fn content(
    packer: &mut Packer,
    blocks: Blocks,
    block: &Block,
    len: u64,
) -> Result<(), RpcError> {
    let mut pieces = pin!(cairn_unixfs::read(blocks, block, 0..u64::MAX));
    let mut sent = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| RpcError::of(&error))?;
        sent += piece.len() as u64;
        packer.data(piece).await?;
    }
    if sent != len {
        let text = format!("file {} has {sent} bytes, its root says {len}", block.cid());
        return Err(RpcError::failed(text));
    }
    Ok(())
}
