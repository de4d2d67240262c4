//! `cargo xtask reliability`: the store's promises under many more faults than a test has time for.
//!
//! Not here: the trials (`crates/sim`), what was found with them (`docs/reliability.md`).

use crate::command;
use anyhow::{Context as _, Result};

/// Runs the trials; `args` choose rows, scale and seed.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut sim = command::cargo();
    sim.args(["run", "--quiet", "--locked", "--release", "-p", "cairn-sim", "--"]).args(args);
    command::run(&mut sim).context("a promise was broken, or could not be tried")
}
