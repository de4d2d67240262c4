//! What a command reads from this side: files, directories, standard input.
//!
//! Not here: walking directories (`cairn_node::local_entries`), sending (`upload`).

use crate::report::{Failure, say};
use cairn_node::{AddEntries, AddEntry, LocalWalkOptions, local_entries, web_entries};
use cairn_rpc::{ARGUMENTS_MAX, ArgumentKind, Request};
use cairn_runtime::Tasks;
use std::{
    collections::VecDeque,
    io::{BufRead as _, IsTerminal as _},
    path::{Path, PathBuf},
};

/// Longest line that is taken as an argument, in bytes.
const LINE_LEN_MAX: u64 = 64 * 1024;

/// Most bytes of arguments in one request: they stand in the URL, and HTTP libraries take 64 KiB.
const BATCH_LEN_MAX: usize = 60 * 1024;

/// A command as one request or, if it has more arguments than one takes, as several.
#[derive(Debug)]
pub(crate) struct Batches {
    request: Request,
    /// Given on the command line and not sent yet.
    given: VecDeque<String>,
    /// Whether more come from standard input.
    from_stdin: bool,
    is_begun: bool,
}

impl Batches {
    /// Looks where the arguments come from.
    pub(crate) fn of(request: Request) -> Self {
        let texts = || request.command().arguments.iter().filter(|a| a.kind != ArgumentKind::File);
        let may_be_stdin = texts().next_back().is_some_and(|last| last.stdin && last.required);
        let lacks = request.arguments().len() < texts().count();
        let from_stdin = may_be_stdin && lacks && !std::io::stdin().is_terminal();
        let given = request.arguments().iter().cloned().collect();
        Self { request, given, from_stdin, is_begun: false }
    }

    /// The next request; there is at least one.
    pub(crate) fn next(&mut self) -> Result<Option<Request>, Failure> {
        let command = self.request.command();
        let mut texts = command.arguments.iter().filter(|a| a.kind != ArgumentKind::File);
        let splits = texts.next().is_some_and(|first| first.many);
        let (mut arguments, mut len) = (Vec::new(), 0);
        while !splits || len < BATCH_LEN_MAX {
            let argument = match self.given.pop_front() {
                Some(argument) => Some(argument),
                None if self.from_stdin && arguments.len() < ARGUMENTS_MAX => line_of_stdin()?,
                None => None,
            };
            let Some(argument) = argument else { break };
            len += url_len(&argument);
            arguments.push(argument);
        }
        if arguments.is_empty() && self.is_begun {
            return Ok(None);
        }
        self.is_begun = true;
        let options = self.request.given().iter();
        let options: Vec<_> =
            options.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        checked(Request::new(command, arguments, options)?).map(Some)
    }
}

/// Bytes that an argument takes in a URL.
fn url_len(argument: &str) -> usize {
    let plain = argument.bytes().filter(u8::is_ascii_alphanumeric).count();
    "&arg=".len() + plain + 3 * (argument.len() - plain)
}

/// The next line of standard input that is not blank; `None` at its end.
fn line_of_stdin() -> Result<Option<String>, Failure> {
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let len = std::io::Read::take(&mut input, LINE_LEN_MAX).read_until(b'\n', &mut line)?;
        if len == 0 {
            return Ok(None);
        }
        let line = String::from_utf8(line);
        let line = line.map_err(|_| Failure::Usage("standard input is not UTF-8".to_owned()))?;
        if !line.trim().is_empty() {
            return Ok(Some(line.trim().to_owned()));
        }
    }
}

fn checked(request: Request) -> Result<Request, Failure> {
    let result = request.check_arguments();
    result.map_err(|error| Failure::Usage(error.message().to_owned()))?;
    Ok(request)
}

/// Opens the files of a command that takes any.
pub(crate) fn files(
    request: &Request,
    paths: Vec<PathBuf>,
    tasks: &Tasks,
) -> Result<Option<AddEntries>, Failure> {
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
    let is_url = |path: &PathBuf| is_add && url(path).is_some();
    if paths.is_empty() || paths.iter().any(|path| path == Path::new("-") || is_url(path)) {
        let tasks = is_add.then_some(tasks);
        return Ok(Some(from_elsewhere(paths, &options, (&stdin_name, tasks))));
    }
    Ok(Some(local_entries(paths, options)))
}

/// The URL that an argument is instead of a path.
fn url(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| text.starts_with("http://") || text.starts_with("https://"))
}

/// The same paths, with `-` (or nothing at all) as what comes from standard input, and URLs, if
/// there are tasks for them, as what their servers have.
fn from_elsewhere(
    paths: Vec<PathBuf>,
    options: &LocalWalkOptions,
    (name, tasks): (&str, Option<&Tasks>),
) -> AddEntries {
    let stdin = |name: &str| -> AddEntries {
        Box::new(std::iter::once(Ok(AddEntry::file(name, std::io::stdin()))))
    };
    if paths.is_empty() {
        return stdin(name);
    }
    let parts: Vec<AddEntries> = paths
        .into_iter()
        .map(|path| {
            if path == Path::new("-") {
                return stdin(name);
            }
            match (url(&path), tasks) {
                (Some(url), Some(tasks)) => web_entries(url, tasks),
                _ => local_entries(vec![path], options.clone()),
            }
        })
        .collect();
    Box::new(parts.into_iter().flatten())
}

#[expect(clippy::field_reassign_with_default, reason = "the type is non-exhaustive")]
pub(crate) fn walk_options(request: &Request) -> LocalWalkOptions {
    let has = |name| request.command().option(name).is_some();
    let mut options = LocalWalkOptions::default();
    // Where there is no such flag, directories are always taken.
    options.recursive = !has("recursive") || request.flag("recursive");
    options.hidden = request.flag("hidden");
    options.ignore = request.texts("ignore");
    options.ignore_rules_path = request.text("ignore-rules-path").map(PathBuf::from);
    options.dereference_args = has("dereference-args") && request.flag("dereference-args");
    options.dereference_symlinks = request.flag("dereference-symlinks");
    options.preserve_mode = request.flag("preserve-mode");
    options.preserve_mtime = request.flag("preserve-mtime");
    options.origins = has("nocopy") && request.flag("nocopy");
    options
}
