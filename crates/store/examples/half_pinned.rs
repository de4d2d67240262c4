//! Fills a repository with blocks of 4 KiB, every second of which is garbage.
//!
//! Usage: `half_pinned REPOSITORY COUNT`. The repository must be there (`cairn init`). The blocks
//! are leaves of nodes of [`LEAF_COUNT`] links each; every second node is pinned, so that each
//! pack is half garbage. `cargo xtask bench open gc` measures what is done with it.

use bytes::Bytes;
use cairn_block::{Block, codec};
use cairn_dag::dag_pb::{PbLink, PbNode, encode};
use cairn_runtime::RealVfs;
use cairn_store::{OpenOptions, Pin, PinKind, Repo};
use std::{error::Error, path::PathBuf, sync::Arc};

/// Leaves below one node.
const LEAF_COUNT: u64 = 500;
/// Bytes of a leaf.
const LEN: usize = 4096;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().map(PathBuf::from).ok_or("which repository?")?;
    let count: u64 = args.next().ok_or("how many blocks?")?.parse()?;
    let repo = Repo::open(Arc::new(RealVfs), &path, OpenOptions::default())?;
    let mut pins = Vec::new();
    for group in 0..count.div_ceil(LEAF_COUNT) {
        let leaves: Vec<Block> = (0..LEAF_COUNT).map(|leaf| leaf_of(group, leaf)).collect();
        let link = |block: &Block| PbLink::new("", block.cid().clone(), LEN as u64);
        let node = PbNode { links: leaves.iter().map(link).collect(), data: None };
        let root = Block::sha2_256(codec::DAG_PB, encode(&node).into());
        repo.store().append(&leaves)?;
        repo.store().append(std::slice::from_ref(&root))?;
        if group % 2 == 0 {
            let (cid, kind) = (root.cid().clone(), PinKind::Recursive);
            pins.push(Pin { cid, kind, name: String::new(), expires: None });
        }
    }
    repo.store().flush()?;
    repo.pins().add(&pins)?;
    repo.store().close()?;
    Ok(())
}

/// A leaf that no other is like.
fn leaf_of(group: u64, leaf: u64) -> Block {
    let mut word = (group << 32 | leaf).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut data = Vec::with_capacity(LEN);
    while data.len() < LEN {
        word = (word ^ (word >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(leaf);
        data.extend_from_slice(&word.to_le_bytes());
    }
    Block::sha2_256(codec::RAW, Bytes::from(data))
}
