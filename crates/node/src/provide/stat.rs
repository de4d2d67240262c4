//! How announcing goes, in numbers.
//!
//! Not here: how they are shown (`services/rpc`).

use crate::config::ProvideSettings;
use cairn_network::Swept;
use std::time::{Duration, SystemTime};

/// How announcing goes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProvideStat {
    /// What was asked for.
    pub settings: ProvideSettings,
    /// New roots that wait to be announced.
    pub roots_waiting: u64,
    /// New roots announced.
    pub roots_announced: u64,
    /// New roots that nobody could be told of; the next round tries again.
    pub roots_failed: u64,
    /// New roots that found no room in the queue; the next round announces them.
    pub roots_dropped: u64,
    /// Keys in the window of the round.
    pub keys: u64,
    /// What the rounds of this run have done.
    pub swept: Swept,
    /// The round that is under way.
    pub round: Option<ProvideRound>,
    /// When the last round ended.
    pub ended: Option<SystemTime>,
    /// Rounds that ended in this run.
    pub rounds: u64,
}

/// A round through the keyspace.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ProvideRound {
    /// When it began.
    pub began: SystemTime,
    /// The next part, of [`cairn_network::PROVIDE_PARTS`].
    pub next: u16,
    /// When that part's time is or was; `None` if the round goes on without pauses.
    pub due: Option<SystemTime>,
    /// How far it is behind.
    pub lag: Duration,
}

impl ProvideStat {
    pub(super) fn new(settings: ProvideSettings) -> Self {
        Self {
            settings,
            roots_waiting: 0,
            roots_announced: 0,
            roots_failed: 0,
            roots_dropped: 0,
            keys: 0,
            swept: Swept::default(),
            round: None,
            ended: None,
            rounds: 0,
        }
    }

    pub(super) fn count(&mut self, swept: &Swept) {
        self.swept += *swept;
    }

    pub(super) fn end_round(&mut self, now: SystemTime) {
        self.ended = Some(now);
        self.rounds += 1;
        self.round = None;
    }

    /// Reckons how far the round is behind.
    pub(super) fn at(&mut self, now: SystemTime) {
        if let Some(round) = &mut self.round {
            let due = round.due.and_then(|due| now.duration_since(due).ok());
            round.lag = due.unwrap_or_default();
        }
    }
}
