//! Rows of CAR files: into a repository and out of it, and made without one.
//!
//! What a user would do instead: add the file itself to Kubo, whose core has no CAR files; copy
//! it with `cp`. The goals are in `docs/performance.md`.
//! Not here: how a cost is measured (`measure.rs`).

use super::{
    Bench, measure,
    rows::{Pairs, Row, agree, big_file, copy, copy_and_sync, text},
    sides::{Cairn, Kubo},
};
use anyhow::{Context as _, Result};
use std::{fs, fs::File, process::Stdio};

/// `dag import` of one big file's CAR, durable and pinned; Kubo adds the file itself.
pub(super) fn import(bench: &Bench) -> Result<Vec<Row>> {
    let file = big_file(bench)?;
    let archive = bench.folder.join("big.car");
    let maker = Cairn::new(bench, "maker")?;
    let root = maker.output(&["car", "create", "-o", text(&archive)?, text(&file)?])?;
    let (mut pairs, mut copies) = (Pairs::default(), Pairs::default());
    for _ in 0..bench.pairs {
        let ours = Cairn::new(bench, "ours")?;
        let cost = measure::run(&mut ours.command(&["dag", "import", text(&archive)?]))?;
        ours.output(&["pin", "ls", "--type=recursive", &root]).context("it is not pinned")?;
        pairs.ours.push(cost);
        copies.ours.push(cost);
        let mut theirs = Kubo::start(bench, "theirs")?;
        let (cid, cost) = theirs.add(&file)?;
        agree(&root, &cid)?;
        pairs.theirs.push(cost);
        copies.theirs.push(copy_and_sync(bench, &archive)?);
    }
    fs::remove_file(&archive)?;
    let mut rows = pairs.rows("dag import of a big CAR, durable; Kubo adds the file");
    rows.push(copies.row("the same; cp + sync", "wall s", |cost| cost.wall));
    Ok(rows)
}

/// `dag export` of one big file, to nowhere and to a file; `car create` of the same.
pub(super) fn export(bench: &Bench) -> Result<Vec<Row>> {
    let file = big_file(bench)?;
    let archive = bench.folder.join("out.car");
    let ours = Cairn::new(bench, "ours")?;
    let root = ours.output(&["add", "-Q", text(&file)?])?;
    let (mut nowhere, mut to_file) = (Pairs::default(), Pairs::default());
    let mut made = Pairs::default();
    for _ in 0..bench.pairs {
        let args = ["dag", "export", &root];
        nowhere.ours.push(measure::run(&mut ours.command(&args))?);
        let out = Stdio::from(File::create(&archive)?);
        to_file.ours.push(measure::run(ours.command(&args).stdout(out))?);
        fs::remove_file(&archive)?;
        let cost = copy(bench, &file)?;
        nowhere.theirs.push(cost);
        to_file.theirs.push(cost);
        let args = ["car", "create", "-o", text(&archive)?, text(&file)?];
        made.ours.push(measure::run(&mut ours.command(&args))?);
        fs::remove_file(&archive)?;
        made.theirs.push(copy_and_sync(bench, &file)?);
    }
    let mut rows = nowhere.rows("dag export of one big file to nowhere; cp");
    rows.push(to_file.row("the same to a file; cp", "wall s", |cost| cost.wall));
    rows.extend(made.rows("car create of one big file, durable; cp + sync"));
    Ok(rows)
}
