//! `block get`: a block's bytes.

use crate::{
    Call, RpcError,
    answer::StreamHead,
    command::{Argument, Command},
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "block get",
    tagline: "Print a block's bytes",
    arguments: &[Argument::text("cid", "The block").or_stdin()],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let block = call.resolve(call.request.first()?).await?.block;
    let len = Some(block.data().len() as u64);
    call.out.stream(StreamHead { content_type: "application/vnd.ipld.raw", len }).await?;
    call.out.data(block.data().clone()).await
}
