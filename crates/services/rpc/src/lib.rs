//! Kubo's RPC API, and the table of commands that the command line is made from, too.
//!
//! A command is one file in `commands/`: its name, arguments, options, handler, answer type and
//! text. [`start`] runs one inside this process; [`http::serve`] puts the same on a socket.
//!
//! Source: Kubo's `/api/v0` (paths, options, defaults, JSON fields, texts, error shapes).
//! Invariants: a command is written once; every surface reads the one table, [`COMMANDS`].
//! Not here: what commands do (`cairn-node`), progress bars and files on disk (the `cairn`
//! binary), the gateway (`cairn-gateway`).

mod answer;
mod command;
mod commands;
mod error;
mod files;
pub mod http;
mod paths;
mod request;
mod text;

pub use answer::{Answer, Call, Emitter, Files, Host, Output, StreamHead, answers_of, start};
pub use cairn_node::REPO_VERSION;
pub use command::{Argument, ArgumentKind, Command, GLOBAL, Handler, Kind, Needs, Opt, Renderer};
pub use commands::{
    COMMANDS, add::AddAnswer, add::flags::build_options, find, git::ls::GitRefAnswer,
    pin::add::PinAddAnswer, repo::backup::BackupAnswer, repo::verify::VerifyAnswer,
};
pub use error::{ErrorBody, Fault, RpcError};
#[cfg(feature = "fuzz")]
pub use http::fuzz::TARGETS as FUZZ_TARGETS;
pub use request::{ARGUMENTS_MAX, Request};
pub use text::{CidText, Render, Text, each, encoded_in_multibase, escape, human_len};

/// The version that the API tells.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
