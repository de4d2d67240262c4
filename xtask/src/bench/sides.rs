//! The two sides of every row: a Cairn node, and a real Kubo core.
//!
//! Not here: the script inside the Kubo side's process (`tests/peers/kubo_peer.py`).

use super::{Bench, measure};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A repository of ours, with or without a daemon on it.
pub(crate) struct Cairn {
    binary: PathBuf,
    repo: PathBuf,
    daemon: Option<Child>,
}

impl Cairn {
    /// Makes a fresh repository on loopback with free ports.
    pub(crate) fn new(bench: &Bench, name: &str) -> Result<Self> {
        let repo = bench.folder.join(name);
        if repo.exists() {
            std::fs::remove_dir_all(&repo)?;
        }
        let side = Self::old(bench, name);
        measure::run(&mut side.command(&["init", "--profile", "test"]))?;
        Ok(side)
    }

    /// A repository that is there already.
    pub(crate) fn old(bench: &Bench, name: &str) -> Self {
        Self { binary: bench.cairn.clone(), repo: bench.folder.join(name), daemon: None }
    }

    /// A command line of ours on this repository, silent.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args).env("CAIRN_PATH", &self.repo).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs a command and returns what it printed.
    pub(crate) fn output(&self, args: &[&str]) -> Result<String> {
        let output = self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
        if !output.status.success() {
            bail!("cairn {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Starts the daemon and waits until it says that it is ready.
    pub(crate) fn start(&mut self) -> Result<()> {
        let mut child = self.command(&["daemon"]).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("no output of the daemon")?;
        for line in BufReader::new(stdout).lines() {
            if line?.contains("Daemon is ready") {
                self.daemon = Some(child);
                return Ok(());
            }
        }
        bail!("the daemon ended before it was ready: {}", child.wait()?)
    }

    /// The running daemon.
    pub(crate) fn daemon(&self) -> Result<&Child> {
        self.daemon.as_ref().context("no daemon runs")
    }

    /// An address that the daemon can be reached at over TCP.
    pub(crate) fn address(&self) -> Result<String> {
        let all = self.output(&["id", "-f", "<addrs>"])?;
        let tcp = all.lines().find(|line| line.contains("/ip4/127.0.0.1/tcp/"));
        Ok(tcp.context("the daemon has no loopback address")?.to_owned())
    }

    /// Where the daemon's RPC API listens.
    pub(crate) fn api(&self) -> Result<SocketAddr> {
        let addr = std::fs::read_to_string(self.repo.join("api"))?;
        let mut parts = addr.trim().split('/').skip(2).step_by(2);
        let (host, port) = (parts.next(), parts.next());
        let text = format!("{}:{}", host.unwrap_or_default(), port.unwrap_or_default());
        text.parse().with_context(|| format!("the API listens on {addr}"))
    }

    /// Ends the daemon in order.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.output(&["shutdown"])?;
        let mut daemon = self.daemon.take().context("no daemon runs")?;
        let status = daemon.wait()?;
        if !status.success() {
            bail!("the daemon ended with {status}");
        }
        Ok(())
    }

    /// Ends the daemon with SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("no daemon runs")?;
        daemon.kill()?;
        daemon.wait()?;
        Ok(())
    }

    /// Where the repository is.
    pub(crate) fn repo(&self) -> &Path {
        &self.repo
    }

    /// Where the repository is, as an argument.
    pub(crate) fn text(&self) -> Result<&str> {
        self.repo.to_str().context("the benchmark folder's name is not UTF-8")
    }
}

impl Drop for Cairn {
    fn drop(&mut self) {
        if self.daemon.is_some() {
            drop(self.kill());
        }
    }
}

/// A Kubo core in a process of its own, asked by lines of JSON.
pub(crate) struct Kubo {
    child: Child,
    input: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What it said when it was ready.
    pub(crate) hello: Value,
    repo: PathBuf,
}

impl Kubo {
    /// Starts a core on a fresh repository that syncs before it acknowledges.
    pub(crate) fn start(bench: &Bench, name: &str) -> Result<Self> {
        let repo = bench.folder.join(name);
        if repo.exists() {
            std::fs::remove_dir_all(&repo)?;
        }
        let log = File::create(bench.folder.join(format!("{name}.log")))?;
        let mut child = Command::new("python3")
            .arg(&bench.kubo_script)
            .arg(&repo)
            .env("PYTHONPATH", &bench.kubo_library)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("could not start python3")?;
        let input = child.stdin.take().context("no input of the Kubo core")?;
        let stdout = child.stdout.take().context("no output of the Kubo core")?;
        let mut answers = BufReader::new(stdout);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        let hello = serde_json::from_str(&line).with_context(|| format!("Kubo said {line:?}"))?;
        Ok(Self { child, input, answers, hello, repo })
    }

    /// Asks for one operation and waits for its answer.
    pub(crate) fn ask(&mut self, question: &Value) -> Result<Value> {
        writeln!(self.input, "{question}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: Value =
            serde_json::from_str(&line).with_context(|| format!("{question} answered {line:?}"))?;
        match answer.get("error") {
            Some(error) => bail!("{question} failed: {error}"),
            None => Ok(answer),
        }
    }

    /// Asks for one operation and measures the whole process meanwhile.
    pub(crate) fn measured(&mut self, question: &Value) -> Result<(Value, measure::Cost)> {
        let before = measure::cpu_of(&self.child)?;
        #[expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
        let start = std::time::Instant::now();
        let answer = self.ask(question)?;
        let cost = measure::Cost {
            wall: start.elapsed().as_secs_f64(),
            cpu: measure::cpu_of(&self.child)? - before,
            peak_mib: measure::peak_rss_mib(self.child.id()).unwrap_or_default(),
        };
        Ok((answer, cost))
    }

    /// Adds a file or folder, synced to disk.
    pub(crate) fn add(&mut self, path: &Path) -> Result<(String, measure::Cost)> {
        let (answer, cost) = self.measured(&json!({"op": "add", "path": path}))?;
        Ok((answer["cid"].as_str().context("Kubo answered no CID")?.to_owned(), cost))
    }

    /// Hashes a file without storing it. The first call of a process makes a throw-away node, so
    /// rows that measure it warm up first.
    pub(crate) fn only_hash(&mut self, path: &Path) -> Result<(String, measure::Cost)> {
        let (answer, cost) = self.measured(&json!({"op": "add_each", "paths": [path]}))?;
        Ok((answer["cids"][0].as_str().context("Kubo answered no CID")?.to_owned(), cost))
    }

    /// The first address that it listens on, with its peer ID.
    pub(crate) fn address(&self) -> Result<String> {
        let addrs = match &self.hello["addrs"] {
            Value::String(text) => serde_json::from_str(text)?,
            other => other.clone(),
        };
        let first = addrs[0].as_str().context("Kubo listens nowhere")?;
        let id = self.hello["id"].as_str().context("Kubo has no identity")?;
        Ok(if first.contains("/p2p/") { first.to_owned() } else { format!("{first}/p2p/{id}") })
    }

    /// The process, for its CPU time and memory.
    pub(crate) fn process(&self) -> &Child {
        &self.child
    }

    /// Where its repository is.
    pub(crate) fn repo(&self) -> &Path {
        &self.repo
    }
}

impl Drop for Kubo {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
