//! Rows of single durable writes: one small add, many clients at once, one pin, a thousand pins.
//!
//! Ours goes through the RPC API on a kept connection, Kubo's core is called in its own process,
//! which favours it by what HTTP costs. The yardstick is a plain file that 4 KiB are appended to
//! and synced (`fdatasync`), in the same minute.
//! Invariant: every figure is a median over [`CALL_COUNT`] calls, made [`Bench::pairs`] times.
//! Not here: bulk adds (`rows.rs`).

use super::{
    Bench,
    http::Client,
    measure::{self, Series},
    rows::{Random, Row},
    sides::{Cairn, Kubo},
};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::Write as _,
    net::SocketAddr,
    path::PathBuf,
    thread,
    time::Instant,
};

/// Calls that a median is taken of.
const CALL_COUNT: usize = 200;
/// Bytes of a small file.
const LEN: usize = 4096;
/// Clients at once.
const CLIENT_COUNT: usize = 16;
/// Pins in one call.
const BATCH_COUNT: usize = 1000;

/// What a small durable add asks for.
pub(super) const ADD: &str = "add?progress=false&quieter=true";

/// One 4 KiB add: against one `fdatasync`, from many clients, and against Kubo.
pub(super) fn one_add(bench: &Bench) -> Result<Vec<Row>> {
    let (mut ours_ms, mut sync_ms, mut theirs_ms) = <(Series, Series, Series)>::default();
    let (mut one_rate, mut many_rate) = <(Series, Series)>::default();
    let (mut ours_cpu, mut theirs_cpu) = <(Series, Series)>::default();
    let mut random = Random(41);
    for _ in 0..bench.pairs {
        sync_ms.0.push(append_and_sync(bench, &mut random)?);
        let mut ours = Cairn::new(bench, "ours")?;
        ours.start()?;
        let api = ours.api()?;
        let before = measure::cpu_of(ours.daemon()?)?;
        let files: Vec<Vec<u8>> = (0..CALL_COUNT).map(|_| random.bytes(LEN)).collect();
        let (times, rate) = adds(api, &files)?;
        ours_cpu.0.push((measure::cpu_of(ours.daemon()?)? - before) * 1000.0 / count(CALL_COUNT));
        ours_ms.0.push(times.median());
        one_rate.0.push(rate);
        many_rate.0.push(adds_at_once(api, &mut random)?);
        let mut theirs = Kubo::start(bench, "theirs")?;
        let paths = small_files(bench, &mut random)?;
        let before = measure::cpu_of(theirs.process())?;
        let times = timed(&paths, |path| theirs.add(path).map(drop))?;
        theirs_cpu
            .0
            .push((measure::cpu_of(theirs.process())? - before) * 1000.0 / count(CALL_COUNT));
        theirs_ms.0.push(times.median());
    }
    let workload = "one 4 KiB add by RPC, durable";
    Ok(vec![
        Row::new(workload, "p50 ms; one append + fdatasync", ours_ms.clone(), sync_ms),
        Row::new(workload, "p50 ms; Kubo", ours_ms, theirs_ms),
        Row::new(workload, "CPU ms; Kubo", ours_cpu, theirs_cpu),
        Row::new(workload, "adds/s, 16 clients; 1 client", many_rate, one_rate),
    ])
}

/// Pins of a block each: one at a time, let go again, and a thousand in one call.
pub(super) fn pins(bench: &Bench) -> Result<Vec<Row>> {
    let (mut ours_add, mut ours_rm, mut batch) = <(Series, Series, Series)>::default();
    let (mut theirs_add, mut theirs_rm) = <(Series, Series)>::default();
    let mut random = Random(43);
    for _ in 0..bench.pairs {
        let mut ours = Cairn::new(bench, "ours")?;
        ours.start()?;
        let mut client = Client::connect(ours.api()?)?;
        let mut cids = Vec::new();
        for _ in 0..CALL_COUNT + BATCH_COUNT {
            let answer = client.post_file(&format!("{ADD}&pin=false"), &random.bytes(LEN))?;
            cids.push(cid_of(&answer)?);
        }
        let (single, many) = cids.split_at(CALL_COUNT);
        let mut pin = |cid: &String| client.call(&format!("pin/add?arg={cid}")).map(drop);
        ours_add.0.push(timed(single, &mut pin)?.median());
        let mut unpin = |cid: &String| client.call(&format!("pin/rm?arg={cid}")).map(drop);
        ours_rm.0.push(timed(single, &mut unpin)?.median());
        let command = format!("pin/add?arg={}", many.join("&arg="));
        let whole = timed(&[command], |command| client.call(command).map(drop))?;
        batch.0.push(whole.median() / count(BATCH_COUNT));

        let mut theirs = Kubo::start(bench, "theirs")?;
        let mut cids = Vec::new();
        for path in small_files(bench, &mut random)? {
            cids.push(theirs.add(&path)?.0);
        }
        let mut ask = |op: &str, cid: &String| theirs.ask(&json!({"op": op, "cid": cid})).map(drop);
        theirs_rm.0.push(timed(&cids, |cid| ask("unpin", cid))?.median());
        theirs_add.0.push(timed(&cids, |cid| ask("pin", cid))?.median());
    }
    let workload = "pin of one block, durable";
    Ok(vec![
        Row::new(workload, "add, p50 ms; Kubo", ours_add, theirs_add.clone()),
        Row::new(workload, "rm, p50 ms; Kubo", ours_rm, theirs_rm),
        Row::new(workload, "1,000 in one call, ms each; Kubo one by one", batch, theirs_add),
    ])
}

/// Adds one file after the other; returns the times in ms, and how many went through in a second.
fn adds(api: SocketAddr, files: &[Vec<u8>]) -> Result<(Series, f64)> {
    let mut client = Client::connect(api)?;
    let times = timed(files, |bytes| cid_of(&client.post_file(ADD, bytes)?).map(drop))?;
    let rate = count(files.len()) * 1000.0 / times.0.iter().sum::<f64>();
    Ok((times, rate))
}

/// As many adds from [`CLIENT_COUNT`] clients; returns how many went through in a second.
fn adds_at_once(api: SocketAddr, random: &mut Random) -> Result<f64> {
    let files: Vec<Vec<Vec<u8>>> = (0..CLIENT_COUNT)
        .map(|_| (0..CALL_COUNT / 4).map(|_| random.bytes(LEN)).collect())
        .collect();
    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
    let start = Instant::now();
    thread::scope(|scope| {
        let clients: Vec<_> =
            files.iter().map(|files| scope.spawn(move || adds(api, files))).collect();
        clients.into_iter().try_for_each(|client| {
            let ended = client.join().ok().context("a client panicked")?;
            ended.map(drop)
        })
    })?;
    Ok(count(CLIENT_COUNT * (CALL_COUNT / 4)) / start.elapsed().as_secs_f64())
}

/// Median ms of appending 4 KiB to a file and syncing it.
fn append_and_sync(bench: &Bench, random: &mut Random) -> Result<f64> {
    let path = bench.folder.join("appended");
    let mut file = File::create(&path)?;
    let pieces: Vec<Vec<u8>> = (0..CALL_COUNT).map(|_| random.bytes(LEN)).collect();
    let times = timed(&pieces, |bytes| {
        file.write_all(bytes)?;
        Ok(file.sync_data()?)
    })?;
    fs::remove_file(path)?;
    Ok(times.median())
}

/// Does `act` for each of `items`; returns how long each took, in ms.
pub(super) fn timed<T>(items: &[T], mut act: impl FnMut(&T) -> Result<()>) -> Result<Series> {
    let mut times = Series::default();
    for item in items {
        #[expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
        let start = Instant::now();
        act(item)?;
        times.0.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(times)
}

/// Files for the side that takes paths.
fn small_files(bench: &Bench, random: &mut Random) -> Result<Vec<PathBuf>> {
    let folder = bench.folder.join("singles");
    fs::create_dir_all(&folder)?;
    let write = |index: usize| {
        let path = folder.join(index.to_string());
        fs::write(&path, random.bytes(LEN))?;
        Ok(path)
    };
    (0..CALL_COUNT).map(write).collect()
}

pub(super) fn cid_of(answer: &str) -> Result<String> {
    let value: Value = serde_json::from_str(answer)?;
    Ok(value["Hash"].as_str().context("an add answers its CID")?.to_owned())
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(super) fn count(number: usize) -> f64 {
    number as f64
}
