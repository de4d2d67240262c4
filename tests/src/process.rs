//! A child process whose output is read as it comes and whose end is waited for with a limit.
//!
//! Invariants: its pipes never fill up, because threads empty them; it does not outlive its
//! handle.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

/// Longest wait for anything a process should do at once.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A started process.
#[derive(Debug)]
pub struct Running {
    pid: Pid,
    said: String,
    lines: Receiver<String>,
    errors: Receiver<Vec<u8>>,
    exit: Receiver<ExitStatus>,
    input: Option<std::process::ChildStdin>,
    ended: Option<ExitStatus>,
}

impl Running {
    /// Starts `command` with all three streams piped to this handle.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| fail(&format!("could not start {command:?}: {error}")));
        let pid = Pid::from_child(&child);
        let input = child.stdin.take();
        let output = child.stdout.take().expect("standard output is piped");
        let mut error_output = child.stderr.take().expect("standard error is piped");
        let (line_sender, lines) = channel();
        let (error_sender, errors) = channel();
        let (exit_sender, exit) = channel();
        // Each thread ends with its pipe; a closed channel means that nobody listens any more.
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { break };
                if line_sender.send(line).is_err() {
                    break;
                }
            }
        });
        thread::spawn(move || {
            let mut text = Vec::new();
            drop(error_output.read_to_end(&mut text));
            drop(error_sender.send(text));
        });
        thread::spawn(move || {
            if let Ok(status) = child.wait() {
                let _ = exit_sender.send(status);
            }
        });
        Self { pid, said: String::new(), lines, errors, exit, input, ended: None }
    }

    /// The next line of its standard output.
    ///
    /// # Panics
    ///
    /// If the process ends or says nothing for `PATIENCE`, with what it said until then.
    pub fn line(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => self.note(line),
            Err(RecvTimeoutError::Timeout) => fail(&format!("silent for too long:\n{}", self.said)),
            Err(RecvTimeoutError::Disconnected) => {
                let errors = self.errors();
                fail(&format!("ended too early:\n{}{errors}", self.said))
            }
        }
    }

    /// The next line if it comes within `limit`, and `None` if the output ends before that.
    ///
    /// # Errors
    ///
    /// When `limit` passes first.
    pub fn line_within(&mut self, limit: Duration) -> Result<Option<String>, RecvTimeoutError> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Ok(Some(self.note(line))),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(timeout) => Err(timeout),
        }
    }

    fn note(&mut self, line: String) -> String {
        self.said.push_str(&line);
        self.said.push('\n');
        line
    }

    /// Its process id.
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Everything it wrote to its standard output that was read by [`Running::line`] or
    /// [`Running::line_within`].
    pub fn said(&self) -> &str {
        &self.said
    }

    /// Everything it wrote to its standard error; waits until that is closed.
    pub fn errors(&self) -> String {
        let bytes = self.errors.recv_timeout(PATIENCE).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Writes one line to its standard input.
    pub fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{line}").expect("it reads its input");
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            // Gone already is fine: that is what most signals here are for.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Its status once it ends, or `None` if it is still there after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.exit.recv_timeout(limit).ok();
        }
        self.ended
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        drop(self.input.take());
        self.wait(PATIENCE);
    }
}

/// What a command left behind: its streams and its status.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) status: ExitStatus,
}

/// Runs `command` to its end with `input` on its standard input.
pub(crate) fn finish(command: &mut Command, input: Vec<u8>) -> Finished {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| fail(&format!("could not start {command:?}: {error}")));
    let pid = Pid::from_child(&child);
    let mut writer = child.stdin.take().expect("standard input is piped");
    // A command that does not read its input closes it early: no failure of its own.
    thread::spawn(move || drop(writer.write_all(&input)));
    let (sender, receiver) = channel();
    thread::spawn(move || drop(sender.send(child.wait_with_output())));
    let Ok(output) = receiver.recv_timeout(PATIENCE) else {
        let _ = kill_process(pid, Signal::KILL);
        fail(&format!("{command:?} did not end"))
    };
    let output = output.expect("its output can be read");
    Finished { stdout: output.stdout, stderr: output.stderr, status: output.status }
}

/// Ends the calling test.
///
/// # Panics
///
/// Always, with `text`.
pub fn fail(text: &str) -> ! {
    #[expect(clippy::panic, reason = "for tests only: a panic is how they report")]
    {
        panic!("{text}")
    }
}
