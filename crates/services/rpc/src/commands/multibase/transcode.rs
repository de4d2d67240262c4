//! `multibase transcode`: text in one base to another.

use super::{BASE, ROW, answer, decoded, encoded, input};
use crate::{
    Call, RpcError,
    command::{Argument, Command},
    text::base_of,
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "multibase transcode",
    tagline: "Write text in another base",
    arguments: &[Argument::file("encoded_file", "The text; its first letter names the base")],
    options: &[BASE],
    run: Some(|call| Box::pin(run(call))),
    ..ROW
};

async fn run(mut call: Call) -> Result<(), RpcError> {
    let base = base_of(call.request.text("b").unwrap_or_default())?;
    let text = input(&mut call).await?;
    answer(&call, encoded(base, &decoded(text)?)?.into()).await
}
