//! Rows of the content model: small ranges of a large file, and what two alike trees take.
//!
//! Bytes that a range reads are counted by the kernel, over the daemon's whole process (`rchar` of
//! `/proc/PID/io`: calls that read, of sockets, too). The other side of the trees is borg, where it
//! is installed (`apt install borgbackup`), without compression, since ours has none by default.
//! Not here: which blocks a range reads, counted one by one (`crates/unixfs/tests/read.rs`).

use super::{
    Bench,
    durable::{count, timed},
    http::Client,
    measure::{self, Series},
    rows::{Random, Row, big_file, disk_len, random_file, text},
    sides::Cairn,
};
use anyhow::{Result, ensure};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Ranges that a median is taken of.
const RANGE_COUNT: usize = 1000;
/// Bytes of a range.
const RANGE_LEN: u64 = 4096;
/// Files of the trees: small ones for each of `--small-files`, and large ones.
const SMALL_SHARE: usize = 4;
const LARGE_COUNT: u64 = 4;
const LARGE_LEN: u64 = 48 << 20;
/// Longest small file, in bytes.
const SMALL_LEN_MAX: u64 = 32 * 1024;
/// One small file in so many is edited, one is new, one is gone.
const EDIT_SHARE: usize = 20;

/// 4 KiB at random places of one big file (`--big-mib`), by RPC.
pub(super) fn ranges(bench: &Bench) -> Result<Vec<Row>> {
    let file = big_file(bench)?;
    let mut ours = Cairn::new(bench, "ours")?;
    let cid = ours.output(&["add", "-Q", text(&file)?])?;
    let (mut times_ms, mut read_kib) = <(Series, Series)>::default();
    let mut random = Random(53);
    ours.start()?;
    let mut client = Client::connect(ours.api()?)?;
    for _ in 0..bench.pairs {
        let offsets: Vec<u64> =
            (0..RANGE_COUNT).map(|_| number(&mut random, bench.big_len - RANGE_LEN)).collect();
        let before = measure::read_len(ours.daemon()?.id())?;
        let times = timed(&offsets, |offset| {
            let command = format!("cat?arg={cid}&offset={offset}&length={RANGE_LEN}");
            let mut len = 0;
            client.stream(&command, |part| len += part.len())?;
            ensure!(len as u64 == RANGE_LEN, "{len} bytes of a range");
            Ok(())
        })?;
        let read = measure::read_len(ours.daemon()?.id())? - before;
        times_ms.0.push(times.median());
        read_kib.0.push(read / 1024.0 / count(RANGE_COUNT));
    }
    let workload = "4 KiB at random places of one big file, by RPC";
    Ok(vec![
        Row::new(workload, "p50 ms", times_ms, Series::default()),
        Row::new(workload, "KiB read for each", read_kib, Series::default()),
    ])
}

/// Two trees that differ a little, added one after the other with `fastcdc`; borg's archives.
pub(super) fn alike(bench: &Bench) -> Result<Vec<Row>> {
    let (old, new) = (bench.folder.join("old"), bench.folder.join("new"));
    let data_len = make_trees(bench, &old, &new)?;
    let (mut ours_len, mut theirs_len) = (Series::default(), Series::default());
    let (mut fixed_len, mut ours_cpu, mut theirs_cpu) = <(Series, Series, Series)>::default();
    for _ in 0..bench.pairs {
        for (chunker, series) in [("fastcdc", &mut ours_len), ("size-262144", &mut fixed_len)] {
            let ours = Cairn::new(bench, "ours")?;
            let mut cpu = 0.0;
            for tree in [&old, &new] {
                let args = ["add", "-rQ", "--chunker", chunker, text(tree)?];
                cpu += measure::run(&mut ours.command(&args))?.cpu;
            }
            series.0.push(disk_len(ours.repo())? / data_len);
            if chunker == "fastcdc" {
                ours_cpu.0.push(cpu);
            }
        }
        if let Some((len, cpu)) = borg(bench, &[&old, &new])? {
            theirs_len.0.push(len / data_len);
            theirs_cpu.0.push(cpu);
        }
    }
    let workload = "two trees that differ a little, --chunker fastcdc; borg";
    Ok(vec![
        Row::new(workload, "bytes on disk : bytes of one tree", ours_len, theirs_len),
        Row::new(
            "the same in fixed chunks",
            "bytes on disk : bytes of one tree",
            fixed_len,
            Series::default(),
        ),
        Row::new(workload, "CPU s", ours_cpu, theirs_cpu),
    ])
}

/// Bytes on disk and CPU seconds of borg; nothing if it is not installed.
fn borg(bench: &Bench, trees: &[&Path]) -> Result<Option<(f64, f64)>> {
    let repo = bench.folder.join("borg");
    if repo.exists() {
        fs::remove_dir_all(&repo)?;
    }
    let command = |args: &[&str]| {
        let mut command = Command::new("borg");
        command.args(args).env("BORG_BASE_DIR", bench.folder.join("borg-home"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    if command(&["--version"]).status().is_err() {
        println!("borg is not installed, so nothing stands beside the next rows");
        return Ok(None);
    }
    measure::run(&mut command(&["init", "--encryption=none", text(&repo)?]))?;
    let mut cpu = 0.0;
    for (number, tree) in trees.iter().enumerate() {
        let archive = format!("{}::{number}", text(&repo)?);
        let args = ["create", "--compression=none", &archive, text(tree)?];
        cpu += measure::run(&mut command(&args))?.cpu;
    }
    Ok(Some((disk_len(&repo)?, cpu)))
}

/// Makes a tree and an edited copy of it; returns how many bytes the first one's files have.
#[expect(clippy::cast_precision_loss, reason = "sizes here are far below 2^52 bytes")]
fn make_trees(bench: &Bench, old: &Path, new: &Path) -> Result<f64> {
    let mut random = Random(59);
    let mut data_len = 0;
    for index in 0..bench.small_files / SMALL_SHARE {
        let folder = format!("{:02}", index % 50);
        let len = number(&mut random, SMALL_LEN_MAX);
        let mut bytes = random.bytes(usize::try_from(len)?);
        data_len += len;
        for (tree, is_new) in [(old, false), (new, true)] {
            let folder = tree.join(&folder);
            fs::create_dir_all(&folder)?;
            match index % EDIT_SHARE {
                0 if is_new => bytes.splice(0..0, *b"a line that is new\n").for_each(drop),
                1 if is_new => continue,
                2 if !is_new => continue,
                _ => {}
            }
            fs::write(folder.join(index.to_string()), &bytes)?;
        }
    }
    for index in 0..LARGE_COUNT {
        // Of other lengths, and so of other bytes.
        let path = random_file(&old.join(format!("large-{index}")), LARGE_LEN + 2 * index)?;
        data_len += LARGE_LEN + 2 * index;
        let mut bytes = fs::read(path)?;
        // Everything moves by some bytes, and something else stands in three places.
        bytes.splice(0..0, *b"shifted").for_each(drop);
        for _ in 0..3 {
            let at = usize::try_from(number(&mut random, LARGE_LEN - 4096))?;
            bytes[at..at + 4096].copy_from_slice(&random.bytes(4096));
        }
        fs::write(new.join(format!("large-{index}")), bytes)?;
    }
    Ok(data_len as f64)
}

/// A number below `end`.
fn number(random: &mut Random, end: u64) -> u64 {
    let bytes = random.bytes(8);
    let wide = bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    wide % end.max(1)
}
