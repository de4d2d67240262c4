//! `repo stat`: how much the repository holds.

use super::scrub;
use crate::{
    Call, Request, RpcError,
    command::{Command, Opt},
    text::{Render, columns, each, escape, human_len},
};
use serde::{Deserialize, Serialize};

/// The options, which `stats repo` has, too.
pub(crate) const OPTIONS: &[Opt] = &[
    Opt::flag("size-only", "Only the size and its limit").or(&["s"]),
    Opt::flag("human", "Print lengths with units").or(&["H"]),
];

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "repo stat",
    tagline: "Show how much the repository holds",
    options: OPTIONS,
    run: Some(|call| Box::pin(run(call))),
    text: Some(text),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    /// Bytes on disk.
    pub repo_size: u64,
    /// `Datastore.StorageMax` in bytes.
    pub storage_max: u64,
    /// How many blocks.
    pub num_objects: u64,
    /// Where it is.
    pub repo_path: String,
    /// The version of its format.
    pub version: String,
    /// Blocks known to be corrupt and not healed yet.
    #[serde(default)]
    pub corrupt: u64,
    /// What was found lost when it was opened, as sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<String>,
    /// How the scrub is doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrub: Option<scrub::Answer>,
}

/// Answers with the sizes.
pub(in crate::commands) async fn run(call: Call) -> Result<(), RpcError> {
    let stat = call.node()?.repo_stat().await.map_err(|error| RpcError::of(&error))?;
    let whole = !call.request.flag("size-only");
    let scrub = if whole { Some(call.node()?.scrub_status().await) } else { None };
    let answer = Answer {
        repo_size: stat.disk_len,
        storage_max: stat.storage_max,
        num_objects: if whole { stat.block_count } else { 0 },
        repo_path: if whole { stat.path.display().to_string() } else { String::new() },
        version: if whole { format!("fs-repo@{}", stat.version) } else { String::new() },
        corrupt: stat.corrupt_count,
        losses: if whole { stat.losses } else { Vec::new() },
        scrub: scrub.map(|status| scrub::Answer::of(&status.borrow())),
    };
    call.out.once(&answer).await
}

/// Writes the sizes in two columns.
pub(in crate::commands) fn text(request: &Request) -> Box<dyn Render> {
    each(request, |request, answer: Answer, text| {
        let len = |len: u64| if request.flag("human") { human_len(len) } else { len.to_string() };
        let row = |name: &str, value: String| vec![format!("{name}:"), value];
        let mut rows = vec![
            row("RepoSize", len(answer.repo_size)),
            row("StorageMax", len(answer.storage_max)),
        ];
        if !request.flag("size-only") {
            rows.insert(0, row("NumObjects", answer.num_objects.to_string()));
            rows.push(row("RepoPath", answer.repo_path));
            rows.push(row("Version", answer.version));
            rows.push(row("Corrupt", answer.corrupt.to_string()));
            rows.extend(answer.losses.iter().map(|loss| row("Lost", escape(loss))));
            rows.extend(answer.scrub.map(|scrub| row("Scrub", scrub.line())));
        }
        text.write(columns(&rows, 0, 1));
    })
}
