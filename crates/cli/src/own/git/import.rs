//! `git import`: which objects there are, which of them are needed, and these.

use super::{failed, git, output, said, text};
use crate::{args::Globals, ask, report::Failure, show};
use cairn_node::{AddEntries, AddEntry, AddEntryError, GIT_OBJECTS_MAX};
use cairn_rpc::{Output, Request, find};
use cairn_runtime::{Tasks, blocking};
use futures::StreamExt as _;
use std::{
    io::{Cursor, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, ExitCode, Stdio},
    thread::JoinHandle,
};

/// Bytes of a line with an object's name.
const LINE_LEN: usize = 41;

/// What is known of a repository before its objects are read.
struct Listing {
    path: PathBuf,
    /// The head and the refs, a line each.
    refs: String,
    /// The names of all objects that these lead to, a line each.
    ids: String,
}

pub(crate) async fn run(
    request: &Request,
    globals: &Globals,
    paths: Vec<PathBuf>,
) -> Result<ExitCode, Failure> {
    let mut paths = paths.into_iter();
    let (Some(path), None) = (paths.next(), paths.next()) else {
        return Err(Failure::Usage("argument \"repository\" is required, once".to_owned()));
    };
    let work = async {
        let listing = blocking(move || Listing::of(path)).await?;
        let missing = missing(&listing, globals).await?;
        let is_partial = missing.len() < listing.ids.len();
        match send(request, globals, &listing, missing).await {
            // What was here may have been collected meanwhile.
            Err(_) if is_partial => send(request, globals, &listing, listing.ids.clone()).await,
            result => result,
        }
    };
    tokio::select! {
        result = Box::pin(work) => result,
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
    }
}

impl Listing {
    fn of(path: PathBuf) -> Result<Self, Failure> {
        if !path.is_dir() {
            let text = format!("{} is not a directory with a git repository", path.display());
            return Err(Failure::Failed(text));
        }
        check(&path)?;
        let listed = output(git(&path).args(["for-each-ref", "--format=%(objectname) %(refname)"]));
        let mut refs = text(listed?)?;
        let mut tips: Vec<String> =
            refs.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
        let symbolic = git(&path).args(["symbolic-ref", "-q", "HEAD"]).output();
        let symbolic = text(symbolic.map_err(|error| failed(&error))?)?;
        let head = if symbolic.is_empty() {
            let head = text(output(git(&path).args(["rev-parse", "--verify", "-q", "HEAD"]))?)?;
            tips.push(head.clone());
            head
        } else {
            symbolic
        };
        if !refs.is_empty() {
            refs.push('\n');
        }
        refs = format!("{refs}HEAD {head}\n");
        let ids = if tips.is_empty() { String::new() } else { reachable(&path, &tips)? };
        Ok(Self { path, refs, ids })
    }
}

/// Refuses what could not be given back whole.
fn check(path: &Path) -> Result<(), Failure> {
    let asked = |what: &str| text(output(git(path).args(["rev-parse", what]))?);
    if asked("--is-shallow-repository")? == "true" {
        return Err(Failure::Failed(format!(
            "{} is shallow: its history is cut off. `git fetch --unshallow` makes it whole",
            path.display()
        )));
    }
    let format = asked("--show-object-format")?;
    if format != "sha1" {
        let text = format!("{} names its objects by {format}, not by sha1", path.display());
        return Err(Failure::Failed(text));
    }
    Ok(())
}

/// The names of all objects below some, and of these.
fn reachable(path: &Path, tips: &[String]) -> Result<String, Failure> {
    let mut command = git(path);
    command.args(["rev-list", "--objects", "--no-object-names", "--stdin"]);
    let listed = Fed::start(&mut command, tips.join("\n") + "\n")?;
    let mut ids = String::new();
    listed.take((GIT_OBJECTS_MAX * LINE_LEN) as u64 + 1).read_to_string(&mut ids)?;
    if ids.len() > GIT_OBJECTS_MAX * LINE_LEN {
        let text = format!("{} has more than {GIT_OBJECTS_MAX} objects", path.display());
        return Err(Failure::Failed(text));
    }
    Ok(ids)
}

/// Asks which objects are needed.
async fn missing(listing: &Listing, globals: &Globals) -> Result<String, Failure> {
    if listing.ids.is_empty() {
        return Ok(String::new());
    }
    let command = find("git missing").expect("invariant: the table has it");
    let request = Request::new(command, Vec::new(), [])?;
    let files = entries([part("ids", listing.ids.clone())]);
    let tasks = Tasks::default();
    let (mut outputs, node) = ask::outputs(&request, globals, Some(files), &tasks).await?;
    let mut missing = Vec::new();
    while let Some(output) = outputs.next().await {
        if let Output::Data(bytes) = output? {
            missing.extend_from_slice(&bytes);
        }
    }
    drop(outputs);
    if let Some(node) = node {
        node.shutdown().await?;
    }
    let wrong = |_| Failure::Failed("the daemon answered with what is no list".to_owned());
    String::from_utf8(missing).map_err(wrong)
}

/// Sends what is needed and shows the answer.
async fn send(
    request: &Request,
    globals: &Globals,
    listing: &Listing,
    ids: String,
) -> Result<ExitCode, Failure> {
    let objects: Box<dyn Read + Send> = if ids.is_empty() {
        Box::new(std::io::empty())
    } else {
        let mut command = git(&listing.path);
        command.args(["cat-file", "--batch", "--buffer"]);
        Box::new(Fed::start(&mut command, ids)?)
    };
    let files = entries([
        part("refs", listing.refs.clone()),
        part("ids", listing.ids.clone()),
        AddEntry::file("objects", objects),
    ]);
    let tasks = Tasks::default();
    let (outputs, node) = ask::outputs(request, globals, Some(files), &tasks).await?;
    let expected = show::Expected::of(request, &[]);
    let result = show::show(request, globals, expected, outputs).await;
    if let Some(node) = node {
        let closed = node.shutdown().await;
        if result.is_ok() {
            closed?;
        }
    }
    result
}

fn part(name: &str, text: String) -> AddEntry {
    AddEntry::file(name, Cursor::new(text))
}

fn entries<const N: usize>(parts: [AddEntry; N]) -> AddEntries {
    let parts: Vec<Result<AddEntry, AddEntryError>> = parts.into_iter().map(Ok).collect();
    Box::new(parts.into_iter())
}

/// A git that is told names on its standard input, and whose output is read.
///
/// At its end the output is an error unless git ended well.
struct Fed {
    child: Child,
    output: ChildStdout,
    feeder: Option<JoinHandle<()>>,
    errors: Option<JoinHandle<Vec<u8>>>,
}

impl Fed {
    fn start(command: &mut std::process::Command, input: String) -> Result<Self, Failure> {
        let spawned =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| failed(&error))?;
        let none = || Failure::Failed("git has no pipes".to_owned());
        let mut stdin = child.stdin.take().ok_or_else(none)?;
        let output = child.stdout.take().ok_or_else(none)?;
        let mut stderr = child.stderr.take().ok_or_else(none)?;
        // A git that has ended says why itself.
        let feeder = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap_or(()));
        let errors = std::thread::spawn(move || {
            let mut said = Vec::new();
            stderr.read_to_end(&mut said).map_or_else(|_| Vec::new(), |_| said)
        });
        Ok(Self { child, output, feeder: Some(feeder), errors: Some(errors) })
    }

    /// Waits for git's end.
    fn end(&mut self) -> std::io::Result<()> {
        if let Some(feeder) = self.feeder.take() {
            feeder.join().unwrap_or(());
        }
        let status = self.child.wait()?;
        let errors = self.errors.take().and_then(|errors| errors.join().ok()).unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        Err(std::io::Error::other(said(&errors).to_string()))
    }
}

impl Read for Fed {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let len = self.output.read(out)?;
        if len == 0 && !out.is_empty() {
            self.end()?;
        }
        Ok(len)
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        // One that is not wanted any more; one that has ended is not found.
        self.child.kill().unwrap_or(());
        drop(self.child.wait());
    }
}
