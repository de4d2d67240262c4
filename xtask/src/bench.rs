//! `cargo xtask bench`: Cairn against what a user would use instead, in one interleaved run.
//!
//! Machines are shared and noisy, so only ratios inside one run count: each row runs ours and
//! theirs alternately, on the same data, within the same minutes, and prints medians with their
//! range. CPU seconds are the steadiest figure. The other side is a real Kubo core (the pinned
//! `PyPI` package that the tests use) and plain `cp` with a sync.
//! Invariants: nothing here gates a test; every file is under a temporary directory that goes
//! away; all traffic stays on loopback.
//! Not here: the measuring of processes (`measure.rs`), the two sides (`sides.rs`), the rows
//! (`rows.rs` and, of single durable writes, of MFS, of large repositories, of CAR files
//! and of content, `durable.rs`, `mfs.rs`, `large.rs`, `car.rs`, `content.rs`).

mod car;
mod content;
mod durable;
mod http;
mod large;
mod measure;
mod mfs;
mod rows;
mod sides;

use crate::{command, peers};
use anyhow::{Context as _, Result, bail};
use rows::Row;
use std::path::PathBuf;

/// Interleaved pairs a row, unless `--pairs` says otherwise.
const PAIRS_DEFAULT: usize = 5;

/// What the command line asks for.
struct Options {
    pairs: usize,
    big_len: u64,
    small_files: usize,
    pins: usize,
    blocks: usize,
    only: Vec<String>,
    folder: Option<PathBuf>,
}

/// What the rows run on: binaries, data, and a place to write.
pub(crate) struct Bench {
    /// The release build of the binary.
    cairn: PathBuf,
    /// The script that drives the Kubo core.
    kubo_script: PathBuf,
    /// Where the core's library is installed.
    kubo_library: PathBuf,
    /// A folder of this run alone, on the disk that is measured.
    folder: PathBuf,
    pairs: usize,
    big_len: u64,
    small_files: usize,
    /// Pins of the row that lists them.
    pins: usize,
    /// Blocks of the rows that open and collect them.
    blocks: usize,
}

/// Runs the benchmark table and prints it as Markdown.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = parse(args)?;
    let peers = peers::install().context("there is nothing to compare with")?;
    let target = command::target_folder()?;
    command::run(command::cargo().args(["build", "--release", "--locked", "--package", "cairn"]))?;
    let folder = options.folder.unwrap_or_else(|| target.join("bench"));
    let folder = folder.join(std::process::id().to_string());
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("could not make {}", folder.display()))?;
    let bench = Bench {
        cairn: target.join("release/cairn"),
        kubo_script: command::root().join("tests/peers/kubo_peer.py"),
        kubo_library: peers.join("py"),
        folder: folder.clone(),
        pairs: options.pairs,
        big_len: options.big_len,
        small_files: options.small_files,
        pins: options.pins,
        blocks: options.blocks,
    };
    let outcome = table(&bench, &options.only);
    std::fs::remove_dir_all(&folder)
        .with_context(|| format!("could not remove {}", folder.display()))?;
    outcome
}

fn table(bench: &Bench, only: &[String]) -> Result<()> {
    println!("| workload | figure | Cairn | instead | ratio |");
    println!("|---|---|---|---|---|");
    for (name, row) in rows::ALL {
        if only.is_empty() || only.iter().any(|wanted| wanted == name) {
            let lines: Vec<Row> = row(bench).with_context(|| format!("row {name}"))?;
            for line in lines {
                println!("{line}");
            }
        }
    }
    Ok(())
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options = Options {
        pairs: PAIRS_DEFAULT,
        big_len: 1 << 30,
        small_files: 20_000,
        pins: 1_000_000,
        blocks: 1_000_000,
        only: Vec::new(),
        folder: None,
    };
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let mut value = || rest.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--pairs" => options.pairs = value()?.parse().context("--pairs")?,
            "--big-mib" => options.big_len = value()?.parse::<u64>().context("--big-mib")? << 20,
            "--small-files" => options.small_files = value()?.parse().context("--small-files")?,
            "--pins" => options.pins = value()?.parse().context("--pins")?,
            "--blocks" => options.blocks = value()?.parse().context("--blocks")?,
            "--folder" => options.folder = Some(value()?.into()),
            name if rows::ALL.iter().any(|row| row.0 == name) => options.only.push(name.to_owned()),
            other => bail!(
                "unknown argument {other}; usage: cargo xtask bench [--pairs N] [--big-mib N] \
                 [--small-files N] [--pins N] [--blocks N] [--folder DIR] [ROW…] with rows {}",
                rows::ALL.iter().map(|row| row.0).collect::<Vec<_>>().join(" ")
            ),
        }
    }
    if options.pairs == 0 {
        bail!("--pairs must be at least 1");
    }
    Ok(options)
}
