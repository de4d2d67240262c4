//! `repo migrate`: brings the repository to another version of our own format.
//!
//! There has been one version so far, so there is nothing to do but to say so.
//! Not here: Kubo's repositories (`migrate.rs`).

use crate::{args::Globals, ask, report::Failure};
use cairn_node::REPO_VERSION;
use cairn_rpc::Request;
use cairn_runtime::RealVfs;
use cairn_store::{Repo, RepoError, RepoKind};
use std::{io::Write as _, process::ExitCode};

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
            format!("there is no format {wanted}: this program knows format {REPO_VERSION} only");
        return Err(Failure::Failed(text));
    }
    writeln!(
        std::io::stdout().lock(),
        "the repository at {} has format {found}: nothing to do",
        path.display()
    )?;
    Ok(ExitCode::SUCCESS)
}
