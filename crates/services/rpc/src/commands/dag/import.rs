//! `dag import`: the blocks of CAR files.

use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    text::{Link, each},
};
use cairn_node::{Fetch, NodeError, PinOptions};
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "dag import",
    tagline: "Take the blocks of CAR files",
    help: "Every block is checked. The roots that the files name are pinned at the end, without\n\
           fetching anything: a root that is not whole is told and not pinned.\n\n\
           A file that is broken ends the import: the error names the file, the place in it and the\n\
           block, and how many blocks were kept before it. With --stats the count comes as an\n\
           answer, too. What was kept is not pinned.",
    arguments: &[Argument::file("path", "CAR files, version 1 or 2").many()],
    options: &[
        Opt::flag("pin-roots", "Pin the roots").default("true"),
        Opt::flag("local-only", "The files are not whole DAGs; nothing is pinned"),
        Opt::flag("silent", "Print nothing"),
        Opt::flag("stats", "Tell how many blocks there were"),
        Opt::flag("fast-provide-root", "Accepted; there is no providing yet"),
        Opt::flag("fast-provide-dag", "Accepted; there is no providing yet"),
        Opt::flag("fast-provide-wait", "Accepted; there is no providing yet"),
        Opt::flag("allow-big-block", "Accepted; blocks of over 2 MiB are refused").default("false"),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, answer: Answer, text| {
            if request.flag("silent") {
                return;
            }
            if let Some(Stats { block_count, block_bytes_count }) = answer.stats {
                text.line(format_args!(
                    "Imported {block_count} blocks ({block_bytes_count} bytes)"
                ));
            }
            if let Some(Root { cid: Link { cid }, pin_error_msg }) = answer.root {
                if pin_error_msg.is_empty() {
                    text.line(format_args!("Pinned root\t{cid}\tsuccess"));
                } else {
                    let what = format_args!("Error: pinning root {cid:?} FAILED: {pin_error_msg}");
                    text.fail(what);
                }
            }
        })
    }),
    ..Command::BASE
};

/// A root, or how much there was.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<Root>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<Stats>,
}

/// A root and whether it is pinned.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Root {
    cid: Link,
    pin_error_msg: String,
}

/// How much there was.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stats {
    block_count: u64,
    block_bytes_count: u64,
}

async fn run(mut call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let pins = call.request.flag("pin-roots") && !call.request.flag("local-only");
    let files = call.take_files()?.into_entries();
    let node = call.node()?;
    let _until_pinned = node.store().lease();
    let taken = match node.car_import(files).await {
        Ok(taken) => taken,
        Err(error) => {
            if let NodeError::ImportEnded { kept_count, kept_len, .. } = error
                && call.request.flag("stats")
            {
                let stats = Stats { block_count: kept_count, block_bytes_count: kept_len };
                call.out.event(&Answer { root: None, stats: Some(stats) }).await?;
            }
            return Err(RpcError::of(&error));
        }
    };
    for root in taken.roots.iter().filter(|_| pins) {
        let options = PinOptions { fetch: Fetch::Local, ..PinOptions::default() };
        let pinned = node.pin_add_many(std::slice::from_ref(root), options, None).await;
        let pin_error_msg = pinned
            .err()
            .map_or_else(String::new, |error| RpcError::of(&error).message().to_owned());
        let root = Root { cid: Link { cid: cids.of(root) }, pin_error_msg };
        call.out.event(&Answer { root: Some(root), stats: None }).await?;
    }
    if call.request.flag("stats") {
        let stats = Stats { block_count: taken.block_count, block_bytes_count: taken.len };
        call.out.event(&Answer { root: None, stats: Some(stats) }).await?;
    }
    Ok(())
}
