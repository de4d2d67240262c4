//! Failures as people see them: one line that names the object, and an exit code.
//!
//! Not here: what went wrong (the errors' own texts).

use std::{io::Write as _, process::ExitCode};
use thiserror::Error;

/// The exit code of wrong usage.
const USAGE: u8 = 2;
/// The exit code of a command that was interrupted (128 and the signal's number).
const INTERRUPTED: u8 = 130;

/// Why the program ends.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The command failed.
    #[error("{0}")]
    Failed(String),
    /// Something was said already.
    #[error("failed")]
    Quiet,
    /// The reader of the output has gone.
    #[error("output closed")]
    OutputClosed,
    /// The user has had enough.
    #[error("interrupted")]
    Interrupted,
}

impl From<cairn_rpc::RpcError> for Failure {
    fn from(error: cairn_rpc::RpcError) -> Self {
        Self::Failed(error.message().to_owned())
    }
}

impl From<cairn_node::NodeError> for Failure {
    fn from(error: cairn_node::NodeError) -> Self {
        cairn_rpc::RpcError::of(&error).into()
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::Failed(error.to_string())
        }
    }
}

/// Prints a failure; returns its exit code.
pub(crate) fn failure(failure: &Failure) -> ExitCode {
    let code = match failure {
        Failure::Quiet => return ExitCode::FAILURE,
        // The reader took what it wanted: `cairn ls … | head` is no failure.
        Failure::OutputClosed => return ExitCode::SUCCESS,
        Failure::Interrupted => return ExitCode::from(INTERRUPTED),
        Failure::Usage(_) => ExitCode::from(USAGE),
        Failure::Failed(_) => ExitCode::FAILURE,
    };
    say(&format!("Error: {}", clean(&failure.to_string())));
    code
}

/// Prints what clap says: help for those who ask, errors for the others.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    error.print().unwrap_or(());
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// Prints a line of talk; standard error that is gone is no reason to stop.
pub(crate) fn say(line: &str) {
    writeln!(std::io::stderr().lock(), "{line}").unwrap_or(());
}

/// Escapes what came from others, but lets lines be lines.
fn clean(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(cairn_rpc::escape).collect();
    lines.join("\n")
}
