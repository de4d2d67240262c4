//! Announcing what is here: new roots at once, everything again before others forget it.
//!
//! New roots wait in a queue of their own and are announced within a second or so. Beside that a
//! *round* goes through the keyspace, part by part, so that each key is announced once in
//! `Provide.DHT.Interval`. Where the round is stands in the metadata, so a restart goes on there;
//! what fell behind meanwhile is caught up without pauses. The first round of a repository has
//! no pauses at all, since nothing of it has been announced yet.
//!
//! Invariants: at most [`QUEUE_LEN`] roots wait; keys are held in windows
//! ([`cairn_network::PROVIDE_KEYS_MAX`]); nothing here is waited for by who adds or pins.
//! Not here: who is told (`cairn-network`), which keys there are (`provide/keys.rs`).

mod keys;
mod stat;

use crate::{
    NodeError,
    config::{ProvideSettings, ProvideStrategy},
    mfs::Mfs,
};
use cairn_block::Cid;
use cairn_network::{Network, PROVIDE_PARTS, ProvideKeys, Routing, Swept};
use cairn_runtime::{Clock, blocking};
use cairn_store::Repo;
use futures::StreamExt as _;
pub use stat::{ProvideRound, ProvideStat};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{
        Mutex as AsyncMutex, Notify,
        mpsc::{self, error::TrySendError},
    },
    time::sleep,
};
use tracing::{debug, warn};

/// New roots that may wait.
const QUEUE_LEN: usize = 16_384;

/// New roots announced at once.
const ROOTS_AT_ONCE: usize = 4;

/// How often it is looked whether there is anybody to tell.
const PEERS_INTERVAL: Duration = Duration::from_secs(1);

/// How long a part that failed is left alone.
const RETRY_DELAY: Duration = Duration::from_secs(30);

/// Where the round stands in the metadata: when it began, in seconds, and the next part.
const ROUND_KEY: &str = "provide/round";

/// What announces; shared by the node and its tasks.
#[derive(Debug)]
pub(crate) struct Provider {
    repo: Arc<Repo>,
    mfs: Arc<Mfs>,
    routing: Routing,
    settings: ProvideSettings,
    clock: Clock,
    roots: mpsc::Sender<Cid>,
    waiting: AsyncMutex<mpsc::Receiver<Cid>>,
    arrived: Notify,
    state: Mutex<ProvideStat>,
}

/// When a round began, and what is next in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Round {
    began: SystemTime,
    next: u16,
    /// Whether it waits for each part's time.
    is_paced: bool,
}

impl Provider {
    pub(crate) fn new(
        (repo, mfs): (Arc<Repo>, Arc<Mfs>),
        network: &Network,
        settings: ProvideSettings,
        clock: Clock,
    ) -> Self {
        let (roots, waiting) = mpsc::channel(QUEUE_LEN);
        let routing = network.routing().clone();
        let state = Mutex::new(ProvideStat::new(settings));
        let (waiting, arrived) = (AsyncMutex::new(waiting), Notify::new());
        Self { repo, mfs, routing, settings, clock, roots, waiting, arrived, state }
    }

    /// Announces new roots soon, if the strategy wants them.
    pub(crate) fn announce(&self, roots: &[Cid], are_pinned: bool) {
        let is_wanted = match self.settings.strategy {
            ProvideStrategy::All => true,
            ProvideStrategy::Mfs => false,
            _ => are_pinned,
        };
        for root in roots.iter().filter(|_| is_wanted) {
            match self.roots.try_send(root.clone()) {
                Ok(()) => self.arrived.notify_one(),
                Err(TrySendError::Full(_)) => self.state().roots_dropped += 1,
                Err(TrySendError::Closed(_)) => debug!("announcing has stopped"),
            }
        }
    }

    /// Takes all roots that wait out of the queue; returns how many.
    pub(crate) async fn clear(&self) -> u64 {
        let mut count = 0;
        // Whoever announces holds it only while taking one.
        let mut waiting = self.waiting.lock().await;
        while waiting.try_recv().is_ok() {
            count += 1;
        }
        count
    }

    pub(crate) fn stat(&self) -> ProvideStat {
        let mut stat = self.state().clone();
        stat.roots_waiting = (self.roots.max_capacity() - self.roots.capacity()) as u64;
        stat.at(self.clock.now());
        stat
    }

    /// Announces new roots as they come, for ever.
    pub(crate) async fn announce_roots(self: Arc<Self>) {
        let taken = futures::stream::unfold(Arc::clone(&self), |provider| async move {
            let root = loop {
                // Not held while waiting, so that the queue can be cleared.
                let taken = provider.waiting.lock().await.try_recv();
                match taken {
                    Ok(root) => break root,
                    Err(mpsc::error::TryRecvError::Empty) => provider.arrived.notified().await,
                    Err(mpsc::error::TryRecvError::Disconnected) => return None,
                }
            };
            Some((root, provider))
        });
        taken
            .for_each_concurrent(ROOTS_AT_ONCE, |root| {
                let provider = Arc::clone(&self);
                async move { provider.announce_now(root).await }
            })
            .await;
    }

    async fn announce_now(&self, root: Cid) {
        self.wait_for_peers().await;
        let told = self.routing.provide(&root, None).await;
        let mut state = self.state();
        match told {
            Ok(_) => state.roots_announced += 1,
            Err(error) => {
                state.roots_failed += 1;
                debug!(%root, %error, "not announced; the next round tries again");
            }
        }
    }

    /// Goes round the keyspace, for ever.
    pub(crate) async fn go_round(self: Arc<Self>) {
        let Some(interval) = self.settings.interval else { return };
        let mut round = self.restore().await;
        loop {
            self.wait_for_peers().await;
            round = self.finish_round(round, interval).await;
        }
    }

    /// Does what is left of a round; returns the next one.
    async fn finish_round(&self, mut round: Round, interval: Duration) -> Round {
        let mut keys: Option<ProvideKeys> = None;
        while round.next < PROVIDE_PARTS {
            self.state().round = Some(round.shown(interval));
            if round.is_paced {
                let due = round.due(round.next, interval);
                let early = due.duration_since(self.clock.now()).unwrap_or_default();
                sleep(early).await;
            }
            if keys.as_ref().is_none_or(|keys| !keys.covers(round.next)) {
                match self.gather(round.next).await {
                    Ok(gathered) => keys = Some(gathered),
                    Err(error) => {
                        warn!(%error, "could not list what is to be announced");
                        sleep(RETRY_DELAY).await;
                        continue;
                    }
                }
            }
            let Some(gathered) = &keys else { continue };
            match self.routing.sweep(gathered, round.next).await {
                Ok(swept) => self.state().count(&swept),
                Err(error) => {
                    debug!(part = round.next, %error, "a part could not be announced");
                    sleep(RETRY_DELAY).await;
                    continue;
                }
            }
            round.next += 1;
            self.save(round).await;
        }
        let now = self.clock.now();
        self.state().end_round(now);
        // The parts keep their times, unless the round took longer than it may.
        let next = round.began + interval;
        let began = if next + interval < now { now } else { next };
        let began = if round.is_paced { began } else { now + interval / 2 };
        Round { began, next: 0, is_paced: true }
    }

    /// Announces everything once, now.
    pub(crate) async fn reprovide(&self) -> Result<Swept, NodeError> {
        let mut total = Swept::default();
        let mut keys = self.gather(0).await?;
        for part in 0..PROVIDE_PARTS {
            if !keys.covers(part) {
                keys = self.gather(part).await?;
            }
            let swept = self.routing.sweep(&keys, part).await?;
            total += swept;
        }
        Ok(total)
    }

    async fn wait_for_peers(&self) {
        while !self.routing.has_peers() {
            sleep(PEERS_INTERVAL).await;
        }
    }

    async fn gather(&self, part: u16) -> Result<ProvideKeys, NodeError> {
        let keys = keys::gather(&self.repo, &self.mfs, self.settings.strategy, part).await?;
        self.state().keys = keys.len() as u64;
        Ok(keys)
    }

    /// Where the last run was, if the config wants that.
    async fn restore(&self) -> Round {
        let fresh = Round { began: self.clock.now(), next: 0, is_paced: false };
        if !self.settings.resume {
            return fresh;
        }
        let repo = Arc::clone(&self.repo);
        let kept = blocking(move || repo.meta().get(ROUND_KEY)).await;
        match kept {
            Ok(kept) => kept.as_deref().and_then(Round::decode).unwrap_or(fresh),
            Err(error) => {
                debug!(%error, "the round begins anew");
                fresh
            }
        }
    }

    async fn save(&self, round: Round) {
        // Without pauses each part is quickly done again: only every tenth is worth a commit.
        if !round.is_paced && !round.next.is_multiple_of(10) && round.next < PROVIDE_PARTS {
            return;
        }
        let repo = Arc::clone(&self.repo);
        let values = vec![(ROUND_KEY.to_owned(), Some(round.encode()))];
        if let Err(error) = blocking(move || repo.meta().set(values)).await {
            debug!(%error, "the round's place is not kept");
        }
    }

    fn state(&self) -> MutexGuard<'_, ProvideStat> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Round {
    /// When a part's turn comes.
    fn due(self, part: u16, interval: Duration) -> SystemTime {
        self.began + interval * u32::from(part) / u32::from(PROVIDE_PARTS)
    }

    fn shown(self, interval: Duration) -> ProvideRound {
        let due = if self.is_paced { Some(self.due(self.next, interval)) } else { None };
        ProvideRound { began: self.began, next: self.next, due, lag: Duration::ZERO }
    }

    fn encode(self) -> Vec<u8> {
        let began = self.began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut bytes = began.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.next.to_le_bytes());
        bytes.push(u8::from(self.is_paced));
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (began, rest) = bytes.split_first_chunk::<8>()?;
        let (next, rest) = rest.split_first_chunk::<2>()?;
        let [is_paced] = rest else { return None };
        let next = u16::from_le_bytes(*next);
        let began = Duration::from_secs(u64::from_le_bytes(*began));
        let began = SystemTime::UNIX_EPOCH.checked_add(began)?;
        (next <= PROVIDE_PARTS).then_some(Self { began, next, is_paced: *is_paced == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::{PROVIDE_PARTS, Round};
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_round_is_kept_and_its_parts_have_their_times() {
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000);
        for is_paced in [false, true] {
            let round = Round { began, next: 77, is_paced };
            assert_eq!(Round::decode(&round.encode()), Some(round));
        }
        let round = Round { began, next: 0, is_paced: true };
        let interval = Duration::from_hours(22);
        assert_eq!(round.due(0, interval), began);
        assert_eq!(round.due(PROVIDE_PARTS / 2, interval), began + interval / 2);
        for bytes in [&[][..], &[0; 10], &[0xff; 11], &[0; 12]] {
            assert_eq!(Round::decode(bytes), None, "{bytes:?}");
        }
    }
}
