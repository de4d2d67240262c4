//! Rows of large repositories: a million pins listed, a million blocks opened and collected, ten
//! million in the index.
//!
//! Repositories are made by the store's examples, since making them by commands would take
//! longer than what is measured. Yardsticks are measured in the same minute.
//! Not here: how the store does without anything around it (`crates/store/examples`).

use super::{
    Bench,
    durable::{ADD, cid_of, count, timed},
    http::Client,
    measure::{self, Series},
    rows::{Random, Row, disk_len},
    sides::{Cairn, Kubo},
};
use crate::command;
use anyhow::{Context as _, Result};
use serde_json::json;
use std::{
    fs,
    net::SocketAddr,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

/// Small adds that are looked at for the longest, at least.
const ADD_COUNT_MIN: usize = 200;

/// Pins that Kubo lists; it takes about a tenth of a millisecond for each.
const KUBO_PIN_COUNT: usize = 200;

/// `pin ls` of many recursive pins, by RPC and by the command line.
pub(super) fn pin_list(bench: &Bench) -> Result<Vec<Row>> {
    let mut ours = Cairn::new(bench, "pinned")?;
    example(&["pin_speed", ours.text()?, &bench.pins.to_string()])?;
    ours.start()?;
    let (mut rates, mut first_ms, mut cli_rates) = <(Series, Series, Series)>::default();
    let (mut each_us, mut theirs_us, mut rss) = <(Series, Series, Series)>::default();
    for _ in 0..bench.pairs {
        let (first, whole, lines) = list(&mut Client::connect(ours.api()?)?)?;
        anyhow::ensure!(lines >= bench.pins, "{lines} pins of {} were listed", bench.pins);
        first_ms.0.push(first);
        rates.0.push(count(lines) / whole);
        each_us.0.push(whole * 1000.0 / count(lines));
        let args = ["pin", "ls", "--stream", "--type=recursive"];
        cli_rates.0.push(count(lines) / 1000.0 / measure::run(&mut ours.command(&args))?.wall);
        rss.0.push(measure::peak_rss_mib(ours.daemon()?.id()).context("no daemon")?);
        theirs_us.0.push(list_theirs(bench)?);
    }
    let workload = "pin ls of 1 M recursive pins (--pins)";
    let none = Series::default;
    Ok(vec![
        Row::new(workload, "thousand pins/s by RPC", rates, none()),
        Row::new(workload, "thousand pins/s by command", cli_rates, none()),
        Row::new(workload, "first line, ms", first_ms, none()),
        Row::new(workload, "us a pin; Kubo with 200 pins", each_us, theirs_us),
        Row::new(workload, "daemon's peak RSS MiB", rss, none()),
    ])
}

/// Ms until the first line and to the end, and how many lines there were.
fn list(client: &mut Client) -> Result<(f64, f64, usize)> {
    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
    let start = Instant::now();
    let (mut first, mut lines) = (None, 0);
    client.stream("pin/ls?stream=true&type=recursive", |part| {
        first.get_or_insert_with(|| start.elapsed());
        lines += part.iter().map(|byte| usize::from(*byte == b'\n')).sum::<usize>();
    })?;
    let first = first.context("nothing is pinned")?.as_secs_f64() * 1000.0;
    Ok((first, start.elapsed().as_secs_f64() * 1000.0, lines))
}

/// Microseconds that Kubo takes for a pin of its list.
fn list_theirs(bench: &Bench) -> Result<f64> {
    let mut theirs = Kubo::start(bench, "theirs")?;
    let mut random = Random(47);
    for _ in 0..KUBO_PIN_COUNT {
        let path = bench.folder.join("single");
        fs::write(&path, random.bytes(4096))?;
        theirs.add(&path)?;
    }
    let (answer, cost) = theirs.measured(&json!({"op": "pins"}))?;
    let pins = answer["cids"].as_array().context("Kubo lists its pins")?.len();
    Ok(cost.wall * 1e6 / count(pins))
}

/// Starting on a repository of many blocks, after a clean end and after a kill.
pub(super) fn open(bench: &Bench) -> Result<Vec<Row>> {
    let mut ours = full(bench)?;
    let (mut clean, mut killed) = <(Series, Series)>::default();
    for _ in 0..bench.pairs {
        clean.0.push(ready(&mut ours)?);
        ours.stop()?;
        ours.start()?;
        let mut client = Client::connect(ours.api()?)?;
        client.post_file(ADD, b"something that is not in the checkpoint")?;
        ours.kill()?;
        killed.0.push(ready(&mut ours)?);
        ours.stop()?;
    }
    let workload = "daemon on 1 M blocks (--blocks), start to ready";
    let none = Series::default;
    Ok(vec![
        Row::new(workload, "wall ms, after a clean end", clean, none()),
        Row::new(workload, "wall ms, after kill -9", killed, none()),
    ])
}

fn ready(ours: &mut Cairn) -> Result<f64> {
    Ok(timed(&[()], |()| ours.start())?.median())
}

/// Garbage collection of many blocks of which half are dead, in every pack, with one client
/// adding meanwhile; against copying as many bytes as were live.
pub(super) fn collect(bench: &Bench) -> Result<Vec<Row>> {
    let (mut wall, mut floor, mut cpu) = <(Series, Series, Series)>::default();
    let (mut longest, mut usual) = <(Series, Series)>::default();
    let mut ours = full(bench)?;
    let live_len = disk_len(&ours.repo().join("blocks"))? / 2.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length")]
    floor.0.push(copy_floor(bench, live_len as u64)?);
    ours.start()?;
    let api = ours.api()?;
    usual.0.push(max(&adds_until(api, &AtomicBool::new(false))?));
    let collecting = AtomicBool::new(true);
    let before = measure::cpu_of(ours.daemon()?)?;
    let waits = thread::scope(|scope| {
        let adding = scope.spawn(|| adds_until(api, &collecting));
        let mut client = Client::connect(api)?;
        let collected = timed(&[()], |()| client.call("repo/gc?silent=true").map(drop));
        collecting.store(false, Ordering::SeqCst);
        wall.0.push(collected?.median() / 1000.0);
        adding.join().ok().context("a client panicked")?
    })?;
    cpu.0.push(measure::cpu_of(ours.daemon()?)? - before);
    longest.0.push(max(&waits));
    let median = Series(vec![waits.median()]);
    ours.stop()?;
    fs::remove_dir_all(ours.repo())?;
    let workload = "gc of 1 M blocks (--blocks) of 4 KiB, half dead";
    Ok(vec![
        Row::new(workload, "wall s; writing and syncing the live bytes", wall, floor),
        Row::new(workload, "CPU s of the daemon, adds included", cpu, Series::default()),
        Row::new(workload, "longest 4 KiB add meanwhile, ms; without", longest, usual),
        Row::new(workload, "p50 of those adds, ms", median, Series::default()),
    ])
}

/// Adds small files one after the other while `go_on`, and at least [`ADD_COUNT_MIN`]; returns how
/// long each took, in ms.
fn adds_until(api: SocketAddr, go_on: &AtomicBool) -> Result<Series> {
    let mut client = Client::connect(api)?;
    let (mut random, mut times) = (Random(53), Series::default());
    while times.0.len() < ADD_COUNT_MIN || go_on.load(Ordering::SeqCst) {
        let bytes = random.bytes(4096);
        let took = timed(&[bytes], |bytes| cid_of(&client.post_file(ADD, bytes)?).map(drop))?;
        times.0.extend(took.0);
    }
    Ok(times)
}

fn max(times: &Series) -> f64 {
    times.0.iter().copied().fold(0.0, f64::max)
}

/// Seconds for writing `len` bytes and syncing them.
fn copy_floor(bench: &Bench, len: u64) -> Result<f64> {
    let path = bench.folder.join("floor");
    let took = timed(&[()], |()| super::rows::random_file(&path, len).map(drop))?;
    fs::remove_file(path)?;
    Ok(took.median() / 1000.0)
}

/// The index with ten million entries, without anything around the store.
pub(super) fn index(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.folder.to_str().context("the benchmark folder's name is not UTF-8")?;
    let said = example(&["pack_speed", folder, "many"])?;
    let ms = |name: &str| figure(&said, name).with_context(|| format!("no {name:?} in {said}"));
    let rate = |name: &str| Ok::<_, anyhow::Error>(Series(vec![1000.0 / ms(name)?]));
    let one = |name: &str| Ok::<_, anyhow::Error>(Series(vec![ms(name)?]));
    let workload = "10 M small blocks in the store";
    let none = Series::default;
    let part = |part| format!("append 1,000,000 blocks of 1 byte, part {part}");
    Ok(vec![
        Row::new(
            workload,
            "million appends/s, the last million; the first",
            rate(&part(9))?,
            rate(&part(0))?,
        ),
        Row::new(workload, "million hits/s", rate("hits: 1,000,000 has")?, none()),
        Row::new(workload, "million misses/s", rate("misses: 1,000,000 has")?, none()),
        Row::new(workload, "million lengths/s", rate("hits: 1,000,000 lengths")?, none()),
        Row::new(workload, "index bytes a block", one("index bytes a block")?, none()),
        Row::new(workload, "anonymous memory MiB", one("anonymous memory MiB")?, none()),
        Row::new(workload, "open after a clean end, ms", one("open after a clean end")?, none()),
        Row::new(workload, "open after a kill, ms", one("open after a kill")?, none()),
    ])
}

/// The first number after `name`, at the beginning of a line.
fn figure(said: &str, name: &str) -> Option<f64> {
    let rest = said.lines().find_map(|line| line.trim().strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A repository of many blocks of 4 KiB, half of them pinned; made once.
fn full(bench: &Bench) -> Result<Cairn> {
    if bench.folder.join("full/config").exists() {
        return Ok(Cairn::old(bench, "full"));
    }
    let ours = Cairn::new(bench, "full")?;
    example(&["half_pinned", ours.text()?, &bench.blocks.to_string()])?;
    Ok(ours)
}

/// Runs one of the store's examples; returns what it printed.
fn example(args: &[&str]) -> Result<String> {
    let mut build = command::cargo();
    build.args([
        "build",
        "--release",
        "--locked",
        "--package",
        "cairn-store",
        "--example",
        args[0],
    ]);
    command::run(&mut build)?;
    let program = command::target_folder()?.join("release/examples").join(args[0]);
    let mut run = std::process::Command::new(program);
    run.args(&args[1..]).stdin(Stdio::null());
    Ok(String::from_utf8(command::output(&mut run)?)?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn figures_are_found_by_what_stands_before_them() {
        let said = "open                12.5 ms wall\n  hits: 7 ms\n";
        assert_eq!(super::figure(said, "open"), Some(12.5));
        assert_eq!(super::figure(said, "hits:"), Some(7.0));
        assert_eq!(super::figure(said, "misses"), None);
    }
}
