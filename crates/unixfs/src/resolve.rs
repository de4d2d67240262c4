//! Follows a path through directories, tries, plain dag-pb links, and the data of other codecs.
//!
//! Not here: names (`/ipns/…`), which are resolved to a CID first; what lies inside a block that
//! the path ends in, whose segments are left over for the caller.

use crate::{
    DataType, UnixfsError,
    entry::{Opened, open, open_node},
    list::find,
};
use cairn_block::{Block, BlockStore, BlockStoreExt as _, Cid, codec};
use cairn_dag::{CodecError, DagError, IpfsPath, Node, Root};

/// Where a path leads.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The last block that the path reaches.
    pub cid: Cid,
    /// The block itself.
    pub block: Block,
    /// Segments that lead to something inside the block that is no link; empty unless its codec is
    /// neither dag-pb nor raw.
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
    let mut rest = segments;
    while let Some((name, behind)) = rest.split_first() {
        let cid = match block.cid().codec() {
            codec::DAG_PB => {
                rest = behind;
                step(store, &block, name).await?.ok_or(name)
            }
            codec::RAW => Err(name),
            _ => match inside(&block, rest)? {
                Inside::Link(cid, behind) => {
                    rest = behind;
                    Ok(cid)
                }
                Inside::Value => {
                    let remaining = rest.to_vec();
                    return Ok(Resolved { cid: block.cid().clone(), block, remaining, roots });
                }
                Inside::Nothing(name) => Err(name),
            },
        };
        let missing =
            |name: &String| UnixfsError::NoLink { name: name.clone(), cid: block.cid().clone() };
        let cid = cid.map_err(missing)?;
        block = store.require(&cid).await?;
        roots.push(cid);
    }
    Ok(Resolved { cid: block.cid().clone(), block, remaining: Vec::new(), roots })
}

/// Where a path leads inside of a block.
enum Inside<'a> {
    /// To a link, with so much of the path behind it.
    Link(Cid, &'a [String]),
    /// To a value that is no link, or holds more than one thing.
    Value,
    /// Nowhere: there is no such segment.
    Nothing(&'a String),
}

/// Follows a path within the data of a block up to the first link.
fn inside<'a>(block: &Block, segments: &'a [String]) -> Result<Inside<'a>, UnixfsError> {
    let cid = block.cid();
    let root =
        cairn_dag::codec::decode(cid.codec(), block.data()).map_err(|error| match error {
            CodecError::Unsupported { codec } => DagError::Unsupported { cid: cid.clone(), codec },
            error => DagError::malformed(cid, &error),
        })?;
    let mut node = &root;
    for (index, name) in segments.iter().enumerate() {
        let Some(next) = node.get(name) else { return Ok(Inside::Nothing(name)) };
        if let Node::Link(cid) = next {
            return Ok(Inside::Link((**cid).clone(), &segments[index + 1..]));
        }
        node = next;
    }
    Ok(Inside::Value)
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
