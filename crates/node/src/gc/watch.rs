//! Collects by itself, when the repository is nearly full or the disk is.
//!
//! Invariant: an idle node wakes once a minute for one question to the file system, and no
//! more; a collection that could free nothing is not repeated before a period has passed.
//! Not here: the collection (`gc.rs`).

use super::collect;
use crate::{
    Node, NodeError,
    config::{GcSettings, Settings},
    mfs::Mfs,
};
use cairn_runtime::{Clock, blocking};
use cairn_store::{Repo, Swept};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often the free space is looked at.
const LOOK_PERIOD: Duration = Duration::from_mins(1);

/// What the watch remembers.
struct Watch {
    repo: Arc<Repo>,
    mfs: Arc<Mfs>,
    settings: GcSettings,
    clock: Clock,
    stop: CancellationToken,
    /// When the size was looked at, and when a collection ran for want of free space.
    sized: Instant,
    freed: Option<Instant>,
}

impl Node {
    /// From now on collects garbage when the disk has less than `Cairn.GC.MinFree` left, and, if
    /// `by_size`, each `Datastore.GCPeriod` in which the repository is larger than
    /// `Datastore.StorageGCWatermark` percent of `Datastore.StorageMax`. Ends with the node.
    ///
    /// # Errors
    ///
    /// [`NodeError::Config`] naming a key that cannot be understood.
    pub fn collect_when_needed(&self, by_size: bool) -> Result<(), NodeError> {
        let mut settings = self.config().read(Settings::gc)?;
        if !by_size {
            settings.period = None;
        }
        let clock = self.clock().clone();
        let watch = Watch {
            repo: Arc::clone(self.shared_repo()),
            mfs: Arc::clone(self.mfs()),
            settings,
            sized: clock.monotonic(),
            freed: None,
            clock,
            stop: self.shutdown_requested(),
        };
        if watch.settings.period.is_some() || watch.settings.min_free > 0 {
            self.tasks().spawn("gc", watch.run());
        }
        Ok(())
    }
}

impl Watch {
    async fn run(mut self) {
        loop {
            sleep(LOOK_PERIOD.min(self.settings.period.unwrap_or(LOOK_PERIOD))).await;
            let now = self.clock.monotonic();
            match self.reason(now).await {
                Ok(Some(reason)) => self.collect(reason).await,
                Ok(None) => {}
                Err(error) => warn!(%error, "could not measure the repository"),
            }
        }
    }

    /// Why to collect now, if there is a reason.
    async fn reason(&mut self, now: Instant) -> Result<Option<&'static str>, NodeError> {
        let repo = Arc::clone(&self.repo);
        let free = blocking(move || repo.free_len()).await?;
        let rested = self.freed.is_none_or(|freed| now - freed >= self.settings.rest());
        if rested && free.is_some_and(|free| free < self.settings.min_free) {
            self.freed = Some(now);
            return Ok(Some("the disk is nearly full"));
        }
        if self.settings.period.is_none_or(|period| now - self.sized < period) {
            return Ok(None);
        }
        self.sized = now;
        let repo = Arc::clone(&self.repo);
        let stat = blocking(move || repo.stat()).await?;
        let over = stat.disk_len > self.settings.size_max;
        Ok(over.then_some("the repository is over its watermark"))
    }

    async fn collect(&mut self, reason: &str) {
        info!(reason, "collecting garbage");
        let (mfs, stop) = (Arc::clone(&self.mfs), self.stop.clone());
        match blocking(move || collect(&mfs, None, stop)).await {
            Ok(Swept { block_count, freed_len, copied_len, .. }) => {
                let freed_len = freed_len.saturating_sub(copied_len);
                info!(block_count, freed_len, "collected garbage");
            }
            Err(NodeError::Collecting | NodeError::Cancelled) => {}
            Err(error) => warn!(%error, "could not collect garbage"),
        }
    }
}
