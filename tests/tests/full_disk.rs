//! A full disk: every kind of write fails with a reason or succeeds, reading, verifying, backing up
//! and collecting go on, and every write works again once there is room, without a restart.
//!
//! The disk is a tmpfs in a mount namespace of the daemon's own, so it goes away with it. Garbage
//! goes while the disk is full where that needs no room; where it does, the collection says so.
//! `CAIRN_FULL_DISKS=50` fills it more often, with other amounts of room left.
//! Not here: every call that can fail for want of space (`crates/sim`).

use cairn_tests::{Daemon, Home, http, run_count, say_skipped, tree};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// Size of the disk.
const SMALL_DISK: &str = "64m";
/// Times that a usual run fills it.
const FILLS: u64 = 2;
/// Within this time of room, writes work.
const RESUME_LIMIT: Duration = Duration::from_secs(5);

/// Starts a daemon whose repository lies on a small disk of its own; `None` where that is not
/// allowed. The disk is seen by the daemon only, so it goes away with it.
fn on_small_disk(home: &Home) -> Option<Daemon> {
    let options = if rustix::process::getuid().is_root() { "-m" } else { "-rm" };
    let mut mount = Command::new("unshare");
    mount.args([options, "mount", "-t", "tmpfs", "none", "/mnt"]);
    if !mount.output().is_ok_and(|output| output.status.success()) {
        return None;
    }
    let seed = home.path("seed");
    fs::rename(home.repo(), &seed).expect("a folder can be renamed");
    fs::create_dir(home.repo()).expect("a folder can be made");
    let mut command = home.command_of(Path::new("unshare"));
    let script =
        "mount -t tmpfs -o size=\"$0\" none \"$1\" && cp -a \"$2/.\" \"$1\" && exec \"$3\" daemon";
    command.args([options, "sh", "-c", script, SMALL_DISK]);
    command.args([home.repo(), seed, cairn_tests::binary()]);
    Some(Daemon::start(&mut command))
}

/// What was acknowledged on the small disk.
#[derive(Debug, Default)]
struct Kept {
    files: BTreeMap<String, Vec<u8>>,
    blocks: BTreeMap<String, Vec<u8>>,
    pinned: BTreeSet<String>,
    removed: BTreeSet<String>,
    setting: u64,
}

/// A client of the daemon on the small disk.
struct Client {
    daemon: Daemon,
    filler: PathBuf,
    kept: Kept,
    random: tree::Random,
}

/// What a client asks for.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Add,
    PutBlock,
    Pin,
    Unpin,
    RemoveBlock,
    Configure,
}

const ASKS: [Ask; 6] =
    [Ask::Add, Ask::PutBlock, Ask::Pin, Ask::Unpin, Ask::RemoveBlock, Ask::Configure];

impl Client {
    /// Asks once; `Err` holds the reason of a refusal.
    fn ask(&mut self, ask: Ask) -> Result<(), String> {
        match ask {
            Ask::Add => {
                let bytes = self.random.bytes(150_000);
                let answer =
                    http::post_file(self.daemon.api, "/api/v0/add?progress=false", "file", &bytes);
                let cid = field(&answer, "Hash")?;
                self.kept.pinned.insert(cid.clone());
                self.kept.files.insert(cid, bytes);
            }
            Ask::PutBlock => {
                let bytes = self.random.bytes(5000);
                let target = "/api/v0/block/put?cid-codec=raw";
                let answer = http::post_file(self.daemon.api, target, "data", &bytes);
                self.kept.blocks.insert(field(&answer, "Key")?, bytes);
            }
            Ask::Pin => {
                let Some(cid) = self.unpinned_block() else { return Ok(()) };
                field(&self.post(&format!("pin/add?arg={cid}")), "Pins")?;
                self.kept.pinned.insert(cid);
            }
            Ask::Unpin => {
                let Some(cid) = self.kept.pinned.first().cloned() else { return Ok(()) };
                field(&self.post(&format!("pin/rm?arg={cid}")), "Pins")?;
                self.kept.pinned.remove(&cid);
            }
            Ask::RemoveBlock => {
                let Some(cid) = self.unpinned_block() else { return Ok(()) };
                let answer = self.post(&format!("block/rm?arg={cid}"));
                match field(&answer, "Error") {
                    Ok(reason) if !reason.is_empty() => return Err(reason),
                    _ => drop(field(&answer, "Hash")?),
                }
                self.kept.blocks.remove(&cid);
                self.kept.removed.insert(cid);
            }
            Ask::Configure => {
                let number = self.kept.setting + 1;
                let answer = self.post(&format!("config?arg=Number&arg={number}&json=true"));
                field(&answer, "Key")?;
                self.kept.setting = number;
            }
        }
        Ok(())
    }

    fn unpinned_block(&self) -> Option<String> {
        let pinned = &self.kept.pinned;
        self.kept.blocks.keys().find(|cid| !pinned.contains(*cid)).cloned()
    }

    /// Does what must work with the disk full: tells, verifies, backs up to another disk.
    fn check_work(&self, backup: &Path) {
        // Unpinning takes little room, so at times there is no pin left.
        let pins = if self.kept.pinned.is_empty() { "{}" } else { "Keys" };
        for (command, told) in [
            ("repo/stat", "NumObjects"),
            ("pin/ls?type=recursive", pins),
            ("repo/verify", "all blocks validated"),
            ("config?arg=Number", &self.kept.setting.to_string()),
            (&format!("repo/backup?arg={}", backup.display()), "\"Done\":true"),
        ] {
            let answer = self.post(command);
            let good = answer.status == 200 && answer.whole && answer.trailers.is_empty();
            assert!(good && answer.text().contains(told), "{command}: {answer:?}");
        }
    }

    /// Collects garbage; returns how many blocks went, and whether it lacked room for the rest.
    fn collect(&mut self) -> (usize, bool) {
        let answer = self.post("repo/gc");
        let told = format!("{}{:?}", answer.text(), answer.trailers);
        assert_eq!(answer.status, 200, "{told}");
        let lacked = told.contains("no room") || told.to_lowercase().contains("no space");
        assert!(lacked || answer.trailers.is_empty(), "{told}");
        let kept = &mut self.kept;
        kept.files.retain(|cid, _| kept.pinned.contains(cid));
        kept.blocks.retain(|cid, _| kept.pinned.contains(cid));
        (answer.text().matches("\"/\"").count(), lacked)
    }

    fn post(&self, command: &str) -> http::Answer {
        http::post(self.daemon.api, &format!("/api/v0/{command}"))
    }

    /// Fills the disk up to a few pages.
    fn fill(&self, room: u64) {
        let mut file = fs::File::create(&self.filler).expect("the disk can be reached");
        while file.write_all(&[1; 4096]).is_ok() {}
        let len = file.metadata().expect("a file has a length").len();
        file.set_len(len.saturating_sub(room)).expect("a file can be cut");
    }

    fn check_reads(&self) {
        for (cid, bytes) in &self.kept.files {
            let answer = self.post(&format!("cat?arg={cid}"));
            assert!(answer.whole && answer.body == *bytes, "{cid} cannot be read");
        }
        for (cid, bytes) in &self.kept.blocks {
            let answer = self.post(&format!("block/get?arg={cid}"));
            assert!(answer.whole && answer.body == *bytes, "{cid} cannot be read");
        }
    }
}

/// A field of a one-line answer as text, or why there is none.
fn field(answer: &http::Answer, name: &str) -> Result<String, String> {
    let text = answer.text();
    let good = answer.status == 200 && answer.whole && answer.trailers.is_empty();
    let value = serde_json::from_str::<Value>(text.trim()).unwrap_or_default();
    let found = match &value[name] {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => items.first().and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    found.filter(|_| good).ok_or_else(|| format!("{} {text}{:?}", answer.status, answer.trailers))
}

#[test]
fn a_full_disk_stops_writes_and_nothing_else() {
    let home = Home::new();
    let Some(daemon) = on_small_disk(&home) else {
        return say_skipped("this machine does not allow a mount, so no disk can be full");
    };
    let disk = PathBuf::from(format!("/proc/{}/root", daemon.id()));
    let repo = disk.join(home.repo().strip_prefix("/").expect("absolute"));
    let (filler, random) = (repo.join("filler"), tree::Random::new(86));
    let mut client = Client { daemon, filler, kept: Kept::default(), random };
    for ask in ASKS {
        client.ask(ask).expect("there is room");
        client.ask(Ask::PutBlock).expect("there is room");
    }
    let (mut refusals, mut slowest) = (0, Duration::ZERO);
    let (mut collected, mut without_room) = (0, 0);
    let fills = run_count("CAIRN_FULL_DISKS", FILLS);
    for fill in 0..fills {
        client.fill(fill % 9 * 4096);
        for number in 0..2 * ASKS.len() {
            let Err(reason) = client.ask(ASKS[number % ASKS.len()]) else { continue };
            assert!(reason.to_lowercase().contains("space"), "no clear reason: {reason}");
            refusals += 1;
        }
        client.check_reads();
        client.check_work(&home.path("backup"));
        let (gone, lacked) = client.collect();
        collected += gone;
        without_room += u64::from(lacked);
        client.check_reads();
        fs::remove_file(&client.filler).expect("a file can be removed");
        slowest = slowest.max(resume(&mut client));
    }
    assert!(refusals >= fills, "the disk was full only {refusals} times");
    let text = format!(
        "full disk: {fills} times, {refusals} refusals, {collected} blocks collected meanwhile \
         ({without_room} collections lacked room for some), writes resumed within {} ms\n",
        slowest.as_millis()
    );
    std::io::stderr().write_all(text.as_bytes()).expect("standard error is open");
    client.check_reads();
    check_after_kill(&home, &repo, client);
}

#[test]
fn a_file_larger_than_the_disk_is_refused() {
    let home = Home::new();
    let Some(daemon) = on_small_disk(&home) else {
        return say_skipped("this machine does not allow a mount, so no disk can be full");
    };
    let post = |bytes: &[u8]| http::post_file(daemon.api, "/api/v0/add?progress=false", "f", bytes);
    let mut random = tree::Random::new(87);
    let small = random.bytes(300_000);
    let kept = field(&post(&small), "Hash").expect("there is room");
    let refused = post(&random.bytes(80_000_000));
    let told = format!("{}{:?}", refused.text(), refused.trailers).to_lowercase();
    assert!(field(&refused, "Hash").is_err() && !told.contains("\"hash\""), "{told}");
    assert!(!refused.whole || told.contains("space"), "{told}");
    let read = http::post(daemon.api, &format!("/api/v0/cat?arg={kept}"));
    assert!(read.body == small, "what was there can still be read");
    assert_eq!(daemon.stop().code(), Some(0));
}

/// Asks for everything until all of it works again; returns how long that took.
#[expect(clippy::disallowed_methods, reason = "it measures how long a user would wait")]
fn resume(client: &mut Client) -> Duration {
    let begin = Instant::now();
    for ask in [Ask::PutBlock].into_iter().chain(ASKS) {
        while let Err(reason) = client.ask(ask) {
            assert!(begin.elapsed() < RESUME_LIMIT, "{ask:?} still fails: {reason}");
        }
    }
    begin.elapsed()
}

/// Starts again on what a kill of the daemon would leave, and finds everything.
fn check_after_kill(home: &Home, repo: &Path, client: Client) {
    let copy = home.path("copy");
    let copied = Command::new("cp").arg("-a").arg(repo).arg(&copy).status();
    assert!(copied.is_ok_and(|status| status.success()), "a folder can be copied");
    assert_eq!(client.daemon.stop().code(), Some(0));
    fs::remove_dir_all(home.repo()).expect("a folder can be removed");
    fs::rename(copy, home.repo()).expect("a folder can be renamed");
    let daemon = home.daemon_with(&["--offline"]);
    let pins = daemon.rpc("pin/ls");
    let pins = pins["Keys"].as_object().expect("pins by CID");
    for cid in &client.kept.pinned {
        assert!(pins.contains_key(cid), "{cid} was pinned");
    }
    let unpinned = client.kept.blocks.keys().filter(|cid| !client.kept.pinned.contains(*cid));
    for cid in unpinned {
        assert!(!pins.contains_key(cid), "{cid} was not pinned");
    }
    for cid in &client.kept.removed {
        let answer = http::post(daemon.api, &format!("/api/v0/block/get?arg={cid}"));
        assert_ne!(answer.status, 200, "{cid} was removed");
    }
    assert_eq!(daemon.rpc("config?arg=Number")["Value"], client.kept.setting);
    for (cid, bytes) in client.kept.files.iter().chain(&client.kept.blocks) {
        let answer = http::post(daemon.api, &format!("/api/v0/cat?arg={cid}"));
        assert!(answer.whole && answer.body == *bytes, "{cid} is not there any more");
    }
    assert_eq!(daemon.stop().code(), Some(0));
}
