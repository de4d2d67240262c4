//! `repo restore`: makes a repository from a backup.

use crate::{args::Globals, ask, report::Failure, show::bar::Bar};
use cairn_rpc::Request;
use cairn_runtime::{RealVfs, Vfs, blocking};
use cairn_store::Repo;
use std::{io::Write as _, path::PathBuf, process::ExitCode, sync::Arc};

pub(crate) async fn run(request: &Request, globals: &Globals) -> Result<ExitCode, Failure> {
    let from = PathBuf::from(request.first()?);
    let to = ask::repo_path(globals)?;
    let bar = Bar::new(None);
    let (source, target) = (from.clone(), to.clone());
    let restored = blocking(move || {
        let vfs: Arc<dyn Vfs> = Arc::new(RealVfs);
        Repo::restore(&vfs, &source, &target, &mut |copied| {
            bar.set_len(copied.total_len);
            bar.set(copied.copied_len);
            true
        })
    });
    restored.await.map_err(|error| Failure::Failed(error.to_string()))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "restored {} from {}", to.display(), from.display())?;
    writeln!(
        out,
        "It has the same keys and peer ID as the node that was backed up: do not run both."
    )?;
    Ok(ExitCode::SUCCESS)
}
