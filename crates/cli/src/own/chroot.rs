//! `files chroot`: makes another directory the root of MFS, while no daemon runs.
//!
//! Not here: what can be a root (`cairn-node`).

use crate::{args::Globals, ask, report::Failure};
use cairn_block::Cid;
use cairn_node::{Node, OpenOptions};
use cairn_rpc::Request;
use std::{io::Write as _, process::ExitCode};

pub(crate) async fn run(request: &Request, globals: &Globals) -> Result<ExitCode, Failure> {
    if !request.flag("confirm") {
        let text = "this is a potentially destructive operation; pass --confirm to proceed";
        return Err(Failure::Failed(text.to_owned()));
    }
    let cids = request.cid_text()?;
    let wrong = |text: &str, error: &dyn std::fmt::Display| {
        Failure::Failed(format!("invalid CID {text:?}: {error}"))
    };
    let cid = request.arguments().first().map(|text| {
        let bare = text.strip_prefix("/ipfs/").unwrap_or(text);
        bare.parse::<Cid>().map_err(|error| wrong(text, &error))
    });
    let path = ask::repo_path(globals)?;
    let opened = Node::open(OpenOptions { path, online: false, pubsub: false }).await;
    let node = opened.map_err(|error| {
        Failure::Failed(format!("opening repo (is the daemon running?): {error}"))
    })?;
    let (old, new) = node.mfs_chroot(cid.transpose()?).await?;
    node.shutdown().await?;
    let mut out = std::io::stdout().lock();
    let new = cids.of(&new);
    match old.map(|old| cids.of(&old)) {
        Some(old) => {
            writeln!(out, "MFS root changed from {old} to {new}")?;
            writeln!(out, "The old root {old} will be garbage collected unless pinned.")?;
        }
        None => writeln!(out, "MFS root set to {new}")?,
    }
    Ok(ExitCode::SUCCESS)
}
