//! Rot in the packs: found, never served, healed from a peer; lost files: named with the command
//! that repairs them.
//!
//! `CAIRN_HEALED=1000` hits that many blocks in the tests that heal from a peer.

use cairn_tests::{Home, Outcome, run_count, tree};
use std::{collections::BTreeSet, fs, path::PathBuf};

/// Blocks hit in each test of a usual run.
const HIT_COUNT: u64 = 50;
/// Blocks of the file for each that is hit, and their length.
const BLOCKS_PER_HIT: usize = 7;
const BLOCK_LEN: usize = 4096;

fn hit_count() -> usize {
    usize::try_from(run_count("CAIRN_HEALED", HIT_COUNT)).expect("a count of blocks")
}

fn pack(home: &Home) -> PathBuf {
    home.repo().join("blocks/000001.pack")
}

/// Overwrites bytes within the data of `count` blocks of the first pack.
fn corrupt(home: &Home, count: usize) {
    let path = pack(home);
    let mut bytes = fs::read(&path).expect("there is a pack");
    // A record: "cRec", then its kind, its multihash's length, and at 8 its data's.
    let starts: Vec<usize> =
        bytes.windows(4).enumerate().filter(|(_, four)| four == b"cRec").map(|it| it.0).collect();
    let step = starts.len() / count;
    assert!(step > 0, "{} blocks", starts.len());
    for start in starts.iter().step_by(step).take(count) {
        let data = start + 20 + usize::from(bytes[start + 5]);
        let len = u32::from_le_bytes(bytes[start + 8..start + 12].try_into().expect("four bytes"));
        bytes[data + len as usize / 2] ^= 0xff;
    }
    fs::write(&path, bytes).expect("the pack can be written");
}

/// Two repositories with the same file of enough blocks; returns its CID and its bytes.
fn twins() -> (Home, Home, String, Vec<u8>) {
    let (one, two) = (Home::new(), Home::new());
    let bytes = tree::Random::new(3).bytes(hit_count() * BLOCKS_PER_HIT * BLOCK_LEN + 1000);
    let add = |home: &Home| {
        let file = home.file("file", &bytes);
        let args = ["add", "-Q", "--chunker=size-4096"].map(AsRef::as_ref);
        home.run(args.into_iter().chain([file.as_os_str()])).text()
    };
    let (cid, same) = (add(&one), add(&two));
    assert_eq!(cid, same);
    (one, two, cid, bytes)
}

fn corrupt_names(outcome: &Outcome) -> BTreeSet<String> {
    let out = String::from_utf8_lossy(&outcome.stdout);
    let lines = out.split(['\n', '\r']).filter(|line| line.contains("was corrupt"));
    let name = |line: &str| line.split(' ').nth(1).map(str::to_owned);
    lines.filter_map(name).collect()
}

#[test]
fn verify_finds_drops_and_heals_what_has_rotted() {
    let (one, two, cid, bytes) = twins();
    let hit_count = hit_count();
    let whole = two.run(["repo", "verify"]).text();
    assert_eq!(whole, "verify complete, all blocks validated.", "no progress off a terminal");
    corrupt(&two, hit_count);
    let found = two.run(["repo", "verify"]);
    let summary = format!("Error: verify complete, {hit_count} blocks corrupt");
    assert!(found.failure().contains(&summary), "{found:?}");
    assert_eq!(corrupt_names(&found).len(), hit_count);
    assert!(two.run(["repo", "verify", "--heal"]).code != Some(0), "healing needs a network");

    let (first, second) = (one.daemon(), two.daemon());
    two.run(["swarm", "connect", &first.tcp_addr()]).text();
    let healed = two.run(["repo", "verify", "--heal"]);
    assert_eq!(corrupt_names(&healed), corrupt_names(&found));
    let summary = format!("{hit_count} blocks corrupt, {hit_count} removed, {hit_count} healed");
    assert!(healed.text().contains(&summary), "{healed:?}");
    assert!(two.run(["repo", "verify"]).text().contains("all blocks validated"));
    assert_eq!(second.stop().code(), Some(0));
    assert!(two.run(["--offline", "cat", &cid]).stdout == bytes);
    assert_eq!(two.run(["pin", "verify"]).text(), "");

    corrupt(&two, hit_count);
    let dropped = two.run(["repo", "verify", "--drop"]).text();
    assert!(dropped.contains("blocks corrupt") && dropped.contains(" removed"), "{dropped}");
    assert!(two.run(["repo", "verify"]).text().contains("all blocks validated"));
    assert!(two.run(["pin", "verify"]).text().contains("broken"));
}

#[test]
fn reading_repairs() {
    let (one, two, cid, bytes) = twins();
    let hit_count = hit_count();
    corrupt(&two, hit_count);
    let refused = two.run(["--offline", "cat", &cid]);
    assert_eq!(refused.code, Some(1), "never wrong bytes: {}", refused.stderr);
    let (first, second) = (one.daemon(), two.daemon());
    two.run(["swarm", "connect", &first.tcp_addr()]).text();
    assert!(two.run(["cat", &cid]).stdout == bytes);
    drop(first);
    assert_eq!(second.stop().code(), Some(0));
    assert!(two.run(["repo", "verify"]).text().contains("all blocks validated"));
}

#[test]
fn a_scrub_heals_in_the_background() {
    let (one, two, cid, bytes) = twins();
    let hit_count = hit_count();
    corrupt(&two, hit_count);
    let (first, second) = (one.daemon(), two.daemon());
    two.run(["swarm", "connect", &first.tcp_addr()]).text();
    let said = two.run(["repo", "scrub", "--wait", "--rate=0"]).text();
    let counts = format!("{hit_count} corrupt, {hit_count} healed");
    let clean = "0 corrupt, 0 healed";
    assert!(said.contains("finished") && said.contains(&counts), "{said}");
    assert!(two.run(["repo", "stat"]).text().contains(&counts));
    // A byte a second: it waits after its first step until it is stopped.
    assert!(two.run(["repo", "scrub", "--rate=1"]).text().contains("running"));
    assert!(two.run(["repo", "stat"]).text().contains("running"));
    assert!(two.run(["repo", "scrub", "stop"]).text().contains("stopped"));
    assert!(two.run(["repo", "scrub", "status"]).text().contains("stopped"));
    two.run(["repo", "scrub", "--wait", "--rate=0"]).text();
    assert_eq!(second.stop().code(), Some(0));
    let status = two.run(["repo", "scrub", "status"]).text();
    assert!(status.contains("finished") && status.contains(clean), "after a restart: {status}");
    assert!(two.run(["--offline", "cat", &cid]).stdout == bytes);
}

#[test]
fn lost_pins_are_named_with_their_repair() {
    let home = Home::new();
    let cid = home.add(&home.file("a", "a"));
    // So many changes are taken over from the packs into the metadata.
    let daemon = home.daemon();
    for number in 0..100 {
        daemon.rpc(&format!("pin/add?arg={cid}&name=number{number}"));
    }
    assert_eq!(daemon.stop().code(), Some(0));
    fs::write(home.repo().join("meta.redb"), "").expect("it can be emptied");
    assert_eq!(home.run(["cat", &cid]).text(), "a", "the rest works");
    let refused = home.run(["pin", "ls"]);
    assert!(refused.failure().contains("`cairn repo verify --reset-meta`"), "{refused:?}");
    assert!(home.run(["repo", "stat"]).text().contains("meta.redb"));
    let daemon = home.daemon();
    let busy = home.run(["repo", "verify", "--reset-meta"]);
    assert!(busy.failure().contains("in use"), "{busy:?}");
    drop(daemon);
    let reset = home.run(["repo", "verify", "--reset-meta"]).text();
    assert!(reset.contains("carried 1 pins over") && reset.contains("Pin again"), "{reset}");
    let pins = home.run(["pin", "ls"]).text();
    assert!(pins.contains(&cid), "its note is still in the pack: {pins}");
    home.run(["pin", "rm", &cid]).text();
}

#[test]
fn pins_come_from_standard_input_in_any_number() {
    let home = Home::new();
    let folder = home.path("folder");
    fs::create_dir(&folder).expect("a folder can be made");
    for number in 0..300 {
        fs::write(folder.join(number.to_string()), number.to_string()).expect("it can be written");
    }
    let args = ["add", "-q", "-r", "--pin=false"].map(AsRef::as_ref);
    let cids = home.run(args.into_iter().chain([folder.as_os_str()])).text();
    // More than one request takes, so that most are pinned twice.
    let lines = format!("{cids}\n").repeat(60);
    let told = home.run_with(["pin", "add", "--name", "bulk"], lines.clone().into_bytes()).text();
    assert_eq!(told.lines().count(), 301 * 60);
    assert_eq!(home.run(["pin", "ls", "-q", "--type=recursive"]).text().lines().count(), 301);
    let _daemon = home.daemon();
    let told = home.run_with(["pin", "add"], lines.into_bytes()).text();
    assert_eq!(told.lines().count(), 301 * 60, "through the API, too");
    home.run_with(["pin", "rm"], cids.into_bytes()).text();
    assert_eq!(home.run(["pin", "ls", "-q"]).text(), "");
}
