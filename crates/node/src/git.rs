//! Whole git repositories: objects in, and a pack out.
//!
//! Nothing here runs git or opens a repository. What comes in is what `git cat-file --batch`
//! prints, what goes out is a pack as `git index-pack` reads it, so a repository may be on another
//! machine than the node.
//!
//! Invariants: an object is kept only if it hashes to its name; an import is acknowledged, and
//! pinned, once everything below its root is here and durable.
//! Not here: the root's form (`cairn_dag::git_root`), running git (the `cairn` binary).

mod batch;
mod export;
mod import;
mod pack;

pub use export::{GitExport, GitPack};
pub use import::GitImport;

use crate::{Blocks, Node, NodeError};
use cairn_block::{BlockStore as _, BlockStoreExt as _, Cid, codec};
use cairn_dag::git_root::{GitRoot, ObjectId};

/// Most objects of one repository.
pub const GIT_OBJECTS_MAX: usize = 16 * 1024 * 1024;

/// Says what is wrong with a repository.
fn wrong(reason: impl Into<String>) -> NodeError {
    NodeError::Git { reason: reason.into() }
}

impl Node {
    /// Which of these objects are not here as blocks; blobs that are too long for one never are.
    ///
    /// # Errors
    ///
    /// [`NodeError::Block`] if the store cannot be read.
    pub async fn git_missing(&self, ids: Vec<ObjectId>) -> Result<Vec<ObjectId>, NodeError> {
        let cids: Vec<Cid> = ids.iter().map(|id| id.cid()).collect();
        let here = self.blocks(crate::Fetch::Local).has_many(&cids).await?;
        let absent = ids.into_iter().zip(here).filter(|(_, here)| !here);
        Ok(absent.map(|(id, _)| id).collect())
    }
}

/// Reads the root of a repository.
///
/// # Errors
///
/// [`NodeError::Git`] for what is none.
pub async fn git_root(blocks: &Blocks, cid: &Cid) -> Result<GitRoot, NodeError> {
    if cid.codec() != codec::DAG_CBOR {
        return Err(wrong(format!("{cid} is not the root of a git repository: not dag-cbor")));
    }
    let block = blocks.require(cid).await?;
    let root = GitRoot::decode(block.data());
    root.map_err(|error| wrong(format!("{cid} is not the root of a git repository: {error}")))
}
