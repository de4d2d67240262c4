//! `multibase encode`: bytes to text.

use super::{BASE, ROW, answer, encoded, input};
use crate::{
    Call, RpcError,
    command::{Argument, Command},
    text::base_of,
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "multibase encode",
    tagline: "Encode bytes as text",
    arguments: &[Argument::file("file", "The bytes")],
    options: &[BASE],
    run: Some(|call| Box::pin(run(call))),
    ..ROW
};

async fn run(mut call: Call) -> Result<(), RpcError> {
    let base = base_of(call.request.text("b").unwrap_or_default())?;
    let bytes = input(&mut call).await?;
    answer(&call, encoded(base, &bytes)?.into()).await
}
