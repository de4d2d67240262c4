//! A migration from its beginning to its end.
//!
//! The order is what makes it safe to interrupt: the target with its config, then blocks, then
//! keys, then what refers to blocks.
//! Not here: the single steps.

use crate::{
    MigrateError,
    blocks::{self, Listener},
    check::Check,
    keys,
    pins::{self, Metadata},
    report::{Event, Report},
    source::{Leave, Source},
    swarm_key,
};
use cairn_node::{InitOptions, Node, OpenOptions, config};
use cairn_runtime::{RealVfs, blocking};
use cairn_store::{Repo, RepoKind};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What to take over, and where to.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one flag of the command line each")]
pub struct MigrateOptions {
    /// Kubo's repository.
    pub from: PathBuf,
    /// The target, made if it is not there.
    pub to: PathBuf,
    /// Take over the node's own key, too; two nodes must never run with one key.
    pub identity: bool,
    /// Leave pins and the MFS root out.
    pub blocks_only: bool,
    /// Leave the key of its private network out.
    pub ignore_swarm_key: bool,
    /// Look whether everything that is pinned is there.
    pub check: bool,
}

/// Takes over everything.
///
/// Safe to cancel: the steps under way end by themselves, and the next run goes on from there.
///
/// # Errors
///
/// Any [`MigrateError`]. What is lost in the source already is no error: see
/// [`Report::loss_count`].
pub async fn migrate(
    options: MigrateOptions,
    listener: impl Fn(Event) + Send + Sync + 'static,
) -> Result<Report, MigrateError> {
    let listener: Listener = Arc::new(listener);
    let (source, metadata) = open_source(&options, &listener).await?;
    let mut opened = Report::default();
    let node = Box::pin(open_target(&source, &options, &mut opened)).await?;
    let taken = take_all(&source, metadata, &node, options.check, &listener).await;
    let closed = node.shutdown().await;
    let mut report = taken?;
    closed?;
    report.peer_id = opened.peer_id;
    report.target_existed = opened.target_existed;
    report.config_left_out = opened.config_left_out;
    if let Err(error) = blocking(move || source.check_unused()).await {
        let text = format!("{error}; run this again, because something may have been added");
        listener(Event::Note(text));
    }
    Ok(report)
}

/// Tells what [`migrate`] would take over. Reads no blocks and makes nothing.
///
/// # Errors
///
/// As [`migrate`].
pub async fn plan(
    options: MigrateOptions,
    listener: impl Fn(Event) + Send + Sync + 'static,
) -> Result<Report, MigrateError> {
    let listener: Listener = Arc::new(listener);
    let (source, metadata) = open_source(&options, &listener).await?;
    let counted = blocks::count(source.blocks(), &listener).await?;
    blocking(move || {
        let kind = Repo::detect(&RealVfs, &options.to)?;
        let adopted = config::adopt(source.config(), options.identity)?;
        let keys = keys::copy(&source.keystore(), None, &listener)?;
        let mut report = Report {
            target_existed: kind != RepoKind::Missing,
            block_count: counted.count,
            key_count: keys.count,
            config_left_out: adopted.left_out,
            loss_count: counted.loss_count + keys.loss_count,
            ..Report::default()
        };
        if let Some(metadata) = metadata {
            let pins = metadata.count(&listener)?;
            report.recursive_count = pins.recursive;
            report.direct_count = pins.direct;
            report.loss_count += pins.lost;
            report.mfs_root = metadata.mfs_root;
        }
        Ok(report)
    })
    .await
}

async fn open_source(
    options: &MigrateOptions,
    listener: &Listener,
) -> Result<(Source, Option<Metadata>), MigrateError> {
    let (options, listener) = (options.clone(), Arc::clone(listener));
    blocking(move || {
        let leave = Leave { pins: options.blocks_only, swarm_key: options.ignore_swarm_key };
        let source = Source::open(&options.from, leave)?;
        check_apart(&options.from, &options.to)?;
        let metadata = source.metadata().map(|dir| {
            let metadata = Metadata::open(dir, &listener)?;
            // What cannot be read should be known before hours of copying.
            metadata.roots(|_| Ok(()))?;
            Ok(metadata)
        });
        let metadata = metadata.transpose().map_err(|error| match error {
            MigrateError::Damaged { path, reason } => {
                let reason = format!("{reason}; --blocks-only leaves pins and MFS out");
                MigrateError::Damaged { path, reason }
            }
            error => error,
        })?;
        Ok((source, metadata))
    })
    .await
}

/// Opens the target, which is made with the source's config if it is not there.
async fn open_target(
    source: &Source,
    options: &MigrateOptions,
    report: &mut Report,
) -> Result<Node, MigrateError> {
    let path = options.to.clone();
    let kind = blocking(move || Repo::detect(&RealVfs, &path)).await?;
    if kind == RepoKind::Missing {
        let adopted = config::adopt(source.config(), options.identity)?;
        report.config_left_out = adopted.left_out;
        let init = InitOptions { config: Some(adopted.config), ..InitOptions::default() };
        cairn_node::init(&options.to, init).await?;
    } else {
        report.target_existed = true;
    }
    if let Some(key) = source.swarm_key() {
        let (key, to, is_new) = (key.to_vec(), options.to.clone(), !report.target_existed);
        blocking(move || swarm_key::take(&key, &to, is_new)).await?;
    }
    let open = OpenOptions { path: options.to.clone(), online: false, pubsub: false };
    let node = Box::pin(Node::open(open)).await?;
    report.peer_id = node.identity().peer_id().to_string();
    let wanted = source.config()["Identity"]["PeerID"].as_str().unwrap_or_default();
    if options.identity && wanted != report.peer_id {
        return Err(MigrateError::OtherIdentity {
            path: options.to.clone(),
            found: report.peer_id.clone(),
            wanted: wanted.to_owned(),
        });
    }
    Ok(node)
}

async fn take_all(
    source: &Source,
    metadata: Option<Metadata>,
    node: &Node,
    check: bool,
    listener: &Listener,
) -> Result<Report, MigrateError> {
    let copied = blocks::copy(source.blocks(), node.store(), listener).await?;
    let (from, to) = (source.keystore(), node.repo().keystore_path());
    let told = Arc::clone(listener);
    let keys = blocking(move || keys::copy(&from, Some(&to), &told)).await?;
    let mut report = Report {
        block_count: copied.count,
        block_len: copied.len,
        present_count: copied.present_count,
        key_count: keys.count,
        loss_count: copied.loss_count + keys.loss_count,
        ..Report::default()
    };
    let Some(metadata) = metadata else { return Ok(report) };
    let (node, listener) = (node.clone(), Arc::clone(listener));
    let taken = blocking(move || take_references(&metadata, &node, &listener, check)).await?;
    report.recursive_count = taken.recursive_count;
    report.direct_count = taken.direct_count;
    report.mfs_root = taken.mfs_root;
    report.loss_count += taken.loss_count;
    Ok(report)
}

/// Takes over what refers to blocks, and then looks whether they are all there. Blocking.
fn take_references(
    metadata: &Metadata,
    node: &Node,
    listener: &Listener,
    check: bool,
) -> Result<Report, MigrateError> {
    let repo = node.repo();
    let pins = metadata.take(repo.pins(), listener)?;
    let mut report = Report {
        recursive_count: pins.recursive,
        direct_count: pins.direct,
        loss_count: pins.lost,
        mfs_root: metadata.mfs_root.clone(),
        ..Report::default()
    };
    if let Some(root) = &metadata.mfs_root
        && !pins::set_mfs_root(repo.meta(), root)?
    {
        let text = format!("the target has another MFS root, which stays; Kubo's is {root}");
        listener(Event::Note(text));
    }
    if check {
        let mut check = Check::new(node.store(), listener);
        metadata.roots(|root| check.root(root))?;
        report.loss_count += check.finish();
    }
    Ok(report)
}

/// That neither directory lies in the other.
fn check_apart(from: &Path, to: &Path) -> Result<(), MigrateError> {
    let from =
        fs::canonicalize(from).map_err(|source| MigrateError::io("look at", from, source))?;
    let to = canonical(to);
    if from.starts_with(&to) || to.starts_with(&from) {
        return Err(MigrateError::SamePlace { source_path: from, target: to });
    }
    Ok(())
}

/// The path without symlinks, as far as it is there.
fn canonical(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for ancestor in absolute.ancestors() {
        if let Ok(real) = fs::canonicalize(ancestor)
            && let Ok(rest) = absolute.strip_prefix(ancestor)
        {
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    absolute
}
