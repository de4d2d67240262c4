//! `files cp`: links content, or copies within MFS.

use super::{FLUSH, failed, is_content, path};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    paths,
};
use cairn_node::MfsCopy;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "files cp",
    tagline: "Link content into MFS, or copy within it",
    help: "Of content only the root is fetched; what is below it when it is read. To have all of it\n\
           here, pin it as well.",
    arguments: &[
        Argument::text("source", "A path of content (/ipfs/CID) or of MFS"),
        Argument::text("dest", "Where to; a slash at its end means into it"),
    ],
    options: &[
        Opt::flag("force", "Replace a file that is there"),
        Opt::flag("parents", "Make the directories above it").or(&["p"]),
        FLUSH,
    ],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let [source, dest] = call.request.arguments() else {
        return Err(RpcError::request("argument \"dest\" is required"));
    };
    let options = MfsCopy {
        force: call.request.flag("force"),
        parents: call.request.flag("parents"),
        flush: call.request.flag("flush"),
        fetch: call.fetch(),
    };
    let node = call.node()?;
    let mut to = path(dest)?;
    // Errors that are the command's own already stand alone.
    let said = |error: RpcError, place: String| {
        let own = ["cp: ", "reached limit"].iter().any(|own| error.message().starts_with(own));
        if own { error } else { error.about(&format!("cp: cannot {place}")) }
    };
    let get = |error| said(failed(error), format!("get node from path {source}"));
    let put = |error, to: &str| said(failed(error), format!("put node in path {to}"));
    if is_content(source) {
        let content = paths::parse(source.trim_end_matches('/'))?;
        let found = node.mfs_source(&content, &call.blocks()?).await;
        let block = found.map_err(get)?;
        if to.means_directory() {
            let name = source.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            to = to.join(name);
        }
        let text = to.to_string();
        return node.mfs_link(block, to, options).await.map_err(|error| put(error, &text));
    }
    let from = path(source)?;
    node.mfs_find(&from, &call.blocks()?).await.map_err(get)?;
    if to.means_directory() {
        to = to.join(from.name().unwrap_or("/"));
    }
    let text = to.to_string();
    node.mfs_copy(from, to, options).await.map_err(|error| put(error, &text))
}
