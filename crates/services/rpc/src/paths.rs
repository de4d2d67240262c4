//! Arguments that name content: parsed, and followed through the node.
//!
//! Not here: following paths (`cairn-unixfs`), names (`/ipns/…`).

use crate::{Call, RpcError};
use cairn_block::Cid;
use cairn_dag::IpfsPath;
use cairn_node::{Blocks, Fetch};
use cairn_unixfs::Resolved;

/// Reads an argument as a path; what is wrong with it is the caller's to correct.
pub(crate) fn parse(text: &str) -> Result<IpfsPath, RpcError> {
    IpfsPath::parse(text).map_err(|error| {
        let error = RpcError::of(&error);
        RpcError::request(error.message())
    })
}

impl Call {
    /// Where blocks may come from.
    pub(crate) fn fetch(&self) -> Fetch {
        if self.request.is_offline() { Fetch::Local } else { Fetch::Network }
    }

    /// The node's blocks, from wherever the request allows; one session for the whole call.
    pub(crate) fn blocks(&self) -> Result<Blocks, RpcError> {
        if let Some(blocks) = self.blocks.get() {
            return Ok(blocks.clone());
        }
        let blocks = self.node()?.blocks(self.fetch());
        Ok(self.blocks.get_or_init(|| blocks).clone())
    }

    /// Follows an argument to its block.
    pub(crate) async fn resolve(&self, text: &str) -> Result<Resolved, RpcError> {
        let resolved = self.resolve_inside(text).await?;
        if resolved.remaining.is_empty() {
            return Ok(resolved);
        }
        let rest = resolved.remaining.join("/");
        let cid = &resolved.cid;
        Err(RpcError::request(format!("{text}: {rest:?} is data inside block {cid}, not a block")))
    }

    /// Follows an argument to its block, or to data inside one.
    pub(crate) async fn resolve_inside(&self, text: &str) -> Result<Resolved, RpcError> {
        let path = parse(text)?;
        let resolved = cairn_unixfs::resolve(&self.blocks()?, &path).await;
        resolved.map_err(|error| RpcError::of(&error))
    }

    /// Follows an argument to a CID and what is left of the path inside that block, without reading
    /// the block where that is possible.
    pub(crate) async fn resolve_place(&self, text: &str) -> Result<(Cid, Vec<String>), RpcError> {
        let path = parse(text)?;
        match path.cid() {
            Some(cid) if path.segments().is_empty() => Ok((cid.clone(), Vec::new())),
            _ => {
                let resolved = self.resolve_inside(text).await?;
                Ok((resolved.cid, resolved.remaining))
            }
        }
    }

    /// Follows an argument to a CID without reading the block it ends at, where that is possible.
    pub(crate) async fn resolve_cid(&self, text: &str) -> Result<Cid, RpcError> {
        let path = parse(text)?;
        match path.cid() {
            Some(cid) if path.segments().is_empty() => Ok(cid.clone()),
            _ => Ok(self.resolve(text).await?.cid),
        }
    }
}
