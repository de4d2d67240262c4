//! `cid base32`: CIDs as version 1 in base32, the form that fits everywhere.

use super::format;
use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs},
};
use cairn_block::Base;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "cid base32",
    tagline: "Convert CIDs to version 1 in base32",
    arguments: &[Argument::text("cid", "CIDs to convert").many().or_stdin()],
    needs: Needs::Nothing,
    run: Some(|call| Box::pin(run(call))),
    text: Some(format::lines),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let wish = format::Wish {
        format: "%s".to_owned(),
        version: Some(format::To::V1),
        codec: None,
        base: Some(Base::Base32Lower),
    };
    format::convert(call, &wish).await
}
