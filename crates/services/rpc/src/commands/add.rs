//! `add`: files in, CIDs out.
//!
//! Source: the flags and their defaults are Kubo's; those left out are refused by name.
//! Not here: the work (`cairn_node`), walking the local disk and progress bars (the `cairn`
//! binary).

pub(crate) mod flags;
mod to_files;

use crate::{
    Call, Request, RpcError,
    answer::is_default,
    command::{Argument, Command, Opt},
    text::{Render, Text, escape},
};
use cairn_node::{AddEvent, AddOptions, Mtime};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Events that wait to be sent.
const EVENTS_MAX: usize = 64;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "add",
    tagline: "Add files and directories",
    help: "Prints the CID of everything added. What was added is on disk and pinned when the last\n\
           line is there. The defaults of what decides CIDs are in the configuration, Import.*.\n\n\
           Chunkers: size-N (bytes); rabin, rabin-AVG, rabin-MIN-AVG-MAX and buzhash cut by content\n\
           where Kubo does; fastcdc, fastcdc-AVG, fastcdc-MIN-AVG-MAX cut by content into more even\n\
           lengths, which finds more of what two versions share.",
    arguments: &[Argument::file("path", "Files, directories, URLs; - is standard input").many()],
    options: &[
        Opt::flag("recursive", "Take directories with everything in them").or(&["r"]),
        Opt::flag("dereference-args", "Follow symlinks given as arguments (deprecated)"),
        Opt::text("stdin-name", "A name for what comes from standard input"),
        Opt::flag("hidden", "Take files whose names begin with a dot").or(&["H"]),
        Opt::texts("ignore", "Leave out what fits this pattern (gitignore syntax)"),
        Opt::text("ignore-rules-path", "A file with such patterns"),
        Opt::flag("empty-dirs", "Take empty directories").or(&["E"]).default("true"),
        Opt::flag("dereference-symlinks", "Follow all symlinks"),
        Opt::flag("quiet", "Print CIDs only").or(&["q"]),
        Opt::flag("quieter", "Print the last CID only").or(&["Q"]),
        Opt::flag("silent", "Print nothing"),
        Opt::flag("progress", "Show a progress bar (default: on a terminal)").or(&["p"]),
        Opt::flag("only-hash", "Compute CIDs and write nothing").or(&["n"]),
        Opt::flag("wrap-with-directory", "Put everything into a directory").or(&["w"]),
        Opt::flag("pin", "Pin what is added").default("true"),
        Opt::text("pin-name", "A name for the pin"),
        Opt::text("to-files", "Also link it at this path of MFS; into it if it ends in a slash"),
        Opt::int("cid-version", "Version of the CIDs; 1 means raw leaves, too (Import.CidVersion)"),
        Opt::text("hash", "Hash function; others than sha2-256 mean CIDv1 (Import.HashFunction)"),
        Opt::flag("raw-leaves", "Leaves without wrapper (Import.UnixFSRawLeaves)"),
        Opt::text("chunker", "How to cut files: size-N, rabin, buzhash, fastcdc (see above)")
            .or(&["s"]),
        Opt::flag("trickle", "Join leaves so that the first are near to the root").or(&["t"]),
        Opt::int("max-file-links", "Most children of a file's node"),
        Opt::int("max-directory-links", "Most entries of a plain directory"),
        Opt::int("max-hamt-fanout", "Width of a sharded directory's nodes"),
        Opt::flag("inline", "Put small blocks into their CIDs"),
        Opt::int("inline-limit", "What is small, in bytes").default("32"),
        Opt::flag(
            "nocopy",
            "Refer to files instead of copying them (Experimental.FilestoreEnabled)",
        ),
        Opt::flag("fscache", "Do not keep bytes of blocks that are referred to already"),
        Opt::flag("preserve-mode", "Keep permissions"),
        Opt::flag("preserve-mtime", "Keep times of last change"),
        Opt::uint("mode", "Permissions for everything, such as 0644"),
        Opt::int("mtime", "Time of last change for everything, in seconds since 1970"),
        Opt::uint("mtime-nsecs", "The nanoseconds of --mtime"),
        Opt::flag("fast-provide-root", "Accepted; there is no providing yet"),
        Opt::flag("fast-provide-dag", "Accepted; there is no providing yet"),
        Opt::flag("fast-provide-wait", "Accepted; there is no providing yet"),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| Box::new(Lines { request: request.clone(), last: None })),
    ..Command::BASE
};

/// Something added, or how far a file is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AddAnswer {
    /// Its path.
    pub name: String,
    /// Its CID; empty while it is on its way.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hash: String,
    /// Bytes of the file so far, while it is on its way.
    #[serde(skip_serializing_if = "is_default")]
    pub bytes: u64,
    /// Bytes of all its blocks.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub size: String,
    /// The permissions kept, octal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// The time kept, in seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub mtime: i64,
    /// The rest of it in nanoseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub mtime_nsecs: u32,
}

#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a path to the method is not general enough over the lifetime"
)]
async fn run(mut call: Call) -> Result<(), RpcError> {
    let settings = call.node()?.config().read(|settings| settings.import());
    let options = flags::options(&call.request, settings.map_err(|error| RpcError::of(&error))?)?;
    let target = to_files::Target::of(&call.request)?;
    let cids = call.request.cid_text()?;
    let files = call.take_files()?;
    let options = AddOptions { is_small: files.are_here(), ..options };
    let node = call.node()?.clone();
    let (sender, mut events) = mpsc::channel(EVENTS_MAX);
    // What is added but not pinned stays until it is linked.
    let _until_linked = target.as_ref().map(|_| node.store().lease());
    let mut roots = Vec::new();
    let send = async {
        while let Some(event) = events.recv().await {
            if target.is_some()
                && let AddEvent::Added { name, cid, .. } = &event
                && !name.contains('/')
            {
                roots.push((name.clone(), cid.clone()));
            }
            call.out.event(&answer_of(event, cids)).await?;
        }
        Ok::<_, RpcError>(())
    };
    let (result, told) = futures::join!(node.add(files.into_entries(), options, sender), send);
    // Nobody reading is the cause of a cancelled add, so it is told first.
    told?;
    let summary = result.map_err(|error| RpcError::of(&error))?;
    if summary.roots.is_empty() {
        return Err(RpcError::request("expected a file argument"));
    }
    if let Some(target) = target {
        target.link(&call, roots).await?;
    }
    Ok(())
}

fn answer_of(event: AddEvent, cids: crate::CidText) -> AddAnswer {
    match event {
        AddEvent::Progress { name, bytes } => AddAnswer { name, bytes, ..AddAnswer::default() },
        AddEvent::Added { name, cid, size, mode, mtime } => {
            let Mtime { secs, nanos } = mtime.unwrap_or(Mtime { secs: 0, nanos: 0 });
            let hash = cids.of(&cid);
            AddAnswer {
                // A lone file without a name has its CID's, in whatever base was asked for.
                name: if name == cid.to_string() { hash.clone() } else { name },
                hash,
                bytes: 0,
                size: size.to_string(),
                mode: mode.map(|mode| format!("0{mode:o}")).unwrap_or_default(),
                mtime: secs,
                mtime_nsecs: nanos,
            }
        }
        _ => AddAnswer::default(),
    }
}

/// Writes `added CID name`, or as little as was asked for.
struct Lines {
    request: Request,
    last: Option<String>,
}

impl Render for Lines {
    fn answer(&mut self, json: &[u8], text: &mut Text) -> Result<(), RpcError> {
        let answer: AddAnswer = serde_json::from_slice(json)?;
        if answer.hash.is_empty() || self.request.flag("silent") {
            return Ok(());
        }
        if self.request.flag("quieter") {
            self.last = Some(answer.hash);
        } else if self.request.flag("quiet") {
            text.line(answer.hash);
        } else {
            let name = if answer.name.is_empty() { &answer.hash } else { &answer.name };
            text.line(format_args!("added {} {}", answer.hash, escape(name)));
        }
        Ok(())
    }

    fn finish(&mut self, text: &mut Text) {
        if let Some(last) = self.last.take() {
            text.line(last);
        }
    }
}
