//! Bad input and bad luck: a clear failure that names the object, and nothing lost or wrong.

use cairn_tests::{Home, Outcome, hostile, http, tree};
use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::UnixListener,
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
};

fn add(home: &Home, path: &Path) -> Outcome {
    home.run(["add", "-Q", "-r", "-H"].map(OsStr::new).into_iter().chain([path.as_os_str()]))
}

fn packs(home: &Home) -> Vec<PathBuf> {
    let folder = fs::read_dir(home.repo().join("blocks")).expect("there are packs");
    folder.map(|entry| entry.expect("a folder can be read").path()).collect()
}

/// Turns one bit of the stored copy of `bytes`.
fn corrupt(home: &Home, bytes: &[u8]) {
    let mark = &bytes[bytes.len() / 2..][..64];
    let find = |pack: &PathBuf| {
        let stored = fs::read(pack).expect("a pack can be read");
        stored.windows(mark.len()).position(|window| window == mark)
    };
    let found = packs(home).into_iter().find_map(|pack| Some((find(&pack)?, pack)));
    let (at, pack) = found.expect("the bytes are in a pack");
    let mut stored = fs::read(&pack).expect("a pack can be read");
    stored[at + 5] ^= 0x10;
    fs::write(&pack, stored).expect("a pack can be written");
}

#[test]
fn a_corrupt_block_is_never_served() {
    let home = Home::new();
    let mut random = tree::Random::new(81);
    let (good, bad) = (random.bytes(100_000), random.bytes(100_000));
    let good_cid = home.add(&home.file("good", &good));
    let bad_cid = home.add(&home.file("bad", &bad));
    corrupt(&home, &bad);

    let cat = home.run(["--offline", "cat", &bad_cid]);
    assert!(cat.failure().contains(&bad_cid), "{}", cat.stderr);
    assert!(bad.starts_with(&cat.stdout), "not one wrong byte");
    assert_eq!(home.run(["--offline", "cat", &good_cid]).stdout, good, "others are not touched");
    assert!(!home.run(["--offline", "block", "get", &bad_cid]).failure().is_empty());

    let daemon = home.daemon_with(&["--offline"]);
    let served = http::get(daemon.gateway, &format!("/ipfs/{bad_cid}"));
    assert!(served.status != 200 || !served.whole, "{}", served.status);
    assert_eq!(http::get(daemon.gateway, &format!("/ipfs/{good_cid}")).body, good);
    // Adding the same file again mends it.
    home.add(&home.path("bad"));
    assert_eq!(home.run(["cat", &bad_cid]).stdout, bad);
}

#[test]
fn a_corrupt_block_is_fetched_again_from_a_peer() {
    let (home, other) = (Home::new(), Home::new());
    let bytes = tree::Random::new(82).bytes(100_000);
    let cid = home.add(&home.file("a", &bytes));
    assert_eq!(other.add(&other.file("a", &bytes)), cid);
    corrupt(&home, &bytes);
    let (_daemon, peer) = (home.daemon(), other.daemon());
    home.run(["swarm", "connect", &peer.tcp_addr()]).text();
    assert_eq!(home.run(["cat", &cid]).stdout, bytes);
}

#[test]
fn a_peer_never_gets_a_corrupt_block() {
    let (home, other) = (Home::new(), Home::new());
    let bytes = tree::Random::new(83).bytes(100_000);
    let cid = home.add(&home.file("a", &bytes));
    corrupt(&home, &bytes);
    let (daemon, _other) = (home.daemon(), other.daemon());
    other.run(["swarm", "connect", &daemon.tcp_addr()]).text();
    let cat = other.run(["cat", "--timeout=3s", &cid]);
    assert!(!cat.failure().is_empty() && cat.stdout.is_empty(), "{cat:?}");
}

#[test]
fn packs_that_end_too_early_lose_their_tail_only() {
    let home = Home::new();
    let mut random = tree::Random::new(84);
    let bytes = random.bytes(50_000);
    let cid = home.add(&home.file("first", &bytes));
    home.add(&home.file("second", random.bytes(50_000)));
    let pack = packs(&home).pop().expect("there is a pack");
    let mut file = fs::OpenOptions::new().append(true).open(pack).expect("a pack can be opened");
    file.write_all(&random.bytes(1000)).expect("rubbish can be appended");
    assert_eq!(home.run(["cat", &cid]).stdout, bytes);
    let third = random.bytes(50_000);
    let cid = home.add(&home.file("third", &third));
    assert_eq!(home.run(["cat", &cid]).stdout, third);
}

#[test]
fn a_lost_index_is_made_again() {
    let home = Home::new();
    let source = home.path("source");
    tree::make(&source, 85);
    let root = home.add(&source);
    fs::remove_file(home.repo().join("index")).expect("there is an index");
    let target = home.path("target");
    home.run(["get".as_ref(), root.as_ref(), "-o".as_ref(), target.as_os_str()]).text();
    tree::assert_same(&source, &target);
}

#[test]
fn a_second_daemon_is_refused() {
    let home = Home::new();
    let daemon = home.daemon();
    let second = home.run(["daemon"]);
    let said = second.failure();
    assert!(said.contains("in use") || said.contains("running"), "{said}");
    assert_eq!(daemon.rpc("id")["ID"], home.config()["Identity"]["PeerID"], "the first goes on");
    assert!(home.repo().join("api").exists(), "and is still found");
}

#[test]
fn a_repository_of_kubo_is_left_alone() {
    let home = Home::empty();
    let repo = home.repo();
    for (name, text) in [
        ("version", "16\n"),
        ("datastore_spec", "{\"mounts\":[],\"type\":\"mount\"}"),
        ("blocks/SHARDING", "/repo/flatfs/shard/v1/next-to-last/2\n"),
        ("config", "{\"Identity\":{\"PeerID\":\"12D3KooW\"},\"Datastore\":{\"Spec\":{}}}"),
    ] {
        tree::write(&repo.join(name), text.as_bytes());
    }
    let before = tree::read(&repo);
    let file = home.file("a", "a");
    for args in [
        &[OsStr::new("daemon")][..],
        &[OsStr::new("daemon"), OsStr::new("--init")],
        &[OsStr::new("add"), file.as_os_str()],
        &[OsStr::new("init")],
        &[OsStr::new("cat"), OsStr::new("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn/a")],
    ] {
        let refused = home.run(args);
        assert!(refused.failure().contains("cairn migrate"), "{refused:?}");
        tree::assert_same_entries(&before, &tree::read(&repo));
    }
}

#[test]
fn a_newer_format_is_refused() {
    let home = Home::new();
    home.add(&home.file("a", "a"));
    fs::write(home.repo().join("version"), "999\n").expect("a version can be written");
    let before = tree::read(&home.repo());
    for args in [&["daemon"][..], &["pin", "ls"], &["init"]] {
        let refused = home.run(args);
        let said = refused.failure();
        assert!(args[0] == "init" || said.contains("999"), "{said}");
    }
    tree::assert_same_entries(&before, &tree::read(&home.repo()));
}

#[test]
fn garbage_is_named() {
    let home = Home::new();
    let cid = home.add(&home.file("a", "a file"));
    let _daemon = home.daemon();
    let below = format!("/ipfs/{cid}/below");
    for (args, part) in [
        (&["cat", "garbage"][..], "garbage"),
        (&["cat", "Qm"], "Qm"),
        (&["cat", "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5O"], "ff5O"),
        (&["cat", "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52z"], "a4s52z"),
        (&["cat", "/ipfs/"], "/ipfs/"),
        (&["cat", "../../etc/passwd"], "passwd"),
        (&["cat", &below], "below"),
        (&["ls", "/ipns/"], "/ipns/"),
        (&["get", "b"], "b"),
        (&["block", "get", "zzzz"], "zzzz"),
        (&["block", "stat", "\u{1b}[31mred"], "red"),
        (&["pin", "add", "garbage"], "garbage"),
        (&["refs", "garbage"], "garbage"),
        (&["swarm", "connect", "garbage"], "garbage"),
        (&["swarm", "connect", "/ip4/999.0.0.1/tcp/1"], "999.0.0.1"),
        (&["swarm", "connect", "/ip4/127.0.0.1/tcp/1/p2p/garbage"], "garbage"),
        (&["add", "/nowhere/at/all"], "/nowhere/at/all"),
        (&["add", "--chunker=size-0", "/etc/hostname"], "chunk size 0"),
        (&["add", "--chunker=size-99999999999", "/etc/hostname"], "99999999999"),
        (&["add", "--hash=nosuchhash", "/etc/hostname"], "nosuchhash"),
        (&["config", "No.Such.Key"], "No not found"),
    ] {
        let outcome = home.run(args);
        assert!(matches!(outcome.code, Some(1 | 2)), "{outcome:?}");
        assert!(outcome.stderr.contains(part), "{outcome:?}");
        assert!(!outcome.stderr.contains('\u{1b}'), "no escapes on a terminal: {outcome:?}");
        assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
    }
}

#[test]
fn a_config_that_is_no_json_is_named() {
    let home = Home::new();
    let config = home.repo().join("config");
    fs::write(&config, "{ \"Addresses\": ").expect("a config can be written");
    for args in [&["daemon"][..], &["pin", "ls"]] {
        assert!(home.run(args).failure().contains("config"));
    }
    fs::write(&config, "{\"Identity\":{\"PeerID\":\"12D3KooW\",\"PrivKey\":\"rubbish\"}}")
        .expect("a config can be written");
    assert!(home.run(["daemon"]).failure().contains("Identity"));
}

#[test]
fn what_is_no_file_is_named() {
    let home = Home::new();
    let socket = home.path("with a socket");
    fs::create_dir(&socket).expect("a folder can be made");
    let _listener = UnixListener::bind(socket.join("socket")).expect("a socket can be bound");
    let refused = add(&home, &socket);
    assert!(refused.failure().contains("socket"), "{refused:?}");

    let pipe = home.path("with a pipe");
    fs::create_dir(&pipe).expect("a folder can be made");
    let made = Command::new("mkfifo").arg(pipe.join("pipe")).status();
    assert!(made.is_ok_and(|status| status.success()), "a pipe can be made");
    let refused = add(&home, &pipe);
    assert!(refused.failure().contains("pipe"), "{refused:?}");

    let folder = home.path("a folder");
    fs::create_dir(&folder).expect("a folder can be made");
    let refused = home.run(["add".as_ref(), folder.as_os_str()]);
    assert!(refused.failure().contains("a folder") && refused.stderr.contains("-r"), "{refused:?}");
}

#[test]
fn an_unreadable_file_is_named_and_nothing_is_pinned() {
    /// The user called nobody, who may read as little as anyone.
    const NOBODY: u32 = 65534;
    let home = Home::new();
    let before = home.run(["pin", "ls", "--type=recursive"]).text();
    let folder = home.path("tree");
    for index in 0..50 {
        tree::write(&folder.join(format!("file {index}")), &[index; 1000]);
    }
    tree::write(&folder.join("secret"), b"secret");
    let mode = fs::Permissions::from_mode(0o000);
    fs::set_permissions(folder.join("secret"), mode).expect("a mode can be set");

    // Root reads everything, so the command runs as nobody where the tests run as root.
    let root = rustix::process::getuid().is_root();
    let program = if root { home.path("cairn-copy") } else { cairn_tests::binary() };
    if root {
        fs::copy(cairn_tests::binary(), &program).expect("the binary can be copied");
        give(&home.path(""), NOBODY);
        std::os::unix::fs::chown(folder.join("secret"), Some(0), Some(0)).expect("as root");
    }
    let mut command = home.command_of(&program);
    command.args(["add", "-Q", "-r"]).arg(&folder);
    if root {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("secret"), "{said}");
    assert_eq!(home.run(["pin", "ls", "--type=recursive"]).text(), before);
}

fn give(path: &Path, user: u32) {
    std::os::unix::fs::lchown(path, Some(user), Some(user)).expect("root may give files away");
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).expect("a folder can be read") {
            give(&entry.expect("a folder can be read").path(), user);
        }
    }
}

#[test]
fn get_never_writes_outside_its_target() {
    let home = Home::new();
    let outside = home.path("outside");
    tree::write(&outside.join("mine"), b"mine");
    let evil = hostile::file(&home, "evil");
    let inner = hostile::folder(&home, &[("mine", &evil), ("new", &evil)]);
    let out = outside.to_str().expect("a path is text");
    let link = hostile::symlink(&home, out);
    let up = hostile::symlink(&home, "..");
    let absolute = format!("{out}/new");
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("the folder above", &[("..", &inner)]),
        ("a path upwards", &[("../outside/new", &evil)]),
        ("an absolute path", &[(&absolute, &evil)]),
        ("a path", &[("a/../../outside/new", &evil)]),
        ("this folder", &[(".", &inner)]),
        ("no name", &[("", &inner)]),
        ("a symlink, then what lies behind it", &[("x", &link), ("x", &inner)]),
        ("a symlink upwards, then a path through it", &[("x", &up), ("x/outside/new", &evil)]),
    ];
    let _daemon = home.daemon_with(&["--offline"]);
    let honest = hostile::folder(&home, &[("folder", &inner), ("link", &link)]);
    let target = home.path("honest");
    home.run(["get".as_ref(), honest.as_ref(), "-o".as_ref(), target.as_os_str()]).text();
    assert_eq!(tree::read(&target).len(), 4, "the same blocks make an honest folder");
    for (index, (name, entries)) in cases.iter().enumerate() {
        let root = hostile::folder(&home, entries);
        let target = home.path(&format!("targets/{index}"));
        fs::create_dir_all(home.path("targets")).expect("a folder can be made");
        let outcome = home.run(["get".as_ref(), root.as_ref(), "-o".as_ref(), target.as_os_str()]);
        assert!(matches!(outcome.code, Some(0 | 1)), "{name}: {outcome:?}");
        assert!(!outcome.stderr.contains("panicked"), "{name}: {outcome:?}");
        let found = tree::read(&outside);
        assert_eq!(found.len(), 1, "{name}: {:?}", found.keys());
        assert_eq!(fs::read(outside.join("mine")).expect("still there"), b"mine", "{name}");
        for entry in fs::read_dir(home.path("targets")).expect("a folder can be read") {
            let entry = entry.expect("a folder can be read").file_name();
            let number = entry.to_string_lossy().parse::<usize>();
            assert!(number.is_ok_and(|number| number <= index), "{name}: {entry:?}");
        }
    }
}

#[test]
fn get_does_not_follow_a_symlink_that_waits_for_it() {
    let home = Home::new();
    let source = home.path("source");
    tree::write(&source.join("x/file"), b"new");
    let root = home.add(&source);
    let (target, outside) = (home.path("target"), home.path("outside"));
    fs::create_dir(&target).expect("a folder can be made");
    tree::write(&outside.join("mine"), b"mine");
    symlink(&outside, target.join("x")).expect("a symlink can be made");
    home.run(["get".as_ref(), root.as_ref(), "-o".as_ref(), target.as_os_str()]);
    assert_eq!(tree::read(&outside).len(), 1, "nothing went through the symlink");
}

#[test]
fn a_block_that_lies_is_not_a_file() {
    let home = Home::new();
    for (name, bytes) in [
        ("no protobuf", &b"\xff\xff\xff\xff"[..]),
        ("a length beyond the end", b"\x0a\x7f\x08\x02"),
        ("a file that claims a petabyte", b"\x0a\x0a\x08\x02\x18\x80\x80\x80\x80\x80\x80\x80\x02"),
        ("an unknown type", b"\x0a\x02\x08\x63"),
    ] {
        let put = home.run_with(["block", "put", "--cid-codec", "dag-pb"], bytes.to_vec());
        if put.code != Some(0) {
            continue; // Refused at the door is as good.
        }
        let cid = put.text();
        for args in [&["cat", &cid][..], &["get", &cid, "-o", "got"], &["ls", &cid]] {
            let outcome = home.run(args);
            // A node that is no directory has no entries to list; Kubo's `ls` says so, too.
            let allowed = outcome.code == Some(1) || (args[0] == "ls" && outcome.stdout.is_empty());
            assert!(allowed, "{name}: {outcome:?}");
            assert!(!outcome.stderr.contains("panicked"), "{name}: {outcome:?}");
        }
    }
}

#[test]
fn a_refusal_is_heard_by_who_still_sends() {
    let home = Home::new();
    let daemon = home.daemon();
    let bytes = vec![b'x'; 900_000];
    for _ in 0..20 {
        let target = "/api/v0/add?chunker=nonsense";
        let answer = http::post_file(daemon.api, target, "file", &bytes);
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("chunker"), "{}", answer.text());
    }
}
