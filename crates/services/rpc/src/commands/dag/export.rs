//! `dag export`: a DAG as a CAR file.

use crate::{
    Call, Request, RpcError,
    answer::StreamHead,
    command::{Argument, Command, Opt},
};
use cairn_block::{Block, Cid};
use cairn_dag::{
    Selector, car,
    selector::{SelectOptions, select},
};
use cairn_node::Fetch;
use cairn_unixfs::{ByteSpan, PartOptions, Scope, UnixfsError, part};
use futures::{Stream, StreamExt as _};
use std::pin::pin;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "dag export",
    tagline: "Write a DAG as a CAR file",
    help: "A parent stands before what it links to, in the order of the links, and each block once\n\
           unless --dups=y says otherwise. The file is of version 1, and the same every time.\n\n\
           With --dag-scope=entity it holds a file without anything else, or a directory without\n\
           what is in it; with --entity-bytes=FROM:TO the blocks that have these bytes of a file\n\
           (TO is counted in, or `*`; negative numbers count from the end). With --selector it\n\
           holds what an IPLD selector (dag-json) walks over.",
    arguments: &[Argument::text("root", "The DAG to write").or_stdin()],
    options: &[
        Opt::flag("progress", "Show a progress bar (default: on a terminal)").or(&["p"]),
        Opt::flag("local-only", "Leave out what is not here"),
        Opt::text("dag-scope", "How much: all, entity or block").default("all"),
        Opt::text("entity-bytes", "Which bytes of a file, such as 0:1023; implies entity"),
        Opt::text("selector", "Which way to walk, as an IPLD selector"),
        Opt::text("dups", "Whether blocks stand as often as they are linked: y or n").default("n"),
        Opt::text("order", "Order of the blocks: dfs, or unk for any").default("dfs"),
    ],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let options = options(&call.request)?;
    let selector = selector(&call.request)?;
    let local_only = options.skip_missing;
    let blocks = if local_only { call.node()?.blocks(Fetch::Local) } else { call.blocks()? };
    let root = call.resolve(call.request.first()?).await?.block;
    let cid = root.cid().clone();
    match selector {
        None => write(&call, &cid, part(blocks, vec![root], options)).await,
        Some(selector) => {
            let PartOptions { duplicates, window, .. } = options;
            let walk = select(blocks, &cid, selector, SelectOptions { duplicates, window });
            let there = walk.filter_map(|block| async move {
                match block {
                    Err(error) if local_only && error.is_not_found() => None,
                    other => Some(other.map_err(UnixfsError::from)),
                }
            });
            write(&call, &cid, there).await
        }
    }
}

async fn write(
    call: &Call,
    root: &Cid,
    blocks: impl Stream<Item = Result<Block, UnixfsError>> + Send,
) -> Result<(), RpcError> {
    let head = StreamHead { content_type: "application/vnd.ipld.car", len: None };
    call.out.stream(head).await?;
    call.out.data(car::header(std::slice::from_ref(root)).into()).await?;
    let mut blocks = pin!(blocks);
    while let Some(block) = blocks.next().await {
        let block = block.map_err(|error| RpcError::of(&error))?;
        // An inlined block stands in its CID already.
        if block.cid().inlined().is_none() {
            call.out.data(car::section_head(block.cid(), block.data().len()).into()).await?;
            call.out.data(block.data().clone()).await?;
        }
    }
    Ok(())
}

/// The selector that is asked for; it goes with none of the other ways to take a part.
fn selector(request: &Request) -> Result<Option<Selector>, RpcError> {
    let Some(text) = request.text("selector") else { return Ok(None) };
    for other in ["dag-scope", "entity-bytes"] {
        if request.given_text(other).is_some() {
            return Err(RpcError::request(format!("--selector does not go with --{other}")));
        }
    }
    let selector = Selector::parse(text.as_bytes());
    selector.map(Some).map_err(|error| RpcError::request(error.to_string()))
}

fn options(request: &Request) -> Result<PartOptions, RpcError> {
    let wrong = |name: &str, value: &str, wanted: &str| {
        RpcError::request(format!("option {name:?} needs {wanted}, not {value:?}"))
    };
    let scope = request.text("dag-scope").unwrap_or("all");
    let mut options = PartOptions {
        scope: Scope::parse(scope)
            .ok_or_else(|| wrong("dag-scope", scope, "all, entity or block"))?,
        skip_missing: request.flag("local-only"),
        ..PartOptions::default()
    };
    if let Some(text) = request.text("entity-bytes") {
        let span = ByteSpan::parse(text);
        options.bytes = Some(span.ok_or_else(|| wrong("entity-bytes", text, "FROM:TO"))?);
        match request.given_text("dag-scope") {
            None | Some("entity") => options.scope = Scope::Entity,
            Some(_) => {
                let text = "--entity-bytes goes with --dag-scope=entity only";
                return Err(RpcError::request(text));
            }
        }
    }
    options.duplicates = match request.text("dups") {
        Some("y") => true,
        Some("n") | None => false,
        Some(other) => return Err(wrong("dups", other, "y or n")),
    };
    match request.text("order") {
        Some("dfs" | "unk") | None => Ok(options),
        Some(other) => Err(wrong("order", other, "dfs or unk")),
    }
}
