//! Failing calls: a script runs once for each call it makes, and that call fails.
//!
//! Whatever fails, refusals say so, answers are never wrong, and what was acknowledged is there
//! when the disk works again. A call that failed once costs what needed it and no more: later
//! operations succeed, except that after a failed sync blocks are read-only until a restart.
//! At the end the power goes as well, since a failed sync may have lost pages that every later
//! one takes for written.
//!
//! Not here: power cuts at every point (`cuts.rs`).

use crate::{
    cuts::{mix, write_on},
    disk::{Fault, FaultKind, PowerCuts},
    promises::Since,
    script::{Op, blocks, script},
    session::{Outcome, Session},
    tally::{Tally, spread},
};
use anyhow::{Context as _, Result, ensure};
use cairn_block::Block;
use std::sync::Arc;

/// Packs are this long.
const SEGMENT_LEN_MAX: u64 = 64 * 1024;

/// What a refusal says after a failed sync.
const READ_ONLY: &str = "until a restart";

/// The ways to fail: kind, and whether for ever.
const WAYS: [(FaultKind, bool, &str); 4] = [
    (FaultKind::Broken, false, "EIO once"),
    (FaultKind::Broken, true, "EIO for ever"),
    (FaultKind::Full, false, "ENOSPC once"),
    (FaultKind::Full, true, "ENOSPC for ever"),
];

/// Fails every call of a script in every way.
///
/// # Errors
///
/// The script itself fails on the healthy disk.
pub fn faults(seed: u64, op_count: usize) -> Result<Tally> {
    let (ops, blocks) = (script(seed, op_count, false), Arc::new(blocks()));
    let mut trials = Vec::new();
    for (kind, for_ever, name) in WAYS {
        let mut session = Session::new(seed, Arc::clone(&blocks), SEGMENT_LEN_MAX);
        session.set_fault(Some(Fault { kind, nth: u64::MAX, for_ever }));
        for op in &ops {
            session.must(op).with_context(|| format!("script {seed}"))?;
        }
        let count = session.disk.call_count();
        trials.extend((1..=count).map(|nth| (Fault { kind, nth, for_ever }, name)));
    }
    Ok(spread(trials.len(), |number| {
        let (mut tally, (fault, name)) = (Tally::default(), trials[number]);
        tally.note(name);
        let outcome = survives(seed, &ops, &blocks, fault);
        tally.count(outcome, || format!("seed {seed}, call {} fails: {name}", fault.nth));
        tally
    }))
}

fn survives(seed: u64, ops: &[Op], blocks: &Arc<Vec<Block>>, fault: Fault) -> Result<()> {
    // What a failed write left behind may look like damage, since cutting it off fails as well.
    let mut session = Session::new(seed, Arc::clone(blocks), SEGMENT_LEN_MAX).with_alarms(true);
    session.set_fault(Some(fault));
    for (number, op) in ops.iter().enumerate() {
        let hit_before = session.disk.fault_hit();
        let Outcome::Refused(text) = session.apply(op)? else { continue };
        let healthy = !session.disk.fault_hit() || hit_before && !fault.for_ever;
        ensure!(!healthy || text.contains(READ_ONLY), "{number}: {op:?} is refused: {text}");
        session.model.lose_unsynced();
        session.check_never_wrong().with_context(|| format!("{number}: after {op:?}"))?;
    }
    ensure!(session.disk.fault_hit(), "the fault never happened");
    session.set_fault(None);
    session.model.lose_unsynced();
    if fault.nth.is_multiple_of(2) {
        session.kill();
    } else {
        session.end();
    }
    session.open().context("opening on the healthy disk")?;
    session.check(Since::Running).context("on the healthy disk")?;
    write_on(&mut session, mix(seed, ops.len(), 9)).context("writing on")?;
    lose_power(&session, blocks, fault.nth).context("after writing on and losing power")?;
    session.must(&Op::Close)?;
    lose_power(&session, blocks, fault.nth + 1).context("after closing and losing power")
}

/// Loses what may be lost now, in a copy of the disk.
fn lose_power(session: &Session, blocks: &Arc<Vec<Block>>, seed: u64) -> Result<()> {
    let mut cuts = PowerCuts::new(&session.disk, seed);
    cuts.walk_to(cuts.len());
    let (image, model) = (cuts.image(0, seed), session.model.clone());
    Session::on(image, model, Arc::clone(blocks), SEGMENT_LEN_MAX)
        .with_alarms(true)
        .open_after_cut()
}
