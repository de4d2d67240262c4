//! Counts of what was tried, and what did not hold.
//!
//! Not here: printing the table (`main.rs`).

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Most violations that are kept as text; the others are counted.
const VIOLATION_COUNT_MAX: usize = 20;

/// What a run tried and found.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// How many trials there were.
    pub trials: u64,
    /// How many of them broke a promise.
    pub violations: u64,
    /// The first violations, each with what repeats it.
    pub texts: Vec<String>,
    /// Trials by kind.
    pub kinds: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts a trial; an error is a violation, described by `what`.
    pub fn count(&mut self, outcome: anyhow::Result<()>, what: impl FnOnce() -> String) {
        self.trials += 1;
        if let Err(error) = outcome {
            self.violations += 1;
            if self.texts.len() < VIOLATION_COUNT_MAX {
                self.texts.push(format!("{}: {error:#}", what()));
            }
        }
    }

    /// Counts one more of a kind.
    pub fn note(&mut self, kind: impl Into<String>) {
        *self.kinds.entry(kind.into()).or_default() += 1;
    }

    /// Adds another run.
    pub fn add(&mut self, other: Self) {
        self.trials += other.trials;
        self.violations += other.violations;
        let room = VIOLATION_COUNT_MAX.saturating_sub(self.texts.len());
        self.texts.extend(other.texts.into_iter().take(room));
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
    }

    /// Fails with the first violations, if there are any.
    ///
    /// # Errors
    ///
    /// The violations as one text.
    pub fn verdict(&self) -> anyhow::Result<()> {
        let texts = self.texts.join("\n");
        anyhow::ensure!(self.violations == 0, "{} violations:\n{texts}", self.violations);
        Ok(())
    }
}

/// Runs `count` parts on as many threads as the machine has, and adds up what they found.
pub fn spread(count: usize, part: impl Fn(usize) -> Tally + Sync) -> Tally {
    let (next, total) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            let found = part(number);
            total.lock().unwrap_or_else(PoisonError::into_inner).add(found);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(count);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}
