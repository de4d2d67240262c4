//! Follows a path through directories, tries and plain dag-pb links.
//!
//! Not here: names (`/ipns/…`), which are resolved to a CID first; paths inside dag-cbor and
//! other codecs, whose segments are left over for the caller.

use crate::{
    DataType, UnixfsError,
    entry::{Opened, open, open_node},
    list::find,
};
use cairn_block::{Block, BlockStore, BlockStoreExt as _, Cid, codec};
use cairn_dag::{IpfsPath, Root};

/// Where a path leads.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The last block that the path reaches.
    pub cid: Cid,
    /// The block itself.
    pub block: Block,
    /// Segments that lead into the block; empty unless its codec is neither dag-pb nor raw.
    pub remaining: Vec<String>,
    /// The CID that each prefix of the path leads to, from the root to [`Resolved::cid`]; the
    /// nodes of a trie between them are left out.
    pub roots: Vec<Cid>,
}

/// Follows `path`.
///
/// # Errors
///
/// [`UnixfsError::NoLink`] if a segment is not there, [`UnixfsError::Name`] if the path starts
/// from a name, or whatever is wrong with a block on the way.
pub async fn resolve<S: BlockStore>(store: &S, path: &IpfsPath) -> Result<Resolved, UnixfsError> {
    match path.root() {
        Root::Cid(cid) => resolve_from(store, cid, path.segments()).await,
        Root::Name(name) => Err(UnixfsError::Name { name: name.clone() }),
    }
}

/// Follows `segments` from the block `root`.
///
/// # Errors
///
/// As [`resolve`].
pub async fn resolve_from<S: BlockStore>(
    store: &S,
    root: &Cid,
    segments: &[String],
) -> Result<Resolved, UnixfsError> {
    let mut block = store.require(root).await?;
    let mut roots = vec![root.clone()];
    for (index, name) in segments.iter().enumerate() {
        let cid = match block.cid().codec() {
            codec::DAG_PB => step(store, &block, name).await?,
            codec::RAW => None,
            _ => {
                let remaining = segments[index..].to_vec();
                return Ok(Resolved { cid: block.cid().clone(), block, remaining, roots });
            }
        };
        let Some(cid) = cid else {
            return Err(UnixfsError::NoLink { name: name.clone(), cid: block.cid().clone() });
        };
        block = store.require(&cid).await?;
        roots.push(cid);
    }
    Ok(Resolved { cid: block.cid().clone(), block, remaining: Vec::new(), roots })
}

/// Finds one segment below a dag-pb node, be it a directory or not.
async fn step<S: BlockStore>(
    store: &S,
    block: &Block,
    name: &str,
) -> Result<Option<Cid>, UnixfsError> {
    let is_directory = match open(block) {
        Ok(Opened::Node { data, .. }) => {
            matches!(data.kind, DataType::Directory | DataType::HamtShard)
        }
        Ok(Opened::Raw) | Err(UnixfsError::Malformed { .. }) => false,
        Err(error) => return Err(error),
    };
    if is_directory {
        return Ok(find(store, block, name).await?.map(|entry| entry.cid));
    }
    let node = open_node(block)?;
    let found = node.links.into_iter().find(|link| link.name_bytes() == name.as_bytes());
    Ok(found.map(|link| link.cid))
}
