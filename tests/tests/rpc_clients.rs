//! The RPC API as others' clients use it: kubo-rpc-client, ipfsd-ctl, ipfshttpclient, curl, a
//! browser's rules.

use cairn_tests::{
    Home, binary,
    http::{self, Request},
    node_script, peers, python_script, skip, tree,
};
use std::{fs, net::SocketAddr, process::Command};

type Headers<'a> = &'a [(&'a str, &'a str)];

fn multiaddr(socket: SocketAddr) -> String {
    format!("/ip4/{}/tcp/{}", socket.ip(), socket.port())
}

#[test]
fn kubo_rpc_client_finds_everything() {
    let Some(peers) = peers() else { return };
    let (home, other) = (Home::new(), Home::new());
    let (daemon, other) = (home.daemon(), other.daemon());
    let args = [multiaddr(daemon.api), multiaddr(other.api)];
    let outcome = node_script(&peers, "rpc_client.mjs", &[&args[0], &args[1]]);
    let parts = "identity add trees large blocks pins swarm repository files errors";
    let expected: Vec<String> = parts.split(' ').map(|part| format!("ok {part}")).collect();
    assert_eq!(outcome.text(), expected.join("\n"));
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn ipfsd_ctl_starts_and_stops_it() {
    let Some(peers) = peers() else { return };
    let binary = binary();
    let binary = binary.to_str().expect("the path of the binary is text");
    let outcome = node_script(&peers, "launcher.mjs", &[binary]);
    assert_eq!(outcome.text(), "ok spawn\nok info\nok exchange\nok clean");
}

#[test]
fn old_clients_find_the_object_commands() {
    let Some(peers) = peers() else { return };
    let home = Home::new();
    let daemon = home.daemon();
    let outcome = python_script(&peers, "object_client.py", &[&multiaddr(daemon.api)]);
    assert_eq!(outcome.text(), "ok make\nok read\nok patch\nok diff\nok refuse");
}

#[test]
fn curl_adds_and_reads() {
    let curl = |args: &[&str]| {
        Command::new("curl").args(["-s", "-S", "--fail-with-body"]).args(args).output()
    };
    if curl(&["--version"]).is_err() {
        return skip("curl is not installed");
    }
    let home = Home::new();
    let file = home.file("hello.txt", "hello world\n");
    let daemon = home.daemon();
    let api = format!("http://{}/api/v0", daemon.api);
    let form = format!("file=@{}", file.display());
    let added = curl(&["-F", &form, &format!("{api}/add")]).expect("curl runs");
    let added: serde_json::Value = serde_json::from_slice(&added.stdout).expect("JSON");
    assert_eq!(added["Hash"], "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o");
    assert_eq!(added["Name"], "hello.txt");
    assert_eq!(added["Size"], "20");
    let hash = added["Hash"].as_str().expect("a CID is text");
    let read = curl(&["-X", "POST", &format!("{api}/cat?arg={hash}")]).expect("curl runs");
    assert_eq!(read.stdout, b"hello world\n");
    let get = curl(&[&format!("{api}/cat?arg={hash}")]).expect("curl runs");
    assert!(!get.status.success(), "only POST");
}

#[test]
fn other_sites_may_not_call() {
    let home = Home::new();
    let daemon = home.daemon();
    let own = format!("http://{}", daemon.api);
    let by_name = format!("http://localhost:{}", daemon.api.port());
    let browser = ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)");
    let table: [(&str, Headers<'_>, bool); 10] = [
        ("a program", &[], true),
        ("a program that names itself", &[("User-Agent", "curl/8.5.0")], true),
        ("our own page", &[browser, ("Origin", &own)], true),
        ("our own page by name", &[browser, ("Origin", &by_name)], true),
        ("another server's page here", &[browser, ("Origin", "http://localhost:1")], false),
        ("another site", &[browser, ("Origin", "https://evil.example")], false),
        ("another site by referer", &[browser, ("Referer", "https://evil.example/a")], false),
        ("a browser that says nothing", &[browser], false),
        ("a name that was rebound", &[("Host", "evil.example")], false),
        ("localhost by name", &[("Host", "localhost:5001")], true),
    ];
    for (name, headers, allowed) in table {
        let request = Request { method: "POST", target: "/api/v0/id", headers, body: b"" };
        let answer = http::send(daemon.api, &request);
        assert_eq!(answer.status == 200, allowed, "{name}: {} {}", answer.status, answer.text());
        assert!(allowed || answer.status == 403, "{name}: {}", answer.status);
    }
    assert_eq!(http::get(daemon.api, "/api/v0/id").status, 405);
    assert_eq!(http::post(daemon.api, "/api/v0/nosuchcommand").status, 404);
}

#[test]
fn failures_have_kubos_shape() {
    let home = Home::new();
    let daemon = home.daemon_with(&["--offline"]);
    let missing = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
    for (target, part) in [
        ("cat?arg=garbage", "garbage"),
        (&format!("block/get?arg={missing}") as &str, missing),
        ("cat", "arg"),
        ("pin/rm?arg=QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn", "not pinned"),
        ("id?nosuchoption=1&enc=xml", ""),
    ] {
        let answer = http::post(daemon.api, &format!("/api/v0/{target}"));
        assert!(answer.status == 500 || answer.status == 400, "{target}: {}", answer.status);
        let value: serde_json::Value =
            serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{}", answer.text()));
        assert_eq!(value["Type"], "error", "{value}");
        assert!(value["Message"].as_str().expect("text").contains(part), "{target}: {value}");
        assert!(value["Code"].is_u64(), "{value}");
    }
}

#[test]
fn big_bodies_stream_through() {
    let home = Home::new();
    let daemon = home.daemon();
    let bytes = tree::Random::new(61).bytes(40_000_000);
    let answer = http::post_file(daemon.api, "/api/v0/add?progress=true", "big", &bytes);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let lines: Vec<serde_json::Value> =
        answer.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let hash = lines.last().expect("a last line")["Hash"].as_str().expect("a CID").to_owned();
    assert!(lines.len() > 2 && lines[0]["Bytes"].is_u64(), "progress comes before the end");
    let read = http::post(daemon.api, &format!("/api/v0/cat?arg={hash}"));
    assert!(read.body == bytes && read.whole);
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kib < 400 * 1024, "memory does not grow with the body: {kib} KiB");
}

#[test]
fn half_a_body_adds_nothing() {
    let home = Home::new();
    let daemon = home.daemon();
    let body = b"--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\
        Content-Type: application/octet-stream\r\n\r\nno end";
    let headers = &[("Content-Type", "multipart/form-data; boundary=limit")];
    for target in ["/api/v0/add", "/api/v0/block/put"] {
        let answer = http::send(daemon.api, &Request { method: "POST", target, headers, body });
        let refused = answer.status != 200 || !answer.trailers.is_empty() || !answer.whole;
        assert!(refused, "{target}: {} {}", answer.status, answer.text());
    }
    assert!(daemon.rpc("pin/ls?type=recursive")["Keys"].as_object().is_none_or(|pins| {
        pins.keys().all(|cid| cid == "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn")
    }));
}
