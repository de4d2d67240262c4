//! `cairn migrate` from repositories that Kubo's own core (0.22) has made and filled.
//!
//! Its library can make recursive pins only and has no MFS, so a direct pin, a named one and an
//! MFS root are written into its database between two of its runs, and it is asked for its pins
//! afterwards. `CAIRN_MIGRATE_FILES=20000` and `CAIRN_MIGRATE_KILLS=100` make long runs.
//! Not here: repositories made by hand (`cairn-migrate`'s tests).

use cairn_tests::{
    Home, Peer, Running, leveldb, peers, run_count, say_skipped,
    tree::{self, Random},
};
use rustix::process::Signal;
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;

/// Files in a usual run.
const FILES: u64 = 2_000;
/// Kills in a usual run.
const KILLS: u64 = 10;

/// A Kubo repository that nobody has open.
struct Kubo {
    folder: TempDir,
    /// What was added, with its CID.
    roots: Vec<(PathBuf, String)>,
}

impl Kubo {
    /// Makes a repository with a tree of small files and a few files of several leaves.
    fn new(peers: &Path, seed: u64) -> Self {
        let mut kubo = Peer::kubo(peers);
        let mut random = Random::new(seed);
        for index in 0..run_count("CAIRN_MIGRATE_FILES", FILES) {
            let len = 1 + random.below(8_000) as usize;
            let path = kubo.path("small").join(format!("{:02}/{index}", index % 71));
            tree::write(&path, &random.bytes(len));
        }
        let mut paths = vec![kubo.path("small")];
        for index in 0..5 {
            let path = kubo.path(&format!("large {index}"));
            tree::write(&path, &random.bytes(index * 700_000));
            paths.push(path);
        }
        tree::make(&kubo.path("mixed"), seed);
        paths.push(kubo.path("mixed"));
        let add = |path: PathBuf| {
            let cid = kubo.add(&path);
            (path, cid)
        };
        let roots = paths.into_iter().map(add).collect();
        Self { folder: kubo.end(), roots }
    }

    fn repo(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    /// Every file of the repository: name, length, time of last change, bytes.
    fn state(&self) -> BTreeSet<(PathBuf, u64, SystemTime, Vec<u8>)> {
        let mut state = BTreeSet::new();
        let mut open = vec![self.repo()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).expect("a folder can be read") {
                let path = entry.expect("a folder can be read").path();
                let about = path.symlink_metadata().expect("an entry can be looked at");
                let modified = about.modified().expect("an entry has a time");
                let bytes = if about.is_dir() {
                    open.push(path.clone());
                    Vec::new()
                } else {
                    fs::read(&path).expect("a file can be read")
                };
                state.insert((path, about.len(), modified, bytes));
            }
        }
        state
    }

    /// Runs `cairn migrate` to its end, to the repository of `home`.
    fn migrate(&self, home: &Home) -> String {
        home.run(["migrate".as_ref(), "--from".as_ref(), self.repo().as_os_str()]).text()
    }

    /// That every root is there, byte for byte.
    fn check(&self, home: &Home) {
        for (index, (path, cid)) in self.roots.iter().enumerate() {
            let target = home.path(&format!("got {index}"));
            home.run(["get".as_ref(), cid.as_ref(), "-o".as_ref(), target.as_os_str()]).text();
            if path.is_dir() {
                tree::assert_same(path, &target);
            } else {
                let same = fs::read(path).expect("ours") == fs::read(&target).expect("got");
                assert!(same, "{} differs", path.display());
            }
        }
    }

    fn cid(&self, name: &str) -> &str {
        let found = self.roots.iter().find(|(path, _)| path.ends_with(name));
        found.map(|(_, cid)| cid.as_str()).expect("it was added")
    }
}

/// The record of a pin, as Kubo's pinner writes it: a CBOR map.
fn pin_record(cid: &[u8], mode: u8, name: &str) -> Vec<u8> {
    let text = |text: &str| [&[0x60 | text.len() as u8], text.as_bytes()].concat();
    let mut record = vec![0xa3, 0x63, b'c', b'i', b'd', 0x58, cid.len() as u8];
    record.extend([cid, &text("mode"), &[mode], &text("name"), &text(name)].concat());
    record
}

/// The bytes of a CIDv0.
fn cid_bytes(text: &str) -> Vec<u8> {
    const DIGITS: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = vec![0_u8; 34];
    for digit in text.chars() {
        let mut carry = DIGITS.find(digit).expect("a digit of base58");
        for byte in bytes.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
    }
    bytes
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn everything_comes_over() {
    let Some(peers) = peers() else { return };
    let mut kubo = Kubo::new(&peers, 71);
    let home = Home::empty();
    let refused = |kubo: &Peer| {
        let repo = kubo.path("repo");
        let refused = home.run(["migrate".as_ref(), "--from".as_ref(), repo.as_os_str()]);
        assert!(refused.failure().contains("stop the daemon"), "{refused:?}");
        assert!(!home.repo().exists(), "nothing is made before it is sure");
    };

    // Two files are added and unpinned, so that only the records written below keep them.
    let mut running = Peer::kubo_in(&peers, kubo.folder);
    refused(&running);
    let mut loose = |name: &str| {
        let path = running.path(name);
        tree::write(&path, name.as_bytes());
        let cid = running.add(&path);
        running.ask(&json!({ "op": "unpin", "cid": cid }));
        cid
    };
    let (direct, named) = (loose("direct"), loose("named"));
    kubo.folder = running.end();
    let mfs = kubo.cid("mixed").to_owned();
    leveldb::put(
        &kubo.repo().join("datastore"),
        &[
            ("/pins/pin/one", &pin_record(&cid_bytes(&direct), 1, "alone")),
            ("/pins/pin/other", &pin_record(&cid_bytes(&named), 0, "holiday photos")),
            ("/local/filesroot", &cid_bytes(&mfs)),
            // It makes the indexes of pins anew from the records.
            ("/pins/state/dirty", &[1]),
        ],
    );
    let mut running = Peer::kubo_in(&peers, kubo.folder);
    let answer = running.ask(&json!({ "op": "pins" }));
    kubo.folder = running.end();
    let list = answer["cids"].as_array().expect("a list of CIDs");
    let theirs: BTreeSet<String> =
        list.iter().filter_map(|cid| cid.as_str()).map(str::to_owned).collect();
    assert!(theirs.contains(&direct) && theirs.contains(&named), "Kubo reads these records");
    assert!(theirs.len() as u64 > FILES, "what is below a pin is listed, too");

    let before = kubo.state();
    let summary = kubo.migrate(&home);
    assert!(summary.contains("8 recursive, 1 direct"), "{summary}");
    assert!(summary.contains(&mfs), "{summary}");
    assert!(kubo.state() == before, "the source is as it was");
    kubo.check(&home);
    let list = |args: &[&str]| lines(&home.run(["pin", "ls"].iter().chain(args)).text());
    assert_eq!(list(&["-q"]), theirs);
    assert_eq!(list(&["-q", "--type=direct"]), BTreeSet::from([direct]));
    let recursive = list(&["--names", "--type=recursive"]);
    let expected = format!("{named} recursive holiday photos");
    assert!(recursive.contains(&expected), "{recursive:?}");
}

#[test]
fn a_full_disk_is_said_and_the_next_run_completes_it() {
    let Some(peers) = peers() else { return };
    let kubo = Kubo::new(&peers, 74);
    let home = Home::empty();
    let options = if rustix::process::getuid().is_root() { "-m" } else { "-rm" };
    let mut mount = Command::new("unshare");
    mount.args([options, "mount", "-t", "tmpfs", "none", "/mnt"]);
    if !mount.output().is_ok_and(|output| output.status.success()) {
        return say_skipped("this machine does not allow a mount, so no disk can be full");
    }
    fs::create_dir(home.repo()).expect("a folder can be made");
    // The mount ends with the shell, so what came of it is copied out.
    let script = "mount -t tmpfs -o size=12m none \"$2\" || exit 3
        \"$0\" migrate --from \"$1\"; echo \"first: $?\"
        mount -o remount,size=1g \"$2\" || exit 4
        \"$0\" migrate --from \"$1\"; echo \"second: $?\"
        cp -a \"$2/.\" \"$3\"";
    let out = home.path("out");
    let mut command = home.command_of(Path::new("unshare"));
    command.args([options, "sh", "-c", script]).arg(cairn_tests::binary()).arg(kubo.repo());
    let output = command.arg(home.repo()).arg(&out).output().expect("unshare can be run");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).to_lowercase();
    assert!(said.contains("first: 1") && said.contains("second: 0"), "{said}{errors}");
    assert!(errors.contains("no space") && errors.contains("goes on from there"), "{errors}");
    fs::remove_dir(home.repo()).expect("a folder can be removed");
    fs::rename(out, home.repo()).expect("a folder can be renamed");
    kubo.check(&home);
}

#[test]
fn kills_cost_nothing() {
    let Some(peers) = peers() else { return };
    let kubo = Kubo::new(&peers, 72);
    let mut random = Random::new(73);
    let whole = Home::empty();
    kubo.migrate(&whole);
    let pins = whole.run(["pin", "ls", "-q"]).text();
    let stat = |home: &Home| {
        let text = home.run(["repo", "stat"]).text();
        text.lines().find(|line| line.starts_with("NumObjects")).map(str::to_owned)
    };
    // Microseconds; it moves towards the time that a migration takes on this machine.
    let mut delay = 500_000;
    let (mut in_time, mut too_late) = (0, 0);
    for _ in 0..run_count("CAIRN_MIGRATE_KILLS", KILLS) {
        let home = Home::empty();
        for _ in 0..=random.below(3) {
            let mut command = home.command();
            command.arg("migrate").arg("--from").arg(kubo.repo());
            let mut process = Running::start(&mut command);
            let wait = Duration::from_micros(1 + random.below(delay));
            // It says something only when it is done.
            let done = process.line_within(wait).is_ok();
            process.signal(Signal::KILL);
            if done {
                delay = delay * 9 / 10 + 1;
                too_late += 1;
            } else {
                delay = delay * 11 / 10 + 1;
                in_time += 1;
            }
        }
        kubo.migrate(&home);
        assert_eq!(stat(&home), stat(&whole));
        assert_eq!(home.run(["pin", "ls", "-q"]).text(), pins);
        kubo.check(&home);
    }
    assert!(in_time > 0, "a kill in the middle: {in_time}, {too_late}");
}
