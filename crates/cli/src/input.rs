//! What a command reads from this side: files, directories, standard input.
//!
//! Not here: walking directories (`cairn_node::local_entries`), sending (`upload`).

use crate::report::{Failure, say};
use cairn_node::{AddEntries, AddEntry, LocalWalkOptions, local_entries};
use cairn_rpc::{ARGUMENTS_MAX, ArgumentKind, Request};
use std::{
    io::{BufRead as _, IsTerminal as _},
    path::{Path, PathBuf},
};

/// Longest line that is taken as an argument, in bytes.
const LINE_LEN_MAX: u64 = 64 * 1024;

/// Reads text arguments from standard input if they may stand there and are not given.
pub(crate) fn with_stdin(request: Request) -> Result<Request, Failure> {
    let command = request.command();
    let argument = command.arguments.iter().rfind(|argument| argument.kind == ArgumentKind::Text);
    let from_stdin = argument.is_some_and(|argument| argument.stdin && argument.required);
    let wanted = command.arguments.iter().filter(|a| a.kind == ArgumentKind::Text).count();
    if !from_stdin || request.arguments().len() >= wanted || std::io::stdin().is_terminal() {
        return checked(request);
    }
    let mut arguments = request.arguments().to_vec();
    let mut input = std::io::stdin().lock();
    while arguments.len() < ARGUMENTS_MAX {
        let mut line = Vec::new();
        let len = std::io::Read::take(&mut input, LINE_LEN_MAX).read_until(b'\n', &mut line)?;
        if len == 0 {
            break;
        }
        let line = String::from_utf8(line);
        let line = line.map_err(|_| Failure::Usage("standard input is not UTF-8".to_owned()))?;
        if !line.trim().is_empty() {
            arguments.push(line.trim().to_owned());
        }
    }
    let given = request.given().iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let request = Request::new(command, arguments, given.collect::<Vec<_>>())?;
    checked(request)
}

fn checked(request: Request) -> Result<Request, Failure> {
    let result = request.check_arguments();
    result.map_err(|error| Failure::Usage(error.message().to_owned()))?;
    Ok(request)
}

/// Opens the files of a command that takes any.
pub(crate) fn files(request: &Request, paths: Vec<PathBuf>) -> Result<Option<AddEntries>, Failure> {
    let Some(argument) = request.command().file_argument() else { return Ok(None) };
    if paths.is_empty() && !argument.required {
        return Ok(None);
    }
    if paths.is_empty() && std::io::stdin().is_terminal() {
        if !argument.stdin {
            return Err(Failure::Usage(format!("argument {:?} is required", argument.name)));
        }
        say("Reading from standard input; end with Ctrl-D.");
    }
    if !argument.many && paths.len() > 1 {
        return Err(Failure::Usage(format!("only one {} can be given", argument.name)));
    }
    let is_add = request.command().path == "add";
    let options = if is_add { walk_options(request) } else { LocalWalkOptions::default() };
    let stdin_name =
        if is_add { request.text("stdin-name").unwrap_or("").to_owned() } else { String::new() };
    if paths.is_empty() || paths.iter().any(|path| path == Path::new("-")) {
        return Ok(Some(with_standard_input(paths, &options, &stdin_name)));
    }
    Ok(Some(local_entries(paths, options)))
}

/// The same paths, with `-` (or nothing at all) as what comes from standard input.
fn with_standard_input(paths: Vec<PathBuf>, options: &LocalWalkOptions, name: &str) -> AddEntries {
    let stdin = |name: &str| -> AddEntries {
        Box::new(std::iter::once(Ok(AddEntry::file(name, std::io::stdin()))))
    };
    if paths.is_empty() {
        return stdin(name);
    }
    let parts: Vec<AddEntries> = paths
        .into_iter()
        .map(|path| {
            let is_stdin = path == Path::new("-");
            if is_stdin { stdin(name) } else { local_entries(vec![path], options.clone()) }
        })
        .collect();
    Box::new(parts.into_iter().flatten())
}

#[expect(clippy::field_reassign_with_default, reason = "the type is non-exhaustive")]
fn walk_options(request: &Request) -> LocalWalkOptions {
    let mut options = LocalWalkOptions::default();
    options.recursive = request.flag("recursive");
    options.hidden = request.flag("hidden");
    options.ignore = request.texts("ignore");
    options.ignore_rules_path = request.text("ignore-rules-path").map(PathBuf::from);
    options.dereference_args = request.flag("dereference-args");
    options.dereference_symlinks = request.flag("dereference-symlinks");
    options.preserve_mode = request.flag("preserve-mode");
    options.preserve_mtime = request.flag("preserve-mtime");
    options
}
