//! `init`: makes a repository.

use crate::{args::Globals, ask, report::Failure};
use cairn_node::{InitOptions, InitReport};
use cairn_rpc::Request;
use serde_json::Value;
use std::{
    fs::File,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Longest configuration that is read, in bytes.
const CONFIG_LEN_MAX: u64 = 16 * 1024 * 1024;

#[expect(clippy::field_reassign_with_default, reason = "the type is non-exhaustive")]
pub(crate) async fn run(
    request: &Request,
    globals: &Globals,
    paths: &[PathBuf],
) -> Result<ExitCode, Failure> {
    let mut options = InitOptions::default();
    options.profiles = request.text("profile").map(str::to_owned).into_iter().collect();
    options.algorithm = request.text("algorithm").map(str::to_owned);
    options.key_bits = request.int("bits").and_then(|bits| u32::try_from(bits).ok());
    options.config = paths.first().map(|path| read_config(path)).transpose()?;
    let path = ask::repo_path(globals)?;
    make(&path, options).await?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the repository and says so.
pub(super) async fn make(path: &Path, options: InitOptions) -> Result<InitReport, Failure> {
    let report = cairn_node::init(path, options).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "generating ED25519 keypair...done")?;
    writeln!(out, "peer identity: {}", report.peer_id)?;
    writeln!(out, "initializing IPFS node at {}", report.path.display())?;
    Ok(report)
}

/// Reads a configuration from a file.
pub(super) fn read_config(path: &Path) -> Result<Value, Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::Failed(format!("could not read the configuration {}: {error}", path.display()))
    };
    let mut text = String::new();
    let file = File::open(path).map_err(|error| wrong(&error))?;
    file.take(CONFIG_LEN_MAX).read_to_string(&mut text).map_err(|error| wrong(&error))?;
    serde_json::from_str(&text).map_err(|error| wrong(&error))
}
