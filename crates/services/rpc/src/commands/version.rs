//! `version`: which program this is.
//!
//! Not here: the version of the repository's format on disk (`repo version`).

use crate::{
    Call, RpcError,
    command::{Command, Needs, Opt},
    text::each,
};
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(super) const COMMAND: Command = Command {
    path: "version",
    tagline: "Show the version",
    options: &[
        Opt::flag("number", "Only the number").or(&["n"]),
        Opt::flag("commit", "With the commit it was built from"),
        Opt::flag("repo", "The version of the repository's format"),
        Opt::flag("all", "Everything about the build"),
    ],
    needs: Needs::Nothing,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, answer: Answer, text| {
            if request.flag("all") {
                text.line(format_args!("Cairn version: {}", answer.version));
                text.line(format_args!("Repo version: {}", answer.repo));
                text.line(format_args!("System version: {}", answer.system));
                text.line(format_args!("Golang version: {}", answer.golang));
            } else if request.flag("repo") {
                text.line(answer.repo);
            } else if request.flag("number") {
                text.line(answer.version);
            } else {
                text.line(format_args!("ipfs version {}", answer.version));
            }
        })
    }),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    /// The program's version.
    pub version: String,
    /// The commit; empty in a release.
    pub commit: String,
    /// The version of the repository's format.
    pub repo: String,
    /// Processor and system.
    pub system: String,
    /// Kubo's clients expect the field; there is no Go here.
    pub golang: String,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let answer = Answer {
        version: crate::VERSION.to_owned(),
        commit: String::new(),
        repo: crate::REPO_VERSION.to_string(),
        system: format!("{}/{}", std::env::consts::ARCH, std::env::consts::OS),
        golang: "none".to_owned(),
    };
    call.out.once(&answer).await
}
