//! MFS as its users see it: every `files` command, by itself and through a daemon, many at once
//! beside collections, over missing blocks, kills and a root that is lost.
//!
//! Not here: kills of other commands (`kill.rs`), collections and other writers (`gc_writers.rs`).

use cairn_tests::{Daemon, Home, http, tree::Random};
use serde_json::{Value, json};
use std::{
    ffi::OsStr,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// The empty directory.
const EMPTY: &str = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";
/// A block that nobody has.
const NOBODY: &str = "bafybeibdxtd5thfoitjmnfhxhywokebwdmwnuqgkzjjdjhwjz7qh77777a";
/// Writers at the same time, and what each writes.
const WRITER_COUNT: u64 = 8;
const WRITE_COUNT: u64 = 40;
/// Entries of a directory that is sharded.
const HUGE_COUNT: usize = 20_000;

fn call(api: SocketAddr, command: &str) -> http::Answer {
    http::post(api, &format!("/api/v0/files/{command}"))
}

fn ok(api: SocketAddr, command: &str) -> String {
    let answer = call(api, command);
    let text = answer.text();
    assert!(answer.status == 200 && answer.trailers.is_empty(), "{command}: {text}");
    text
}

fn write(api: SocketAddr, command: &str, bytes: &[u8]) {
    let answer = http::post_file(api, &format!("/api/v0/files/write?{command}"), "f", bytes);
    assert_eq!(answer.status, 200, "{command}: {}", answer.text());
}

fn refused(api: SocketAddr, command: &str, text: &str) {
    let answer = call(api, command);
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let whole = format!("{} {:?}", answer.text(), answer.trailers);
    assert!(answer.status == 500 || answer.status == 400, "{command}: {whole}");
    assert_eq!(value["Message"], text, "{command}");
}

fn names(daemon: &Daemon, path: &str) -> Vec<String> {
    let answer = daemon.rpc(&format!("files/ls?arg={path}"));
    let entries = answer["Entries"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<String> =
        entries.iter().filter_map(|entry| entry["Name"].as_str().map(str::to_owned)).collect();
    names.sort();
    names
}

#[test]
fn the_command_line_by_itself_has_every_command() {
    let home = Home::new();
    let run = |args: &[&str]| home.run(args).text();
    let fails = |args: &[&str], text: &str| {
        let outcome = home.run(args);
        assert!(outcome.failure().contains(text), "{args:?}: {}", outcome.failure());
    };
    assert_eq!(run(&["files", "ls"]), "");
    assert_eq!(run(&["files", "stat", "--hash", "/"]), EMPTY);
    run(&["files", "mkdir", "/cats"]);
    assert_eq!(run(&["files", "ls"]), "cats");
    fails(&["files", "mkdir", "/cats"], "file already exists");
    fails(&["files", "mkdir", "/"], "cannot create directory '/': Already exists");
    fails(&["files", "mkdir", "/a/b"], "file does not exist");
    run(&["files", "mkdir", "-p", "/cats/this/is/a/dir"]);
    let data = home.file("data", "ipfs rocks\n");
    let data = data.to_str().expect("a path of ours is text");
    run(&["files", "write", "--create", "/cats/ipfs", data]);
    let more = home.file("more", "is super cool\n");
    run(&["files", "write", "-o", "5", "/cats/ipfs", more.to_str().expect("text")]);
    assert_eq!(run(&["files", "read", "/cats/ipfs"]), "ipfs is super cool");
    assert_eq!(run(&["files", "read", "-o", "5", "-n", "2", "/cats/ipfs"]), "is");
    let hash = run(&["files", "stat", "--hash", "/cats/ipfs"]);
    assert_eq!(run(&["files", "ls", "-l", "/cats/ipfs"]), format!("ipfs\t{hash}\t19"));
    assert_eq!(
        run(&["files", "stat", "/cats/ipfs"]),
        format!(
            "{hash}\nSize: 19\nCumulativeSize: 27\nChildBlocks: 0\nType: file\n\
             Mode: not set (not set)\nMtime: not set"
        )
    );
    fails(&["files", "stat", "--hash", "--size", "/"], "Only one format option is allowed");
    run(&["files", "mv", "/cats/this/is", "/cats/"]);
    run(&["files", "mv", "/cats/is", "/"]);
    run(&["files", "mv", "/is", "/cats"]);
    assert_eq!(run(&["files", "ls", "/cats"]), "ipfs\nis\nthis");
    run(&["files", "cp", "/cats/ipfs", "/copy"]);
    fails(&["files", "cp", "/cats/ipfs", "/copy"], "directory already has entry by that name");
    run(&["files", "cp", "--force", "/cats/ipfs", "/copy"]);
    run(&["files", "cp", "-p", &format!("/ipfs/{hash}"), "/far/away/copy"]);
    run(&["files", "rm", "/copy"]);
    fails(&["files", "rm", "/cats"], "path is a directory, use -r to remove directories");
    fails(&["files", "rm", "-r", "/"], "cannot delete root");
    run(&["files", "rm", "--force", "/deeply/nonexistent"]);
    let both = home.run(["files", "rm", "-r", "/cats", "/nonexistent", "/far"]);
    assert!(both.failure().contains("can't remove some files"), "{}", both.failure());
    assert_eq!(run(&["files", "ls"]), "");
    run(&["files", "write", "-e", "/f", data]);
    run(&["files", "chmod", "0644", "/f"]);
    run(&["files", "touch", "--mtime=1630937926", "--mtime-nsecs=7", "/f"]);
    let format = "--format=<mode> <mode-octal> <mtime> <mtime-secs> <mtime-nsecs>";
    assert_eq!(
        run(&["files", "stat", format, "/f"]),
        "-rw-r--r-- 0644 6 Sep 2021, 14:18:46 UTC 1630937926 7"
    );
    assert_eq!(run(&["files", "read", "/f"]), "ipfs rocks");
    run(&["files", "mkdir", "/d"]);
    run(&["files", "chcid", "--cid-version=1", "/d"]);
    assert!(run(&["files", "stat", "--hash", "/d"]).starts_with("bafybei"));
    fails(&["files", "chcid", "--cid-version=1", "/"], "Import.CidVersion");
    fails(&["files", "chcid", "--cid-version=1", "/f"], "can only update directories");
    assert!(run(&["files", "flush", "/d"]).contains("bafybei"));
}

#[test]
fn a_daemon_answers_as_clients_expect() {
    let home = Home::new();
    let daemon = home.daemon_with(&["--offline"]);
    let api = daemon.api;
    assert_eq!(daemon.rpc("files/ls")["Entries"], Value::Null);
    assert_eq!(ok(api, "mkdir?arg=/a/b&parents=true"), "");
    write(api, "arg=/a/f&create=true", b"hello");
    write(api, "arg=/p/q/f&create=true&parents=true&cid-version=1", b"hello");
    let stat = daemon.rpc("files/stat?arg=/a/f");
    let expected = json!({"Hash": stat["Hash"], "Size": 5, "CumulativeSize": 13, "Blocks": 0,
        "Type": "file"});
    assert_eq!(stat, expected);
    let raw = daemon.rpc("files/stat?arg=/p/q/f");
    assert!(raw["Hash"].as_str().expect("a CID").starts_with("bafkrei"), "{raw}");
    let listed = daemon.rpc("files/ls?arg=/a&long=true");
    assert_eq!(
        listed["Entries"],
        json!([
            {"Name": "b", "Type": 1, "Size": 0, "Hash": EMPTY},
            {"Name": "f", "Type": 0, "Size": 5, "Hash": stat["Hash"]},
        ])
    );
    assert_eq!(daemon.rpc("files/flush")["Cid"], daemon.rpc("files/stat?arg=/")["Hash"]);
    let local = daemon.rpc("files/stat?arg=/&with-local=true");
    assert_eq!((&local["WithLocality"], &local["Local"]), (&json!(true), &json!(true)));
    assert_eq!(local["SizeLocal"], local["CumulativeSize"]);
    for (command, text) in [
        ("read?arg=/a", "/a was not a file"),
        ("read?arg=/none", "/none: file does not exist"),
        ("read?arg=/a/f/x", "/a/f/x: cannot access a/f/x: Not a directory"),
        ("read?arg=/a/f&offset=6", "offset was past end of file (6 > 5)"),
        ("read?arg=/a/f&offset=-1", "cannot specify negative offset"),
        ("read?arg=/a/f&count=-1", "cannot specify negative 'count'"),
        ("ls?arg=a", "paths must start with a leading slash"),
        ("stat?arg=/none", "file does not exist"),
        ("mv?arg=/none&arg=/b", "file does not exist"),
        ("mv?arg=/a&arg=/a/b", "cannot move a directory into itself"),
        ("cp?arg=/none&arg=/x", "cp: cannot get node from path /none: file does not exist"),
        (
            "cp?arg=/a/f&arg=/a/b",
            "cp: cannot put node in path /a/b: directory already has entry by that name",
        ),
        ("cp?arg=/a/f&arg=/z/z", "cp: cannot put node in path /z/z: file does not exist"),
        (
            "rm?arg=/a&flush=false",
            "files rm always flushes for safety. The --flush flag cannot be set to false for this \
             command",
        ),
        ("chmod?arg=9&arg=/a", "invalid mode \"9\": not an octal number"),
    ] {
        refused(api, command, text);
    }
    let none = http::post_file(api, "/api/v0/files/write?arg=/none", "f", b"x");
    assert!(none.status == 500 && none.text().contains("file does not exist"), "{}", none.text());
    let cbor = http::post_file(api, "/api/v0/dag/put?store-codec=dag-cbor", "f", b"{\"a\":1}");
    let cbor: Value = serde_json::from_slice(&cbor.body).expect("JSON");
    let cid = cbor["Cid"]["/"].as_str().expect("a CID");
    refused(
        api,
        &format!("cp?arg=/ipfs/{cid}&arg=/cbor"),
        "cp: source must be a valid UnixFS (dag-pb or raw codec)",
    );
    assert_eq!(call(api, "chroot?confirm=true").status, 404, "the command line's alone");
}

#[test]
fn bytes_go_where_they_are_written() {
    let home = Home::new();
    home.edit_config(|config| config["Import"] = json!({"UnixFSChunker": "size-1000"}));
    let daemon = home.daemon_with(&["--offline"]);
    let api = daemon.api;
    let mut random = Random::new(7);
    for raw in ["true", "false"] {
        let mut expected: Vec<u8> = Vec::new();
        write(api, &format!("arg=/f{raw}&create=true&raw-leaves={raw}"), b"");
        for round in 0..60 {
            // Now and then more than is kept in memory.
            let limit = if round % 20 == 19 { 3_000_000 } else { 5000 };
            let len = 1 + random.below(limit) as usize;
            let offset = random.below(expected.len() as u64 + 3000) as usize;
            let bytes = random.bytes(len);
            write(api, &format!("arg=/f{raw}&offset={offset}&raw-leaves={raw}"), &bytes);
            expected.resize(expected.len().max(offset + len), 0);
            expected[offset..offset + len].copy_from_slice(&bytes);
            if round % 5 == 0 {
                let read = http::post(api, &format!("/api/v0/files/read?arg=/f{raw}"));
                assert!(read.body == expected, "round {round}");
                let (from, count) = (expected.len() / 2, 1234);
                let part = format!("/api/v0/files/read?arg=/f{raw}&offset={from}&count={count}");
                let to = (from + count).min(expected.len());
                assert!(http::post(api, &part).body == expected[from..to], "round {round}");
            }
        }
        let stat = daemon.rpc(&format!("files/stat?arg=/f{raw}"));
        assert_eq!(stat["Size"], expected.len());
        write(api, &format!("arg=/f{raw}&truncate=true&count=4"), b"fishes");
        assert_eq!(http::post(api, &format!("/api/v0/files/read?arg=/f{raw}")).body, b"fish");
    }
    let whole = random.bytes(5500);
    write(api, "arg=/new&create=true", &whole);
    let added = http::post_file(api, "/api/v0/add?only-hash=true", "new", &whole);
    let added: Value = serde_json::from_slice(&added.body).expect("JSON");
    assert_eq!(daemon.rpc("files/stat?arg=/new")["Hash"], added["Hash"], "as `add` names it");
}

#[test]
fn many_at_once_beside_collections_lose_nothing() {
    let home = Home::new();
    let daemon = home.daemon_with(&["--offline"]);
    let api = daemon.api;
    ok(api, "mkdir?arg=/all");
    let working = AtomicBool::new(true);
    let collections = thread::scope(|scope| {
        let collecting = scope.spawn(|| {
            let mut count = 0;
            while working.load(Ordering::SeqCst) {
                assert_eq!(http::post(api, "/api/v0/repo/gc").status, 200);
                count += 1;
            }
            count
        });
        let reading = scope.spawn(|| {
            while working.load(Ordering::SeqCst) {
                ok(api, "ls?arg=/all");
                ok(api, "stat?arg=/");
            }
        });
        let writers: Vec<_> = (0..WRITER_COUNT)
            .map(|writer| {
                scope.spawn(move || {
                    let mut random = Random::new(writer + 1);
                    for number in 0..WRITE_COUNT {
                        let name = format!("/all/{writer}-{number}");
                        let flush = if number % 4 == 3 { "&flush=false" } else { "" };
                        write(api, &format!("arg={name}&create=true{flush}"), &random.bytes(3000));
                        ok(api, &format!("stat?arg={name}"));
                        if number % 3 == 0 {
                            ok(api, &format!("mv?arg={name}&arg={name}m"));
                            ok(api, &format!("cp?arg={name}m&arg={name}"));
                            ok(api, &format!("rm?arg={name}m"));
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().expect("a writer ends well");
        }
        working.store(false, Ordering::SeqCst);
        reading.join().expect("the reader ends well");
        collecting.join().expect("the collector ends well")
    });
    assert!(collections > 0);
    ok(api, "flush");
    daemon.kill();
    let daemon = home.daemon_with(&["--offline"]);
    let names = names(&daemon, "/all");
    assert_eq!(names.len() as u64, WRITER_COUNT * WRITE_COUNT, "{names:?}");
    for writer in 0..WRITER_COUNT {
        let mut random = Random::new(writer + 1);
        for number in 0..WRITE_COUNT {
            let target = format!("/api/v0/files/read?arg=/all/{writer}-{number}");
            assert!(http::post(daemon.api, &target).body == random.bytes(3000), "{target}");
        }
    }
}

#[test]
fn a_block_that_is_missing_blocks_nobody_else() {
    let home = Home::new();
    let daemon = home.daemon();
    let api = daemon.api;
    let lost = lost_directory(&daemon);
    ok(api, &format!("cp?arg=/ipfs/{lost}&arg=/partial"));
    thread::scope(|scope| {
        let stuck = scope.spawn(|| call(api, "mkdir?arg=/partial/sub/x&timeout=2s"));
        ok(api, "mkdir?arg=/free");
        write(api, "arg=/free/f&create=true", b"goes on");
        assert_eq!(http::post(api, "/api/v0/files/read?arg=/free/f").body, b"goes on");
        let stuck = stuck.join().expect("it ends");
        assert!(stuck.status == 500, "{}", stuck.text());
        assert!(stuck.text().contains("timed out"), "{}", stuck.text());
    });
    ok(api, "rm?arg=/partial&force=true");
    assert_eq!(names(&daemon, "/"), ["free"]);
}

#[test]
fn the_empty_directory_is_never_missing() {
    let home = Home::new();
    let names = [EMPTY, "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"];
    for (index, name) in names.into_iter().chain(["bafyaabakaieac"]).enumerate() {
        assert_eq!(home.run(["ls", name]).text(), "");
        home.run(["files", "cp", &format!("/ipfs/{name}"), &format!("/{index}")]).text();
        home.run(["pin", "add", name]).text();
    }
    assert_eq!(home.run(["files", "ls"]).text(), "0\n1\n2");
    home.run(["repo", "gc"]).text();
    home.run(["pin", "verify"]).text();
    // Pins are of blocks, whichever CID names them.
    home.run(["pin", "rm", EMPTY]).text();
    home.run(["files", "rm", "-r", "/0", "/1"]).text();
    home.run(["repo", "gc"]).text();
    home.run(["files", "cp", &format!("/ipfs/{EMPTY}"), "/again"]).text();
    home.run(["files", "mkdir", "/again/below"]).text();
    assert_eq!(home.run(["files", "ls"]).text(), "2\nagain");
}

/// A directory that links to a block that nobody has.
fn lost_directory(daemon: &Daemon) -> String {
    let link = json!({"Data": {"/": {"bytes": "CAE"}}, "Links": [
        {"Hash": {"/": NOBODY}, "Name": "sub", "Tsize": 100}]});
    let target = "/api/v0/dag/put?store-codec=dag-pb&input-codec=dag-json";
    let answer = http::post_file(daemon.api, target, "f", link.to_string().as_bytes());
    let value: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let cid = value["Cid"]["/"].as_str();
    cid.unwrap_or_else(|| cairn_tests::fail(&value.to_string())).to_owned()
}

#[test]
fn what_was_flushed_survives_and_what_was_not_is_limited() {
    let home = Home::new();
    home.edit_config(|config| config["Internal"] = json!({"MFSNoFlushLimit": 3}));
    let daemon = home.daemon_with(&["--offline"]);
    let api = daemon.api;
    ok(api, "mkdir?arg=/kept");
    for name in ["a", "b", "c"] {
        ok(api, &format!("mkdir?arg=/{name}&flush=false"));
    }
    assert_eq!(names(&daemon, "/"), ["a", "b", "c", "kept"], "writes are seen at once");
    refused(
        api,
        "mkdir?arg=/d&flush=false",
        "reached limit of 3 unflushed MFS operations. To resolve: 1) run 'ipfs files flush' to \
         persist changes, 2) use --flush=true (default), or 3) increase Internal.MFSNoFlushLimit \
         in config",
    );
    daemon.kill();
    let daemon = home.daemon_with(&["--offline"]);
    assert_eq!(names(&daemon, "/"), ["kept"], "only what was flushed");
    ok(daemon.api, "mkdir?arg=/e&flush=false");
    ok(daemon.api, "flush");
    for name in ["f", "g", "h"] {
        ok(daemon.api, &format!("mkdir?arg=/{name}&flush=false"));
    }
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(home.run(["files", "ls"]).text(), "e\nf\ng\nh\nkept", "a clean end commits");
}

#[test]
fn a_lost_root_is_named_and_replaced() {
    let home = Home::new();
    home.run(["files", "mkdir", "-p", "/a/b"]).text();
    let old = home.run(["files", "stat", "--hash", "/a"]).text();
    let root = home.run(["files", "stat", "--hash", "/"]).text();
    home.run(["block", "rm", "--force", &root]).text();
    let daemon = home.daemon_with(&["--offline"]);
    for command in ["ls", "stat?arg=/", "mkdir?arg=/x"] {
        let text = call(daemon.api, command).text();
        assert!(text.contains(&root) && text.contains("files chroot"), "{command}: {text}");
    }
    let running = home.run(["files", "chroot", "--confirm"]);
    assert!(running.failure().contains("opening repo"), "{}", running.failure());
    assert_eq!(daemon.stop().code(), Some(0));
    let chroot = |args: &[&str]| home.run([&["files", "chroot"][..], args].concat());
    assert!(chroot(&[]).failure().contains("pass --confirm to proceed"));
    assert!(chroot(&["--confirm", NOBODY]).failure().contains("does not exist locally"));
    let said = chroot(&["--confirm"]).text();
    assert!(said.contains(EMPTY) && said.contains(&root), "{said}");
    assert_eq!(home.run(["files", "ls"]).text(), "");
    assert!(chroot(&["--confirm", &old]).text().contains(&old));
    assert_eq!(home.run(["files", "ls"]).text(), "b");
    let file = home.add(&home.file("file", "a file"));
    assert!(chroot(&["--confirm", &file]).failure().contains("must be a directory"));
}

#[test]
fn what_is_added_can_be_linked() {
    let home = Home::new();
    let file = home.file("hello.txt", "hello");
    let file = file.to_str().expect("text");
    home.run(["files", "mkdir", "/in"]).text();
    home.run(["add", "--pin=false", "--to-files", "/in/", file]).text();
    home.run(["add", "--to-files=/other", file]).text();
    assert_eq!(home.run(["files", "read", "/in/hello.txt"]).text(), "hello");
    home.run(["repo", "gc"]).text();
    assert_eq!(home.run(["files", "read", "/other"]).text(), "hello");
    for (args, text) in [
        (["--to-files=/none/", "-Q"], "does not exist"),
        (["--to-files=/other", "-Q"], "already has entry"),
        (["--to-files=/x", "-n"], "not compatible"),
        (["--to-files=/x", "-w"], "not compatible"),
    ] {
        let outcome = home.run([&["add"][..], &args[..], &[file][..]].concat());
        assert!(outcome.failure().contains(text), "{args:?}: {}", outcome.failure());
    }
}

#[test]
fn a_huge_directory_is_edited() {
    let home = Home::new();
    let folder = home.path("huge");
    std::fs::create_dir(&folder).expect("a folder");
    for number in 0..HUGE_COUNT {
        std::fs::write(folder.join(format!("{number:05}")), number.to_string()).expect("a file");
    }
    let narrow = ["add", "-Q", "-r", "--max-hamt-fanout=16"].map(OsStr::new);
    let narrow = home.run(narrow.into_iter().chain([folder.as_os_str()])).text();
    let cid = home.add(&folder);
    assert_ne!(cid, narrow);
    let daemon = home.daemon_with(&["--offline"]);
    let api = daemon.api;
    for (cid, path) in [(cid, "/huge"), (narrow, "/narrow")] {
        ok(api, &format!("cp?arg=/ipfs/{cid}&arg={path}"));
        write(api, &format!("arg={path}/new&create=true"), b"new");
        assert_ne!(daemon.rpc(&format!("files/stat?arg={path}"))["Hash"], json!(cid));
        let entries = daemon.rpc(&format!("files/ls?arg={path}&long=true"));
        assert_eq!(entries["Entries"].as_array().map(Vec::len), Some(HUGE_COUNT + 1));
        ok(api, &format!("rm?arg={path}/new"));
        assert_eq!(daemon.rpc(&format!("files/stat?arg={path}"))["Hash"], json!(cid), "as it was");
        write(api, &format!("arg={path}/00007&truncate=true"), b"seven");
        let read = http::post(api, &format!("/api/v0/files/read?arg={path}/00007"));
        assert_eq!(read.body, b"seven");
    }
    let text = http::post(api, "/api/v0/files/ls?arg=/huge&encoding=text").text();
    assert_eq!(text.lines().count(), HUGE_COUNT);
    assert_eq!(home.run(["files", "ls", "/huge"]).text(), text.trim_end());
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(home.run(["files", "ls", "/huge"]).text(), text.trim_end());
    let long = home.run(["files", "ls", "-l", "/narrow"]).text();
    assert!(long.lines().count() == HUGE_COUNT && long.contains("00007\tQm"), "{long:.200}");
}
