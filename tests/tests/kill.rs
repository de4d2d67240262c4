//! Kills the node with SIGKILL at random moments while it adds: what it acknowledged is there.
//!
//! An add is acknowledged when its root's CID is on standard output (or, with a daemon, when the
//! last line of the answer has arrived). The delay before the kill follows the point of
//! acknowledgement, so that most kills fall close to it. `CAIRN_KILLS=2000` makes a long run.
//! Not here: losing power, where the system's own cache is lost too (`cairn-store`'s tests).

use cairn_tests::{Home, Running, http, run_count, tree::Random};
use rustix::process::Signal;
use std::{collections::BTreeMap, fs, thread, time::Duration};

/// Kills in a usual run, split between the command by itself and the daemon.
const KILLS: u64 = 200;
/// One kill in this many is of a daemon; the others are of `cairn add` by itself.
const DAEMON_EVERY: u64 = 8;
/// After this many kills everything acknowledged until then is read back.
const CHECK_EVERY: u64 = 25;

/// What was acknowledged: each root with the bytes it stands for.
type Acknowledged = BTreeMap<String, Vec<u8>>;

#[test]
fn what_was_acknowledged_survives_kills() {
    let home = Home::new();
    let mut random = Random::new(51);
    let mut acknowledged = Acknowledged::new();
    // Microseconds; it moves towards the time that an add takes on this machine.
    let mut delay = 100_000;
    let (mut in_time, mut too_late) = (0, 0);
    for kill in 1..=run_count("CAIRN_KILLS", KILLS) {
        if kill % DAEMON_EVERY == 0 {
            kill_daemon(&home, &mut random, &mut acknowledged);
        } else {
            let len = random.below(3_000_000) as usize;
            let bytes = random.bytes(len);
            let wait = Duration::from_micros(delay / 2 + random.below(delay));
            if let Some(cid) = kill_command(&home, &bytes, wait) {
                acknowledged.insert(cid, bytes);
                delay = delay * 9 / 10 + 1;
                too_late += 1;
            } else {
                delay = delay * 11 / 10 + 1;
                in_time += 1;
            }
        }
        if kill % CHECK_EVERY == 0 {
            check(&home, &acknowledged);
        }
    }
    check(&home, &acknowledged);
    assert!(in_time > 0 && too_late > 0, "kills fell before and after: {in_time}, {too_late}");
}

/// Adds `bytes` with the command by itself and kills it after `wait`; the CID if it was faster.
fn kill_command(home: &Home, bytes: &[u8], wait: Duration) -> Option<String> {
    let path = home.file("adding", bytes);
    let mut command = home.command();
    command.arg("add").arg("-Q").arg(path);
    let mut process = Running::start(&mut command);
    // The wait for its answer is the delay: it ends early only when there is an answer.
    let answer = process.line_within(wait).ok().flatten();
    process.signal(Signal::KILL);
    answer
}

/// Adds through a daemon from two clients until it is killed under them.
fn kill_daemon(home: &Home, random: &mut Random, acknowledged: &mut Acknowledged) {
    let daemon = home.daemon();
    let api = daemon.api;
    let (seeds, adds) = ([random.number(), random.number()], 2 + random.below(30));
    let answers = thread::scope(|scope| {
        let (first, started) = std::sync::mpsc::channel();
        let clients = seeds.map(|seed| {
            let first = first.clone();
            scope.spawn(move || {
                let (mut random, mut answers) = (Random::new(seed), Acknowledged::new());
                loop {
                    let len = random.below(300_000) as usize;
                    let bytes = random.bytes(len);
                    let Some(cid) = post(api, &bytes) else { return answers };
                    answers.insert(cid, bytes);
                    // Nobody counts any more once the daemon is being killed.
                    let _ = first.send(());
                }
            })
        });
        for _ in 0..adds {
            started.recv().expect("the clients go on until the daemon is killed");
        }
        daemon.kill();
        clients.map(|client| client.join().expect("a client ends with its daemon"))
    });
    for answer in answers {
        acknowledged.extend(answer);
    }
}

/// Adds over the RPC API; the CID if the whole answer came.
fn post(api: std::net::SocketAddr, bytes: &[u8]) -> Option<String> {
    let answer = http::try_post_file(api, "/api/v0/add?quieter=true&progress=false", "f", bytes)?;
    let last = answer.text().lines().last().map(str::to_owned);
    let value: serde_json::Value = serde_json::from_str(&last?).ok()?;
    let whole = answer.whole && answer.status == 200 && answer.trailers.is_empty();
    value["Hash"].as_str().filter(|_| whole).map(str::to_owned)
}

/// Reads everything back through one daemon: each root is pinned and each byte is right.
fn check(home: &Home, acknowledged: &Acknowledged) {
    let daemon = home.daemon_with(&["--offline"]);
    let pins = daemon.rpc("pin/ls?type=recursive");
    for (cid, bytes) in acknowledged {
        assert!(pins["Keys"].get(cid).is_some(), "{cid} was acknowledged and is not pinned");
        let answer = http::post(daemon.api, &format!("/api/v0/cat?arg={cid}"));
        let same = answer.status == 200 && answer.whole && answer.body == *bytes;
        assert!(same, "{cid} was acknowledged and is not whole: {}", answer.status);
    }
    assert_eq!(daemon.stop().code(), Some(0));
    let stray = fs::read_dir(home.repo()).expect("there is a repository");
    let stray = stray.filter_map(Result::ok).filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.contains("tmp") || name.contains("part")
    });
    assert_eq!(stray.count(), 0, "half-written files are cleaned up at the next start");
}
