//! Files and URLs that are referred to instead of copied: what is right is served, what has
//! changed is named, and the files themselves are never touched.

use cairn_tests::{Home, Outcome, http, tree};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// Longer than three leaves, and not by a whole one.
const FILE_LEN: usize = 1_000_000;

/// A repository that may refer to files and URLs.
fn enabled() -> Home {
    let home = Home::new();
    for key in ["Experimental.FilestoreEnabled", "Experimental.UrlstoreEnabled"] {
        home.run(["config", "--json", key, "true"]).text();
    }
    home
}

/// Adds without copying; the root's CID.
fn refer(home: &Home, path: impl AsRef<OsStr>) -> String {
    let args = ["add", "-Q", "-r", "--nocopy"].map(AsRef::as_ref);
    home.run(args.into_iter().chain([path.as_ref()])).text()
}

/// A folder with three files, the last of several leaves.
fn folder(home: &Home) -> PathBuf {
    let folder = home.path("somedir");
    fs::create_dir(&folder).expect("a folder can be made");
    for (number, len) in [(1, 1000), (2, 10_000), (3, FILE_LEN)] {
        let bytes = tree::Random::new(number).bytes(len);
        fs::write(folder.join(format!("file{number}")), bytes).expect("a file can be written");
    }
    folder
}

/// Changes the first byte of a file.
fn change(path: &Path) {
    let mut bytes = fs::read(path).expect("the file is there");
    bytes[0] ^= 0xff;
    fs::write(path, bytes).expect("the file can be written");
}

fn disk_len(home: &Home) -> u64 {
    let packs = fs::read_dir(home.repo().join("blocks")).expect("there are packs");
    packs.map(|pack| pack.expect("a pack").metadata().expect("its length").len()).sum()
}

/// The lines of `filestore verify`, by path and offset: status, and everything after the CID.
fn statuses(outcome: &Outcome) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (format!("{} {}", words[3], words[4]), words[0].to_owned())
    };
    text.lines().map(row).collect()
}

#[test]
fn a_disabled_filestore_says_how_to_enable_it() {
    let home = Home::new();
    let file = home.file("file", "some bytes");
    let refused = home.run(["add".as_ref(), "--nocopy".as_ref(), file.as_os_str()]);
    let how = "cairn config --json Experimental.FilestoreEnabled true";
    assert!(refused.failure().contains(how), "{refused:?}");
    for command in ["ls", "verify", "dups"] {
        assert!(home.run(["filestore", command]).failure().contains(how), "{command}");
    }
    home.run(["config", "--json", "Experimental.UrlstoreEnabled", "true"]).text();
    let refused = home.run(["add".as_ref(), "--nocopy".as_ref(), file.as_os_str()]);
    assert!(refused.failure().contains("the filestore is not enabled"), "{refused:?}");
}

#[test]
fn files_are_referred_to_listed_and_checked_as_in_kubo() {
    let home = enabled();
    let folder = folder(&home);
    let plain = Home::new();
    let args = ["add", "-Q", "-r", "--raw-leaves"].map(AsRef::as_ref);
    let expected = plain.run(args.into_iter().chain([folder.as_os_str()])).text();
    assert_eq!(refer(&home, &folder), expected, "the CID of a copy with raw leaves");
    assert!(disk_len(&home) < 3000, "{}", disk_len(&home));

    let list = home.run(["filestore", "ls", "--file-order"]).text();
    let lines: Vec<&str> = list.lines().collect();
    let ends = [
        "   1000 somedir/file1 0",
        "  10000 somedir/file2 0",
        " 262144 somedir/file3 0",
        " 262144 somedir/file3 262144",
        " 262144 somedir/file3 524288",
        " 213568 somedir/file3 786432",
    ];
    assert_eq!(lines.len(), ends.len(), "{list}");
    for (line, end) in lines.iter().zip(ends) {
        assert!(line.starts_with("bafkrei") && line.ends_with(end), "{line:?}");
        let (cid, _) = line.split_once(' ').expect("a CID stands first");
        assert_eq!(home.run(["filestore", "ls", cid]).text(), *line);
        assert_eq!(home.run(["filestore", "verify", cid]).text(), format!("ok      {line}"));
    }
    let unsorted = home.run(["filestore", "ls"]).text();
    let mut unsorted: Vec<&str> = unsorted.lines().collect();
    unsorted.sort_unstable();
    let mut sorted = lines.clone();
    sorted.sort_unstable();
    assert_eq!(unsorted, sorted);
    assert!(statuses(&home.run(["filestore", "verify"])).values().all(|status| status == "ok"));

    let unknown = home.run(["filestore", "ls", &expected]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("refers to no file"), "{unknown:?}");
    let missing = home.run(["filestore", "verify", &expected]).text();
    assert_eq!(missing, format!("missing {expected}"));
    let nonsense = home.run(["filestore", "verify", "nonsense"]);
    assert_eq!(nonsense.code, Some(1), "{nonsense:?}");
    assert!(String::from_utf8_lossy(&nonsense.stdout).starts_with("ERROR   <corrupt key>"));

    let bytes = fs::read(folder.join("file3")).expect("the file is there");
    assert!(home.run(["cat", &format!("{expected}/file3")]).stdout == bytes);
    assert_eq!(home.run(["filestore", "dups"]).text(), "");
    assert!(home.run(["repo", "verify"]).text().contains("all blocks validated"));
    assert_eq!(home.run(["pin", "verify"]).text(), "");
}

#[test]
fn a_changed_shortened_or_missing_file_is_named_and_never_served() {
    let home = enabled();
    let folder = folder(&home);
    let root = refer(&home, &folder);
    let (one, two, three) = (folder.join("file1"), folder.join("file2"), folder.join("file3"));
    let cat = |name: &str| home.run(["cat", &format!("{root}/{name}")]);
    let before = fs::read(&three).expect("the file is there");

    change(&three);
    let text = cat("file3");
    assert!(text.failure().contains("somedir/file3, which has changed since"), "{text:?}");
    let tail = home.run(["cat", "--offset=300000", "--length=5", &format!("{root}/file3")]);
    assert!(tail.stdout == before[300_000..300_005], "the other leaves are as they were");

    fs::rename(&one, folder.join("moved")).expect("a file can be moved");
    assert!(cat("file1").failure().contains("somedir/file1, which is gone"));
    fs::write(&two, "short").expect("a file can be written");
    assert!(cat("file2").failure().contains("somedir/file2, which has changed"));

    let found = statuses(&home.run(["filestore", "verify"]));
    let expected = [
        ("somedir/file1 0", "no-file"),
        ("somedir/file2 0", "changed"),
        ("somedir/file3 0", "changed"),
        ("somedir/file3 262144", "ok"),
        ("somedir/file3 524288", "ok"),
        ("somedir/file3 786432", "ok"),
    ];
    let expected = expected.map(|(place, status)| (place.to_owned(), status.to_owned()));
    assert_eq!(found, BTreeMap::from(expected));

    fs::remove_file(&two).expect("a file can be removed");
    let made = std::process::Command::new("mkfifo").arg(&two).status().expect("mkfifo runs");
    assert!(made.success());
    assert!(cat("file2").failure().contains("it is no regular file"), "a pipe is not waited for");
    let found = statuses(&home.run(["filestore", "verify"]));
    assert_eq!(found["somedir/file2 0"], "error");

    fs::rename(folder.join("moved"), &one).expect("a file can be moved");
    assert_eq!(cat("file1").code, Some(0), "back again");
    let removed = home.run(["filestore", "verify", "--remove-bad-blocks", "--file-order"]).text();
    let actions: Vec<&str> = removed.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(actions, ["keep", "remove", "remove", "keep", "keep", "keep"], "{removed}");
    let left = statuses(&home.run(["filestore", "verify"]));
    assert!(left.len() == 4 && left.values().all(|status| status == "ok"), "{left:?}");

    fs::write(&three, &before).expect("a file can be written");
    assert_eq!(refer(&home, &three).len(), 46, "what is right again can be added again");
    assert!(cat("file3").stdout == before);
}

#[test]
fn bytes_take_the_place_of_references_and_not_the_other_way() {
    let home = enabled();
    let bytes = tree::Random::new(5).bytes(FILE_LEN);
    let file = home.file("file", &bytes);
    let cid = refer(&home, &file);
    let add = |flags: &[&str]| {
        let args = ["add", "-Q", "--raw-leaves"].iter().chain(flags).map(OsStr::new);
        home.run(args.chain([file.as_os_str()])).text()
    };
    assert_eq!(add(&["--fscache"]), cid);
    assert_eq!(
        home.run(["filestore", "ls"]).text().lines().count(),
        4,
        "all are still referred to"
    );
    assert!(disk_len(&home) < 5000);

    assert_eq!(add(&[]), cid);
    assert_eq!(home.run(["filestore", "ls"]).text(), "");
    assert!(disk_len(&home) > FILE_LEN as u64);
    assert_eq!(refer(&home, &file), cid);
    assert_eq!(home.run(["filestore", "ls"]).text(), "", "bytes that are there are better");
    fs::remove_file(&file).expect("a file can be removed");
    assert!(home.run(["cat", &cid]).stdout == bytes);

    // A reference that gives nothing any more does not count with --fscache either.
    let other = home.file("other", tree::Random::new(6).bytes(FILE_LEN));
    let other_cid = refer(&home, &other);
    let copy = home.path("copy");
    fs::rename(&other, &copy).expect("a file can be moved");
    let args = ["add", "-Q", "--raw-leaves", "--fscache"].iter().map(OsStr::new);
    assert_eq!(home.run(args.chain([copy.as_os_str()])).text(), other_cid);
    assert_eq!(home.run(["filestore", "ls"]).text(), "");
    assert_eq!(home.run(["cat", &other_cid]).code, Some(0));
}

#[test]
fn collections_and_backups_take_references_as_blocks() {
    let home = enabled();
    let folder = folder(&home);
    let root = refer(&home, &folder);
    let dead = home.file("dead", tree::Random::new(7).bytes(FILE_LEN));
    let dead_cid = refer(&home, &dead);
    let copied = home.file("copied", tree::Random::new(8).bytes(2 * FILE_LEN));
    let copied_cid = home.add(&copied);
    home.run(["pin", "rm", &dead_cid, &copied_cid]).text();
    home.run(["repo", "gc", "-q"]).text();
    assert!(dead.is_file(), "the operator's file stays");
    assert!(!home.run(["filestore", "ls"]).text().contains(" dead "));
    assert!(home.run(["cat", &dead_cid]).failure().contains("not found"));
    let bytes = fs::read(folder.join("file3")).expect("the file is there");
    assert!(home.run(["cat", &format!("{root}/file3")]).stdout == bytes);
    fs::remove_file(home.repo().join("index")).expect("there is an index");
    assert!(home.run(["cat", &format!("{root}/file3")]).stdout == bytes);
    let backup = home.path("backup");
    home.run([OsStr::new("repo"), OsStr::new("backup"), backup.as_os_str()]).text();
    fs::remove_dir_all(home.repo()).expect("a folder can be removed");
    home.run([OsStr::new("repo"), OsStr::new("restore"), backup.as_os_str()]).text();
    assert!(home.run(["cat", &format!("{root}/file3")]).stdout == bytes);
}

#[test]
fn a_daemon_serves_what_is_referred_to_and_refuses_what_lies_elsewhere() {
    let home = enabled();
    let folder = folder(&home);
    let daemon = home.daemon();
    let root = refer(&home, &folder);
    let path = format!("/ipfs/{root}/file3");
    let bytes = fs::read(folder.join("file3")).expect("the file is there");
    let answer = http::get(daemon.gateway, &path);
    assert!(answer.status == 200 && answer.body == bytes);
    let listed = home.run(["filestore", "ls"]).text();
    assert_eq!(listed.lines().count(), 6, "{listed}");
    let json = daemon.rpc(&format!("filestore/verify?arg={}", &listed[..59]));
    assert_eq!(json["Status"], 0, "{json}");
    assert_eq!(json["Key"]["/"], listed[..59]);

    // Another node gets it over Bitswap.
    let other = Home::new();
    let second = other.daemon();
    other.run(["swarm", "connect", &daemon.tcp_addr()]).text();
    assert!(other.run(["cat", &format!("{root}/file3")]).stdout == bytes);
    assert_eq!(second.stop().code(), Some(0));

    change(&folder.join("file3"));
    let answer = http::get(daemon.gateway, &path);
    assert!(answer.status != 200 || !answer.whole, "{}", answer.status);
    assert!(answer.body.is_empty() || !bytes.starts_with(&answer.body) || answer.status != 200);

    let outside = tempfile::NamedTempFile::new().expect("a file can be made");
    fs::write(outside.path(), "some bytes").expect("a file can be written");
    let link = home.path("link");
    std::os::unix::fs::symlink(outside.path(), &link).expect("a link can be made");
    let inside = home.file("inside", "other bytes");
    let rows = [
        (outside.path().display().to_string(), "outside ipfs root"),
        (format!("{}/../../{}", folder.display(), "x"), "No such file"),
        (link.display().to_string(), "outside ipfs root"),
        (home.path("none").display().to_string(), "No such file"),
        (inside.display().to_string(), "other bytes than were sent"),
        ("inside".to_owned(), "absolute"),
        ("ftp://h/x".to_owned(), "absolute"),
        ("/dev/zero".to_owned(), "outside ipfs root"),
    ];
    for (origin, expected) in rows {
        let answer = post_with_origin(daemon.api, &origin, "some bytes");
        assert!(answer.text().contains(expected), "{origin}: {}", answer.text());
    }
    let fine = home.file("fine", "some bytes");
    let answer = post_with_origin(daemon.api, &fine.display().to_string(), "some bytes");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(home.run(["filestore", "ls"]).text().contains(" fine 0"));
    assert_eq!(daemon.stop().code(), Some(0));
}

/// Sends a file as Kubo's clients do, with where it lies in the part's headers.
fn post_with_origin(api: SocketAddr, origin: &str, content: &str) -> http::Answer {
    let body = format!(
        "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\
         Abspath-Encoded: {}\r\nContent-Type: application/octet-stream\r\n\r\n{content}\r\n\
         --limit--\r\n",
        origin.replace('%', "%25").replace('+', "%2B").replace(' ', "+")
    );
    let headers = &[("Content-Type", "multipart/form-data; boundary=limit")];
    let target = "/api/v0/add?nocopy=true";
    http::send(api, &http::Request { method: "POST", target, headers, body: body.as_bytes() })
}

/// A web server on loopback with one file at every path.
struct Web {
    addr: SocketAddr,
    state: Arc<Mutex<WebState>>,
}

struct WebState {
    bytes: Vec<u8>,
    manners: Manners,
    requests: Vec<String>,
}

/// What the server does when it is asked for a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manners {
    Good,
    /// Sends everything, with 200.
    Whole,
    /// Says 206 and sends more, for ever.
    Endless,
    /// Sends another part.
    Shifted,
    /// Sends less than it says.
    Short,
    /// Sends whoever asks elsewhere, again and again.
    Circle,
    Gone,
}

impl Web {
    fn start(bytes: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let addr = listener.local_addr().expect("it has an address");
        let state = WebState { bytes, manners: Manners::Good, requests: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let served = Arc::clone(&state);
        // Ends with the test's process; it waits for connections until then.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that hangs up is part of the test.
                drop(serve(&stream, &served));
            }
        });
        Self { addr, state }
    }

    fn url(&self) -> String {
        format!("http://{}/data.bin", self.addr)
    }

    fn behave(&self, manners: Manners) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).manners = manners;
    }
}

fn serve(mut stream: &TcpStream, state: &Mutex<WebState>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.requests.push(head.clone());
    let (manners, bytes) = (state.manners, state.bytes.clone());
    drop(state);
    if head.starts_with("GET /moved") {
        return write!(stream, "HTTP/1.1 302 Found\r\nLocation: /data.bin\r\n\r\n");
    }
    let range = head.to_lowercase().lines().find_map(|line| {
        let (from, to) = line.strip_prefix("range: bytes=")?.split_once('-')?;
        Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?))
    });
    let len = bytes.len();
    match (range, manners) {
        (_, Manners::Circle) => {
            write!(stream, "HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n")
        }
        (_, Manners::Gone) => write!(stream, "HTTP/1.1 404 Not Found\r\n\r\n"),
        (None, _) | (_, Manners::Whole) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n")?;
            stream.write_all(&bytes)
        }
        (Some((from, to)), manners) => {
            let said = if manners == Manners::Shifted { from + 1 } else { from };
            let range = format!("Content-Range: bytes {said}-{to}/{len}");
            if manners == Manners::Endless {
                write!(stream, "HTTP/1.1 206 Partial Content\r\n{range}\r\n\r\n")?;
                loop {
                    stream.write_all(&bytes)?;
                }
            }
            let part = &bytes[from..=to];
            let part_len = part.len();
            write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\n{range}\r\nContent-Length: {part_len}\r\n\r\n"
            )?;
            let sent = if manners == Manners::Short { part_len / 2 } else { part_len };
            stream.write_all(&part[..sent])
        }
    }
}

#[test]
fn urls_are_referred_to_by_parts() {
    let home = enabled();
    let bytes = tree::Random::new(9).bytes(FILE_LEN);
    let web = Web::start(bytes.clone());
    let cid = refer(&home, web.url());
    let file = home.file("file", &bytes);
    let args = ["add", "-Q", "-n", "--raw-leaves"].map(AsRef::as_ref);
    assert_eq!(home.run(args.into_iter().chain([file.as_os_str()])).text(), cid);
    assert!(disk_len(&home) < 3000, "{}", disk_len(&home));
    let list = home.run(["filestore", "ls", "--file-order"]).text();
    assert!(list.ends_with(&format!(" 213568 {} 786432", web.url())), "{list}");

    // With a daemon and without: the CID is fetched in parts, and each is hashed.
    assert!(home.run(["cat", &cid]).stdout == bytes);
    let daemon = home.daemon();
    let answer = http::get(daemon.gateway, &format!("/ipfs/{cid}"));
    assert!(answer.status == 200 && answer.body == bytes);
    let moved = web.url().replace("data.bin", "moved");
    assert_eq!(refer(&home, moved), cid, "redirections are followed");
    assert!(home.run(["cat", &cid]).stdout == bytes);

    let rows = [
        (Manners::Whole, "whole file instead of the part"),
        (Manners::Endless, "the answer is longer"),
        (Manners::Shifted, "another part"),
        (Manners::Short, "the answer broke off"),
        (Manners::Circle, "redirects more than 5 times"),
        (Manners::Gone, "404 Not Found"),
    ];
    for (manners, expected) in rows {
        web.behave(manners);
        let refused = home.run(["cat", &cid]);
        assert!(refused.failure().contains(expected), "{manners:?}: {refused:?}");
    }
    let found = statuses(&home.run(["filestore", "verify"]));
    assert!(found.values().all(|status| status == "error"), "{found:?}");
    web.behave(Manners::Whole);
    let other = web.url().replace("data", "other");
    let refused = home.run(["add", "--nocopy", &other]);
    assert!(refused.failure().contains("whole file instead"), "{refused:?}");
    web.behave(Manners::Good);
    let mut state = web.state.lock().unwrap_or_else(PoisonError::into_inner);
    state.bytes[0] ^= 0xff;
    let requests = state.requests.len();
    drop(state);
    assert!(requests > 10, "{requests}");
    let refused = home.run(["cat", &cid]);
    assert!(refused.failure().contains("which has changed since it was added"), "{refused:?}");
    let found = statuses(&home.run(["filestore", "verify"]));
    let changed = found.values().filter(|status| *status == "changed").count();
    assert_eq!((found.len(), changed), (4, 1), "{found:?}");
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn a_url_alone_is_downloaded_and_a_disabled_urlstore_asks_nobody() {
    let home = Home::new();
    let bytes = tree::Random::new(10).bytes(FILE_LEN);
    let web = Web::start(bytes.clone());
    let cid = home.run(["add", "-Q", &web.url()]).text();
    web.behave(Manners::Gone);
    assert!(home.run(["cat", &cid]).stdout == bytes, "its bytes are kept");
    assert!(home.run(["add", &web.url()]).failure().contains("404 Not Found"));
    web.behave(Manners::Good);

    let home = enabled();
    let cid = refer(&home, web.url());
    home.edit_config(|config| config["Experimental"]["UrlstoreEnabled"] = json!(false));
    let count = || web.state.lock().unwrap_or_else(PoisonError::into_inner).requests.len();
    let before = count();
    let refused = home.run(["cat", &cid]);
    assert!(refused.failure().contains("Experimental.UrlstoreEnabled"), "{refused:?}");
    assert!(home.run(["add", "--nocopy", &web.url()]).code != Some(0));
    let stat: Value = serde_json::from_slice(&home.run(["repo", "stat", "--enc=json"]).stdout)
        .expect("an answer is JSON");
    assert!(stat["NumObjects"].as_u64() >= Some(4), "{stat}");
    // The refused add has asked for the file, to send it; nothing was asked for parts.
    let state = web.state.lock().unwrap_or_else(PoisonError::into_inner);
    let parts = state.requests[before..].iter().filter(|head| head.contains("bytes="));
    assert_eq!(parts.count(), 0);
}
