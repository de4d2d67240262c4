//! `git import` and `git export`: runs git here, and asks a daemon or the repository for the rest.
//!
//! git knows its own formats best, and checks what it takes in. So its repositories are read and
//! made by `git` itself, as a child process; what is kept, and where, is the node's.
//!
//! Invariants: a repository is only read, and its configuration and hooks get nothing to run; an
//! exported one appears whole or not at all.
//! Not here: objects as blocks (`cairn_node`), what `git ls` does (`cairn-rpc`).

mod export;
mod import;

use crate::report::Failure;
use std::{
    io,
    path::Path,
    process::{Command, Output},
};

pub(crate) use export::run as export;
pub(crate) use import::run as import;

/// Variables that would make git look elsewhere than it is told to.
const MISLEADING: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
];

/// git in a folder, and nowhere above it.
fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    for name in MISLEADING {
        command.env_remove(name);
    }
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    if let Some(parent) = absolute.parent() {
        command.env("GIT_CEILING_DIRECTORIES", parent);
    }
    command
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        // What was committed counts, not what stands in for it; what is missing is not fetched.
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_NO_LAZY_FETCH", "1")
        .arg("-C")
        .arg(folder);
    command
}

/// Says why git could not be run.
fn failed(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::NotFound {
        let text = "this needs git, which is not in the path: install it, with \
                    `apt install git` or from https://git-scm.com";
        return Failure::Failed(text.to_owned());
    }
    Failure::Failed(format!("could not run git: {error}"))
}

/// Runs git to its end; its own words are the error.
fn output(command: &mut Command) -> Result<Output, Failure> {
    let output = command.output().map_err(|error| failed(&error))?;
    if output.status.success() { Ok(output) } else { Err(said(&output.stderr)) }
}

/// What git said when it failed.
fn said(stderr: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(stderr);
    Failure::Failed(format!("git: {}", text.trim().trim_start_matches("fatal: ")))
}

/// What git printed, without the last line's end.
fn text(output: Output) -> Result<String, Failure> {
    let text = String::from_utf8(output.stdout);
    let text = text.map_err(|_| Failure::Failed("git printed a name that is not UTF-8".into()))?;
    Ok(text.trim_end_matches('\n').to_owned())
}
