//! Files and directories into a CAR file, with the CIDs that `add` gives.
//!
//! The roots stand in front but are known last. A file leaves room for them and gets them at its
//! end; standard output does not wait, so there everything is read twice.
//!
//! Invariant: each block stands once.
//! Not here: building (`cairn_node::build`), walking the disk.

use crate::{ArchiveError, BLOCKS_MAX, Key, Output, Target};
use cairn_block::{Block, Cid, Version, codec};
use cairn_dag::car;
use cairn_node::{AddEntries, AddEntryError, AddOptions, BlockSink, build};
use std::collections::HashSet;

/// What goes in, and how it is built.
pub struct CreateOptions {
    /// Gives the entries, as often as it is asked.
    pub entries: Box<dyn Fn() -> AddEntries + Send + Sync>,
    /// How many roots there will be, as far as is known.
    pub root_count: usize,
    /// How they are built.
    pub build: AddOptions,
}

impl std::fmt::Debug for CreateOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateOptions").field("build", &self.build).finish_non_exhaustive()
    }
}

/// Writes a CAR file; returns its roots.
///
/// # Errors
///
/// [`ArchiveError`]; then no file is written.
pub async fn create(options: &CreateOptions, target: &Target) -> Result<Vec<Cid>, ArchiveError> {
    let known = if target.is_file() { None } else { Some(only_roots(options).await?) };
    let front = known.clone().unwrap_or_else(|| likely(&options.build, options.root_count));
    let front = car::header(&front);
    let mut out = Output::create(target)?;
    out.write(&front)?;
    let sink = Sink { out, seen: HashSet::new() };
    let built = build((options.entries)(), options.build.clone(), sink).await;
    let (summary, mut sink) = built?;
    let roots = summary.roots;
    let header = car::header(&roots);
    if known.as_ref().is_some_and(|known| *known != roots) {
        let reason = "what went in changed while it was being read";
        return Err(ArchiveError::refused(sink.out.path(), reason));
    }
    if header.len() > car::HEADER_LEN_MAX {
        return Err(ArchiveError::refused(sink.out.path(), "more roots than a header may name"));
    }
    if known.is_none() {
        sink.out.replace_front(front.len() as u64, &header)?;
    }
    sink.out.finish()?;
    Ok(roots)
}

async fn only_roots(options: &CreateOptions) -> Result<Vec<Cid>, ArchiveError> {
    let build_options = AddOptions { only_hash: true, ..options.build.clone() };
    let (summary, _) = build((options.entries)(), build_options, Nowhere).await?;
    Ok(summary.roots)
}

/// Roots that are as long as the ones to come, most likely.
fn likely(options: &AddOptions, count: usize) -> Vec<Cid> {
    let empty = Block::hash(codec::DAG_PB, options.hash_code, bytes::Bytes::new());
    let Ok(empty) = empty else { return Vec::new() };
    let cid = empty.cid();
    let is_v0 = options.cid_version.unwrap_or(0) == 0;
    let v0 = cid.with_version(Version::V0).ok().filter(|_| is_v0);
    vec![v0.unwrap_or_else(|| cid.clone()); count]
}

/// Writes each block once.
struct Sink {
    out: Output,
    seen: HashSet<Key>,
}

/// Takes nothing, since nothing comes where only CIDs are asked for.
struct Nowhere;

impl BlockSink for Nowhere {
    fn blocks(&mut self, _: &[Block]) -> Result<(), AddEntryError> {
        Ok(())
    }
}

impl Sink {
    fn write(&mut self, blocks: &[Block]) -> Result<(), ArchiveError> {
        for block in blocks {
            // An inlined block stands in its CID already.
            if block.cid().inlined().is_none() && self.seen.insert(Key::of(block.cid().multihash()))
            {
                self.out.write_block(block.cid(), block.data())?;
            }
        }
        if self.seen.len() > BLOCKS_MAX {
            let reason = format!("more than {BLOCKS_MAX} different blocks");
            return Err(ArchiveError::refused(self.out.path(), reason));
        }
        Ok(())
    }
}

impl BlockSink for Sink {
    fn blocks(&mut self, blocks: &[Block]) -> Result<(), AddEntryError> {
        self.write(blocks).map_err(|error| AddEntryError::Source { message: error.to_string() })
    }
}
