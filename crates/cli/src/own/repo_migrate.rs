//! `repo migrate`: brings the repository to another version of our own format.
//!
//! Opening a repository of an older format is all that it takes, so every other command does it,
//! too; going back is not possible.
//! Not here: Kubo's repositories (`migrate.rs`).

use crate::{args::Globals, ask, report::Failure};
use cairn_node::REPO_VERSION;
use cairn_rpc::Request;
use cairn_runtime::RealVfs;
use cairn_store::{OpenOptions, Repo, RepoError, RepoKind};
use std::{io::Write as _, process::ExitCode, sync::Arc};

pub(crate) fn run(request: &Request, globals: &Globals) -> Result<ExitCode, Failure> {
    let path = ask::repo_path(globals)?;
    let failed = |error: RepoError| Failure::Failed(error.to_string());
    let found = match Repo::detect(&RealVfs, &path).map_err(failed)? {
        RepoKind::Missing => return Err(failed(RepoError::Missing { path })),
        RepoKind::Kubo => return Err(failed(RepoError::Kubo { path })),
        RepoKind::Cairn(found) if found > REPO_VERSION => {
            return Err(failed(RepoError::Newer { path, found }));
        }
        RepoKind::Cairn(found) => found,
    };
    let wanted = request.int("to").unwrap_or_else(|| REPO_VERSION.cast_signed());
    if u64::try_from(wanted) != Ok(REPO_VERSION) {
        let text =
            format!("format {wanted} cannot be made: this program writes format {REPO_VERSION}");
        return Err(Failure::Failed(text));
    }
    let done = if found < REPO_VERSION {
        drop(Repo::open(Arc::new(RealVfs), &path, OpenOptions::default()).map_err(failed)?);
        format!("had format {found} and has format {REPO_VERSION} now")
    } else {
        format!("has format {found}: nothing to do")
    };
    writeln!(std::io::stdout().lock(), "the repository at {} {done}", path.display())?;
    Ok(ExitCode::SUCCESS)
}
