//! A node that may have little: memory as its config says, and few open files.
//!
//! Not here: full disks (`full_disk.rs`), hostile peers.

use cairn_tests::{Daemon, Home, http, tree};
use serde_json::json;
use std::{fs, net::TcpStream, path::Path, thread};

/// Adds at the same time, and the length of each.
const ADD_COUNT: u64 = 8;
const ADD_LEN: usize = 48 * 1024 * 1024;

/// What the adds may use on top of everything else, in bytes: eight with their own buffers would
/// be 256 MiB.
const PEAK_MAX: u64 = 128 * 1024 * 1024;

/// Most memory that a process has had.
fn peak(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let number = line.trim().trim_end_matches(" kB").parse::<u64>();
    number.expect("the system tells how much memory a process has had") * 1024
}

#[test]
fn many_adds_share_the_memory_that_there_is() {
    let home = Home::new();
    home.edit_config(|config| config["Cairn"] = json!({"Memory": {"Max": "64MiB"}}));
    let daemon = home.daemon();
    let before = peak(&daemon);
    let (home, api) = (&home, daemon.api);
    thread::scope(|scope| {
        for number in 0..ADD_COUNT {
            scope.spawn(move || {
                let bytes = tree::Random::new(number).bytes(ADD_LEN);
                let answer = http::post_file(api, "/api/v0/add?quieter=true", "file", &bytes);
                assert_eq!(answer.status, 200, "{}", answer.text());
                let size = format!("\"Size\":\"{}", ADD_LEN / 1_000_000);
                assert!(answer.text().contains(&size), "{}", answer.text());
            });
        }
    });
    let grown = peak(&daemon) - before;
    assert!(grown < PEAK_MAX, "{grown} bytes more");
    assert_eq!(home.run(["pin", "ls", "--type=recursive", "-q"]).text().lines().count(), 8);
}

#[test]
fn a_size_that_makes_no_sense_is_named() {
    let home = Home::new();
    home.edit_config(|config| config["Cairn"] = json!({"Memory": {"Max": "much"}}));
    let refused = home.run(["daemon"]);
    assert!(refused.failure().contains("Cairn.Memory.Max"), "{refused:?}");
}

#[test]
fn few_open_files_are_shared_out() {
    let home = Home::new();
    let cid = home.add(&home.file("before", "here before"));
    let mut command = home.command_of(Path::new("sh"));
    command.args(["-c", "ulimit -n 128 && exec \"$0\" daemon"]).arg(cairn_tests::binary());
    let daemon = Daemon::start(&mut command);
    // More than the gateway may accept, and more than the process may have.
    let idle: Vec<TcpStream> =
        (0..150).map_while(|_| TcpStream::connect(daemon.gateway).ok()).collect();
    assert!(idle.len() > 128, "{} connections", idle.len());
    for number in 0..50 {
        let text = format!("number {number}");
        let added = http::post_file(daemon.api, "/api/v0/add", "file", text.as_bytes());
        assert_eq!(added.status, 200, "{}", added.text());
    }
    let read = http::post(daemon.api, &format!("/api/v0/cat?arg={cid}"));
    assert_eq!((read.status, read.text().as_str()), (200, "here before"));
    drop(idle);
    let page = http::get(daemon.gateway, &format!("/ipfs/{cid}"));
    assert_eq!((page.status, page.text().as_str()), (200, "here before"));
}
