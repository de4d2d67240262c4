//! Sequences of operations against the model: every answer is compared, the program is killed
//! and loses power on the way.
//!
//! A sequence that fails is made shorter as long as it still fails, so that what is printed is
//! about what is needed.
//!
//! Not here: failing calls (`faults.rs`).

use crate::{
    promises::Since,
    script::{Op, blocks, script},
    session::Session,
    tally::{Tally, spread},
};
use anyhow::Result;
use cairn_block::Block;
use std::sync::Arc;

/// Lengths of packs, one of which a sequence uses.
const SEGMENT_LENS: [u64; 3] = [4 * 1024, 16 * 1024, 64 * 1024];

/// Sequences that one part of a run does.
const PART_LEN: u64 = 50;

/// Runs `count` sequences of `op_count` operations, with seeds from `seed` on.
pub fn sequences(seed: u64, op_count: usize, count: u64) -> Tally {
    let blocks = Arc::new(blocks());
    let part_count = usize::try_from(count.div_ceil(PART_LEN)).unwrap_or(usize::MAX);
    spread(part_count, |part| {
        let mut tally = Tally::default();
        let first = part as u64 * PART_LEN;
        for number in first..count.min(first + PART_LEN) {
            let seed = seed + number;
            let ops = script(seed, op_count, true);
            let outcome = holds(seed, &ops, &blocks);
            let failed = outcome.is_err();
            tally.count(outcome, || format!("seed {seed}"));
            if failed && tally.violations == 1 {
                let needed = shortened(ops, |ops| holds(seed, ops, &blocks).is_err());
                tally.texts.push(format!("seed {seed} needs only {needed:?}"));
            }
        }
        tally
    })
}

fn holds(seed: u64, ops: &[Op], blocks: &Arc<Vec<Block>>) -> Result<()> {
    let len = SEGMENT_LENS[usize::try_from(seed % 3)?];
    let mut session = Session::new(seed, Arc::clone(blocks), len);
    session.open()?;
    for op in ops {
        session.must(op)?;
    }
    session.check(Since::Running)?;
    session.must(&Op::Reopen)?;
    session.check(Since::Running)
}

/// Leaves out operations, many at a time and then few, as long as the rest still fails.
fn shortened(mut ops: Vec<Op>, fails: impl Fn(&[Op]) -> bool) -> Vec<Op> {
    let mut len = ops.len() / 2;
    while len > 0 {
        let mut start = 0;
        while start < ops.len() {
            let mut fewer = ops.clone();
            fewer.drain(start..(start + len).min(ops.len()));
            if fails(&fewer) {
                ops = fewer;
            } else {
                start += len;
            }
        }
        len /= 2;
    }
    ops
}

#[cfg(test)]
mod tests {
    use super::{Op, shortened};

    #[test]
    fn what_is_not_needed_is_left_out() {
        let ops = (0..40).map(Op::Delete).collect();
        let fails = |ops: &[Op]| ops.contains(&Op::Delete(7)) && ops.contains(&Op::Delete(31));
        assert_eq!(shortened(ops, fails), [Op::Delete(7), Op::Delete(31)]);
    }
}
