//! Kills the node with SIGKILL at random moments while it adds, unpins, pins again, changes MFS,
//! collects garbage, verifies and scrubs: what it acknowledged holds, and a scrub goes on.
//!
//! A command is acknowledged when its line is on standard output (or, with a daemon, when the
//! last line of the answer has arrived). The delay before the kill follows the point of
//! acknowledgement, so that most kills fall close to it. `CAIRN_KILLS=3000` makes a long run.
//! Not here: which changes of MFS there are (`kill/mfs.rs`), losing power, where the system's own
//! cache is lost too (`cairn-sim`), kills over migrations (`migrate_kubo.rs`).

#[path = "kill/mfs.rs"]
mod mfs;

use cairn_tests::{Daemon, Home, Running, http, run_count, tree::Random};
use rustix::process::Signal;
use serde_json::Value;
use std::{collections::BTreeMap, fs, thread, time::Duration};

/// Kills in a usual run, split between the command by itself and the daemon.
const KILLS: u64 = 300;
/// One kill in this many is of a daemon; the others are of `cairn add` by itself.
const DAEMON_EVERY: u64 = 8;
/// After this many kills everything acknowledged until then is read back.
const CHECK_EVERY: u64 = 25;

/// Roots with the bytes they stand for.
type Contents = BTreeMap<String, Vec<u8>>;

/// What the node has promised.
#[derive(Default)]
struct Promised {
    /// Pinned: whole, and listed as such.
    pinned: Contents,
    /// Unpinned: not listed. Its blocks may be there or not.
    unpinned: Contents,
    /// Killed over: pinned or not, but whole if pinned.
    in_doubt: Contents,
    /// The tree in MFS.
    mfs: mfs::Promised,
}

/// How long to wait before the kill; it moves towards the time that the command takes here.
struct Delay {
    micros: u64,
    in_time: u64,
    too_late: u64,
}

impl Delay {
    fn new(micros: u64) -> Self {
        Self { micros, in_time: 0, too_late: 0 }
    }

    fn next(&self, random: &mut Random) -> Duration {
        Duration::from_micros(self.micros / 2 + random.below(self.micros))
    }

    fn note(&mut self, answered: bool) {
        if answered {
            self.micros = self.micros * 9 / 10 + 1;
            self.too_late += 1;
        } else {
            self.micros = self.micros * 11 / 10 + 1;
            self.in_time += 1;
        }
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure is what a long run is for")]
fn what_was_acknowledged_survives_kills() {
    let home = Home::new();
    let mut random = Random::new(51);
    let mut promised = Promised::default();
    let (mut adding, mut pinning) = (Delay::new(100_000), Delay::new(30_000));
    let (mut collecting, mut checking) = (Delay::new(60_000), Delay::new(100_000));
    let kills = run_count("CAIRN_KILLS", KILLS);
    for kill in 1..=kills {
        match kill % DAEMON_EVERY {
            0 => kill_daemon(&home, &mut random, &mut promised),
            1 | 2 => kill_pin(&home, &mut random, (&mut promised, &mut pinning)),
            3 => kill_whole(&home, &["repo", "gc"], (&mut random, &mut collecting)),
            4 if kill % 16 < 8 => {
                kill_whole(&home, &["repo", "verify"], (&mut random, &mut checking));
            }
            4 => {
                let args = ["repo", "scrub", "--wait", "--rate=0"];
                kill_whole(&home, &args, (&mut random, &mut checking));
            }
            _ => {
                let len = random.below(3_000_000) as usize;
                let bytes = random.bytes(len);
                let wait = adding.next(&mut random);
                let answer = kill_add(&home, &bytes, wait);
                adding.note(answer.is_some());
                if let Some(cid) = answer {
                    promised.pinned.insert(cid, bytes);
                }
            }
        }
        if kill % CHECK_EVERY == 0 {
            check(&home, &mut promised);
        }
    }
    check(&home, &mut promised);
    println!(
        "kill -9 over add, pin, unpin, MFS, gc, verify and scrub: {kills} kills, nothing \
         acknowledged lost"
    );
    let delays = [adding, pinning, collecting, checking];
    for (name, delay) in ["add", "pin", "gc", "verify or scrub"].into_iter().zip(delays) {
        let Delay { in_time, too_late, .. } = delay;
        println!("{name}: killed {in_time} times before its end, {too_late} times after it");
        assert!(in_time > 0 && too_late > 0, "{name} before and after: {in_time}, {too_late}");
    }
}

/// Kills a command that answers at its end only; if it was faster, it found nothing wrong.
fn kill_whole(home: &Home, args: &[&str], (random, delay): (&mut Random, &mut Delay)) {
    let mut command = home.command();
    command.args(args);
    let wait = delay.next(random);
    let mut process = Running::start(&mut command);
    let end = process.wait(wait);
    process.signal(Signal::KILL);
    delay.note(end.is_some());
    if end.is_some_and(|status| !status.success()) {
        cairn_tests::fail(&format!("{args:?}: {}{}", process.said(), process.errors()));
    }
}

/// Unpins something, or pins what was unpinned, and kills the command.
fn kill_pin(home: &Home, random: &mut Random, (promised, delay): (&mut Promised, &mut Delay)) {
    let unpin = random.below(3) > 0;
    let Promised { pinned, unpinned, in_doubt, .. } = promised;
    let (from, to) = if unpin { (pinned, unpinned) } else { (unpinned, pinned) };
    let at = random.below(from.len().max(1) as u64) as usize;
    let Some(cid) = from.keys().nth(at).cloned() else { return };
    let bytes = from.remove(&cid).expect("it was just listed");
    let mut command = home.command();
    command.args(["pin", if unpin { "rm" } else { "add" }, &cid]);
    let mut process = Running::start(&mut command);
    let answer = process.line_within(delay.next(random)).ok().flatten();
    process.signal(Signal::KILL);
    delay.note(answer.is_some());
    // A pin of what garbage collection took ends without a line.
    let kept = if answer.is_some() { to } else { in_doubt };
    kept.insert(cid, bytes);
}

/// Adds `bytes` with the command by itself and kills it after `wait`; the CID if it was faster.
fn kill_add(home: &Home, bytes: &[u8], wait: Duration) -> Option<String> {
    let path = home.file("adding", bytes);
    let mut command = home.command();
    command.arg("add").arg("-Q").arg(path);
    let mut process = Running::start(&mut command);
    // The wait for its answer is the delay: it ends early only when there is an answer.
    let answer = process.line_within(wait).ok().flatten();
    process.signal(Signal::KILL);
    answer
}

/// Adds through a daemon from two clients, and changes MFS from a third, while it scrubs and
/// collects, until it is killed.
fn kill_daemon(home: &Home, random: &mut Random, promised: &mut Promised) {
    let daemon = home.daemon();
    let api = daemon.api;
    let Promised { pinned: acknowledged, mfs, .. } = promised;
    mfs.check(&daemon);
    let mut changes = Random::new(random.number());
    let (seeds, adds) = ([random.number(), random.number()], 2 + random.below(30));
    let answers = thread::scope(|scope| {
        let (first, started) = std::sync::mpsc::channel();
        let clients = seeds.map(|seed| {
            let first = first.clone();
            scope.spawn(move || {
                let (mut random, mut answers) = (Random::new(seed), Contents::new());
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
        let done = first.clone();
        let changing = scope.spawn(move || {
            mfs.work(api, &mut changes, || {
                let _ = done.send(());
            });
        });
        let collector = scope.spawn(move || {
            let target = "/api/v0/repo/gc";
            let request = http::Request { method: "POST", target, ..Default::default() };
            while http::try_send(api, &request).is_some_and(|answer| answer.whole) {}
        });
        started.recv().expect("the clients go on until the daemon is killed");
        let begun = begin_scrub(&daemon);
        for _ in 1..adds {
            started.recv().expect("the clients go on until the daemon is killed");
        }
        daemon.kill();
        changing.join().expect("the client of MFS ends with its daemon");
        collector.join().expect("the collector ends with its daemon");
        scrubs_on(home, &begun);
        clients.map(|client| client.join().expect("a client ends with its daemon"))
    });
    for answer in answers {
        acknowledged.extend(answer);
    }
}

/// Begins a scrub, or goes on with the last one, so slowly that it will be killed; returns its
/// status once it is past its first bytes.
fn begin_scrub(daemon: &Daemon) -> Value {
    daemon.rpc("repo/scrub?rate=1");
    loop {
        let status = daemon.rpc("repo/scrub/status");
        // Not by its blocks: what it reads first may all be garbage.
        if status["Done"].as_u64() > Some(0) {
            return status;
        }
        assert_eq!(status["State"], "running", "a scrub was begun and not stopped");
    }
}

/// After the kill the same scrub is known, ready to go on where it was.
fn scrubs_on(home: &Home, begun: &Value) {
    let told = home.run(["repo", "scrub", "status", "--enc=json"]).text();
    let now: Value = serde_json::from_str(&told).expect("an answer is JSON");
    let same = now["State"] == "stopped" && now["Started"] == begun["Started"];
    assert!(same, "{begun} became {now}");
}

/// Adds over the RPC API; the CID if the whole answer came.
fn post(api: std::net::SocketAddr, bytes: &[u8]) -> Option<String> {
    let answer = http::try_post_file(api, "/api/v0/add?quieter=true&progress=false", "f", bytes)?;
    let last = answer.text().lines().last().map(str::to_owned);
    let value: Value = serde_json::from_str(&last?).ok()?;
    let whole = answer.whole && answer.status == 200 && answer.trailers.is_empty();
    value["Hash"].as_str().filter(|_| whole).map(str::to_owned)
}

/// Reads everything back through one daemon: each root is pinned and each byte is right, and
/// what was killed over is one or the other.
fn check(home: &Home, promised: &mut Promised) {
    let daemon = home.daemon_with(&["--offline"]);
    promised.mfs.check(&daemon);
    let pins = daemon.rpc("pin/ls?type=recursive");
    let is_pinned = |cid: &String| pins["Keys"].get(cid).is_some();
    for (cid, bytes) in std::mem::take(&mut promised.in_doubt) {
        let Promised { pinned, unpinned, .. } = promised;
        if is_pinned(&cid) { pinned } else { unpinned }.insert(cid, bytes);
    }
    for cid in promised.unpinned.keys() {
        assert!(!is_pinned(cid), "{cid} was unpinned and still is pinned");
    }
    for (cid, bytes) in &promised.pinned {
        assert!(is_pinned(cid), "{cid} was acknowledged and is not pinned");
        let answer = http::post(daemon.api, &format!("/api/v0/cat?arg={cid}"));
        let same = answer.status == 200 && answer.whole && answer.body == *bytes;
        assert!(same, "{cid} was acknowledged and is not whole: {}", answer.status);
    }
    // What a kill interrupted goes on, comes to its end, and finds every block as it was.
    let scrub = home.run(["repo", "scrub", "--wait", "--rate=0"]).text();
    let end = scrub.lines().last().unwrap_or_default();
    assert!(end.contains("finished") && end.contains(" 0 corrupt"), "{scrub}");
    assert_eq!(daemon.stop().code(), Some(0));
    let stray = fs::read_dir(home.repo()).expect("there is a repository");
    let stray = stray.filter_map(Result::ok).filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.contains("tmp") || name.contains("part")
    });
    assert_eq!(stray.count(), 0, "half-written files are cleaned up at the next start");
}
