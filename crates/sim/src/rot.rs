//! Disks that rot: bits flip, files end early, sectors are zeroed or lie in the wrong place.
//!
//! A read of a damaged pack gives the right bytes, or says that there are none, or says that they
//! are corrupt; never anything else. Putting the blocks again mends what is lost.
//!
//! Not here: damage that a power cut does (`cuts.rs`).

use crate::{
    cuts::mix,
    disk::{Contents, SECTOR_LEN, SimDisk},
    model::Model,
    promises::{check_damaged, cids},
    script::{BLOCK_COUNT, Op, blocks},
    session::Session,
    tally::{Tally, spread},
};
use anyhow::{Context as _, Result, ensure};
use cairn_block::Block;
use cairn_testkit::Random;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Packs are this long.
const SEGMENT_LEN_MAX: u64 = 64 * 1024;

/// Trials that one part of a run does.
const PART_LEN: u64 = 50;

/// How a compressed block's data begins.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The kinds of damage.
const KINDS: [&str; 6] =
    ["flip a bit", "truncate", "zero a range", "swap data", "misplace a sector", "rubbish"];

/// A repository at rest.
struct AtRest {
    disk: SimDisk,
    files: Vec<PathBuf>,
}

/// Damages a repository's files `count` times and reads everything.
///
/// # Errors
///
/// The repository cannot be made on a healthy disk.
pub fn corrupted_reads(seed: u64, count: u64) -> Result<Tally> {
    let blocks = Arc::new(blocks());
    let at_rest = [AtRest::make(seed, &blocks, true)?, AtRest::make(seed, &blocks, false)?];
    let part_count = usize::try_from(count.div_ceil(PART_LEN))?;
    Ok(spread(part_count, |part| {
        let mut tally = Tally::default();
        let first = part as u64 * PART_LEN;
        for number in first..count.min(first + PART_LEN) {
            let mut random = Random::new(mix(seed, part, (number - first) as usize));
            let at_rest = &at_rest[random.below(2)];
            let kind = random.below(KINDS.len());
            tally.note(KINDS[kind]);
            let outcome = at_rest.reads_right(kind, &mut random, &blocks);
            let outcome = outcome.map(|counts| {
                for (what, count) in ["read right", "absent", "refused"].iter().zip(counts) {
                    *tally.kinds.entry(format!("blocks {what}")).or_default() += count;
                }
            });
            tally.count(outcome, || format!("seed {seed}, trial {number}: {}", KINDS[kind]));
        }
        tally
    }))
}

impl AtRest {
    /// A repository with all blocks, which ended cleanly or was killed.
    fn make(seed: u64, blocks: &Arc<Vec<Block>>, clean: bool) -> Result<Self> {
        let mut session = Session::new(seed, Arc::clone(blocks), SEGMENT_LEN_MAX);
        for first in (0..BLOCK_COUNT).step_by(8) {
            session.must(&Op::Append((first..BLOCK_COUNT.min(first + 8)).collect()))?;
            session.must(&Op::Flush)?;
        }
        session.must(&if clean { Op::Close } else { Op::Flush })?;
        session.kill();
        let disk = session.disk;
        let mut files = disk.files_in(Path::new("/home/repo/blocks"));
        ensure!(files.len() > 2, "only {} packs", files.len());
        let frames = files.iter().filter_map(|path| disk.contents(path)).map(|contents| {
            let bytes = contents.to_vec();
            bytes.windows(4).filter(|four| **four == ZSTD_MAGIC).count()
        });
        ensure!(frames.sum::<usize>() > BLOCK_COUNT / 10, "hardly anything is compressed");
        files.push("/home/repo/index".into());
        Ok(Self { disk, files })
    }

    fn reads_right(
        &self,
        kind: usize,
        random: &mut Random,
        blocks: &Arc<Vec<Block>>,
    ) -> Result<[u64; 3]> {
        let path = &self.files[random.below(self.files.len())];
        let contents = self.disk.contents(path).context("the file is gone")?;
        let damaged = damage(kind, &contents.to_vec(), random, blocks);
        let disk = self.disk.copy_with(path, Contents::of(&damaged), random.number());
        let blocks = Arc::new(blocks[..BLOCK_COUNT].to_vec());
        let model = Model { made: true, ..Model::default() };
        let mut session = Session::on(disk, model, Arc::clone(&blocks), SEGMENT_LEN_MAX);
        session.open()?;
        let repo = session.repo().context("the repository is not open")?;
        let counts = check_damaged(repo, &blocks)?;
        repo.store().append(&blocks)?;
        repo.store().flush()?;
        let mended = repo.store().read_many(&cids(&blocks));
        for (answer, block) in mended.into_iter().zip(&*blocks) {
            ensure!(answer?.as_ref() == Some(block), "{} is not mended", block.cid());
        }
        Ok(counts)
    }
}

fn damage(kind: usize, bytes: &[u8], random: &mut Random, blocks: &[Block]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let start = random.below(bytes.len());
    let end = (start + 1 + random.below(2000)).min(bytes.len());
    match kind {
        0 => bytes[start] ^= 1 << random.below(8),
        1 => bytes.truncate(start),
        2 => bytes[start..end].fill(0),
        3 => swap_data(&mut bytes, random, blocks),
        4 => {
            let count = bytes.len() / SECTOR_LEN;
            let (from, to) = (random.below(count), random.below(count));
            bytes.copy_within(from * SECTOR_LEN..(from + 1) * SECTOR_LEN, to * SECTOR_LEN);
        }
        _ => {
            let rubbish = random.bytes(end - start);
            bytes[start..end].copy_from_slice(&rubbish);
        }
    }
    bytes
}

/// Swaps what two records of a pack hold, as far as the shorter goes.
fn swap_data(bytes: &mut [u8], random: &mut Random, blocks: &[Block]) {
    let mut places = Vec::new();
    for block in blocks {
        let data = block.data();
        let found = bytes.windows(16).position(|window| data.starts_with(window));
        places.extend(found.map(|at| (at, data.len().min(bytes.len() - at))));
        if places.len() > 8 {
            break;
        }
    }
    if places.len() < 2 {
        return;
    }
    let (one, two) = (places[random.below(places.len())], places[random.below(places.len())]);
    for at in 0..one.1.min(two.1) {
        bytes.swap(one.0 + at, two.0 + at);
    }
}
