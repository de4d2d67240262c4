//! `add --to-files`: links what was added into MFS.
//!
//! Source: the rules and the texts are Kubo's (`core/commands/add.go`).
//! Not here: the tree (`cairn_node`).

use crate::{Call, Request, RpcError, commands::files::path};
use cairn_block::{BlockStoreExt as _, Cid};
use cairn_node::{MfsCopy, MfsPath};
use cairn_unixfs::Entry;

/// Where to link.
pub(super) struct Target {
    path: MfsPath,
    /// As it was given.
    text: String,
}

impl Target {
    /// Reads the option, and what does not go with it.
    pub(super) fn of(request: &Request) -> Result<Option<Self>, RpcError> {
        let Some(given) = request.given_text("to-files") else { return Ok(None) };
        for other in ["only-hash", "wrap-with-directory"] {
            if request.flag(other) {
                let name = other.trim_end_matches("-with-directory");
                let text = format!("{name} and to-files options are not compatible");
                return Err(RpcError::failed(text));
            }
        }
        let text = if given.is_empty() { "/" } else { given }.to_owned();
        let path = path(&text).map_err(|error| error.about("to-files"))?;
        Ok(Some(Self { path, text }))
    }

    /// Links the roots of an add, durably.
    pub(super) async fn link(
        &self,
        call: &Call,
        roots: Vec<(String, Cid)>,
    ) -> Result<(), RpcError> {
        let (node, blocks) = (call.node()?, call.blocks()?);
        let refuse = |text: String| RpcError::failed(text).about("to-files");
        let into = self.path.means_directory();
        if into {
            let found = node.mfs_find(&self.path, &blocks).await.map_err(|error| {
                refuse(format!("MFS destination directory {:?} does not exist: {error}", self.text))
            })?;
            if !Entry::of(&found).is_ok_and(|entry| entry.is_directory()) {
                return Err(refuse(format!("MFS destination {:?} is not a directory", self.text)));
            }
        }
        for (index, (name, cid)) in roots.into_iter().enumerate() {
            if name.is_empty() || name == cid.to_string() {
                return Err(refuse("cannot add unnamed files to MFS".to_owned()));
            }
            if index > 0 && !into {
                return Err(refuse(format!(
                    "MFS destination is a file: only one entry can be copied to {:?}",
                    self.text
                )));
            }
            let to = if into { self.path.join(&name) } else { self.path.clone() };
            let place = to.to_string();
            let block = blocks.require(&cid).await?;
            let options = MfsCopy { flush: true, fetch: call.fetch(), ..MfsCopy::default() };
            node.mfs_link(block, to, options)
                .await
                .map_err(|error| refuse(format!("cannot put node in path {place:?}: {error}")))?;
        }
        Ok(())
    }
}
