//! Who answers a command: the daemon that `--api` or the repository names, or this process.
//!
//! Not here: the HTTP client (`client`), showing answers (`show`).

use crate::{Outputs, address::Endpoint, args::Globals, client, input, report::Failure, show};
use cairn_node::{AddEntries, Node, OpenOptions};
use cairn_rpc::{Files, Host, Needs, Request};
use cairn_runtime::{RealVfs, Tasks};
use cairn_store::Repo;
use futures::StreamExt as _;
use std::{path::PathBuf, process::ExitCode, time::Duration};
use tokio::net::TcpStream;

/// Longest wait for a daemon to take the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the repository is: as the command line says, else as the environment does.
pub(crate) fn repo_path(globals: &Globals) -> Result<PathBuf, Failure> {
    match &globals.repo_dir {
        Some(path) => Ok(path.clone()),
        None => cairn_node::repo_path().map_err(|error| Failure::Failed(error.to_string())),
    }
}

/// Runs one command to its end.
pub(crate) async fn run(
    request: Request,
    globals: &Globals,
    mut paths: Vec<PathBuf>,
) -> Result<ExitCode, Failure> {
    let mut batches = input::Batches::of(request);
    let mut code = ExitCode::SUCCESS;
    // A failed one is an error, and ends it.
    while let Some(request) = batches.next()? {
        code = run_one(request, globals, std::mem::take(&mut paths)).await?;
    }
    Ok(code)
}

async fn run_one(
    mut request: Request,
    globals: &Globals,
    paths: Vec<PathBuf>,
) -> Result<ExitCode, Failure> {
    show::prepare(&mut request, globals.json);
    let expected = show::Expected::of(&request, &paths);
    let tasks = Tasks::default();
    let files = input::files(&request, paths, &tasks)?;
    let (outputs, node) = outputs(&request, globals, files, &tasks).await?;
    let work = show::show(&request, globals, expected, outputs);
    let result = tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
    };
    if let Some(node) = node {
        let closed = node.shutdown().await;
        if result.is_ok() {
            closed?;
        }
    }
    result
}

/// Asks who answers, and gives what comes with the node that was opened for it, if one was.
pub(crate) async fn outputs(
    request: &Request,
    globals: &Globals,
    files: Option<AddEntries>,
    tasks: &Tasks,
) -> Result<(Outputs, Option<Node>), Failure> {
    if request.command().needs == Needs::Nothing && globals.api.is_none() {
        let host = Host { node: None, is_daemon: false };
        return Ok((
            cairn_rpc::start(request.clone(), files.map(Files::from), host)?.boxed(),
            None,
        ));
    }
    if let Some((endpoint, stream)) = daemon(globals).await? {
        let call = client::Call { endpoint, auth: globals.api_auth.clone(), tasks: tasks.clone() };
        return Ok((client::send(call, stream, request, files).await?, None));
    }
    let path = repo_path(globals)?;
    let node = Node::open(OpenOptions { path, online: false, pubsub: false }).await?;
    let host = Host { node: Some(node.clone()), is_daemon: false };
    Ok((cairn_rpc::start(request.clone(), files.map(Files::from), host)?.boxed(), Some(node)))
}

/// Finds and reaches the daemon: the one named, which must be there, or the repository's, which
/// may be gone.
pub(crate) async fn daemon(globals: &Globals) -> Result<Option<(Endpoint, TcpStream)>, Failure> {
    if let Some(api) = &globals.api {
        let endpoint = Endpoint::parse(api)?;
        let stream = connect(&endpoint).await.map_err(|error| {
            let text =
                format!("cannot reach the API at {}: {error}. Is the daemon running?", api.trim());
            Failure::Failed(text)
        })?;
        return Ok(Some((endpoint, stream)));
    }
    let path = repo_path(globals)?;
    let Ok(Some(text)) = Repo::api_address(&RealVfs, &path) else { return Ok(None) };
    let endpoint = Endpoint::parse(&text)?;
    match connect(&endpoint).await {
        Ok(stream) => Ok(Some((endpoint, stream))),
        // The daemon that wrote the file has died without removing it.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            drop(std::fs::remove_file(path.join("api")));
            Ok(None)
        }
        Err(error) => {
            let file = path.join("api");
            let text = format!(
                "cannot reach the daemon that {} names ({}): {error}",
                file.display(),
                text.trim()
            );
            Err(Failure::Failed(text))
        }
    }
}

async fn connect(endpoint: &Endpoint) -> std::io::Result<TcpStream> {
    let connected = TcpStream::connect((endpoint.host.as_str(), endpoint.port));
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, connected).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}
