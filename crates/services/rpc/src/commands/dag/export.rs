//! `dag export`: a DAG as a CAR file.

use crate::{
    Call, Request, RpcError,
    answer::StreamHead,
    command::{Argument, Command, Opt},
};
use cairn_dag::car;
use cairn_node::Fetch;
use cairn_unixfs::{ByteSpan, PartOptions, Scope, part};
use futures::StreamExt as _;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "dag export",
    tagline: "Write a DAG as a CAR file",
    help: "A parent stands before what it links to, in the order of the links, and each block once\n\
           unless --dups=y says otherwise. The file is of version 1, and the same every time.\n\n\
           With --dag-scope=entity it holds a file without anything else, or a directory without\n\
           what is in it; with --entity-bytes=FROM:TO the blocks that have these bytes of a file\n\
           (TO is counted in, or `*`; negative numbers count from the end).",
    arguments: &[Argument::text("root", "The DAG to write").or_stdin()],
    options: &[
        Opt::flag("progress", "Show a progress bar (default: on a terminal)").or(&["p"]),
        Opt::flag("local-only", "Leave out what is not here"),
        Opt::text("dag-scope", "How much: all, entity or block").default("all"),
        Opt::text("entity-bytes", "Which bytes of a file, such as 0:1023; implies entity"),
        Opt::text("dups", "Whether blocks stand as often as they are linked: y or n").default("n"),
        Opt::text("order", "Order of the blocks: dfs, or unk for any").default("dfs"),
    ],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let options = options(&call.request)?;
    let local_only = options.skip_missing;
    let blocks = if local_only { call.node()?.blocks(Fetch::Local) } else { call.blocks()? };
    let root = call.resolve(call.request.first()?).await?.block;
    let head = StreamHead { content_type: "application/vnd.ipld.car", len: None };
    call.out.stream(head).await?;
    call.out.data(car::header(std::slice::from_ref(root.cid())).into()).await?;
    let mut parts = part(blocks, vec![root], options);
    while let Some(block) = parts.next().await {
        let block = block.map_err(|error| RpcError::of(&error))?;
        // An inlined block stands in its CID already.
        if block.cid().inlined().is_none() {
            call.out.data(car::section_head(block.cid(), block.data().len()).into()).await?;
            call.out.data(block.data().clone()).await?;
        }
    }
    Ok(())
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
