//! `cargo xtask reliability`: the trials of the tests in larger numbers, as a table.
//!
//! Prints what was tried, for how long, from which seeds, and every promise that was broken with
//! what repeats it; ends with a failure if there was one.
//! Not here: the trials (the crate's library).

#![expect(clippy::print_stdout, reason = "a command line tool speaks on its standard output")]
#![expect(clippy::print_stderr, reason = "and tells its failures on the other one")]

use anyhow::{Context as _, Result, bail};
use cairn_runtime::Clock;
use cairn_sim::{Tally, corrupted_reads, faults, mfs_cuts, power_cuts, second_cuts, sequences};
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask reliability [--scale N] [--seed S] [ROW…]

Rows: cuts second mfs faults sequences rot (all, without any). A scale of 1 makes at least 100,000
images of power cuts and takes about half an hour on two cores.";

/// Scripts whose every point loses power: about 2,500 images each.
const CUT_SCRIPTS: u64 = 42;

/// Second power cuts.
const SECOND_CUTS: u64 = 10_000;

/// Scripts of changes of MFS whose every point loses power, and operations in each.
const MFS_SCRIPTS: u64 = 20;
const MFS_OP_COUNT: usize = 60;

/// Scripts of 40 operations whose every call fails; one of 200 comes on top.
const FAULT_SCRIPTS: u64 = 6;

/// Sequences against the model.
const SEQUENCES: u64 = 100_000;

/// Sequences after which a line says how far the run is.
const SEQUENCES_PART: u64 = 5_000;

/// Repositories that rot.
const ROTS: u64 = 100_000;

/// Operations of a script.
const OP_COUNT: usize = 200;

/// What the command line asks for.
struct Args {
    scale: u64,
    seed: u64,
    rows: Vec<String>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match Args::parse(&args).and_then(|args| run(&args)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(count) => {
            eprintln!("Error: {count} promises were broken");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Args {
    fn parse(args: &[String]) -> Result<Self> {
        let mut parsed = Self { scale: 1, seed: 1, rows: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut number = || -> Result<u64> {
                let text = args.next().with_context(|| format!("{arg} needs a number"))?;
                text.parse().with_context(|| format!("{arg} {text}"))
            };
            match arg.as_str() {
                "--scale" => parsed.scale = number()?.max(1),
                "--seed" => parsed.seed = number()?,
                "cuts" | "second" | "mfs" | "faults" | "sequences" | "rot" => {
                    parsed.rows.push(arg.clone());
                }
                _ => bail!("{USAGE}"),
            }
        }
        Ok(parsed)
    }

    fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|wanted| wanted == row)
    }
}

/// Runs the rows; returns how many promises were broken.
fn run(args: &Args) -> Result<u64> {
    let (clock, seed, scale) = (Clock::system(), args.seed, args.scale);
    let mut violations = 0;
    println!("| trials | count | seeds | violations | seconds |\n|---|--:|---|--:|--:|");
    let mut row = |name: &str, text: &str, seeds: u64, act: &dyn Fn() -> Result<Tally>| {
        if !args.wants(name) {
            return Ok(());
        }
        let begin = clock.monotonic();
        let tally = act()?;
        let seconds = (clock.monotonic() - begin).as_secs();
        let (trials, broken) = (tally.trials, tally.violations);
        println!("| {text} | {trials} | {seed}–{} | {broken} | {seconds} |", seed + seeds - 1);
        for (kind, count) in &tally.kinds {
            eprintln!("{name}: {count} × {kind}");
        }
        for text in &tally.texts {
            eprintln!("{name}: {text}");
        }
        violations += broken;
        anyhow::Ok(())
    };
    let scripts = CUT_SCRIPTS * scale;
    row("cuts", "power cut after every I/O of 200 operations", scripts, &|| {
        each_seed(seed, scripts, |seed| power_cuts(seed, OP_COUNT, 3))
    })?;
    row("second", "second cut during recovery", 10 * scale, &|| {
        each_seed(seed, 10 * scale, |seed| second_cuts(seed, OP_COUNT, SECOND_CUTS / 10))
    })?;
    let scripts = MFS_SCRIPTS * scale;
    row("mfs", "power cut after every I/O of 60 changes of MFS", scripts, &|| {
        each_seed(seed, scripts, |seed| mfs_cuts(seed, MFS_OP_COUNT, 3))
    })?;
    let scripts = FAULT_SCRIPTS * scale;
    row("faults", "EIO, ENOSPC at every call, once and for ever", scripts, &|| {
        let mut tally = each_seed(seed, scripts, |seed| faults(seed, 40))?;
        tally.add(faults(seed, OP_COUNT)?);
        Ok(tally)
    })?;
    let count = SEQUENCES * scale;
    row("sequences", "sequences of 100 operations against the model", count, &|| {
        let mut tally = Tally::default();
        while tally.trials < count {
            let part = SEQUENCES_PART.min(count - tally.trials);
            let found = sequences(seed + tally.trials, 100, part);
            found.texts.iter().for_each(|text| eprintln!("sequences: {text}"));
            tally.add(found);
            eprintln!("sequences: {} of {count}, {} violations", tally.trials, tally.violations);
        }
        Ok(tally)
    })?;
    row("rot", "repositories read with damaged packs", 1, &|| corrupted_reads(seed, ROTS * scale))?;
    Ok(violations)
}

fn each_seed(seed: u64, count: u64, act: impl Fn(u64) -> Result<Tally>) -> Result<Tally> {
    let mut total = Tally::default();
    for seed in seed..seed + count {
        total.add(act(seed)?);
    }
    Ok(total)
}
