//! What every run of the tests tries; `cargo xtask reliability` tries more of the same.
//!
//! Each test prints one line with its counts, past the runner's capture.

use cairn_sim::{Tally, corrupted_reads, faults, mfs_cuts, power_cuts, second_cuts, sequences};
use std::io::{self, Write as _};

/// The seed of a usual run; a long one takes others.
const SEED: u64 = 1;

/// Prints what a test tried, and fails if a promise was broken.
fn report(what: &str, tally: &Tally, least: u64) {
    let text = format!("{what}: {} trials, {} violations\n", tally.trials, tally.violations);
    io::stderr().write_all(text.as_bytes()).expect("standard error is open");
    if let Err(error) = tally.verdict() {
        io::stderr().write_all(format!("{error}\n").as_bytes()).expect("standard error is open");
    }
    assert_eq!(tally.violations, 0, "{what}");
    assert!(tally.trials >= least, "only {} trials", tally.trials);
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_goes() {
    let tally = power_cuts(SEED, 200, 3).unwrap();
    report("power cut after every I/O of 200 operations, 3 damages each", &tally, 2000);
    let labels = ["write pack", "sync pack", "change mapped index", "write meta", "sync meta"];
    for label in labels.into_iter().chain(["create pack", "sync directory", "rename to meta"]) {
        assert!(tally.kinds.contains_key(label), "never cut after {label}");
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_goes_twice() {
    let tally = second_cuts(SEED, 200, 500).unwrap();
    report("second power cut during recovery", &tally, 500);
}

#[test]
fn what_a_flush_of_mfs_acknowledged_is_there_when_the_power_went() {
    let tally = mfs_cuts(SEED, 80, 3).unwrap();
    report("power cut after every I/O of 80 changes of MFS, 3 damages each", &tally, 1000);
    for label in ["write pack", "sync pack", "write meta"] {
        assert!(tally.kinds.contains_key(label), "never cut after {label}");
    }
    for kind in ["mkdir", "write", "move", "copy", "remove", "flush", "collect", "kill", "restart"]
    {
        assert!(tally.kinds.contains_key(&format!("change: {kind}")), "no {kind}");
    }
}

#[test]
fn every_call_may_fail() {
    let tally = faults(SEED, 60).unwrap();
    report("EIO and ENOSPC at every call of 60 operations, once and for ever", &tally, 1000);
}

#[test]
fn every_answer_is_the_models() {
    report("sequences of 100 operations against the model", &sequences(SEED, 100, 2000), 2000);
}

/// Seeds whose sequences have found something, see `docs/reliability.md`.
#[test]
fn what_was_found_stays_mended() {
    for seed in [1252, 6658, 38_732, 85_607, 102_227] {
        report("sequence that found something once", &sequences(seed, 100, 1), 1);
    }
}

#[test]
fn a_rotten_pack_never_gives_wrong_bytes() {
    let tally = corrupted_reads(SEED, 5000).unwrap();
    report("repositories read with damaged packs", &tally, 5000);
    for kind in ["blocks read right", "blocks absent", "blocks refused"] {
        assert!(tally.kinds.contains_key(kind), "no {kind}");
    }
}
