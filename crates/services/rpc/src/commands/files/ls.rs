//! `files ls`: what is in a directory of MFS.
//!
//! The sizes of raw files are what the directory says of them; the roots of the others are read,
//! many at a time. The answer is one object, which goes out in pieces once it is long; until then
//! an error has a status of its own.

use super::{FLUSH, failed, path};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    commands::ls::ENTRIES_MAX,
    text::{CidText, each, escape},
};
use cairn_block::{Block, BlockStore as _, codec};
use cairn_node::Blocks;
use cairn_unixfs::{DirEntry, Entry};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use std::pin::pin;

/// Entries whose roots are read together.
const BATCH_COUNT: usize = 1024;

/// Bytes of the answer that go out together.
const PART_LEN: usize = 256 * 1024;

/// What stands before and after the entries of an [`Answer`].
const BEGIN: &[u8] = b"{\"Entries\":[";
const END: &[u8] = b"]}";

/// Number of a file, as Kubo counts.
const FILE: u32 = 0;
/// Number of a directory.
const DIRECTORY: u32 = 1;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "files ls",
    tagline: "List a directory of MFS",
    arguments: &[Argument::text("path", "What to list (default: /)").optional()],
    options: &[
        Opt::flag("long", "Also print CIDs and sizes").or(&["l"]),
        Opt::flag("U", "Do not sort"),
        FLUSH,
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, mut answer: Answer, text| {
            let mut listed = answer.entries.take().unwrap_or_default();
            if !request.flag("U") {
                listed.sort_by(|a, b| a.name.cmp(&b.name));
            }
            for Listed { name, kind, size, hash } in listed {
                let name = escape(&name);
                if request.flag("long") {
                    let slash = if kind == DIRECTORY { "/" } else { "" };
                    text.line(format_args!("{name}{slash}\t{hash}\t{size}"));
                } else {
                    text.line(name);
                }
            }
        })
    }),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    /// What is there; `null` if nothing is.
    pub entries: Option<Vec<Listed>>,
}

/// An entry; all but its name is told by a long listing only.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Listed {
    /// Its name.
    pub name: String,
    /// 0 file, 1 directory.
    #[serde(rename = "Type")]
    pub kind: u32,
    /// Bytes of a file.
    pub size: u64,
    /// Its CID.
    pub hash: String,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let text = call.request.arguments().first().map_or("/", String::as_str);
    let (path, blocks) = (path(text)?, call.blocks()?);
    let long = call.request.flag("long");
    let block = call.node()?.mfs_find(&path, &blocks).await.map_err(failed)?;
    let entry = Entry::of(&block).map_err(|error| RpcError::of(&error))?;
    if !entry.is_directory() {
        let name = path.name().unwrap_or_default().to_owned();
        let mut listed = Listed { name, ..Listed::default() };
        if long {
            (listed.size, listed.hash) = (entry.len, cids.of(block.cid()));
        }
        return call.out.once(&Answer { entries: Some(vec![listed]) }).await;
    }
    let (mut count, mut is_long) = (0, false);
    let mut json = Vec::new();
    let mut batches = pin!(cairn_unixfs::list(blocks.clone(), &block).ready_chunks(BATCH_COUNT));
    while let Some(batch) = batches.next().await {
        let batch: Result<Vec<DirEntry>, _> = batch.into_iter().collect();
        let batch = batch.map_err(|error| RpcError::of(&error))?;
        if count + batch.len() > ENTRIES_MAX {
            return Err(RpcError::failed(format!("over {ENTRIES_MAX} entries")).about(text));
        }
        let listed = if long {
            describe(&blocks, batch, cids).await?
        } else {
            let named = |entry: DirEntry| Listed { name: entry.name, ..Listed::default() };
            batch.into_iter().map(named).collect()
        };
        for entry in listed {
            json.extend_from_slice(if count == 0 { BEGIN } else { b"," });
            serde_json::to_writer(&mut json, &entry)?;
            count += 1;
        }
        if json.len() >= PART_LEN {
            call.out.part(std::mem::take(&mut json)).await?;
            is_long = true;
        }
    }
    if count == 0 {
        return call.out.once(&Answer { entries: None }).await;
    }
    json.extend_from_slice(END);
    if is_long {
        json.push(b'\n');
        return call.out.part(json).await;
    }
    call.out.once_json(json).await
}

/// Tells what entries are.
async fn describe(
    blocks: &Blocks,
    batch: Vec<DirEntry>,
    cids: CidText,
) -> Result<Vec<Listed>, RpcError> {
    let open = batch.iter().filter(|entry| entry.cid.codec() != codec::RAW);
    let wanted: Vec<_> = open.map(|entry| entry.cid.clone()).collect();
    let mut roots = blocks.get_many(&wanted).await.into_iter();
    let mut listed = Vec::with_capacity(batch.len());
    for entry in batch {
        let hash = cids.of(&entry.cid);
        let (kind, size) = if entry.cid.codec() == codec::RAW {
            (FILE, entry.total_len)
        } else {
            let missing = || RpcError::failed(format!("block {} was not found", entry.cid));
            let root: Block = roots.next().unwrap_or(Ok(None))?.ok_or_else(missing)?;
            let root = Entry::of(&root).map_err(|error| RpcError::of(&error))?;
            if root.is_directory() { (DIRECTORY, 0) } else { (FILE, root.len) }
        };
        listed.push(Listed { name: entry.name, kind, size, hash });
    }
    Ok(listed)
}
