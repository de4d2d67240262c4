//! `migrate`: takes over a Kubo repository.
//!
//! Not here: how (`cairn-migrate`).

use crate::{
    args::Globals,
    ask,
    report::{Failure, say},
    show::bar::Bar,
};
use cairn_migrate::{Event, MigrateError, MigrateOptions, Report, migrate, plan};
use cairn_node::config;
use cairn_rpc::{Request, escape};
use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

pub(crate) async fn run(request: &Request, globals: &Globals) -> Result<ExitCode, Failure> {
    let (from, to) = places(request, globals)?;
    let dry_run = request.flag("dry-run");
    let options = MigrateOptions {
        from: from.clone(),
        to: to.clone(),
        identity: request.flag("identity"),
        blocks_only: request.flag("blocks-only"),
        ignore_swarm_key: request.flag("ignore-swarm-key"),
        check: request.flag("check"),
    };
    let bar = std::io::stderr().is_terminal().then(|| Bar::new(None));
    let listener = move |event| show(&event, bar.as_ref());
    let work = async {
        if dry_run { plan(options, listener).await } else { migrate(options, listener).await }
    };
    let report = tokio::select! {
        report = Box::pin(work) => report,
        _ = tokio::signal::ctrl_c() => {
            say("what is copied stays; the same command goes on from there");
            return Err(Failure::Interrupted);
        }
    };
    let report = report.map_err(|error| failure(&error))?;
    summary(&report, &from, &to, dry_run, globals)?;
    Ok(if report.loss_count > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Where Kubo's repository and ours are.
///
/// `$IPFS_PATH` may mean either; it is ours unless it is the source.
fn places(request: &Request, globals: &Globals) -> Result<(PathBuf, PathBuf), Failure> {
    let failed = |error: config::ConfigError| Failure::Failed(error.to_string());
    let given = |name| request.text(name).map(|path| config::expand_home(Path::new(path)));
    let from = given("from").unwrap_or_else(config::kubo_repo_path).map_err(failed)?;
    if let Some(to) = given("to") {
        return Ok((from, to.map_err(failed)?));
    }
    let to = ask::repo_path(globals)?;
    let same =
        to == from || matches!((to.canonicalize(), from.canonicalize()), (Ok(a), Ok(b)) if a == b);
    if same && globals.repo_dir.is_none() {
        return Ok((from, config::own_repo_path().map_err(failed)?));
    }
    Ok((from, to))
}

fn show(event: &Event, bar: Option<&Bar>) {
    let line = |text: &str| match bar {
        Some(bar) => bar.suspend(|| say(&escape(text))),
        None => say(&escape(text)),
    };
    match event {
        Event::Blocks(progress) => {
            if let Some(bar) = bar {
                if let Some(total) = progress.total_len {
                    bar.set_len(total);
                }
                bar.set(progress.len);
                bar.note(format!("{} blocks", progress.count));
            }
        }
        Event::Checked(count) => {
            if let Some(bar) = bar {
                bar.note(format!("{count} blocks checked"));
            }
        }
        Event::Lost(loss) => line(&format!("lost: {loss}")),
        Event::Note(text) => line(&format!("note: {text}")),
        _ => {}
    }
}

fn failure(error: &MigrateError) -> Failure {
    let text = error.to_string();
    Failure::Failed(match error {
        MigrateError::Target(_) => {
            format!("{text}\nWhat is copied stays; the same command goes on from there")
        }
        _ => text,
    })
}

fn summary(
    report: &Report,
    from: &Path,
    to: &Path,
    dry_run: bool,
    globals: &Globals,
) -> Result<(), Failure> {
    for (key, reason) in &report.config_left_out {
        say(&escape(&format!("config: {key} is left out: {reason}")));
    }
    if report.target_existed {
        say(&format!("note: {} was there already: its config and identity stay", to.display()));
    }
    let mut out = std::io::stdout().lock();
    let done = if dry_run { "would migrate" } else { "migrated" };
    writeln!(out, "{done} {} to {}", from.display(), to.display())?;
    if dry_run {
        writeln!(out, "blocks    {}", report.block_count)?;
    } else {
        let (count, len, present) = (report.block_count, report.block_len, report.present_count);
        writeln!(out, "blocks    {count} copied ({len} bytes), {present} were there already")?;
    }
    let (recursive, direct) = (report.recursive_count, report.direct_count);
    writeln!(out, "pins      {recursive} recursive, {direct} direct")?;
    if let Some(root) = &report.mfs_root {
        writeln!(out, "mfs root  {root}")?;
    }
    writeln!(out, "keys      {}", report.key_count)?;
    if !report.peer_id.is_empty() {
        writeln!(out, "identity  {}", report.peer_id)?;
    }
    if report.loss_count > 0 {
        writeln!(out, "lost      {}, each named above", report.loss_count)?;
    }
    if !dry_run {
        let usual = ask::repo_path(globals).is_ok_and(|path| path == to);
        let program = &globals.program;
        let whole = std::path::absolute(to).unwrap_or_else(|_| to.to_owned());
        let before = format!("CAIRN_PATH={} ", whole.display());
        let before = if usual { "" } else { &before };
        writeln!(out, "start it with: {before}{program} daemon")?;
    }
    Ok(())
}
