//! `object patch add-link` and `rm-link`: the same node with a link more or less.
//!
//! The name may be a path; then every node on it is made anew.
//! Invariant: what would break a file or a sharded directory is refused unless it is asked for.

use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    commands::object::{block_of, keep, made, new::directory, node_of, total_len},
};
use cairn_block::{Block, BlockStoreExt as _, Cid};
use cairn_dag::{
    DEPTH_MAX,
    dag_pb::{PbLink, PbNode},
};
use cairn_unixfs::{Data, DataType};

const FORCE: Opt =
    Opt::flag("allow-non-unixfs", "Change files and sharded directories, too").default("false");

/// The row of `add-link`.
pub(crate) const ADD: Command = Command {
    path: "object patch add-link",
    tagline: "Make a node with a link more",
    help: "A link of the same name is replaced. For older programs; `cairn files cp` knows all\n\
           kinds of directories.",
    arguments: &[
        Argument::text("root", "The node"),
        Argument::text("name", "Name of the link, or a path to it"),
        Argument::text("ref", "What to link to"),
    ],
    options: &[
        Opt::flag("create", "Make directories that the path lacks").or(&["p"]),
        FORCE,
        Opt::flag("allow-big-block", "Accepted; blocks of over 2 MiB are refused").default("false"),
    ],
    run: Some(|call| Box::pin(add(call))),
    text: Some(made),
    ..Command::BASE
};

/// The row of `rm-link`.
pub(crate) const REMOVE: Command = Command {
    path: "object patch rm-link",
    tagline: "Make a node with a link less",
    arguments: &[
        Argument::text("root", "The node"),
        Argument::text("name", "Name of the link, or a path to it"),
    ],
    options: &[
        FORCE,
        Opt::flag("allow-big-block", "Accepted; blocks of over 2 MiB are refused").default("false"),
    ],
    run: Some(|call| Box::pin(remove(call))),
    text: Some(made),
    ..Command::BASE
};

async fn add(call: Call) -> Result<(), RpcError> {
    let [root, name, target] = call.request.arguments() else {
        return Err(RpcError::request("a node, a name and a target are required"));
    };
    let target = call.resolve(target).await?.block;
    let link = (target.cid().clone(), total_len(&target)?);
    let place = Place::find(&call, root, name, call.request.flag("create")).await?;
    place.write(&call, Some(link)).await
}

async fn remove(call: Call) -> Result<(), RpcError> {
    let [root, name] = call.request.arguments() else {
        return Err(RpcError::request("a node and a name are required"));
    };
    let place = Place::find(&call, root, name, false).await?;
    let last = place.above.last();
    if last.is_none_or(|(node, name)| position(node, name).is_none()) {
        let name = last.map_or("", |(_, name)| name);
        return Err(RpcError::failed(format!("no link named {name:?} under {root}")));
    }
    place.write(&call, None).await
}

/// A link's place: the nodes from the root to the one that has it, each with the name that leads
/// on from it.
struct Place {
    above: Vec<(PbNode, String)>,
    /// The root's CID; those that are made are of its kind.
    like: Cid,
}

impl Place {
    async fn find(call: &Call, root: &str, path: &str, create: bool) -> Result<Self, RpcError> {
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        let Some((last, names)) = names.split_last() else {
            return Err(RpcError::request("the link's name is empty"));
        };
        if names.len() >= DEPTH_MAX {
            return Err(RpcError::request(format!("the path has more than {DEPTH_MAX} names")));
        }
        let force = call.request.flag("allow-non-unixfs");
        let block = call.resolve(root).await?.block;
        let like = block.cid().clone();
        let mut node = checked(&block, force)?;
        let mut above = Vec::with_capacity(names.len() + 1);
        for name in names {
            let next = match position(&node, name).and_then(|at| node.links.get(at)) {
                Some(link) => {
                    let block: Block = call.blocks()?.require(&link.cid).await?;
                    checked(&block, force)?
                }
                None if create => directory(),
                None => return Err(RpcError::failed(format!("no link named {name:?} in {path}"))),
            };
            above.push((node, (*name).to_owned()));
            node = next;
        }
        above.push((node, (*last).to_owned()));
        Ok(Self { above, like })
    }

    /// Puts `link` into the place, or nothing, makes all nodes above it anew, and keeps them.
    async fn write(self, call: &Call, mut link: Option<(Cid, u64)>) -> Result<(), RpcError> {
        let mut blocks = Vec::with_capacity(self.above.len());
        for (mut node, name) in self.above.into_iter().rev() {
            node.links.retain(|old| old.name_bytes() != name.as_bytes());
            if let Some((cid, len)) = link {
                node.links.push(PbLink::new(name, cid, len));
            }
            let block = block_of(node, &self.like).await?;
            link = Some((block.cid().clone(), total_len(&block)?));
            blocks.push(block);
        }
        keep(call, blocks, false).await
    }
}

fn position(node: &PbNode, name: &str) -> Option<usize> {
    node.links.iter().position(|link| link.name_bytes() == name.as_bytes())
}

/// Reads a node whose links may be changed.
fn checked(block: &Block, force: bool) -> Result<PbNode, RpcError> {
    let node = node_of(block)?;
    let kind = node.data.as_ref().and_then(|data| Data::decode(data).ok()).map(|data| data.kind);
    let what = match kind {
        // Data that means nothing to UnixFS is a program's own.
        None | Some(DataType::Directory) => return Ok(node),
        Some(DataType::HamtShard) => "a sharded directory",
        Some(kind) => kind.name(),
    };
    if force {
        return Ok(node);
    }
    let text = format!(
        "{} is {what}: a changed link would break it (--allow-non-unixfs does it anyway)",
        block.cid()
    );
    Err(RpcError::request(text))
}
