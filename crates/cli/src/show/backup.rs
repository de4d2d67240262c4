//! `repo backup` with a bar: how many bytes of how many have been copied.

use super::bar::Bar;
use crate::{Outputs, report::Failure};
use cairn_rpc::{BackupAnswer, Output, Request, Text};
use futures::StreamExt as _;
use std::{io::Write as _, process::ExitCode};

pub(super) async fn show(request: &Request, mut outputs: Outputs) -> Result<ExitCode, Failure> {
    let Some(text) = request.command().text else { return Err(Failure::Quiet) };
    let mut render = text(request);
    let bar = Bar::new(None);
    let mut result = Text::default();
    while let Some(output) = outputs.next().await {
        let (Output::Single(json) | Output::Event(json)) = output? else { continue };
        let answer: BackupAnswer =
            serde_json::from_slice(&json).map_err(cairn_rpc::RpcError::from)?;
        bar.set_len(answer.total);
        bar.set(answer.copied);
        render.answer(&json, &mut result)?;
    }
    drop(bar);
    std::io::stdout().lock().write_all(result.out.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
