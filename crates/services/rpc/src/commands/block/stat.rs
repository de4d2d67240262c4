//! `block stat`: a block's CID and length.

use super::BlockStat;
use crate::{
    Call, RpcError,
    command::{Argument, Command},
    text::each,
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "block stat",
    tagline: "Print a block's CID and length",
    arguments: &[Argument::text("cid", "The block").or_stdin()],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, stat: BlockStat, text| {
            text.line(format_args!("Key: {}\nSize: {}", stat.key, stat.size));
        })
    }),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let block = call.resolve(call.request.first()?).await?.block;
    let key = call.request.cid_text()?.of(block.cid());
    call.out.once(&BlockStat { key, size: block.data().len() as u64 }).await
}
