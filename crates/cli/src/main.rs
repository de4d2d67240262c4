//! The `cairn` binary: command lines in, lines and exit codes out.
//!
//! What a command is stands in the table of `cairn-rpc`; this crate makes clap's arguments from
//! it, asks a running daemon or opens the repository itself, and shows the answer. Called by
//! another name, such as `ipfs`, it does the same.
//!
//! Invariants: results go to standard output, talk to standard error; the exit code is 0 for
//! success, 1 for failure, 2 for wrong usage.
//! Not here: what commands do (`cairn-rpc`, `cairn-node`).

mod address;
mod args;
mod ask;
mod client;
mod extract;
mod input;
mod own;
mod report;
mod show;
mod upload;

use args::Parsed;
use cairn_rpc::{Needs, Output};
use report::Failure;
use std::{io::IsTerminal as _, process::ExitCode};
use tracing_subscriber::EnvFilter;

/// Threads of the runtime for work on a repository: the store and the network have pools of
/// their own, so these only pass things on.
const WORKER_COUNT_MIN: usize = 2;

fn main() -> ExitCode {
    let result = match args::parse(std::env::args_os()) {
        Ok(parsed) => run(parsed),
        Err(error) => return report::usage(&error),
    };
    match result {
        Ok(code) => code,
        Err(failure) => report::failure(&failure),
    }
}

fn run(parsed: Parsed) -> Result<ExitCode, Failure> {
    log_to_stderr(&parsed);
    let light = matches!(&parsed, Parsed::Call { request, .. } if request.command().needs == Needs::Nothing);
    let mut builder = if light {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    if !light {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        builder.worker_threads(count.max(WORKER_COUNT_MIN));
    }
    let runtime = builder.enable_all().build()?;
    let result = runtime.block_on(async {
        match parsed {
            Parsed::Greet { globals } => own::greet::run(&globals).await,
            Parsed::Call { request, globals, paths } => match request.command().path {
                "init" => own::init::run(&request, &globals, &paths).await,
                "daemon" => own::daemon::run(&request, &globals).await,
                "repo restore" => own::restore::run(&request, &globals).await,
                "config edit" => own::edit::run(&globals).await,
                "migrate" => own::migrate::run(&request, &globals).await,
                "files chroot" => own::chroot::run(&request, &globals).await,
                path if path.starts_with("car ") => own::car::run(&request, &globals, paths).await,
                "git import" => own::git::import(&request, &globals, paths).await,
                "git export" => own::git::export(request, &globals).await,
                "repo migrate" => own::repo_migrate::run(&request, &globals),
                "repo verify" if request.flag("reset-meta") => own::reset::run(&globals).await,
                _ => ask::run(request, &globals, paths).await,
            },
        }
    });
    // Threads that wait for standard input or a dead disk must not keep the process.
    runtime.shutdown_background();
    result
}

fn log_to_stderr(parsed: &Parsed) {
    let (daemon, debug) = match parsed {
        Parsed::Greet { globals } => (false, globals.debug),
        Parsed::Call { request, globals, .. } => {
            (request.command().path == "daemon", globals.debug)
        }
    };
    let default = match (debug, daemon) {
        (true, _) => "debug",
        (false, true) => "warn",
        (false, false) => "error",
    };
    let filter = EnvFilter::builder().with_env_var("CAIRN_LOG").try_from_env();
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    subscriber.try_init().unwrap_or(());
}

/// What a command gives out: its pieces in order, perhaps an error at the end.
type Outputs = futures::stream::BoxStream<'static, Result<Output, cairn_rpc::RpcError>>;
