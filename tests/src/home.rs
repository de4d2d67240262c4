//! One throw-away repository and the command line over it.

use crate::{
    Daemon, binary,
    process::{self, Finished},
};
use serde_json::{Value, json};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// A temporary folder with a repository in `repo/` and room for anything else beside it.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
}

/// What one command printed and how it ended.
#[derive(Debug)]
pub struct Outcome {
    /// Its arguments, for messages.
    pub command: String,
    /// Standard output, as bytes because `cat` prints any.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
}

impl Outcome {
    /// Its standard output without the last line end.
    ///
    /// # Panics
    ///
    /// If it failed, with everything it said.
    pub fn text(&self) -> String {
        assert_eq!(self.code, Some(0), "{}: {}{}", self.command, self.lossy(), self.stderr);
        self.lossy().trim_end_matches('\n').to_owned()
    }

    /// What a person reads on failure.
    ///
    /// # Panics
    ///
    /// Unless it ended with exit code 1 and an explanation on standard error (a daemon's log may
    /// stand before it).
    pub fn failure(&self) -> &str {
        assert_eq!(self.code, Some(1), "{}: {}{}", self.command, self.lossy(), self.stderr);
        let explained = self.stderr.lines().any(|line| line.starts_with("Error: "));
        assert!(explained, "{}: {}", self.command, self.stderr);
        &self.stderr
    }

    fn lossy(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl Home {
    /// An empty folder: nothing is initialised.
    pub fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("cairn-test-").tempdir();
        Self { folder: folder.expect("a temporary folder can be made") }
    }

    /// An initialised repository that listens on loopback, on ports the system picks.
    pub fn new() -> Self {
        let home = Self::empty();
        home.run(["init", "--profile", "test"]).text();
        home.edit_config(|config| {
            let addresses = &mut config["Addresses"];
            addresses["Swarm"] = json!(["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws"]);
            addresses["API"] = json!("/ip4/127.0.0.1/tcp/0");
            addresses["Gateway"] = json!("/ip4/127.0.0.1/tcp/0");
            config["Bootstrap"] = json!([]);
            config["Discovery"]["MDNS"]["Enabled"] = json!(false);
        });
        home
    }

    /// The repository's folder.
    pub fn repo(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    /// A path beside the repository; nothing is made there.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file beside the repository.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("a file can be written");
        path
    }

    /// The config as it is on disk.
    pub fn config(&self) -> Value {
        let text = fs::read_to_string(self.repo().join("config")).expect("there is a config");
        serde_json::from_str(&text).expect("the config is JSON")
    }

    /// Rewrites the config on disk, as launchers do.
    pub fn edit_config(&self, edit: impl FnOnce(&mut Value)) {
        let mut config = self.config();
        edit(&mut config);
        let text = serde_json::to_string_pretty(&config).expect("JSON can be written");
        fs::write(self.repo().join("config"), text).expect("the config can be written");
    }

    /// The binary with this repository, ready for arguments.
    pub fn command(&self) -> Command {
        self.command_of(&binary())
    }

    /// Another program with this repository in its environment.
    pub fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_remove("IPFS_PATH")
            .env("CAIRN_PATH", self.repo())
            .env("RUST_BACKTRACE", "0")
            .current_dir(self.folder.path());
        command
    }

    /// Runs `cairn` with `args` to its end.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Outcome {
        self.run_with(args, Vec::new())
    }

    /// Runs `cairn` with `args` and `input` on its standard input.
    pub fn run_with<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: Vec<u8>,
    ) -> Outcome {
        let mut command = self.command();
        command.args(args);
        outcome(&mut command, input)
    }

    /// Adds a file or folder, hidden files too, and returns the root's CID.
    pub fn add(&self, path: &Path) -> String {
        let args: [&OsStr; 5] =
            ["add".as_ref(), "-Q".as_ref(), "-r".as_ref(), "-H".as_ref(), path.as_os_str()];
        self.run(args).text()
    }

    /// Starts a daemon over this repository and waits until it is ready.
    pub fn daemon(&self) -> Daemon {
        self.daemon_with(&[])
    }

    /// Starts a daemon with more arguments.
    pub fn daemon_with(&self, args: &[&str]) -> Daemon {
        let mut command = self.command();
        command.arg("daemon").args(args);
        Daemon::start(&mut command)
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs a command to its end, without input.
pub fn run(command: &mut Command) -> Outcome {
    outcome(command, Vec::new())
}

/// Runs any command to its end.
pub(crate) fn outcome(command: &mut Command, input: Vec<u8>) -> Outcome {
    let Finished { stdout, stderr, status } = process::finish(command, input);
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    Outcome { command: format!("{command:?}"), stdout, stderr, code: status.code() }
}
