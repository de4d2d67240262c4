//! `cargo xtask fuzz`: looks for bytes that break a property of a decoder, and prints a table.
//!
//! The decoders are built with LLVM's coverage counters on stable Rust: cargo calls this program
//! in place of the compiler for the workspace's own crates ([`compile`]), which adds the flags
//! to all of them but those that look at the counters. What is built so lies in a target folder
//! of its own, `target/fuzz`, with what was found.
//! Each target runs in a process; one that dies is told with the input that did it.
//! Not here: the engine, the targets and their corpora (`crates/fuzz`).

use crate::command;
use anyhow::{Context as _, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    thread,
};

/// Says that this program is called in place of the compiler.
const COMPILES: &str = "CAIRN_FUZZ_COMPILES";

/// Counters at each edge, and a call for each comparison.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=3",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    // Sums that overflow are faults, also where a release does not look.
    "-Cdebug-assertions=on",
    "-Coverflow-checks=on",
];

/// Crates that look at the counters, or do nothing that should count.
const PLAIN: &[&str] = &["cairn_fuzz", "cairn_testkit"];

const USAGE: &str = "\
Usage: cargo xtask fuzz [TARGET…] [--runs N] [--seed S] [--seconds T] [--jobs N] [--keep]

Runs every target a million times, unless a number of runs or seconds is given; --keep puts the
inputs that reach most into crates/fuzz/corpus. `--list` names the targets.";

/// What the command line asks for.
#[derive(Default)]
struct Args {
    targets: Vec<String>,
    /// Passed on to each target's process.
    passed: Vec<String>,
    jobs: usize,
    list: bool,
}

/// Compiles in place of the compiler, if that is what cargo started this program for; `args`
/// are the compiler and its arguments.
pub(crate) fn compile(args: &[String]) -> Option<Result<ExitStatus>> {
    command::setting(COMPILES)?;
    let (compiler, args) = args.split_first()?;
    let names = args.windows(2).filter(|pair| pair[0] == "--crate-name").map(|pair| &pair[1]);
    let counts = |name: &String| name.starts_with("cairn") && !PLAIN.contains(&name.as_str());
    let flags: &[&str] = if names.into_iter().any(counts) { FLAGS } else { &[] };
    let status = Command::new(compiler).args(args).args(flags).status();
    Some(status.with_context(|| format!("could not start {compiler}")))
}

/// Builds and runs; fails if a target does.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let args = parse(args)?;
    let folder = command::target_folder()?.join("fuzz");
    let program = build(&folder)?;
    let mut all = Command::new(&program);
    let all = command::output(all.arg("--list"))?;
    let all = String::from_utf8(all).context("names are UTF-8")?;
    if args.list {
        print!("{all}");
        return Ok(());
    }
    let known: Vec<&str> = all.lines().collect();
    if let Some(name) = args.targets.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("no target {name}; there are {}", known.join(" "));
    }
    let wanted = |name: &&str| args.targets.is_empty() || args.targets.iter().any(|t| t == name);
    let queue: Vec<&str> = known.into_iter().rev().filter(wanted).collect();
    println!(
        "| target | runs | runs/s | corpus | features | failures |\n|---|--:|--:|--:|--:|--:|"
    );
    let (queue, failed) = (Mutex::new(queue), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..args.jobs {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let Some(name) = next else { return };
                    if let Err(error) = run_one(&program, &folder, name, &args.passed) {
                        eprintln!("{name}: {error:#}");
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(" ")) }
}

fn parse(args: &[String]) -> Result<Args> {
    let mut parsed = Args { jobs: 1, ..Args::default() };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--list" => parsed.list = true,
            "--keep" => parsed.passed.push(arg.clone()),
            "--runs" | "--seed" | "--seconds" | "--jobs" => {
                let text = args.next().with_context(|| format!("{arg} needs a number"))?;
                let number: u64 = text.parse().with_context(|| format!("{arg} {text}"))?;
                if arg == "--jobs" {
                    parsed.jobs = usize::try_from(number.max(1)).context("--jobs")?;
                } else {
                    parsed.passed.extend([arg.clone(), text.clone()]);
                }
            }
            name if !name.starts_with('-') => parsed.targets.push(name.to_owned()),
            _ => bail!("{USAGE}"),
        }
    }
    Ok(parsed)
}

fn build(folder: &Path) -> Result<PathBuf> {
    let itself = std::env::current_exe().context("this program has no path")?;
    let mut build = command::cargo();
    build.args(["build", "--quiet", "--locked", "--release", "-p", "cairn-fuzz", "--target-dir"]);
    build.arg(folder).env("RUSTC_WORKSPACE_WRAPPER", itself).env(COMPILES, "1");
    command::run(&mut build).context("could not build the targets")?;
    Ok(folder.join("release/cairn-fuzz"))
}

/// Runs one target and prints its line.
fn run_one(program: &Path, folder: &Path, name: &str, args: &[String]) -> Result<()> {
    let work = folder.join("found").join(name);
    let kept = command::root().join("crates/fuzz/corpus").join(name);
    fs::create_dir_all(&work).with_context(|| format!("could not make {}", work.display()))?;
    let mut process = Command::new(program);
    process.arg(name).arg("--work").arg(&work).arg("--kept").arg(&kept).args(args);
    let output = process.stderr(Stdio::inherit()).output().context("could not start it")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if let [runs, millis, corpus, features, failures] =
        text.trim().split('\t').collect::<Vec<_>>()[..]
    {
        let number = |text: &str| text.parse::<u64>().unwrap_or_default();
        let speed = number(runs) * 1000 / number(millis).max(1);
        println!("| {name} | {runs} | {speed} | {corpus} | {features} | {failures} |");
    }
    let failures = work.join("failures");
    match output.status.code() {
        Some(0) => Ok(()),
        Some(1) => bail!("what broke a property is in {}", failures.display()),
        Some(2) => bail!("it could not run"),
        _ => {
            let mut shorten = Command::new(program);
            shorten.arg(name).arg("--shorten").arg(work.join("current"));
            command::run(&mut shorten)?;
            bail!("an input ended the process ({}): {}", output.status, failures.display())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn arguments_are_for_this_program_or_for_the_targets() {
        let args = ["car", "--runs", "7", "--jobs", "2", "--keep"].map(str::to_owned);
        let parsed = parse(&args).unwrap();
        assert_eq!((parsed.targets, parsed.jobs), (vec!["car".to_owned()], 2));
        assert_eq!(parsed.passed, ["--runs", "7", "--keep"]);
        for wrong in [&["--runs"][..], &["--runs", "x"], &["--nothing"]] {
            let wrong: Vec<String> = wrong.iter().map(|&arg| arg.to_owned()).collect();
            assert!(parse(&wrong).is_err(), "{wrong:?}");
        }
    }
}
