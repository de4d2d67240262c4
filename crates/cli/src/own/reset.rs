//! `repo verify --reset-meta`: sets damaged metadata aside.
//!
//! Not here: what is carried over (`cairn-store`).

use crate::{args::Globals, ask, report::Failure};
use cairn_runtime::{RealVfs, Vfs, blocking};
use cairn_store::Repo;
use std::{io::Write as _, process::ExitCode, sync::Arc};

pub(crate) async fn run(globals: &Globals) -> Result<ExitCode, Failure> {
    let path = ask::repo_path(globals)?;
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs);
    let reset = blocking(move || Repo::reset_meta(&vfs, &path)).await;
    let reset = reset.map_err(|error| Failure::Failed(error.to_string()))?;
    let mut out = std::io::stdout().lock();
    if let Some(aside) = reset.aside {
        writeln!(out, "the damaged metadata are in {} now", aside.display())?;
    }
    writeln!(out, "carried {} pins over", reset.pin_count)?;
    writeln!(
        out,
        "Pin again what is missing from `cairn pin ls` before the next `cairn repo gc`: what is \
         not pinned is garbage."
    )?;
    Ok(ExitCode::SUCCESS)
}
