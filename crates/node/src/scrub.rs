//! Scrubs in the background: all blocks are read and hashed once a period, and corrupt ones are
//! healed, while the node does what it is there for.
//!
//! How far a scrub is stands in the metadata, one small commit every few hundred MiB, so that a
//! restart costs no more than that.
//!
//! Invariants: one scrub at a time; reading takes no more than its rate, and never more than half
//! of the time, so that others find the disk free; without anything to do the task sleeps for
//! [`SLEEP_MAX`]. Metadata that cannot be used stops no scrub.
//! Not here: reading and hashing (`cairn-store`), all at once (`verify.rs`).

mod record;

#[cfg(feature = "fuzz")]
pub(crate) use record::fuzz as record_fuzz;

pub(crate) use record::Record;

use crate::{Node, NodeError, config::Settings, heal};
use cairn_block::{Cid, codec};
use cairn_network::Network;
use cairn_runtime::{Clock, blocking};
use cairn_store::{Meta, Pins, ScrubPosition, ScrubStep, Store};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tracing::{info, warn};

/// Longest sleep of the idle task: clocks are set and laptops wake up.
const SLEEP_MAX: Duration = Duration::from_hours(1);

/// Bytes read between two notes of the position (256 MiB).
const NOTE_LEN: u64 = 256 * 1024 * 1024;

/// How long peers may be silent before a batch of corrupt blocks is left for later.
const HEAL_PATIENCE: Duration = Duration::from_secs(30);

/// Most corrupt blocks that are asked for again at a time.
const HEAL_COUNT_MAX: usize = 1024;

/// Section `Cairn.Scrub` of the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScrubSettings {
    /// From the end of one scrub to the start of the next; zero means never by itself.
    pub period: Duration,
    /// Most bytes read in a second; zero means no limit.
    pub rate: u64,
    /// Whether corrupt blocks are fetched from peers.
    pub heal: bool,
}

/// How a scrub is doing, or how the last one ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScrubStatus {
    /// Whether one is running now.
    pub is_running: bool,
    /// Whether one was begun and is not at its end.
    pub is_begun: bool,
    /// When it began.
    pub started: Option<SystemTime>,
    /// When the last one came to its end.
    pub finished: Option<SystemTime>,
    /// Bytes of packs that are behind it.
    pub done_len: u64,
    /// Bytes of all packs.
    pub total_len: u64,
    /// Blocks looked at.
    pub block_count: u64,
    /// Corrupt ones among them.
    pub corrupt_count: u64,
    /// Corrupt ones that were healed.
    pub healed_count: u64,
}

/// What scrubs, and what it knows; one a node.
#[derive(Debug)]
pub(crate) struct Scrubber {
    store: Store,
    meta: Meta,
    pins: Pins,
    network: Option<Network>,
    clock: Clock,
    settings: ScrubSettings,
    /// One scrub at a time.
    turn: tokio::sync::Mutex<()>,
    record: Mutex<Option<Record>>,
    status: watch::Sender<ScrubStatus>,
    rate: AtomicU64,
    wanted: AtomicBool,
    stop: AtomicBool,
    wake: Notify,
    /// Ends a pause between two steps.
    hurry: Notify,
    has_keeper: AtomicBool,
}

impl Node {
    /// Scrubs whenever it is time, or somebody asks, until the node stops. For daemons.
    pub fn scrub_in_background(&self) {
        let scrubber = Arc::clone(self.scrubber());
        if !scrubber.has_keeper.swap(true, Ordering::SeqCst) {
            self.tasks().spawn("scrub", async move { scrubber.keep().await });
        }
    }

    /// Begins a scrub, or goes on with one that was stopped, at `rate` bytes a second if given.
    ///
    /// In a daemon this returns once its beginning is written down, so that the next start goes
    /// on with it; elsewhere it returns at the end of the scrub. One that is running takes the
    /// new rate.
    ///
    /// # Errors
    ///
    /// [`NodeError::Store`] if the disk refuses.
    pub async fn scrub_start(&self, rate: Option<u64>) -> Result<(), NodeError> {
        let scrubber = self.scrubber();
        scrubber.rate.store(rate.unwrap_or(scrubber.settings.rate), Ordering::SeqCst);
        if scrubber.status.borrow().is_running {
            scrubber.hurry.notify_one();
            return Ok(());
        }
        scrubber.stop.store(false, Ordering::SeqCst);
        scrubber.load().await;
        if scrubber.has_keeper.load(Ordering::SeqCst) {
            scrubber.begin();
            scrubber.save().await;
            scrubber.tell(true);
            scrubber.wanted.store(true, Ordering::SeqCst);
            scrubber.wake.notify_one();
            return Ok(());
        }
        scrubber.run().await
    }

    /// Stops the scrub that is running, within one step; its place is kept.
    pub fn scrub_stop(&self) {
        let scrubber = self.scrubber();
        scrubber.wanted.store(false, Ordering::SeqCst);
        if scrubber.status.borrow().is_running {
            scrubber.stop.store(true, Ordering::SeqCst);
            scrubber.hurry.notify_one();
        }
    }

    /// How the scrub is doing, now and from now on.
    pub async fn scrub_status(&self) -> watch::Receiver<ScrubStatus> {
        self.scrubber().load().await;
        self.scrubber().status.subscribe()
    }
}

impl Scrubber {
    pub(crate) fn new(
        (store, meta, pins): (Store, Meta, Pins),
        network: Option<Network>,
        clock: Clock,
        settings: &Settings,
    ) -> Result<Self, crate::ConfigError> {
        let settings = settings.scrub()?;
        Ok(Self {
            store,
            meta,
            pins,
            network,
            clock,
            settings,
            turn: tokio::sync::Mutex::default(),
            record: Mutex::default(),
            status: watch::Sender::default(),
            rate: AtomicU64::new(settings.rate),
            wanted: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            wake: Notify::new(),
            hurry: Notify::new(),
            has_keeper: AtomicBool::new(false),
        })
    }

    /// The daemon's task.
    async fn keep(&self) {
        self.load().await;
        let mut resumes = self.peek(|record| record.position.is_some() && !record.is_stopped);
        loop {
            self.remove_expired_pins().await;
            let mut pause = SLEEP_MAX;
            if self.wanted.swap(false, Ordering::SeqCst) || resumes || self.is_due() {
                if let Err(error) = self.run().await {
                    warn!(%error, "the scrub broke off");
                }
            } else {
                pause = self.until_due().min(SLEEP_MAX);
            }
            self.status.send_modify(|status| status.is_running = false);
            resumes = false;
            let idle = async {
                self.heal_again().await;
                sleep(pause).await;
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = idle => self.note_first_period().await,
            }
        }
    }

    /// Reads what the last process left, once.
    async fn load(&self) {
        // Whoever scrubs has the turn for long, and has loaded before.
        if self.lock_record().is_some() {
            return;
        }
        let _turn = self.turn.lock().await;
        if self.lock_record().is_some() {
            return;
        }
        let (meta, store) = (self.meta.clone(), self.store.clone());
        let record = blocking(move || {
            let record = Record::load(&meta);
            // Reading a block that is still corrupt makes the store know it again.
            let cid = |hash: &cairn_block::Multihash| Cid::v1(codec::RAW, hash.clone());
            drop(store.read_many(&record.unhealed.iter().map(cid).collect::<Vec<_>>()));
            record
        });
        let record = record.await;
        self.status.send_replace(record.status());
        *self.lock_record() = Some(record);
    }

    fn lock_record(&self) -> std::sync::MutexGuard<'_, Option<Record>> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn peek<T>(&self, look: impl FnOnce(&mut Record) -> T) -> T {
        look(self.lock_record().get_or_insert_default())
    }

    fn until_due(&self) -> Duration {
        let due = self.peek(|record| record.due).filter(|_| !self.settings.period.is_zero());
        due.map_or(SLEEP_MAX, |due| due.duration_since(self.clock.now()).unwrap_or_default())
    }

    fn is_due(&self) -> bool {
        self.until_due().is_zero()
    }

    /// A node that has never scrubbed does so a period after its first hour.
    async fn note_first_period(&self) {
        if self.settings.period.is_zero() || self.peek(|record| record.due.is_some()) {
            return;
        }
        let due = self.clock.now() + self.settings.period;
        self.peek(|record| record.due = Some(due));
        self.save().await;
    }

    /// Writes down how far it is; metadata that cannot be written is no reason to stop.
    async fn save(&self) {
        let unhealed = self.store.corrupt(HEAL_COUNT_MAX);
        let record = self.peek(|record| {
            record.unhealed = unhealed;
            record.clone()
        });
        let meta = self.meta.clone();
        if let Err(error) = blocking(move || record.save(&meta)).await {
            warn!(%error, "the scrub's position was not written down");
        }
    }

    /// Notes that a scrub is under way; returns where it goes on.
    fn begin(&self) -> Option<ScrubPosition> {
        let now = self.clock.now();
        self.peek(|record| {
            if record.position.is_none() {
                record.begin(now);
            }
            record.is_stopped = false;
            record.position
        })
    }

    /// Scrubs to the end, or until it is stopped.
    async fn run(&self) -> Result<(), NodeError> {
        let _turn = self.turn.lock().await;
        let from = self.begin();
        self.save().await;
        self.tell(true);
        info!(?from, "scrubbing");
        let mut scrub = self.store.scrub(from);
        let mut unsaved_len = 0;
        loop {
            if self.stop.swap(false, Ordering::SeqCst) {
                self.peek(|record| record.is_stopped = true);
                break;
            }
            let before = self.clock.monotonic();
            let (step, again) = blocking(move || (scrub.step(), scrub)).await;
            scrub = again;
            let took = self.clock.monotonic().duration_since(before);
            let Some(step) = step? else {
                let end = self.clock.now();
                self.peek(|record| record.finish(end, self.settings.period));
                break;
            };
            unsaved_len += step.read_len;
            let read_len = step.read_len;
            self.deal_with(step).await?;
            let (done_len, total_len) = (scrub.done_len(), scrub.total_len());
            let position = scrub.position();
            self.peek(|record| {
                record.position = position.or(record.position);
                (record.done_len, record.total_len) = (done_len, total_len);
            });
            self.tell(true);
            if unsaved_len >= NOTE_LEN {
                unsaved_len = 0;
                self.save().await;
            }
            self.pause(read_len, took).await;
        }
        self.save().await;
        self.tell(false);
        Ok(())
    }

    /// Leaves the disk to others for as long as the rate asks, and as long as it was used.
    async fn pause(&self, read_len: u64, took: Duration) {
        let rate = self.rate.load(Ordering::SeqCst);
        if rate == 0 {
            return;
        }
        let micros = u128::from(read_len) * 1_000_000 / u128::from(rate);
        let whole = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        let pause = whole.saturating_sub(took).max(took);
        drop(timeout(pause, self.hurry.notified()).await);
    }

    fn tell(&self, is_running: bool) {
        let status = self.peek(|record| record.status());
        self.status.send_replace(ScrubStatus { is_running, ..status });
    }

    async fn deal_with(&self, step: ScrubStep) -> Result<(), NodeError> {
        let corrupt = step.corrupt;
        for corrupt in &corrupt {
            let (path, offset, kind) = (corrupt.path.display(), corrupt.offset, corrupt.kind);
            let hash = corrupt.hash.as_ref().map(|hash| Cid::v1(codec::RAW, hash.clone()));
            let cid = hash.map_or_else(|| "unknown".to_owned(), |cid| cid.to_string());
            warn!(%path, offset, cid, "a block is corrupt: {kind}");
        }
        let mut healed_count = 0;
        if self.settings.heal && !corrupt.is_empty() {
            let network = self.network.as_ref();
            let healed = heal::heal(&self.store, network, &corrupt, Some(HEAL_PATIENCE)).await?;
            healed_count = healed.iter().filter(|healed| healed.is_none()).count() as u64;
        }
        self.peek(|record| {
            record.block_count += step.block_count;
            record.corrupt_count += corrupt.len() as u64;
            record.healed_count += healed_count;
        });
        Ok(())
    }

    /// Asks once more for what nobody had, and for what was met since.
    async fn heal_again(&self) {
        let hashes = self.store.corrupt(HEAL_COUNT_MAX);
        if !self.settings.heal || self.network.is_none() || hashes.is_empty() {
            return;
        }
        let network = self.network.as_ref();
        match heal::fetch(&self.store, network, hashes, Some(HEAL_PATIENCE)).await {
            Ok(healed) => {
                let count = healed.iter().filter(|healed| healed.is_none()).count() as u64;
                if count > 0 {
                    info!(count, "healed corrupt blocks");
                    self.peek(|record| record.healed_count += count);
                    let store = self.store.clone();
                    drop(blocking(move || store.flush()).await);
                    self.save().await;
                }
            }
            Err(error) => warn!(%error, "corrupt blocks were not healed"),
        }
    }

    async fn remove_expired_pins(&self) {
        let pins = self.pins.clone();
        match blocking(move || pins.remove_expired()).await {
            Ok(0) => {}
            Ok(count) => info!(count, "removed expired pins"),
            Err(error) => warn!(%error, "expired pins were not removed"),
        }
    }
}
