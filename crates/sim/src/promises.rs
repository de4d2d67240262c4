//! What must hold of a repository whatever happened: every question is asked, every answer
//! compared with the model.
//!
//! Not here: what happens in between (`session.rs`).

use crate::model::{Model, PinMap, Presence, Seen, ValueMap};
use anyhow::{Context as _, Result, bail, ensure};
use cairn_block::{Block, BlockError, Cid};
use cairn_store::Repo;
use std::collections::BTreeMap;

/// How a check judges what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The program ran on, or was killed.
    Running,
    /// The power went.
    PowerCut,
}

/// Asks everything of a healthy repository and settles what was open.
///
/// # Errors
///
/// The first promise that does not hold.
pub(crate) fn check(repo: &Repo, blocks: &[Block], model: &mut Model, since: Since) -> Result<()> {
    let cut = since == Since::PowerCut;
    let allowed = if cut { &model.cut } else { &model.now };
    let there = blocks_there(repo, blocks, allowed)?;
    let pins = pins(repo, blocks)?;
    let allowed = if cut { &model.pins.cut } else { &model.pins.now };
    ensure!(allowed.contains(&pins), "pins {pins:?} are none of {allowed:?}");
    if let Some((after, numbers)) = model.needs.as_ref().filter(|(after, _)| cut && *after == pins)
    {
        let lost: Vec<_> = numbers.iter().filter(|number| !there[**number]).collect();
        ensure!(lost.is_empty(), "pins {after:?} without their blocks {lost:?}");
    }
    let values = values(repo)?;
    let allowed = if cut { &model.values.cut } else { &model.values.now };
    ensure!(allowed.contains(&values), "values {values:?} are none of {allowed:?}");
    let config = repo.config()?["Number"].as_u64().context("the config has lost its number")?;
    let allowed = if cut { &model.configs.cut } else { &model.configs.now };
    ensure!(allowed.contains(&config), "config {config}, not {allowed:?}");
    model.needs = None;
    model.observe(cut, Seen { there, pins, values, config });
    Ok(())
}

/// Reads everything from a repository whose disk may be failing: errors are allowed, wrong
/// answers are not.
///
/// # Errors
///
/// The first wrong answer.
pub(crate) fn check_never_wrong(repo: &Repo, blocks: &[Block], allowed: &[Presence]) -> Result<()> {
    let answers = repo.store().read_many(&cids(blocks));
    for ((answer, block), allowed) in answers.into_iter().zip(blocks).zip(allowed) {
        let Ok(answer) = answer else { continue };
        compare(answer.as_ref(), block)?;
        let there = answer.is_some();
        ensure!(allowed.allows(there), "{}: there is {there}", block.cid());
    }
    Ok(())
}

/// Reads all blocks from damaged packs; returns how many were right, absent and refused.
///
/// # Errors
///
/// The first wrong byte.
pub(crate) fn check_damaged(repo: &Repo, blocks: &[Block]) -> Result<[u64; 3]> {
    let mut counts = [0; 3];
    for (answer, block) in repo.store().read_many(&cids(blocks)).into_iter().zip(blocks) {
        match answer {
            Ok(answer) => {
                compare(answer.as_ref(), block)?;
                counts[usize::from(answer.is_none())] += 1;
            }
            Err(BlockError::Corrupt { cid }) if cid == *block.cid() => counts[2] += 1,
            Err(error) => bail!("{} is refused with {error}", block.cid()),
        }
    }
    Ok(counts)
}

fn compare(answer: Option<&Block>, block: &Block) -> Result<()> {
    let wrong = answer.is_some_and(|answer| answer != block);
    ensure!(!wrong, "{}: wrong bytes", block.cid());
    Ok(())
}

fn blocks_there(repo: &Repo, blocks: &[Block], allowed: &[Presence]) -> Result<Vec<bool>> {
    let store = repo.store();
    let cids = cids(blocks);
    let lens = store.lens(&cids)?;
    let mut there = Vec::with_capacity(blocks.len());
    for (number, (answer, block)) in store.read_many(&cids).into_iter().zip(blocks).enumerate() {
        let answer = answer.with_context(|| format!("block {number}"))?;
        compare(answer.as_ref(), block)?;
        let len = answer.as_ref().map(|block| block.data().len() as u64);
        ensure!(lens[number] == len, "block {number}: length {:?}, not {len:?}", lens[number]);
        let is = answer.is_some();
        ensure!(allowed[number].allows(is), "block {number}: there is {is}");
        there.push(is);
    }
    let listed = list(repo)?;
    let expected = blocks.iter().zip(&there).filter(|(_, there)| **there);
    let expected = expected
        .map(|(block, _)| (block.cid().multihash().clone(), block.data().len() as u64))
        .collect::<BTreeMap<_, _>>();
    ensure!(listed == expected, "{} blocks are listed, {} are there", listed.len(), expected.len());
    let count = store.stat()?.block_count;
    ensure!(count == expected.len() as u64, "{count} blocks counted, {} there", expected.len());
    Ok(there)
}

fn list(repo: &Repo) -> Result<BTreeMap<cairn_block::Multihash, u64>> {
    let mut listed = BTreeMap::new();
    for entry in repo.store().list() {
        let (hash, len) = entry?;
        ensure!(listed.insert(hash, len).is_none(), "a block is listed twice");
    }
    Ok(listed)
}

fn pins(repo: &Repo, blocks: &[Block]) -> Result<PinMap> {
    let numbers: BTreeMap<&Cid, usize> =
        blocks.iter().enumerate().map(|(number, block)| (block.cid(), number)).collect();
    let mut pins = PinMap::new();
    for page in repo.pins().list(None) {
        for pin in page? {
            let number = *numbers.get(&pin.cid).context("a pin of an unknown block")?;
            let found = repo.pins().get(&pin.cid)?;
            ensure!(found.as_ref() == Some(&pin), "{pin:?} is listed, {found:?} found");
            ensure!(pins.insert(number, (pin.kind, pin.name)).is_none(), "a pin is listed twice");
        }
    }
    let count = repo.pins().count()?;
    ensure!(count == pins.len() as u64, "{count} pins counted, {} listed", pins.len());
    Ok(pins)
}

fn values(repo: &Repo) -> Result<ValueMap> {
    let mut values = ValueMap::new();
    for name in crate::script::names() {
        if let Some(value) = repo.meta().get(&name)? {
            values.insert(name, value);
        }
    }
    Ok(values)
}

pub(crate) fn cids(blocks: &[Block]) -> Vec<Cid> {
    blocks.iter().map(|block| block.cid().clone()).collect()
}
