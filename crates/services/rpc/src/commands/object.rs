//! `object`: dag-pb nodes as links and data, for clients of the older API.
//!
//! Kubo took most of these commands out; programs written against clients of that time still
//! call them, so they stay here. New programs use `dag`, `block` and `add`.
//!
//! Source: the names, options and JSON of Kubo 0.22, the last versions that had them all.
//! Not here: what the data means (`cairn-unixfs`), other codecs (`dag`).

pub(super) mod data;
pub(super) mod diff;
pub(super) mod get;
pub(super) mod links;
pub(super) mod new;
pub(super) mod patch;
pub(super) mod put;
pub(super) mod stat;

use crate::{Call, Command, Request, RpcError, text::Render, text::each};
use cairn_block::{BLOCK_LEN_MAX, Block, Cid, codec};
use cairn_dag::dag_pb::{self, PbLink, PbNode};
use serde::{Deserialize, Serialize};

/// The group's row of the table.
pub(super) const COMMAND: Command =
    Command::group("object", "Read and write dag-pb nodes (for older programs)");

/// The answer of what makes a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Made {
    hash: String,
}

/// A link as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Link {
    #[serde(default)]
    name: String,
    hash: String,
    #[serde(default)]
    size: u64,
}

/// A node as JSON.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Object {
    links: Vec<Link>,
    data: String,
}

/// Prints the CID of what was made.
fn made(request: &Request) -> Box<dyn Render> {
    each(request, |_, answer: Made, text| text.line(answer.hash))
}

/// The links of a node as JSON.
fn links_of(call: &Call, node: &PbNode) -> Result<Vec<Link>, RpcError> {
    let cids = call.request.cid_text()?;
    let link = |link: &PbLink| Link {
        name: link.name_text().into_owned(),
        hash: cids.of(&link.cid),
        size: link.size.unwrap_or(0),
    };
    Ok(node.links.iter().map(link).collect())
}

/// Reads a block as a node; one of another codec has neither links nor data here.
fn node_of(block: &Block) -> Result<PbNode, RpcError> {
    let cid = block.cid();
    if cid.codec() != codec::DAG_PB {
        let name = cairn_dag::codec::name(cid.codec());
        return Err(RpcError::failed(format!("{cid} is {name}, not a dag-pb node")));
    }
    dag_pb::decode(block.data()).map_err(|error| RpcError::of(&error).about(&cid.to_string()))
}

/// The length of everything below a block, as links to it state it.
fn total_len(block: &Block) -> Result<u64, RpcError> {
    let own = block.data().len();
    if block.cid().codec() == codec::DAG_PB {
        Ok(node_of(block)?.total_len(own))
    } else {
        Ok(own as u64)
    }
}

/// Makes a block of a node, links sorted by name, with a CID of the same kind as `like`.
async fn block_of(mut node: PbNode, like: &Cid) -> Result<Block, RpcError> {
    let (version, hash) = (like.version(), like.multihash().code());
    if node.links.len() > dag_pb::LINKS_MAX {
        return Err(RpcError::request(format!("more than {} links", dag_pb::LINKS_MAX)));
    }
    cairn_runtime::blocking(move || {
        // Equal names stay in their order.
        node.links.sort_by(|a, b| a.name_bytes().cmp(b.name_bytes()));
        let data = dag_pb::encode(&node);
        if data.len() > BLOCK_LEN_MAX {
            let text = format!("the node would be over the limit of {BLOCK_LEN_MAX} bytes");
            return Err(RpcError::request(text));
        }
        let block = Block::hash(codec::DAG_PB, hash, data.into())?;
        let cid = block.cid().with_version(version)?;
        Ok(block.rename(cid)?)
    })
    .await
}

/// Keeps what was made, durably, and tells the CID of the last one.
async fn keep(call: &Call, blocks: Vec<Block>, pin: bool) -> Result<(), RpcError> {
    let Some(root) = blocks.last().map(|block| block.cid().clone()) else { return Ok(()) };
    let node = call.node()?;
    let _until_pinned = node.store().lease();
    let mut kept = node.blocks_put(blocks, false).await;
    if kept.is_ok() && pin {
        kept = node.pin_add(&root, true, None, None).await;
    }
    let hash = call.request.cid_text()?.of(&root);
    kept.map_err(|error| RpcError::of(&error).about(&hash))?;
    call.out.once(&Made { hash }).await
}
