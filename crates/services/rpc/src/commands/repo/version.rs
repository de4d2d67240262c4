//! `repo version`: the version of the repository's format.

use crate::{
    Call, RpcError,
    command::{Command, Needs, Opt},
    text::each,
};
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "repo version",
    tagline: "Show the version of the repository's format",
    options: &[Opt::flag("quiet", "Print less").or(&["q"])],
    needs: Needs::Nothing,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, answer: Answer, text| {
            let before = if request.flag("quiet") { "" } else { "ipfs repo version " };
            text.line(format_args!("{before}fs-repo@{}", answer.version));
        })
    }),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    /// The version.
    pub version: String,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let version = crate::REPO_VERSION.to_string();
    call.out.once(&Answer { version }).await
}
