//! `git ls`: the refs of a repository.

use crate::{
    Call, RpcError,
    command::{Argument, Command},
    text::each,
};
use cairn_dag::git_root::GitHead;
use cairn_node::git_root;
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "git ls",
    tagline: "List the refs of a git repository",
    help: "Prints what `git ls-remote --symref` prints of the repository that was imported.",
    arguments: &[Argument::text("root", "The root that `git import` printed").or_stdin()],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, answer: GitRefAnswer, text| {
            let name = crate::escape(&answer.name);
            match (answer.target, answer.object) {
                (Some(target), _) => {
                    text.line(format_args!("ref: {}\t{name}", crate::escape(&target)));
                }
                (None, object) => text.line(format_args!("{object}\t{name}")),
            }
        })
    }),
    ..Command::BASE
};

/// A ref, or where the head points.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GitRefAnswer {
    /// Its full name, or `HEAD`.
    pub name: String,
    /// The object that it names; empty for a head that names a branch.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// The branch that the head names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let cid = super::root(&call).await?;
    let root = git_root(&call.blocks()?, &cid).await.map_err(|error| RpcError::of(&error))?;
    let head = || "HEAD".to_owned();
    match root.head {
        Some(GitHead::Branch(target)) => {
            let answer = GitRefAnswer { name: head(), object: String::new(), target: Some(target) };
            call.out.event(&answer).await?;
        }
        Some(GitHead::Detached(id)) => {
            let answer = GitRefAnswer { name: head(), object: id.to_string(), target: None };
            call.out.event(&answer).await?;
        }
        None => {}
    }
    for (name, id) in root.refs {
        call.out.event(&GitRefAnswer { name, object: id.to_string(), target: None }).await?;
    }
    Ok(())
}
