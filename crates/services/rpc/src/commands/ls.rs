//! `ls`: what is in a directory.
//!
//! Without `--stream` the answer is one object with sorted entries: they are gathered first, and
//! the object is then written piece by piece, so that it is never whole in memory.

mod gathered;
pub(super) mod mode;

use crate::{
    Call, Request, RpcError,
    command::{Argument, Command, Opt},
    text::{CidText, Render, Text, columns, escape},
};
use cairn_block::{Block, BlockStore as _, Cid, codec};
use cairn_node::Blocks;
use cairn_unixfs::{DirEntry, Entry, EntryKind};
use futures::{Stream, StreamExt as _};
use gathered::Gathered;
use mode::{DIRECTORY, SYMLINK};
use serde::{Deserialize, Serialize};
use std::pin::pin;

/// Entries whose roots are read together.
const BATCH_COUNT: usize = 64;
/// Bytes of the answer that go out together.
const PART_LEN: usize = 256 * 1024;
/// Most entries of an answer that is not streamed.
pub(super) const ENTRIES_MAX: usize = 4 * 1024 * 1024;

/// The row of the table.
pub(super) const COMMAND: Command = Command {
    path: "ls",
    tagline: "List directories",
    help: "Prints the CID, size and name of each entry; directories end in a slash.",
    arguments: &[Argument::text("ipfs-path", "The directories to list").many().or_stdin()],
    options: &[
        Opt::flag("headers", "Print a line that names the columns").or(&["v"]),
        Opt::flag("resolve-type", "Look into each entry for its type").default("true"),
        Opt::flag("size", "Look into each entry for its size").default("true"),
        Opt::flag("stream", "Print entries as they are found, unsorted").or(&["s"]),
        Opt::flag("long", "Also print mode and time of last change").or(&["l"]),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        Box::new(Table { request: request.clone(), last: String::new(), rows: Vec::new() })
    }),
    ..Command::BASE
};

/// The answer: all directories, or one entry of one of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    /// The directories.
    pub objects: Vec<Object>,
}

/// A directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Object {
    /// The path as it was given.
    pub hash: String,
    /// Its entries.
    pub links: Vec<Link>,
}

/// An entry of a directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Link {
    /// Its name.
    pub name: String,
    /// Its CID.
    pub hash: String,
    /// Bytes of a file.
    pub size: u64,
    /// UnixFS' number: 1 directory, 2 file, 4 symlink, 0 not known.
    #[serde(rename = "Type")]
    pub kind: u32,
    /// Where a symlink points.
    pub target: String,
    /// Go's file mode; 0 if none was kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mode: u32,
    /// Last change, RFC 3339; empty if none was kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mod_time: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

async fn run(call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let stream = call.request.flag("stream");
    let look = call.request.flag("resolve-type") || call.request.flag("size");
    let mut objects = Vec::new();
    for argument in call.request.arguments() {
        let resolved = call.resolve(argument).await?;
        let blocks = call.blocks()?;
        let mut batches = pin!(entries(blocks.clone(), &resolved.block)?.ready_chunks(BATCH_COUNT));
        let before: usize = objects.iter().map(|(_, links): &(_, Gathered)| links.len()).sum();
        let mut links = Gathered::default();
        while let Some(batch) = batches.next().await {
            let batch: Result<Vec<DirEntry>, RpcError> = batch.into_iter().collect();
            for (cid, link) in describe(&blocks, batch?, look, cids).await? {
                if stream {
                    let object = Object { hash: argument.clone(), links: vec![link] };
                    call.out.event(&Answer { objects: vec![object] }).await?;
                    continue;
                }
                if before + links.len() == ENTRIES_MAX {
                    let text = format!("over {ENTRIES_MAX} entries: use --stream");
                    return Err(RpcError::failed(text).about(argument));
                }
                links.push(&cid, &link);
            }
        }
        links.sort();
        objects.push((argument, links));
    }
    if stream { Ok(()) } else { write(&call, &objects, cids).await }
}

/// Writes an [`Answer`] in pieces.
async fn write(
    call: &Call,
    objects: &[(&String, Gathered)],
    cids: CidText,
) -> Result<(), RpcError> {
    let (mut json, mut is_long) = (b"{\"Objects\":[".to_vec(), false);
    for (index, (hash, gathered)) in objects.iter().enumerate() {
        json.extend_from_slice(if index == 0 { b"{\"Hash\":" } else { b",{\"Hash\":" });
        serde_json::to_writer(&mut json, hash)?;
        json.extend_from_slice(b",\"Links\":[");
        for (index, link) in gathered.links(cids).enumerate() {
            if index > 0 {
                json.push(b',');
            }
            serde_json::to_writer(&mut json, &link)?;
            if json.len() >= PART_LEN {
                call.out.part(std::mem::take(&mut json)).await?;
                is_long = true;
            }
        }
        json.extend_from_slice(b"]}");
    }
    json.extend_from_slice(b"]}");
    if is_long {
        json.push(b'\n');
        return call.out.part(json).await;
    }
    call.out.once_json(json).await
}

/// The entries of a directory, or the links of whatever else it is.
fn entries(
    blocks: Blocks,
    block: &Block,
) -> Result<impl Stream<Item = Result<DirEntry, RpcError>> + Send + use<>, RpcError> {
    let is_directory = Entry::of(block).is_ok_and(|entry| entry.is_directory());
    let (directory, plain) = if is_directory {
        (Some(cairn_unixfs::list(blocks, block)), Vec::new())
    } else if block.cid().codec() == codec::DAG_PB {
        let node = cairn_dag::dag_pb::decode(block.data());
        let node = node.map_err(|error| RpcError::of(&error).about(&block.cid().to_string()))?;
        let entry = |link: cairn_dag::dag_pb::PbLink| DirEntry {
            name: link.name_text().into_owned(),
            cid: link.cid.clone(),
            total_len: link.size.unwrap_or(0),
        };
        (None, node.links.into_iter().map(entry).collect())
    } else {
        (None, Vec::new())
    };
    let directory = futures::stream::iter(directory).flatten();
    let listed = directory.map(|entry| entry.map_err(|error| RpcError::of(&error)));
    Ok(listed.chain(futures::stream::iter(plain.into_iter().map(Ok))))
}

/// Tells what the entries are; reads the roots of those that may be directories, all at once.
async fn describe(
    blocks: &Blocks,
    batch: Vec<DirEntry>,
    look: bool,
    cids: CidText,
) -> Result<Vec<(Cid, Link)>, RpcError> {
    let is_open = |entry: &&DirEntry| look && entry.cid.codec() != codec::RAW;
    let wanted: Vec<_> = batch.iter().filter(is_open).map(|entry| entry.cid.clone()).collect();
    let mut roots = blocks.get_many(&wanted).await.into_iter();
    let mut links = Vec::with_capacity(batch.len());
    for entry in batch {
        let mut link = Link {
            hash: cids.of(&entry.cid),
            size: 0,
            kind: 0,
            target: String::new(),
            mode: 0,
            mod_time: String::new(),
            name: entry.name,
        };
        if entry.cid.codec() == codec::RAW {
            link.kind = 2;
            link.size = entry.total_len;
        } else if look {
            let missing = || RpcError::failed(format!("block {} was not found", entry.cid));
            let block = roots.next().unwrap_or(Ok(None))?.ok_or_else(missing)?;
            inspect(&mut link, &block);
        }
        links.push((entry.cid, link));
    }
    Ok(links)
}

/// Fills in what the entry's root says; what is no UnixFS stays without a type.
fn inspect(link: &mut Link, block: &Block) {
    let Ok(entry) = Entry::of(block) else { return };
    let bits;
    (link.kind, bits) = match entry.kind {
        EntryKind::Directory { .. } => (1, DIRECTORY),
        EntryKind::Symlink { target } => {
            link.target = target;
            (4, SYMLINK)
        }
        _ => (2, 0),
    };
    link.size = if link.kind == 2 { entry.len } else { 0 };
    link.mode = entry.mode.map_or(0, |mode| mode | bits);
    link.mod_time =
        entry.mtime.map(|mtime| mode::rfc3339(mtime.secs, mtime.nanos)).unwrap_or_default();
}

/// Writes the listing: in columns when it comes whole, line by line when it streams.
struct Table {
    request: Request,
    last: String,
    rows: Vec<Vec<String>>,
}

impl Render for Table {
    fn answer(&mut self, json: &[u8], text: &mut Text) -> Result<(), RpcError> {
        let answer: Answer = serde_json::from_slice(json)?;
        for object in answer.objects {
            if object.hash != self.last {
                self.title(&object.hash);
                self.last.clone_from(&object.hash);
            }
            let rows = object.links.iter().map(|link| self.row(link)).collect::<Vec<_>>();
            self.rows.extend(rows);
        }
        let min_width = if self.request.flag("stream") { 10 } else { 1 };
        // A line without columns ends the ones above it.
        for rows in self.rows.chunk_by(|a, b| a.len() > 1 && b.len() > 1) {
            text.write(columns(rows, min_width, 1));
        }
        self.rows.clear();
        Ok(())
    }
}

impl Table {
    fn title(&mut self, hash: &str) {
        if self.request.arguments().len() > 1 {
            if !self.last.is_empty() {
                self.rows.push(Vec::new());
            }
            self.rows.push(vec![format!("{hash}:")]);
        }
        if self.request.flag("headers") {
            let (long, size) = (self.request.flag("long"), self.request.flag("size"));
            let names =
                [("Mode", long), ("Hash", true), ("Size", size), ("ModTime", long), ("Name", true)];
            let shown = names.into_iter().filter(|name| name.1);
            self.rows.push(shown.map(|name| name.0.to_owned()).collect());
        }
    }

    fn row(&self, link: &Link) -> Vec<String> {
        let is_directory = link.kind == 1;
        let mut row = vec![escape(&link.hash)];
        if self.request.flag("size") {
            row.push(if is_directory { "-".to_owned() } else { link.size.to_string() });
        }
        if self.request.flag("long") {
            let mode = if link.mode == 0 { "-".to_owned() } else { mode::letters(link.mode) };
            row.insert(0, mode);
            let now = cairn_runtime::Clock::system().now();
            row.push(mode::short_time(&link.mod_time, now).unwrap_or_else(|| "-".to_owned()));
        }
        let slash = if is_directory { "/" } else { "" };
        row.push(format!("{}{slash}", escape(&link.name)));
        row
    }
}
