//! What the program says when it is called without a command.

use crate::{address::multiaddress, args::Globals, ask, report::Failure};
use std::{io::Write as _, process::ExitCode};

pub(crate) async fn run(globals: &Globals) -> Result<ExitCode, Failure> {
    let program = &globals.program;
    let path = ask::repo_path(globals)?;
    let state = match ask::daemon(globals).await {
        Ok(Some((endpoint, stream))) => {
            let address = stream.peer_addr().map_or_else(|_| endpoint.authority(), multiaddress);
            format!("A daemon runs here; its API is at {address}.")
        }
        Ok(None) if path.join("config").exists() => {
            format!("No daemon runs. The repository is at {}.", path.display())
        }
        Ok(None) => format!("There is no repository at {} yet.", path.display()),
        Err(error) => format!("{error}."),
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "Cairn {}, an IPFS node in one binary.\n\n{state}\n", cairn_rpc::VERSION)?;
    let rows = [
        ("daemon --init", "run a node; makes the repository if there is none"),
        ("add -r PATH", "add a file or directory and print its CID"),
        ("get CID", "save a file or directory here"),
        ("pin ls", "list what is kept"),
        ("swarm peers", "list who is connected"),
    ];
    for (command, what) in rows {
        writeln!(out, "  {:<24} {what}", format!("{program} {command}"))?;
    }
    writeln!(out, "\nEverything else: {program} --help")?;
    Ok(ExitCode::SUCCESS)
}
