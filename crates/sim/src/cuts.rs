//! Power cuts: a script runs once on a recording disk, and the power goes at every point of it.
//!
//! Each image must open, answer as acknowledged, take writes, keep those through a second cut
//! that loses all it may, and answer the same after a clean restart. A second kind of trial cuts
//! the power again while the first recovery is under way.
//!
//! Not here: what an image may look like (`disk/image.rs`).

use crate::{
    disk::{DAMAGE_NAMES, PowerCuts, SimDisk, is_out_of_order},
    model::Model,
    promises::Since,
    script::{BLOCK_COUNT, FRESH_COUNT, Op, blocks, script},
    session::Session,
    tally::{Tally, spread},
};
use anyhow::{Context as _, Result};
use cairn_block::Block;
use cairn_testkit::Random;
use std::sync::Arc;

/// Packs of recorded scripts are this long, so that a script fills several.
const SEGMENT_LEN_MAX: u64 = 64 * 1024;

/// Points of a recording that one part of a run looks at.
const PART_LEN: usize = 64;

/// Second cuts that are tried after one first cut.
const SECOND_COUNT: u64 = 10;

/// A script that ran, and what was promised at each point of it.
#[derive(Debug)]
struct Recording {
    seed: u64,
    disk: SimDisk,
    blocks: Arc<Vec<Block>>,
    steps: Vec<Step>,
}

/// One operation of a recording.
#[derive(Debug)]
struct Step {
    /// The journal's length when it was acknowledged.
    end: usize,
    begun: Model,
    acked: Model,
}

/// Cuts the power after every change that a script makes, each with `damage_count` damages.
///
/// # Errors
///
/// The script itself fails on the healthy disk.
pub fn power_cuts(seed: u64, op_count: usize, damage_count: usize) -> Result<Tally> {
    let recording = Recording::of(seed, op_count)?;
    let walk = PowerCuts::new(&recording.disk, seed);
    let point_count = walk.len() + 1;
    Ok(spread(point_count.div_ceil(PART_LEN), |part| {
        let (mut tally, mut cuts) = (Tally::default(), walk.clone());
        for at in part * PART_LEN..point_count.min((part + 1) * PART_LEN) {
            cuts.walk_to(at);
            for damage in 0..damage_count {
                let image_seed = mix(seed, at, damage);
                let image = cuts.image(damage, image_seed);
                tally.note(cuts.label());
                let outcome = recording.survives(image, at, is_out_of_order(damage));
                tally.count(outcome, || {
                    let name = DAMAGE_NAMES[damage % DAMAGE_NAMES.len()];
                    let label = cuts.label();
                    format!("seed {seed}, cut at {at} ({label}), damage {damage} ({name})")
                });
            }
        }
        tally
    }))
}

/// Cuts the power at random points of a script, and again while the store recovers from that.
///
/// # Errors
///
/// The script itself fails on the healthy disk.
pub fn second_cuts(seed: u64, op_count: usize, count: u64) -> Result<Tally> {
    let recording = Recording::of(seed, op_count)?;
    let walk = PowerCuts::new(&recording.disk, seed);
    let part_count = usize::try_from(count.div_ceil(SECOND_COUNT))?;
    Ok(spread(part_count, |part| {
        let mut tally = Tally::default();
        let mut random = Random::new(mix(seed, part, 77));
        let mut cuts = walk.clone();
        let at = random.below(walk.len() + 1);
        cuts.walk_to(at);
        let first = cuts.image(random.below(3), random.number());
        let mut session = recording.session(first.clone(), at);
        if let Err(error) = session.open() {
            tally.count(Err(error), || format!("seed {seed}, cut at {at}, part {part}"));
            return tally;
        }
        let again = PowerCuts::new(&first, random.number());
        for number in 0..SECOND_COUNT {
            let (mut again, second) = (again.clone(), random.below(again.len() + 1));
            again.walk_to(second);
            let (damage, image_seed) = (random.below(3), random.number());
            tally.note(again.label());
            let outcome = recording.survives(again.image(damage, image_seed), at, true);
            tally.count(outcome, || {
                format!("seed {seed}, part {part}, cut at {at}, second {number} at {second}")
            });
        }
        tally
    }))
}

impl Recording {
    fn of(seed: u64, op_count: usize) -> Result<Self> {
        let blocks = Arc::new(blocks());
        let mut session = Session::new(seed, Arc::clone(&blocks), SEGMENT_LEN_MAX);
        let mut steps = vec![Step::at(0, &session)];
        session.open()?;
        steps.push(Step::at(session.disk.position(), &session));
        for op in script(seed, op_count, false) {
            session.must(&op).with_context(|| format!("script {seed}"))?;
            steps.push(Step::at(session.disk.position(), &session));
        }
        session.check(Since::Running)?;
        let disk = session.disk.clone();
        session.kill();
        Ok(Self { seed, disk, blocks, steps })
    }

    /// What was promised when the journal was this long.
    fn model_at(&self, at: usize) -> &Model {
        let after = self.steps.partition_point(|step| step.end <= at);
        let acked = &self.steps[after - 1];
        match self.steps.get(after) {
            Some(under_way) if at > acked.end => &under_way.begun,
            _ => &acked.acked,
        }
    }

    fn session(&self, image: SimDisk, at: usize) -> Session {
        Session::on(image, self.model_at(at).clone(), Arc::clone(&self.blocks), SEGMENT_LEN_MAX)
    }

    /// Opens an image, and sees whether it keeps what was promised, before and after writing.
    fn survives(&self, image: SimDisk, at: usize, alarms: bool) -> Result<()> {
        let mut session = self.session(image, at).with_alarms(alarms);
        session.open_after_cut()?;
        write_on(&mut session, mix(self.seed, at, 5)).context("writing on")?;
        let mut cuts = PowerCuts::new(&session.disk, 0);
        cuts.walk_to(cuts.len());
        let mut worst = Session::on(
            cuts.image(0, at as u64),
            session.model.clone(),
            Arc::clone(&self.blocks),
            SEGMENT_LEN_MAX,
        )
        .with_alarms(alarms);
        worst.open_after_cut().context("after writing on and losing power again")?;
        session.must(&Op::Reopen)?;
        session.check(Since::Running).context("after a restart")
    }
}

impl Step {
    fn at(end: usize, session: &Session) -> Self {
        Self { end, begun: session.begun.clone(), acked: session.model.clone() }
    }
}

/// Writes of every kind, all acknowledged.
pub(crate) fn write_on(session: &mut Session, seed: u64) -> Result<()> {
    let mut random = Random::new(seed);
    let fresh = (BLOCK_COUNT..BLOCK_COUNT + FRESH_COUNT).collect();
    let old = vec![random.below(BLOCK_COUNT)];
    let value = vec![("name 0".to_owned(), Some(random.bytes(9).to_vec()))];
    for op in [
        Op::Append(fresh),
        Op::Append(old.clone()),
        Op::Delete(random.below(BLOCK_COUNT)),
        Op::Pin(old, random.number()),
        Op::Set(value),
        Op::Flush,
    ] {
        session.must(&op)?;
    }
    session.check(Since::Running)
}

/// A seed of its own for each trial.
pub(crate) fn mix(seed: u64, at: usize, which: usize) -> u64 {
    Random::new(seed ^ (at as u64) << 20 ^ (which as u64) << 52).number()
}
