//! `object data`: the data of a node.

use super::node_of;
use crate::{
    Call, RpcError,
    answer::StreamHead,
    command::{Argument, Command},
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "object data",
    tagline: "Print the data of a dag-pb node",
    help: "For older programs; `cairn dag get` prints all of a node.",
    arguments: &[Argument::text("key", "The node").or_stdin()],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let block = call.resolve(call.request.first()?).await?.block;
    let data = node_of(&block)?.data.unwrap_or_default();
    let head = StreamHead { content_type: "text/plain", len: Some(data.len() as u64) };
    call.out.stream(head).await?;
    call.out.data(data).await
}
