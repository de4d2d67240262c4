//! `files stat`: what stands at a path.

use super::{FLUSH, failed, is_content, path};
use crate::{
    Call, Request, RpcError,
    answer::is_default,
    command::{Argument, Command, Opt},
    commands::ls::mode,
    text::{Text, each, human_len},
};
use cairn_block::{Block, BlockStore as _, Cid, codec};
use cairn_dag::links;
use cairn_node::Fetch;
use cairn_unixfs::{Entry, EntryKind};
use serde::{Deserialize, Serialize};

/// What is printed unless told otherwise.
const FORMAT: &str = "<hash>\nSize: <size>\nCumulativeSize: <cumulsize>\nChildBlocks: <childs>\n\
                      Type: <type>\nMode: <mode> (<mode-octal>)\nMtime: <mtime>";

/// What is printed where nothing is kept.
const UNSET: &str = "not set";

/// Blocks that are read together to tell what is here.
const BATCH_COUNT: usize = 256;

/// Links that wait to be followed to tell what is here.
const OPEN_COUNT_MAX: usize = 16 * 1024 * 1024;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "files stat",
    tagline: "Tell what stands at a path of MFS or of content",
    arguments: &[Argument::text("path", "A path of MFS, or of content (/ipfs/CID)")],
    options: &[
        Opt::text(
            "format",
            "What to print: text with <hash> <size> <cumulsize> <type> <childs> <mode> \
             <mode-octal> <mtime> <mtime-secs> <mtime-nsecs>",
        )
        .default(FORMAT),
        Opt::flag("hash", "Print the CID only"),
        Opt::flag("size", "Print the size of all blocks only"),
        Opt::flag("with-local", "Also tell how much of it is here"),
        FLUSH,
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| each(request, |request, answer, text| print(request, &answer, text))),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Answer {
    /// Its CID.
    pub hash: String,
    /// Bytes of a file.
    pub size: u64,
    /// Bytes of all its blocks, as its links say.
    pub cumulative_size: u64,
    /// Links of its root.
    pub blocks: usize,
    /// `file` or `directory`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Whether the next two were looked for.
    #[serde(skip_serializing_if = "is_default")]
    pub with_locality: bool,
    /// Whether all of it is here.
    #[serde(skip_serializing_if = "is_default")]
    pub local: bool,
    /// Bytes of blocks that are here.
    #[serde(skip_serializing_if = "is_default")]
    pub size_local: u64,
    /// Go's file mode in octal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// Last change, in seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub mtime: i64,
    /// The nanoseconds of that.
    #[serde(skip_serializing_if = "is_default")]
    pub mtime_nsecs: u32,
}

/// What to print, or that too much was asked for.
fn wanted(request: &Request) -> Result<&str, RpcError> {
    let (hash, size) = (request.flag("hash"), request.flag("size"));
    let format = request.text("format").unwrap_or(FORMAT);
    if [hash, size, format != FORMAT].into_iter().filter(|asked| *asked).count() > 1 {
        return Err(RpcError::request(
            "invalid parameters: format was set by multiple options. Only one format option is \
             allowed",
        ));
    }
    Ok(match (hash, size) {
        (true, _) => "<hash>",
        (_, true) => "<cumulsize>",
        _ => format,
    })
}

async fn run(call: Call) -> Result<(), RpcError> {
    wanted(&call.request)?;
    let cids = call.request.cid_text()?;
    let argument = call.request.first()?;
    let block = if is_content(argument) {
        call.resolve(argument).await?.block
    } else {
        call.node()?.mfs_find(&path(argument)?, &call.blocks()?).await.map_err(failed)?
    };
    if !matches!(block.cid().codec(), codec::RAW | codec::DAG_PB) {
        return Err(RpcError::failed("not unixfs node (proto or raw)"));
    }
    let entry = Entry::of(&block).map_err(|error| RpcError::of(&error))?;
    let mut answer = Answer {
        hash: cids.of(block.cid()),
        size: entry.len,
        cumulative_size: entry.total_len,
        blocks: entry.links,
        kind: if entry.is_directory() { "directory" } else { "file" }.to_owned(),
        ..Answer::default()
    };
    let (bits, default) = match entry.kind {
        EntryKind::Directory { .. } => (mode::DIRECTORY, None),
        EntryKind::Symlink { .. } => (mode::SYMLINK, Some(0o777)),
        _ => (0, None),
    };
    if let Some(mode) = entry.mode.or(default) {
        answer.mode = format!("{:04o}", mode | bits);
    }
    if let Some(mtime) = entry.mtime {
        (answer.mtime, answer.mtime_nsecs) = (mtime.secs, mtime.nanos);
    }
    if call.request.flag("with-local") {
        answer.with_locality = true;
        (answer.local, answer.size_local) = local(&call, &block).await?;
    }
    call.out.once(&answer).await
}

/// Whether a whole DAG is here, and how many bytes of it; what occurs twice counts twice.
async fn local(call: &Call, root: &Block) -> Result<(bool, u64), RpcError> {
    let blocks = call.node()?.blocks(Fetch::Local);
    let below = |block: &Block| links(block).map_err(|error| RpcError::of(&error));
    let (mut whole, mut len) = (true, root.data().len() as u64);
    let mut open: Vec<Cid> = below(root)?;
    while !open.is_empty() {
        let batch = open.split_off(open.len().saturating_sub(BATCH_COUNT));
        for answer in blocks.get_many(&batch).await {
            match answer {
                Ok(Some(block)) => {
                    len = len.saturating_add(block.data().len() as u64);
                    open.extend(below(&block)?);
                }
                Ok(None) => whole = false,
                Err(error) if error.is_not_found() => whole = false,
                Err(error) => return Err(error.into()),
            }
        }
        if open.len() > OPEN_COUNT_MAX {
            return Err(RpcError::failed(format!("over {OPEN_COUNT_MAX} links to follow")));
        }
    }
    Ok((whole, len))
}

#[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
fn print(request: &Request, answer: &Answer, text: &mut Text) {
    let mode_bits = u32::from_str_radix(&answer.mode, 8).ok();
    let unset = || UNSET.to_owned();
    let has_time = answer.mtime > 0;
    let time = |text: String| if has_time { text } else { unset() };
    let values = [
        ("<hash>", answer.hash.clone()),
        ("<size>", answer.size.to_string()),
        ("<cumulsize>", answer.cumulative_size.to_string()),
        ("<childs>", answer.blocks.to_string()),
        ("<type>", answer.kind.clone()),
        ("<mode>", mode_bits.map_or_else(unset, mode::letters)),
        ("<mode-octal>", mode_bits.map_or_else(unset, |mode| format!("0{:o}", mode & 0o777))),
        ("<mtime>", time(mode::long_time(answer.mtime))),
        ("<mtime-secs>", time(answer.mtime.to_string())),
        ("<mtime-nsecs>", time(answer.mtime_nsecs.to_string())),
    ];
    let mut out = wanted(request).unwrap_or(FORMAT).to_owned();
    for (token, value) in values {
        out = out.replace(token, &value);
    }
    text.line(out);
    if answer.with_locality {
        let share = 100.0 * answer.size_local as f64 / answer.cumulative_size as f64;
        text.line(format_args!(
            "Local: {} of {} ({share:.2}%)",
            human_len(answer.size_local),
            human_len(answer.cumulative_size)
        ));
    }
}
