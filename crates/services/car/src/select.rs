//! Single blocks, some blocks, and DAGs out of a CAR file.
//!
//! Not here: files (`cairn_unixfs` over [`CarStore`]).

use crate::{ArchiveError, CarStore, Output, Source, Target};
use cairn_block::{Block, Cid};
use cairn_dag::{
    DagError, Selector, Visit, WalkOptions,
    car::Section,
    selector::{SelectOptions, select},
    walk,
};
use futures::StreamExt as _;
use std::{collections::HashSet, future::ready, path::Path};

/// Calls `each` with every section, in order.
///
/// # Errors
///
/// [`ArchiveError`], `each`'s own, too.
pub fn list<E: From<ArchiveError>>(
    path: &Path,
    mut each: impl FnMut(Section) -> Result<(), E>,
) -> Result<(), E> {
    let mut source = Source::open(path)?;
    while let Some(section) = source.next_section()? {
        each(section)?;
    }
    Ok(())
}

/// The roots that a file's header names.
///
/// # Errors
///
/// [`ArchiveError::Io`] and [`ArchiveError::Broken`].
pub fn roots(path: &Path) -> Result<Vec<Cid>, ArchiveError> {
    Ok(Source::open(path)?.roots().to_vec())
}

/// Finds a block by its multihash and checks it.
///
/// # Errors
///
/// [`ArchiveError::NotFound`], or whatever is wrong with the file before the block.
pub fn find_block(path: &Path, cid: &Cid) -> Result<Block, ArchiveError> {
    let mut source = Source::open(path)?;
    loop {
        let batch = source.next_batch()?;
        if batch.is_empty() {
            return Err(ArchiveError::NotFound { path: path.to_owned(), cid: cid.clone() });
        }
        let mut blocks = batch.into_iter().map(|found| found.block);
        if let Some(block) = blocks.find(|block| block.cid().multihash() == cid.multihash()) {
            return Ok(block);
        }
    }
}

/// Which blocks are wanted.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Some, by the CIDs that stand in the file.
    pub cids: HashSet<Cid>,
    /// All but these.
    pub inverse: bool,
}

/// Writes the blocks that are selected to a file with those roots that are among them; returns how
/// many there are.
///
/// # Errors
///
/// [`ArchiveError`]; then nothing is written.
pub fn filter(path: &Path, selection: &Selection, target: &Target) -> Result<u64, ArchiveError> {
    let mut source = Source::open(path)?;
    let selects = |cid: &Cid| selection.cids.contains(cid) != selection.inverse;
    let roots: Vec<Cid> = source.roots().iter().filter(|cid| selects(cid)).cloned().collect();
    let mut out = Output::create_car(target, &roots)?;
    let mut count = 0;
    loop {
        let batch = source.next_batch()?;
        if batch.is_empty() {
            break;
        }
        for block in batch.iter().map(|found| &found.block).filter(|block| selects(block.cid())) {
            out.write_block(block.cid(), block.data())?;
            count += 1;
        }
    }
    out.finish()?;
    Ok(count)
}

/// Writes the DAG below `root` to a file, or what the selector walks over of it, parents before
/// children; returns how many blocks it has.
///
/// # Errors
///
/// [`ArchiveError::Dag`] for a block that is not in the file; then nothing is written.
pub async fn dag(
    path: &Path,
    root: &Cid,
    selector: Option<Selector>,
    target: &Target,
) -> Result<u64, ArchiveError> {
    let store = CarStore::open(path)?;
    if !store.has_block(root) {
        return Err(ArchiveError::NotFound { path: path.to_owned(), cid: root.clone() });
    }
    let mut out = Output::create_car(target, std::slice::from_ref(root))?;
    let mut blocks = if let Some(selector) = selector {
        select(&store, root, selector, SelectOptions::default()).boxed()
    } else {
        let visits = walk(&store, std::slice::from_ref(root), WalkOptions::default());
        let block = |visit: Result<Visit, DagError>| visit.map(|visit| visit.block).transpose();
        visits.filter_map(move |visit| ready(block(visit))).boxed()
    };
    let mut count = 0;
    while let Some(block) = blocks.next().await {
        let block = block.map_err(|source| ArchiveError::Dag { path: path.to_owned(), source })?;
        // An inlined block stands in its CID already.
        if block.cid().inlined().is_none() {
            out.write_block(block.cid(), block.data())?;
            count += 1;
        }
    }
    drop(blocks);
    out.finish()?;
    Ok(count)
}
