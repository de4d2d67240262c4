//! `cargo xtask test`, `tidy`, `reliability`, `fuzz` and `bench`: what has to run before a change
//! goes in, what it survives, and how fast it is.
//!
//! Depends on as little as it can, so that it compiles in a second or two before anything else.
//! Not here: the whole list of what CI runs (`.ci/run`), the tests themselves (`tests/`).

#![expect(clippy::print_stdout, reason = "a command line tool speaks on its standard output")]
#![expect(clippy::print_stderr, reason = "and tells its failures on the other one")]

mod bench;
mod command;
mod fuzz;
mod peers;
mod reliability;
mod test;
mod tidy;
mod tools;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  test [ARGS…]   sets up real peers, builds the binary and runs every test;
                 ARGS go to `cargo test`, for example: -p cairn-tests --test kill
  tidy           checks the rules of the house that no compiler checks
  reliability [ARGS…]
                 tries power cuts, failing disks and damage by the hundred thousand;
                 ARGS: [--scale N] [--seed S] [ROW…]
  fuzz [ARGS…]   looks for bytes that break a decoder, guided by what they reach;
                 ARGS: [TARGET…] [--runs N] [--seed S] [--seconds T] [--jobs N] [--keep]
  bench [ARGS…]  measures the release build against a real Kubo core, row by row;
                 `bench --help` names the rows";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(compiled) = fuzz::compile(&args) {
        let succeeded = compiled.is_ok_and(|status| status.success());
        return if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<()> {
    match args.split_first() {
        Some((name, rest)) if name == "test" => test::run(rest),
        Some((name, [])) if name == "tidy" => tidy::run(),
        Some((name, rest)) if name == "reliability" => reliability::run(rest),
        Some((name, rest)) if name == "fuzz" => fuzz::run(rest),
        Some((name, rest)) if name == "bench" => bench::run(rest),
        _ => bail!("{USAGE}"),
    }
}
