//! `git export`: a repository's objects as a pack; the command line makes a repository of it.

use crate::{
    Call, RpcError,
    answer::StreamHead,
    command::{Argument, Command},
};
use cairn_node::GitExport;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "git export",
    tagline: "Write a git repository",
    help: "Makes a bare repository at the path, which must not exist or be an empty directory;\n\
           `git clone` makes a working tree of it. Every object is checked by git, and what is\n\
           missing is fetched. It needs `git` in the path. Without a path, a pack goes to standard\n\
           output, as it does over HTTP.",
    arguments: &[
        Argument::text("root", "The root that `git import` printed"),
        Argument::text("path", "Where to make the repository").optional(),
    ],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let root = super::root(&call).await?;
    let export = GitExport::new(call.blocks()?, &root).await;
    let pack = export.and_then(GitExport::pack);
    let mut pack = pack.map_err(|error| RpcError::of(&error))?;
    let content_type = "application/x-git-packed-objects";
    call.out.stream(StreamHead { content_type, len: None }).await?;
    while let Some(piece) = pack.next().await.map_err(|error| RpcError::of(&error))? {
        call.out.data(piece).await?;
    }
    Ok(())
}
