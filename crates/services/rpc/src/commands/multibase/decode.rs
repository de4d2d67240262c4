//! `multibase decode`: text to bytes.

use super::{ROW, answer, decoded, input};
use crate::{
    Call, RpcError,
    command::{Argument, Command},
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "multibase decode",
    tagline: "Decode text to bytes",
    arguments: &[Argument::file("encoded_file", "The text; its first letter names the base")],
    run: Some(|call| Box::pin(run(call))),
    ..ROW
};

async fn run(mut call: Call) -> Result<(), RpcError> {
    let text = input(&mut call).await?;
    answer(&call, decoded(text)?.into()).await
}
