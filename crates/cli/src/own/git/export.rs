//! `git export`: a bare repository from a pack and the refs.

use super::{failed, git, output, said};
use crate::{args::Globals, ask, report::Failure, show};
use cairn_rpc::{GitRefAnswer, Output, Request, answers_of, find};
use cairn_runtime::{Tasks, blocking};
use futures::StreamExt as _;
use std::{
    ffi::OsString,
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, ExitCode, Stdio},
};

pub(crate) async fn run(request: Request, globals: &Globals) -> Result<ExitCode, Failure> {
    request.check_arguments().map_err(|error| Failure::Usage(error.message().to_owned()))?;
    let Some(path) = request.arguments().get(1).map(PathBuf::from) else {
        let tasks = Tasks::default();
        let (outputs, node) = ask::outputs(&request, globals, None, &tasks).await?;
        let expected = show::Expected::of(&request, &[]);
        let code = show::show(&request, globals, expected, outputs).await?;
        if let Some(node) = node {
            node.shutdown().await?;
        }
        return Ok(code);
    };
    let is_taken =
        fs::read_dir(&path).map_or(path.exists(), |mut entries| entries.next().is_some());
    if is_taken {
        let text = format!("{} exists and is not an empty directory", path.display());
        return Err(Failure::Failed(text));
    }
    let partial = Partial::new(&path)?;
    let work = fill(&request, globals, &partial.path);
    let done = tokio::select! {
        result = Box::pin(work) => result,
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
    };
    done?;
    partial.finish(&path)?;
    writeln!(std::io::stdout(), "exported to {}", cairn_rpc::escape(&path.display().to_string()))?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the repository.
async fn fill(request: &Request, globals: &Globals, folder: &Path) -> Result<(), Failure> {
    let root = request.first()?.to_owned();
    let refs = refs(root, globals).await?;
    output(git(folder).args(["init", "--quiet", "--bare", "--template=", "--object-format=sha1"]))?;
    if refs.iter().any(|found| !found.object.is_empty()) {
        pack(request, globals, folder).await?;
    }
    let folder = folder.to_owned();
    blocking(move || set_refs(&folder, &refs)).await
}

/// Asks for the refs.
async fn refs(root: String, globals: &Globals) -> Result<Vec<GitRefAnswer>, Failure> {
    let command = find("git ls").expect("invariant: the table has it");
    let request = Request::new(command, vec![root], offline(globals))?;
    let tasks = Tasks::default();
    let (mut outputs, node) = ask::outputs(&request, globals, None, &tasks).await?;
    let mut refs = Vec::new();
    while let Some(output) = outputs.next().await {
        if let Output::Event(json) | Output::Single(json) = output? {
            for answer in answers_of(&json) {
                let wrong = |error| Failure::Failed(format!("a ref that makes no sense: {error}"));
                refs.push(serde_json::from_slice(answer).map_err(wrong)?);
            }
        }
    }
    drop(outputs);
    if let Some(node) = node {
        node.shutdown().await?;
    }
    Ok(refs)
}

fn offline(globals: &Globals) -> Option<(String, String)> {
    globals.offline.then(|| ("offline".to_owned(), "true".to_owned()))
}

/// Gives the pack to git, which checks all of it.
async fn pack(request: &Request, globals: &Globals, folder: &Path) -> Result<(), Failure> {
    let mut command = git(folder);
    command.args(["index-pack", "--stdin"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = Killed(command.spawn().map_err(|error| failed(&error))?);
    let mut stdin = child.0.stdin.take();
    let tasks = Tasks::default();
    let (mut outputs, node) = ask::outputs(request, globals, None, &tasks).await?;
    while let Some(piece) = outputs.next().await {
        let Output::Data(bytes) = piece? else { continue };
        let Some(mut pipe) = stdin.take() else { break };
        // A git that has ended says why itself.
        stdin = blocking(move || pipe.write_all(&bytes).ok().map(|()| pipe)).await;
    }
    drop((outputs, stdin));
    if let Some(node) = node {
        node.shutdown().await?;
    }
    blocking(move || {
        let mut errors = Vec::new();
        if let Some(mut stderr) = child.0.stderr.take() {
            stderr.read_to_end(&mut errors)?;
        }
        let status = child.0.wait()?;
        if status.success() { Ok(()) } else { Err(said(&errors)) }
    })
    .await
}

/// Writes the refs, all or none, and the head.
fn set_refs(folder: &Path, refs: &[GitRefAnswer]) -> Result<(), Failure> {
    let mut command = git(folder);
    command.args(["update-ref", "--stdin", "-z"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(&error))?;
    let mut lines = Vec::new();
    for GitRefAnswer { name, object, .. } in refs.iter().filter(|found| found.name != "HEAD") {
        write!(lines, "create {name}\0{object}\0")?;
    }
    if let Some(mut stdin) = child.stdin.take() {
        // A git that has ended says why itself.
        stdin.write_all(&lines).unwrap_or(());
    }
    let ended = child.wait_with_output()?;
    if !ended.status.success() {
        return Err(said(&ended.stderr));
    }
    for GitRefAnswer { object, target, .. } in refs.iter().filter(|found| found.name == "HEAD") {
        match target {
            Some(target) => output(git(folder).args(["symbolic-ref", "HEAD", target]))?,
            None => output(git(folder).args(["update-ref", "--no-deref", "HEAD", object]))?,
        };
    }
    Ok(())
}

/// A child that does not outlive its use.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap_or(());
        drop(self.0.wait());
    }
}

/// The folder that becomes the repository; dropped before, it goes away.
struct Partial {
    path: PathBuf,
    is_finished: bool,
}

impl Partial {
    fn new(target: &Path) -> Result<Self, Failure> {
        let mut path = OsString::from(target);
        path.push(".partial");
        let path = PathBuf::from(path);
        let failed = |error| Failure::Failed(format!("could not make {}: {error}", path.display()));
        // One that was interrupted before is in the way.
        if path.is_dir() {
            fs::remove_dir_all(&path).map_err(failed)?;
        }
        fs::create_dir(&path).map_err(failed)?;
        Ok(Self { path, is_finished: false })
    }

    fn finish(mut self, target: &Path) -> Result<(), Failure> {
        let failed =
            |error| Failure::Failed(format!("could not make {}: {error}", target.display()));
        // An empty directory gives way.
        fs::rename(&self.path, target).map_err(failed)?;
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_finished {
            fs::remove_dir_all(&self.path).unwrap_or(());
        }
    }
}
