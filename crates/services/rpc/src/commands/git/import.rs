//! `git import`: a repository's objects as blocks; `git missing`: which of them are needed.
//!
//! The command line runs git, asks which objects are missing, and sends these. What is kept in the
//! meantime may be collected in the meantime: then the pin names what is missing, and the command
//! line sends everything.

use crate::{
    Call, RpcError,
    answer::StreamHead,
    command::{Argument, Command, Opt},
    commands::pin,
    files,
    text::{Link, each},
};
use cairn_dag::git_root::ObjectId;
use cairn_node::{Fetch, GIT_OBJECTS_MAX, GitImport, PinOptions};
use serde::{Deserialize, Serialize};

/// Bytes of a line with an object's name.
const LINE_LEN: usize = 41;

/// Objects that are looked for at once.
const BATCH_COUNT: usize = 8192;

/// The row of `git import`.
pub(crate) const COMMAND: Command = Command {
    path: "git import",
    tagline: "Keep a git repository",
    help: "Takes everything that branches, tags and other refs lead to, and prints the CID of a\n\
           root that links to them. Each object is a block with git's own SHA-1 in its CID; blobs\n\
           of over 2 MiB are kept as files. Submodules are other repositories and not followed.\n\
           Importing again sends only objects that are not here yet.\n\n\
           It needs `git` in the path. Over HTTP, the parts `refs`, `ids` and `objects` are sent;\n\
           see docs/git.md.",
    arguments: &[Argument {
        stdin: false,
        ..Argument::file("repository", "A working tree or bare repository")
    }],
    options: &[
        Opt::flag("pin", "Pin the root").default("true"),
        Opt::text("pin-name", "A name for the pin"),
        Opt::flag("quiet", "Print the CID only").or(&["q"]),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, answer: Answer, text| {
            let Answer { root, refs, objects, new_objects, large_blobs } = answer;
            if request.flag("quiet") {
                return text.line(root.cid);
            }
            text.line(format_args!("imported {}", root.cid));
            let large = match large_blobs {
                0 => String::new(),
                count => format!(", {count} blobs as files"),
            };
            text.line(format_args!("{refs} refs, {objects} objects ({new_objects} sent{large})"));
        })
    }),
    ..Command::BASE
};

/// The row of `git missing`.
pub(crate) const MISSING: Command = Command {
    path: "git missing",
    tagline: "Tell which git objects are not here",
    help: "Reads names of objects, one a line, and prints those that are not here as blocks.",
    arguments: &[Argument::file("ids", "The names of objects")],
    run: Some(|call| Box::pin(missing(call))),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    root: Link,
    refs: usize,
    objects: usize,
    new_objects: u64,
    large_blobs: usize,
}

async fn run(mut call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let name = call.request.given_text("pin-name").unwrap_or_default().to_owned();
    pin::check_name(&name)?;
    let files = call.take_files()?.into_entries();
    let node = call.node()?;
    let _until_pinned = node.store().lease();
    let taken = node.git_import(files).await.map_err(|error| RpcError::of(&error))?;
    if call.request.flag("pin") {
        let options = PinOptions { name, fetch: Fetch::Local, ..PinOptions::default() };
        let pinned = node.pin_add_many(std::slice::from_ref(&taken.root), options, None).await;
        pinned.map_err(|error| RpcError::of(&error))?;
    }
    let GitImport { root, ref_count, object_count, new_count, large_count, .. } = &taken;
    let answer = Answer {
        root: Link { cid: cids.of(root) },
        refs: *ref_count,
        objects: *object_count,
        new_objects: *new_count,
        large_blobs: *large_count,
    };
    call.out.event(&answer).await
}

async fn missing(mut call: Call) -> Result<(), RpcError> {
    let text = files::read_one(call.take_files()?, GIT_OBJECTS_MAX * LINE_LEN).await?;
    let text = String::from_utf8(text).map_err(|_| RpcError::request("the list is not text"))?;
    let ids: Result<Vec<ObjectId>, _> = text.lines().map(str::parse).collect();
    let ids = ids.map_err(|error| RpcError::request(RpcError::of(&error).message()))?;
    let node = call.node()?;
    call.out.stream(StreamHead { content_type: "text/plain", len: None }).await?;
    for batch in ids.chunks(BATCH_COUNT) {
        let absent =
            node.git_missing(batch.to_vec()).await.map_err(|error| RpcError::of(&error))?;
        let lines: Vec<u8> = absent.iter().flat_map(|id| format!("{id}\n").into_bytes()).collect();
        call.out.data(lines.into()).await?;
    }
    Ok(())
}
