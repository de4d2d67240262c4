//! Which keys are to be announced, by `Provide.Strategy`.
//!
//! Invariant: a DAG that is not whole costs what cannot be found of it, and not the rest.

use crate::{
    Blocks, NodeError,
    blocks::Reach,
    config::ProvideStrategy,
    mfs::{Mfs, committed_root},
};
use cairn_block::{BlockStore as _, Cid};
use cairn_dag::WalkOptions;
use cairn_network::ProvideKeys;
use cairn_runtime::blocking;
use cairn_store::{PinKind, Repo};
use futures::StreamExt as _;
use std::{pin::pin, sync::Arc};
use tracing::debug;

/// Leaves looked for at once.
const BATCH_LEN: usize = 256;

/// Lists the keys of the window that begins with `part`.
pub(super) async fn gather(
    repo: &Arc<Repo>,
    mfs: &Arc<Mfs>,
    strategy: ProvideStrategy,
    part: u16,
) -> Result<ProvideKeys, NodeError> {
    let mut keys = ProvideKeys::from_part(part);
    match strategy {
        ProvideStrategy::All => {
            let repo = Arc::clone(repo);
            keys = blocking(move || {
                for block in repo.store().list() {
                    keys.push(&block?.0);
                }
                Ok::<_, NodeError>(keys)
            })
            .await?;
        }
        ProvideStrategy::Roots => {
            for cid in pinned(repo, None).await? {
                keys.push(cid.multihash());
            }
        }
        _ => {
            let mut roots = Vec::new();
            if strategy.has_pinned() {
                for cid in pinned(repo, Some(PinKind::Direct)).await? {
                    keys.push(cid.multihash());
                }
                roots = pinned(repo, Some(PinKind::Recursive)).await?;
            }
            if strategy.has_mfs() {
                // What is committed is what stays.
                let (repo, mfs) = (Arc::clone(repo), Arc::clone(mfs));
                let root = blocking(move || {
                    mfs.flush()?;
                    committed_root(&repo)
                });
                roots.extend(root.await?);
            }
            walk(repo, &roots, &mut keys).await;
        }
    }
    blocking(move || {
        keys.finish();
        Ok(keys)
    })
    .await
}

async fn pinned(repo: &Arc<Repo>, kind: Option<PinKind>) -> Result<Vec<Cid>, NodeError> {
    let pins = repo.pins().clone();
    blocking(move || {
        let mut cids = Vec::new();
        for page in pins.list(kind) {
            cids.extend(page?.into_iter().map(|pin| pin.cid));
        }
        Ok(cids)
    })
    .await
}

/// Adds everything below `roots` that is here.
async fn walk(repo: &Arc<Repo>, roots: &[Cid], keys: &mut ProvideKeys) {
    let blocks = Blocks::new(repo.store().clone(), Reach::Local);
    let options = WalkOptions { skip_leaves: true, ..WalkOptions::default() };
    let visits = cairn_dag::walk(blocks.clone(), roots, options);
    let mut batches = pin!(visits.ready_chunks(BATCH_LEN));
    while let Some(batch) = batches.next().await {
        // Leaves are not read, so they may be elsewhere.
        let mut leaves = Vec::new();
        for visit in batch {
            match visit {
                Ok(visit) if visit.block.is_none() => leaves.push(visit.cid),
                Ok(visit) => keys.push(visit.cid.multihash()),
                Err(error) => debug!(%error, "not announced"),
            }
        }
        let here = blocks.has_many(&leaves).await.unwrap_or_default();
        for (cid, _) in leaves.iter().zip(here).filter(|(_, here)| *here) {
            keys.push(cid.multihash());
        }
    }
}
