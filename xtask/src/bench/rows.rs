//! The rows of the table: one workload each, ours and theirs alternately.
//!
//! Every row checks that both sides agree on the CID before it compares anything, and both sides
//! sync before they acknowledge. Not here: how a cost is measured (`measure.rs`).

use super::{
    Bench, car, content, durable, large,
    measure::{self, Cost, Series},
    mfs,
    sides::{Cairn, Kubo},
};
use anyhow::{Context as _, Result, bail};
use std::{
    fmt,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// One line of the table.
pub(crate) struct Row {
    workload: &'static str,
    figure: &'static str,
    ours: Series,
    theirs: Series,
}

impl Row {
    pub(crate) fn new(
        workload: &'static str,
        figure: &'static str,
        ours: Series,
        theirs: Series,
    ) -> Self {
        Self { workload, figure, ours, theirs }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workload, figure, ours, theirs } = self;
        if theirs.0.is_empty() {
            return write!(f, "| {workload} | {figure} | {ours} | – | – |");
        }
        let ratio = ours.median() / theirs.median();
        write!(f, "| {workload} | {figure} | {ours} | {theirs} | **{ratio:.2}** |")
    }
}

type Measure = fn(&Bench) -> Result<Vec<Row>>;

/// Every row by the name that selects it on the command line.
pub(crate) const ALL: &[(&str, Measure)] = &[
    ("add", add),
    ("only-hash", only_hash),
    ("small", small),
    ("cat", cat),
    ("fetch", fetch),
    ("idle", idle),
    ("one-add", durable::one_add),
    ("pin", durable::pins),
    ("mfs", mfs::writes),
    ("mfs-large", mfs::large),
    ("pin-ls", large::pin_list),
    ("open", large::open),
    ("gc", large::collect),
    ("index", large::index),
    ("car", car::import),
    ("car-export", car::export),
    ("range", content::ranges),
    ("alike", content::alike),
];

/// Costs of both sides, run by run.
#[derive(Default)]
pub(super) struct Pairs {
    pub(super) ours: Vec<Cost>,
    pub(super) theirs: Vec<Cost>,
}

impl Pairs {
    pub(super) fn row(
        &self,
        workload: &'static str,
        figure: &'static str,
        pick: fn(&Cost) -> f64,
    ) -> Row {
        let series = |costs: &[Cost]| Series(costs.iter().map(pick).collect());
        Row { workload, figure, ours: series(&self.ours), theirs: series(&self.theirs) }
    }

    pub(super) fn rows(&self, workload: &'static str) -> Vec<Row> {
        vec![
            self.row(workload, "CPU s", |cost| cost.cpu),
            self.row(workload, "wall s", |cost| cost.wall),
            self.row(workload, "peak RSS MiB", |cost| cost.peak_mib),
        ]
    }
}

/// `add` of one big random file, durable; and the same bytes by `cp` and a sync.
fn add(bench: &Bench) -> Result<Vec<Row>> {
    let file = big_file(bench)?;
    let (mut pairs, mut copies) = (Pairs::default(), Pairs::default());
    for _ in 0..bench.pairs {
        let ours = Cairn::new(bench, "ours")?;
        let cost = measure::run(&mut ours.command(&["add", "-Q", text(&file)?]))?;
        pairs.ours.push(cost);
        copies.ours.push(cost);
        let mut theirs = Kubo::start(bench, "theirs")?;
        let (cid, cost) = theirs.add(&file)?;
        pairs.theirs.push(cost);
        agree(&ours.output(&["add", "-Q", "--only-hash", text(&file)?])?, &cid)?;
        copies.theirs.push(copy_and_sync(bench, &file)?);
    }
    let mut rows = pairs.rows("add one big file, durable; Kubo");
    rows.push(copies.row("the same; cp + sync", "wall s", |cost| cost.wall));
    Ok(rows)
}

/// `add --only-hash` of one big random file.
fn only_hash(bench: &Bench) -> Result<Vec<Row>> {
    let file = big_file(bench)?;
    let ours = Cairn::new(bench, "ours")?;
    let mut theirs = Kubo::start(bench, "theirs")?;
    theirs.only_hash(&bench.kubo_script)?;
    let mut pairs = Pairs::default();
    for _ in 0..bench.pairs {
        let args = ["add", "-Q", "--only-hash", text(&file)?];
        pairs.ours.push(measure::run(&mut ours.command(&args))?);
        let (cid, cost) = theirs.only_hash(&file)?;
        pairs.theirs.push(cost);
        agree(&ours.output(&args)?, &cid)?;
    }
    Ok(pairs.rows("only-hash of one big file; Kubo"))
}

/// `add -r` of a folder of small files, durable, and the space that it takes on disk.
fn small(bench: &Bench) -> Result<Vec<Row>> {
    let (folder, data_len) = small_files(bench)?;
    let mut pairs = Pairs::default();
    let (mut ours_len, mut theirs_len) = (Series::default(), Series::default());
    for _ in 0..bench.pairs {
        let ours = Cairn::new(bench, "ours")?;
        pairs.ours.push(measure::run(&mut ours.command(&["add", "-rQ", text(&folder)?]))?);
        ours_len.0.push(disk_len(ours.repo())? / data_len);
        let mut theirs = Kubo::start(bench, "theirs")?;
        let empty = disk_len(theirs.repo())?;
        let (cid, cost) = theirs.add(&folder)?;
        pairs.theirs.push(cost);
        theirs_len.0.push((disk_len(theirs.repo())? - empty) / data_len);
        agree(&ours.output(&["add", "-rQ", "--only-hash", text(&folder)?])?, &cid)?;
    }
    let mut rows = pairs.rows("add many 4 KiB files, durable; Kubo");
    let figure = "bytes on disk : data";
    rows.push(Row { workload: "the same", figure, ours: ours_len, theirs: theirs_len });
    Ok(rows)
}

/// A local file out again: `cat` to nowhere and `get` to a file; Kubo's library only does the
/// second.
fn cat(bench: &Bench) -> Result<Vec<Row>> {
    let file = big_file(bench)?;
    let ours = Cairn::new(bench, "ours")?;
    let cid = ours.output(&["add", "-Q", text(&file)?])?;
    let mut theirs = Kubo::start(bench, "theirs")?;
    agree(&cid, &theirs.add(&file)?.0)?;
    let (mut pairs, mut cats) = (Pairs::default(), Pairs::default());
    for _ in 0..bench.pairs {
        let target = bench.folder.join("out");
        let args = ["get", "-o", text(&target)?, &cid];
        pairs.ours.push(measure::run(&mut ours.command(&args))?);
        same(&file, &target)?;
        fs::remove_file(&target)?;
        cats.ours.push(measure::run(&mut ours.command(&["cat", &cid]))?);
        let question = serde_json::json!({"op": "get", "cid": &cid, "path": &target});
        let (_, cost) = theirs.measured(&question)?;
        pairs.theirs.push(cost);
        cats.theirs.push(cost);
        same(&file, &target)?;
        fs::remove_file(&target)?;
    }
    let mut rows = cats.rows("cat one big file to nowhere; Kubo's get");
    rows.extend(pairs.rows("get one big file; Kubo's get"));
    Ok(rows)
}

/// Half a big file from node to node over loopback TCP, into the store and out to a file.
fn fetch(bench: &Bench) -> Result<Vec<Row>> {
    let file = random_file(&bench.folder.join("half"), bench.big_len / 2)?;
    let mut pairs = Pairs::default();
    let (mut ours_client, mut theirs_client) = (Series::default(), Series::default());
    for _ in 0..bench.pairs {
        let target = bench.folder.join("out");
        let (both, client) = fetch_ours(bench, &file, &target)?;
        pairs.ours.push(both);
        ours_client.0.push(client);
        let (both, client) = fetch_theirs(bench, &file, &target)?;
        pairs.theirs.push(both);
        theirs_client.0.push(client);
    }
    let workload = "fetch half a big file node to node, both sides; Kubo ↔ Kubo";
    let mut rows = pairs.rows(workload);
    let figure = "receiver CPU s";
    rows.push(Row { workload: "the same", figure, ours: ours_client, theirs: theirs_client });
    Ok(rows)
}

/// Costs of one transfer between two daemons of ours: both sides together, and the receiver's CPU.
fn fetch_ours(bench: &Bench, file: &Path, target: &Path) -> Result<(Cost, f64)> {
    let (mut server, mut client) = (Cairn::new(bench, "server")?, Cairn::new(bench, "client")?);
    server.start()?;
    client.start()?;
    let cid = server.output(&["add", "-Q", text(file)?])?;
    client.output(&["swarm", "connect", &server.address()?])?;
    let before = (measure::cpu_of(server.daemon()?)?, measure::cpu_of(client.daemon()?)?);
    let mut cost = measure::run(&mut client.command(&["get", "-o", text(target)?, &cid]))?;
    let sent = measure::cpu_of(server.daemon()?)? - before.0;
    let received = measure::cpu_of(client.daemon()?)? - before.1 + cost.cpu;
    cost.cpu = sent + received;
    cost.peak_mib = measure::peak_rss_mib(client.daemon()?.id()).unwrap_or_default();
    same(file, target)?;
    fs::remove_file(target)?;
    Ok((cost, received))
}

/// The same between two Kubo cores.
fn fetch_theirs(bench: &Bench, file: &Path, target: &Path) -> Result<(Cost, f64)> {
    let mut server = Kubo::start(bench, "kubo-server")?;
    let mut client = Kubo::start(bench, "kubo-client")?;
    let (cid, _) = server.add(file)?;
    let address = server.address()?;
    client.ask(&serde_json::json!({"op": "connect", "addr": address}))?;
    let before = measure::cpu_of(server.process())?;
    let question = serde_json::json!({"op": "get", "cid": cid, "path": target});
    let (_, mut cost) = client.measured(&question)?;
    let received = cost.cpu;
    cost.cpu += measure::cpu_of(server.process())? - before;
    same(file, target)?;
    fs::remove_file(target)?;
    Ok((cost, received))
}

/// A daemon with nothing to do, and how long one takes from its start to its first answer.
fn idle(bench: &Bench) -> Result<Vec<Row>> {
    let (mut ours_rss, mut theirs_rss) = (Series::default(), Series::default());
    let mut ready = Series::default();
    for _ in 0..bench.pairs {
        let mut ours = Cairn::new(bench, "ours")?;
        #[expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
        let start = std::time::Instant::now();
        ours.start()?;
        ready.0.push(start.elapsed().as_secs_f64() * 1000.0);
        ours.output(&["id"])?;
        ours_rss.0.push(measure::rss_mib(ours.daemon()?.id()).context("no daemon")?);
        let theirs = Kubo::start(bench, "theirs")?;
        theirs_rss.0.push(measure::rss_mib(theirs.process().id()).context("no Kubo")?);
    }
    let workload = "idle node, no peers; Kubo";
    let none = Series::default();
    Ok(vec![
        Row { workload, figure: "RSS MiB", ours: ours_rss, theirs: theirs_rss },
        Row { workload: "daemon start to ready", figure: "wall ms", ours: ready, theirs: none },
    ])
}

pub(super) fn agree(ours: &str, theirs: &str) -> Result<()> {
    if ours != theirs {
        bail!("the CIDs differ: {ours} here, {theirs} from Kubo");
    }
    Ok(())
}

fn same(left: &Path, right: &Path) -> Result<()> {
    let status = Command::new("cmp").arg("-s").args([left, right]).status()?;
    if !status.success() {
        bail!("{} and {} differ", left.display(), right.display());
    }
    Ok(())
}

pub(super) fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the benchmark folder's name is not UTF-8")
}

/// `cp` alone.
pub(super) fn copy(bench: &Bench, file: &Path) -> Result<Cost> {
    copy_by(bench, file, "cp \"$1\" \"$2\"")
}

/// `cp` and a sync.
pub(super) fn copy_and_sync(bench: &Bench, file: &Path) -> Result<Cost> {
    copy_by(bench, file, "cp \"$1\" \"$2\" && sync -d \"$2\"")
}

fn copy_by(bench: &Bench, file: &Path, script: &str) -> Result<Cost> {
    let target = bench.folder.join("copy");
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).args([file, &target]).stdin(Stdio::null());
    let cost = measure::run(&mut command)?;
    fs::remove_file(target)?;
    Ok(cost)
}

pub(super) fn big_file(bench: &Bench) -> Result<PathBuf> {
    let path = bench.folder.join("big");
    if path.exists() { Ok(path) } else { random_file(&path, bench.big_len) }
}

fn small_files(bench: &Bench) -> Result<(PathBuf, f64)> {
    const LEN: usize = 4096;
    let folder = bench.folder.join("small");
    if !folder.exists() {
        fs::create_dir(&folder)?;
        let mut random = Random(7);
        for index in 0..bench.small_files {
            fs::write(folder.join(format!("file-{index:05}")), random.bytes(LEN))?;
        }
    }
    let data_len = u32::try_from(bench.small_files * LEN).context("too many small files")?;
    Ok((folder, f64::from(data_len)))
}

/// Writes `len` incompressible bytes, and leaves them in the page cache but synced.
pub(super) fn random_file(path: &Path, len: u64) -> Result<PathBuf> {
    const PIECE_LEN: u64 = 1 << 20;
    let mut random = Random(len | 1);
    let mut file = File::create(path)?;
    let mut left = len;
    while left > 0 {
        let piece = left.min(PIECE_LEN);
        file.write_all(&random.bytes(usize::try_from(piece)?))?;
        left -= piece;
    }
    file.sync_all()?;
    Ok(path.to_owned())
}

/// xorshift64: fast, seeded, incompressible enough.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            out.extend_from_slice(&self.0.to_le_bytes());
        }
        out.truncate(len);
        out
    }
}

/// Bytes that a folder takes on disk, as `du` counts them.
#[expect(clippy::cast_precision_loss, reason = "sizes here are far below 2^52 bytes")]
pub(super) fn disk_len(folder: &Path) -> Result<f64> {
    use std::os::unix::fs::MetadataExt as _;
    const BLOCK_LEN: f64 = 512.0;
    let mut total = 0.0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        total += meta.blocks() as f64 * BLOCK_LEN;
        if meta.is_dir() {
            total += disk_len(&entry.path())?;
        }
    }
    Ok(total)
}
