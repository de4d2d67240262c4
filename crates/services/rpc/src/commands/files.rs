//! `files`: MFS, the node's own tree of files.
//!
//! Source: names, flags, answers and the texts of errors are Kubo's (`core/commands/files.go`).
//! Not here: the tree (`cairn_node`).

pub(super) mod chcid;
pub(super) mod chmod;
pub(super) mod chroot;
pub(super) mod cp;
pub(super) mod flush;
pub(super) mod ls;
pub(super) mod mkdir;
pub(super) mod mv;
pub(super) mod read;
pub(super) mod rm;
pub(super) mod stat;
pub(super) mod touch;
pub(super) mod write;

use crate::{
    Call, Request, RpcError,
    command::{Command, Opt},
    commands::cid::hashes,
};
use cairn_block::Version;
use cairn_node::{Fetch, MfsFormat, MfsPath, NodeError};

/// The group's row of the table.
pub(super) const COMMAND: Command = Command {
    help: "Files and directories in one tree, which no garbage collection takes from. It may link\n\
           to more than is here: that is fetched when it is read.\n\n\
           A change is on disk when its command ends. With --flush=false it may be lost until\n\
           `cairn files flush` or a change that is flushed; at most Internal.MFSNoFlushLimit\n\
           of these may wait.",
    ..Command::group("files", "Work with the node's own tree of files")
};

/// The option that every command of the group takes.
const FLUSH: Opt =
    Opt::flag("flush", "Wait until the change is on disk").or(&["f"]).default("true");
const CID_VERSION: Opt =
    Opt::int("cid-version", "Version of the CIDs of what is made").or(&["cid-ver"]);
const HASH: Opt = Opt::text("hash", "Hash function of what is made; means CIDs of version 1");

/// Reads an argument as a path of MFS.
pub(super) fn path(text: &str) -> Result<MfsPath, RpcError> {
    MfsPath::parse(text).map_err(|error| RpcError::of(&error))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn failed(error: NodeError) -> RpcError {
    RpcError::of(&error)
}

/// Reads `--cid-version` and `--hash`.
fn format(request: &Request) -> Result<MfsFormat, RpcError> {
    let cid_version = match request.int("cid-version") {
        None => None,
        Some(0) => Some(Version::V0),
        Some(1) => Some(Version::V1),
        Some(other) => return Err(RpcError::failed(format!("unknown CID version: {other}"))),
    };
    let hash_code = request.text("hash").map(hashes::code_of).transpose()?;
    Ok(MfsFormat { cid_version, hash_code })
}

/// Whether to wait for the disk, and where blocks may come from.
fn terms(call: &Call) -> (bool, Fetch) {
    (call.request.flag("flush"), call.fetch())
}

/// An argument that may name content as well as a place in MFS.
fn is_content(text: &str) -> bool {
    ["/ipfs/", "/ipns/", "/ipld/", "ipfs://", "ipns://"]
        .iter()
        .any(|prefix| text.len() > prefix.len() && text.starts_with(prefix))
}
