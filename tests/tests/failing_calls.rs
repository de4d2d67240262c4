//! The system refuses: every call that writes, syncs, cuts, reserves or renames fails in the
//! running binary, the Nth one or all from the Nth on, with EIO or ENOSPC.
//!
//! `strace` injects the errors into a daemon while a script of adds, pins, removals, collections
//! and a scrub asks it for everything over RPC; the daemon may refuse what it likes. Then one
//! without errors must open the repository, hold all that was acknowledged, bytes and pins, hold
//! nothing corrupt, and take writes. `strace` counts the calls of each thread by itself, so the
//! Nth call fails in every thread that gets so far.
//! A usual run takes a sample; `CAIRN_FAILING_CALLS=100000` takes every N of every call.
//! Not here: every call in the order of one process, and power cuts after a failure
//! (`cairn-sim`), `write` (sockets use it too), writes to mapped memory.

use cairn_tests::{Daemon, Home, Running, fail, http, run, run_count, say_skipped, tree::Random};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Calls that change what is on disk.
const CALLS: [&str; 8] =
    ["fdatasync", "fsync", "pwritev", "pwrite64", "ftruncate", "fallocate", "rename", "msync"];
/// What they answer.
const ERRORS: [&str; 2] = ["EIO", "ENOSPC"];
/// Trials of a usual run.
const TRIALS: u64 = 24;
/// How long a daemon may take to be ready, or to give up.
const START_LIMIT: Duration = Duration::from_mins(1);

/// One kind of failure.
#[derive(Debug, Clone, Copy)]
struct Injection {
    call: &'static str,
    error: &'static str,
    number: u64,
    for_ever: bool,
}

/// Roots with the bytes they stand for.
type Contents = BTreeMap<String, Vec<u8>>;

/// What was acknowledged.
#[derive(Debug, Clone, Default)]
struct Promised {
    pinned: Contents,
    /// Unpinned, and acknowledged as such.
    unpinned: BTreeSet<String>,
    refusals: u64,
}

#[test]
fn what_was_acknowledged_survives_failing_calls() {
    let home = Home::new();
    let strace = strace(&home, &["-c"]).arg("true").output();
    if !strace.is_ok_and(|output| output.status.success()) {
        return say_skipped("strace is not installed, or may not trace here");
    }
    let template = home.path("template");
    let promised = prepare(&home);
    copy(&home.repo(), &template);
    let counts = count_calls(&home, &promised);
    let trials = trials(&counts);
    let chosen = run_count("CAIRN_FAILING_CALLS", TRIALS).min(trials.len() as u64);
    let (mut hit, mut refusals, mut unready) = (0, 0, 0);
    for at in 0..chosen {
        let injection = trials[(at * trials.len() as u64 / chosen) as usize];
        fs::remove_dir_all(home.repo()).expect("a folder can be removed");
        copy(&template, &home.repo());
        let mut after = promised.clone();
        match start(&home, injection) {
            Some(daemon) => act(daemon, &mut after),
            None => unready += 1,
        }
        hit += u64::from(after.refusals > 0);
        refusals += after.refusals;
        check(&home, &after, injection);
    }
    assert!(hit + unready > 0, "something failed");
    let text = format!(
        "failing calls: {chosen} of {} trials over {counts:?}; {unready} daemons did not start, \
         {hit} refused something, {refusals} refusals, nothing acknowledged lost\n",
        trials.len()
    );
    std::io::stderr().write_all(text.as_bytes()).expect("standard error is open");
}

/// `strace` over the calls, beside the traced process rather than above it.
fn strace(home: &Home, args: &[&str]) -> Command {
    let mut command = home.command_of(Path::new("strace"));
    command.args(["-D", "-f", "-qq", "--seccomp-bpf"]).args(args);
    command.arg(format!("--trace={}", CALLS.join(","))).arg("-o").arg(home.path("trace"));
    command
}

/// A repository with something pinned, something to unpin, and garbage.
fn prepare(home: &Home) -> Promised {
    let mut random = Random::new(63);
    let mut promised = Promised::default();
    for len in [700_000, 100, 40_000, 5000] {
        let bytes = random.bytes(len);
        promised.pinned.insert(home.add(&home.file("file", &bytes)), bytes);
    }
    let garbage = home.file("file", random.bytes(1_500_000));
    let args = ["add", "-Q", "--pin=false"].map(AsRef::as_ref);
    home.run(args.into_iter().chain([garbage.as_os_str()])).text();
    promised
}

fn copy(from: &Path, to: &Path) {
    let copied = run(Command::new("cp").arg("-a").arg(from).arg(to));
    assert_eq!(copied.code, Some(0), "{}", copied.stderr);
}

/// How often the busiest thread makes each call in one run of the script.
fn count_calls(home: &Home, promised: &Promised) -> BTreeMap<&'static str, u64> {
    let mut command = strace(home, &[]);
    command.arg(cairn_tests::binary()).args(["daemon", "--offline"]);
    let mut promised = promised.clone();
    act(Daemon::start(&mut command), &mut promised);
    assert_eq!(promised.refusals, 0, "without errors nothing is refused");
    let traced = read_trace(&home.path("trace"));
    let mut threads: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for line in traced.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let name = rest.trim_start().split('(').next().unwrap_or_default();
        *threads.entry((thread, name)).or_default() += 1;
    }
    let mut counts = BTreeMap::new();
    for ((_, name), count) in threads {
        let Some(call) = CALLS.into_iter().find(|call| *call == name) else { continue };
        let most = counts.entry(call).or_default();
        *most = count.max(*most);
    }
    for call in ["fdatasync", "pwritev"] {
        assert!(counts.contains_key(call), "{call} is among {counts:?}");
    }
    counts
}

/// What `strace` wrote; it may still be at it when the traced process is gone.
fn read_trace(path: &PathBuf) -> String {
    let mut text = fs::read_to_string(path).expect("strace wrote its trace");
    loop {
        let again = fs::read_to_string(path).expect("strace wrote its trace");
        if again.len() == text.len() {
            return again;
        }
        text = again;
    }
}

/// Every N of every call, with each error, once and for ever.
fn trials(counts: &BTreeMap<&'static str, u64>) -> Vec<Injection> {
    let mut trials = Vec::new();
    for (&call, &count) in counts {
        for number in 1..=count {
            for error in ERRORS {
                for for_ever in [false, true] {
                    trials.push(Injection { call, error, number, for_ever });
                }
            }
        }
    }
    trials
}

/// Starts a daemon whose calls fail; `None` if they keep it from starting.
fn start(home: &Home, injection: Injection) -> Option<Daemon> {
    let Injection { call, error, number, for_ever } = injection;
    let inject = format!("--inject={call}:error={error}:when={number}{}", mark(for_ever));
    let mut command = strace(home, &[&inject]);
    command.arg(cairn_tests::binary()).args(["daemon", "--offline"]);
    let mut process = Running::start(&mut command);
    loop {
        match process.line_within(START_LIMIT) {
            Ok(Some(line)) if line == "Daemon is ready" => return Some(Daemon::of(process)),
            Ok(Some(_)) => {}
            Ok(None) => {
                let status = process.wait(START_LIMIT);
                let text = process.errors();
                let told = status.is_some_and(|status| status.code() == Some(1));
                assert!(told && text.contains("Error: "), "{injection:?}: {status:?} {text}");
                return None;
            }
            Err(error) => fail(&format!("{injection:?}: no daemon, no reason: {error}")),
        }
    }
}

fn mark(for_ever: bool) -> &'static str {
    if for_ever { "+" } else { "" }
}

/// The script; notes what is acknowledged, and ends the daemon.
fn act(daemon: Daemon, promised: &mut Promised) {
    let mut random = Random::new(64);
    for round in 0..3 {
        add(&daemon, &mut random, promised);
        unpin(&daemon, promised);
        put_and_pin(&daemon, &mut random, promised);
        for command in
            ["repo/gc?silent=true", "repo/scrub?wait=true&rate=0", "config?arg=Number&arg=1&json=1"]
        {
            if round == 1 {
                let answer = http::post(daemon.api, &format!("/api/v0/{command}"));
                promised.refusals += u64::from(!good(&answer));
            }
        }
    }
    // However it ends, it ends.
    daemon.stop();
}

fn good(answer: &http::Answer) -> bool {
    answer.status == 200 && answer.whole && answer.trailers.is_empty()
}

fn add(daemon: &Daemon, random: &mut Random, promised: &mut Promised) {
    let bytes = random.bytes(300_000);
    let answer = http::post_file(daemon.api, "/api/v0/add?progress=false", "file", &bytes);
    match text_of(&answer, "Hash") {
        Some(cid) => drop(promised.pinned.insert(cid, bytes)),
        None => promised.refusals += 1,
    }
}

fn unpin(daemon: &Daemon, promised: &mut Promised) {
    let Some(cid) = promised.pinned.keys().next().cloned() else { return };
    let answer = http::post(daemon.api, &format!("/api/v0/pin/rm?arg={cid}"));
    // Refused, it may be pinned or not; nothing is asked of it any more.
    promised.pinned.remove(&cid);
    if good(&answer) {
        promised.unpinned.insert(cid);
    } else {
        promised.refusals += 1;
    }
}

fn put_and_pin(daemon: &Daemon, random: &mut Random, promised: &mut Promised) {
    let bytes = random.bytes(3000);
    let target = "/api/v0/block/put?cid-codec=raw";
    let answer = http::post_file(daemon.api, target, "data", &bytes);
    let Some(cid) = text_of(&answer, "Key") else {
        promised.refusals += 1;
        return;
    };
    if good(&http::post(daemon.api, &format!("/api/v0/pin/add?arg={cid}"))) {
        promised.pinned.insert(cid, bytes);
    } else {
        promised.refusals += 1;
    }
}

fn text_of(answer: &http::Answer, name: &str) -> Option<String> {
    let value: Value = serde_json::from_str(answer.text().trim()).ok()?;
    value[name].as_str().filter(|_| good(answer)).map(str::to_owned)
}

/// A daemon on the healthy system holds everything, and works.
fn check(home: &Home, promised: &Promised, injection: Injection) {
    let daemon = home.daemon_with(&["--offline"]);
    let pins = daemon.rpc("pin/ls?type=recursive");
    for (cid, bytes) in &promised.pinned {
        assert!(pins["Keys"].get(cid).is_some(), "{injection:?}: {cid} is not pinned");
        let answer = http::post(daemon.api, &format!("/api/v0/cat?arg={cid}"));
        assert!(good(&answer) && answer.body == *bytes, "{injection:?}: {cid} is not whole");
    }
    for cid in &promised.unpinned {
        assert!(pins["Keys"].get(cid).is_none(), "{injection:?}: {cid} is still pinned");
    }
    let mut after = Promised::default();
    add(&daemon, &mut Random::new(65), &mut after);
    put_and_pin(&daemon, &mut Random::new(66), &mut after);
    assert_eq!(after.refusals, 0, "{injection:?}: no writes afterwards");
    let verified = http::post(daemon.api, "/api/v0/repo/verify");
    let whole = good(&verified) && verified.text().contains("all blocks validated");
    assert!(whole, "{injection:?}: {}", verified.text());
    assert_eq!(daemon.stop().code(), Some(0), "{injection:?}");
}
