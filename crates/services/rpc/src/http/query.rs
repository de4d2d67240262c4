//! A URL as a request: which command, with which arguments and options.
//!
//! Source: Kubo's `/api/v0/<command>?arg=…&option=…`; a last path segment that is no command is
//! an argument.
//! Not here: checking the values (`request`).

use super::multipart::decode;
use crate::{Command, Needs, Request, RpcError, command::GLOBAL, commands};

/// Where the API is mounted.
pub(super) const MOUNT: &str = "/api/v0/";

/// Options that only the caller's side may set: they name its files and its server.
const CALLER_ONLY: &[&str] = &["repo-dir", "config-file", "config", "api", "api-auth", "debug"];

/// Finds the command and reads what it is called with.
pub(super) fn parse(path: &str, query: &str) -> Result<Request, RpcError> {
    let rest = path.strip_prefix(MOUNT).ok_or_else(RpcError::no_command)?;
    let rest = rest.trim_end_matches('/');
    let (command, extra) = route(rest).ok_or_else(RpcError::no_command)?;
    let mut arguments = Vec::new();
    if let Some(extra) = extra {
        arguments.push(decoded(extra, false)?);
    }
    let mut options = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name, true)?, decoded(value, true)?);
        if name == "arg" {
            arguments.push(value);
        } else if !is_callers_own(&name) {
            options.push((name, value));
        }
    }
    Request::new(command, arguments, options)
}

fn route(path: &str) -> Option<(&'static Command, Option<&str>)> {
    let remote = |command: &&Command| command.needs != Needs::CommandLine && command.run.is_some();
    let name = path.replace('/', " ");
    if let Some(command) = commands::find(&name) {
        return remote(&command).then_some((command, None));
    }
    let (parent, argument) = path.split_once('/').map(|_| path.rsplit_once('/'))??;
    let command = commands::find(&parent.replace('/', " ")).filter(remote)?;
    (!command.arguments.is_empty()).then_some((command, Some(argument)))
}

fn is_callers_own(name: &str) -> bool {
    let option = GLOBAL.iter().find(|option| option.is_named(name));
    option.is_some_and(|option| CALLER_ONLY.contains(&option.long))
}

fn decoded(text: &str, plus_is_space: bool) -> Result<String, RpcError> {
    let wrong = || RpcError::request(format!("invalid escape in the URL: {text:?}"));
    decode(text, plus_is_space).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::Fault;

    #[test]
    fn finds_commands_arguments_and_options() {
        let rows: &[(&str, &str, &str, &[&str])] = &[
            ("/api/v0/version", "", "version", &[]),
            ("/api/v0/pin/ls", "arg=a&arg=b%2Fc", "pin ls", &["a", "b/c"]),
            ("/api/v0/pin/add/", "arg=a+b", "pin add", &["a b"]),
            ("/api/v0/cat/Qm%20x", "", "cat", &["Qm x"]),
            ("/api/v0/block/get", "arg=", "block get", &[""]),
        ];
        for (path, query, command, arguments) in rows {
            let request = parse(path, query).unwrap();
            assert_eq!(
                (request.command().path, request.arguments().len()),
                (*command, arguments.len())
            );
            assert_eq!(request.arguments(), *arguments, "{path}");
        }
        let request = parse("/api/v0/ls", "arg=x&size=false&r=1&repo-dir=%2Fetc&enc=text").unwrap();
        assert_eq!(
            request.given(),
            [("size", "false".to_owned()), ("encoding", "text".to_owned())]
        );
    }

    #[test]
    fn refuses_what_is_not_there() {
        let rows = [
            ("/api/v0/", "", Fault::NoCommand),
            ("/api/v0/pin", "", Fault::NoCommand),
            ("/api/v0/nope", "", Fault::NoCommand),
            ("/api/v0/daemon", "", Fault::NoCommand),
            ("/api/v0/init", "", Fault::NoCommand),
            ("/api/v0/shutdown/now", "", Fault::NoCommand),
            ("/api/v0/config/edit", "", Fault::NoCommand),
            ("/version", "", Fault::NoCommand),
            ("/api/v0/cat", "arg=%zz", Fault::Request),
            ("/api/v0/cat", "arg=%ff", Fault::Request),
            ("/api/v0/cat", "arg=x&offset=ten", Fault::Request),
            ("/api/v0/cat", "arg=x&offset=1&o=2", Fault::Request),
        ];
        for (path, query, fault) in rows {
            assert_eq!(parse(path, query).unwrap_err().fault(), fault, "{path}?{query}");
        }
    }
}
