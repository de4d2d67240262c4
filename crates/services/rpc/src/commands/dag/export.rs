//! `dag export`: a DAG as a CAR file.

use crate::{
    Call, RpcError,
    answer::StreamHead,
    command::{Argument, Command, Opt},
};
use cairn_dag::{WalkOptions, car, walk};
use cairn_node::Fetch;
use futures::StreamExt as _;
use std::pin::pin;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "dag export",
    tagline: "Write a DAG as a CAR file",
    help: "Each block stands once, a parent before what it links to. The file is of version 1.",
    arguments: &[Argument::text("root", "The DAG to write").or_stdin()],
    options: &[
        Opt::flag("progress", "Show a progress bar (default: on a terminal)").or(&["p"]),
        Opt::flag("local-only", "Leave out what is not here"),
    ],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let local_only = call.request.flag("local-only");
    let blocks = if local_only { call.node()?.blocks(Fetch::Local) } else { call.blocks()? };
    let root = call.resolve(call.request.first()?).await?.cid;
    let roots = std::slice::from_ref(&root);
    let head = StreamHead { content_type: "application/vnd.ipld.car", len: None };
    call.out.stream(head).await?;
    call.out.data(car::header(roots).into()).await?;
    let mut visits = pin!(walk(blocks, roots, WalkOptions::default()));
    while let Some(visit) = visits.next().await {
        let visit = match visit {
            Ok(visit) => visit,
            Err(error) if local_only && error.is_not_found() => continue,
            Err(error) => return Err(RpcError::of(&error)),
        };
        // An inlined block stands in its CID already.
        let Some(block) = visit.block.filter(|block| block.cid().inlined().is_none()) else {
            continue;
        };
        call.out.data(car::section_head(&visit.cid, block.data().len()).into()).await?;
        call.out.data(block.data().clone()).await?;
    }
    Ok(())
}
