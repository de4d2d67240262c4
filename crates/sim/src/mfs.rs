//! Power cuts over MFS: a whole node changes its tree of files, and the power goes at every point.
//!
//! What a flush acknowledged must be there afterwards, and nothing else may be seen: the tree is as
//! it was when something was last made durable, or, if the next such change was under way, as that
//! one leaves it; never half of it. Whatever is in the tree can be read to its last byte. Then the
//! node takes changes, and keeps them through another cut that loses all it may.
//!
//! Not here: what is changed (`mfs/change.rs`), the disk (`disk.rs`), blocks and pins (`cuts.rs`).

mod change;
mod worker;

use crate::{
    cuts::mix,
    disk::{DAMAGE_NAMES, PowerCuts, SimDisk, is_out_of_order},
    tally::{Tally, spread},
};
use anyhow::{Context as _, Result, ensure};
use cairn_testkit::Random;
use change::{Change, Tree};
use std::path::Path;
use worker::Worker;

/// Points of a recording that one part of a run looks at.
const PART_LEN: usize = 32;

/// A script that ran, and what was promised at each point of it.
#[derive(Debug)]
struct Recording {
    seed: u64,
    disk: SimDisk,
    steps: Vec<Step>,
}

/// One change of a recording.
#[derive(Debug)]
struct Step {
    /// The journal's length when it was acknowledged.
    end: usize,
    kind: &'static str,
    /// What is durable once it was.
    acked: Tree,
    /// What may be found if the power goes before.
    begun: [Tree; 2],
}

/// Cuts the power after every change of the disk that a script of changes of MFS makes, each with
/// `damage_count` damages.
///
/// # Errors
///
/// The script itself fails on the healthy disk.
pub fn mfs_cuts(seed: u64, count: usize, damage_count: usize) -> Result<Tally> {
    let recording = Recording::of(seed, count)?;
    let walk = PowerCuts::new(&recording.disk, seed);
    // What comes before is how a repository is made, which `power_cuts` looks at.
    let first = recording.steps[0].end;
    let point_count = walk.len() + 1 - first;
    let mut total = spread(point_count.div_ceil(PART_LEN), |part| {
        let (mut tally, mut cuts) = (Tally::default(), walk.clone());
        let places = part * PART_LEN..point_count.min((part + 1) * PART_LEN);
        for at in places.map(|place| first + place) {
            cuts.walk_to(at);
            for damage in 0..damage_count {
                let image = cuts.image(damage, mix(seed, at, damage));
                tally.note(cuts.label());
                let outcome = recording.survives(&image, at, is_out_of_order(damage));
                tally.count(outcome, || {
                    let name = DAMAGE_NAMES[damage % DAMAGE_NAMES.len()];
                    let label = cuts.label();
                    format!("seed {seed}, MFS, cut at {at} ({label}), damage {damage} ({name})")
                });
            }
        }
        tally
    });
    for step in &recording.steps {
        total.note(format!("change: {}", step.kind));
    }
    Ok(total)
}

impl Recording {
    fn of(seed: u64, count: usize) -> Result<Self> {
        let disk = SimDisk::new(Path::new("/home"), seed);
        let mut random = Random::new(seed ^ 0x3f5a_11c7);
        let mut worker = Worker::make(&disk)?;
        let (mut now, mut durable) = (Tree::default(), Tree::default());
        let begun = [durable.clone(), durable.clone()];
        let end = disk.position();
        let mut steps = vec![Step { end, kind: "none", acked: durable.clone(), begun }];
        for number in 0..count {
            let change = Change::draw(&mut random, &now);
            let after = change.applied_to(&now);
            let flushed = if change.flushes() { &after } else { &durable };
            let begun = [durable.clone(), flushed.clone()];
            durable = flushed.clone();
            worker = worker.apply(&change, &disk).with_context(|| {
                format!("seed {seed}, MFS, change {number} ({})", change.kind())
            })?;
            now = if let Change::Kill = change { durable.clone() } else { after };
            let found = worker.tree()?;
            ensure!(found == now, "seed {seed}, MFS, after change {number}: another tree");
            let (end, kind) = (disk.position(), change.kind());
            steps.push(Step { end, kind, acked: durable.clone(), begun });
        }
        disk.kill();
        Ok(Self { seed, disk, steps })
    }

    /// The trees that may be found when the journal was this long.
    fn allowed(&self, at: usize) -> Vec<&Tree> {
        let after = self.steps.partition_point(|step| step.end <= at);
        let acked = &self.steps[after - 1];
        match self.steps.get(after) {
            Some(under_way) if at > acked.end => under_way.begun.iter().collect(),
            _ => vec![&acked.acked],
        }
    }

    /// Opens an image, and sees whether it keeps what was promised, before and after a change.
    fn survives(&self, image: &SimDisk, at: usize, alarms: bool) -> Result<()> {
        let worker = Worker::open(image).context("opening after a power cut")?;
        let losses = worker.losses();
        ensure!(alarms || losses.is_empty(), "nothing is lost, but it reports {losses:?}");
        let found = worker.tree()?;
        ensure!(self.allowed(at).contains(&&found), "the tree was never like this: {found:?}");
        let change = Change::fresh(mix(self.seed, at, 9));
        let expected = change.applied_to(&found);
        let worker = worker.apply(&change, image).context("writing on")?;
        ensure!(worker.tree()? == expected, "another tree after writing on");
        image.kill();
        let mut cuts = PowerCuts::new(image, 0);
        cuts.walk_to(cuts.len());
        let worst = cuts.image(0, at as u64);
        let worker = Worker::open(&worst).context("after writing on and losing power again")?;
        ensure!(worker.tree()? == expected, "another tree after losing power again");
        Ok(())
    }
}
