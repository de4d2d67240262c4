//! Rows of MFS: small writes into one directory, one change in a large one, and its listing.
//!
//! Ours goes through the RPC API on a kept connection. Kubo's core has no RPC API, so what stands
//! beside a write is an add of as many bytes in its own process, which is less work.
//! Invariant: every write is of other bytes, into a file of its own.
//! Not here: adds (`durable.rs`).

use super::{
    Bench,
    durable::timed,
    http::Client,
    measure::Series,
    rows::{Random, Row},
    sides::{Cairn, Kubo},
};
use anyhow::{Result, ensure};
use std::{fs, path::PathBuf};

/// Writes that a median is taken of.
const WRITE_COUNT: usize = 1000;
/// Bytes of a write.
const LEN: usize = 4096;
/// Unflushed writes between two flushes; the default limit is 256.
const UNFLUSHED_COUNT: usize = 200;
/// Entries of a large directory, and changes in it.
const LARGE_COUNT: usize = 100_000;
const CHANGE_COUNT: usize = 200;

/// Writes one file after the other into one directory, flushed and not; Kubo adds them.
pub(super) fn writes(bench: &Bench) -> Result<Vec<Row>> {
    let (mut flushed, mut unflushed, mut theirs_ms) = <(Series, Series, Series)>::default();
    let mut random = Random(47);
    for _ in 0..bench.pairs {
        let mut ours = Cairn::new(bench, "ours")?;
        ours.start()?;
        let mut client = Client::connect(ours.api()?)?;
        for (folder, flush, series) in
            [("flushed", true, &mut flushed), ("unflushed", false, &mut unflushed)]
        {
            client.call(&format!("files/mkdir?arg=/{folder}"))?;
            let files = numbered(&mut random);
            let times = timed(&files, |(number, bytes)| {
                let name = format!("files/write?arg=/{folder}/{number}&create=true&flush={flush}");
                client.post_file(&name, bytes)?;
                if !flush && number % UNFLUSHED_COUNT == 0 {
                    client.call("files/flush")?;
                }
                Ok(())
            })?;
            series.0.push(times.median());
            client.call("files/flush")?;
        }
        let mut theirs = Kubo::start(bench, "theirs")?;
        let folder = bench.folder.join("mfs");
        fs::create_dir_all(&folder)?;
        let paths: Result<Vec<PathBuf>> = numbered(&mut random)
            .into_iter()
            .map(|(number, bytes)| {
                let path = folder.join(number.to_string());
                fs::write(&path, bytes)?;
                Ok(path)
            })
            .collect();
        theirs_ms.0.push(timed(&paths?, |path| theirs.add(path).map(drop))?.median());
    }
    let workload = "files write of 4 KiB by RPC, 1,000 into one directory";
    Ok(vec![
        Row::new(workload, "flushed, p50 ms; Kubo's add", flushed, theirs_ms.clone()),
        Row::new(workload, "not flushed, p50 ms; Kubo's add", unflushed, theirs_ms),
    ])
}

/// Changes a directory of 100,000 entries, and lists it.
pub(super) fn large(bench: &Bench) -> Result<Vec<Row>> {
    let (mut changes, mut listing) = <(Series, Series)>::default();
    let folder = bench.folder.join("large");
    fs::create_dir_all(&folder)?;
    for number in 0..LARGE_COUNT {
        fs::write(folder.join(number.to_string()), number.to_string())?;
    }
    for _ in 0..bench.pairs {
        let mut ours = Cairn::new(bench, "ours")?;
        let added = ours.output(&["add", "-r", "-Q", &folder.to_string_lossy()])?;
        ours.start()?;
        let mut client = Client::connect(ours.api()?)?;
        client.call(&format!("files/cp?arg=/ipfs/{}&arg=/large", added.trim()))?;
        let names: Vec<usize> = (0..CHANGE_COUNT).collect();
        let times = timed(&names, |number| {
            let name = format!("files/write?arg=/large/new-{number}&create=true");
            client.post_file(&name, number.to_string().as_bytes()).map(drop)
        })?;
        changes.0.push(times.median());
        let mut len = 0;
        let times = timed(&[()], |()| {
            client.stream("files/ls?arg=/large&long=true", |part| len += part.len())
        })?;
        ensure!(len > LARGE_COUNT * 50, "a listing of {len} bytes");
        listing.0.push(times.median());
    }
    let workload = "MFS directory of 100,000 entries";
    Ok(vec![
        Row::new(workload, "files write of a new one, flushed, p50 ms", changes, Series::default()),
        Row::new(workload, "files ls -l, ms", listing, Series::default()),
    ])
}

/// Bytes for files named by their numbers.
fn numbered(random: &mut Random) -> Vec<(usize, Vec<u8>)> {
    (0..WRITE_COUNT).map(|number| (number, random.bytes(LEN))).collect()
}
