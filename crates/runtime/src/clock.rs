//! The time, as something a test can set.
//!
//! Two readings: the calendar (records, mtimes, expiry) and a monotonic one (durations,
//! deadlines). Everything that decides by time takes a [`Clock`].
//!
//! Invariant: the only calls of the system's clocks in the project are here.
//! Not here: timers; those are tokio's, and tests pause them with `tokio::time::pause`.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// Tells the time; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    manual: Option<Arc<Manual>>,
}

#[derive(Debug)]
struct Manual {
    start: SystemTime,
    origin: Instant,
    passed: Mutex<Duration>,
}

impl Clock {
    /// The system's clocks.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that starts at `start` and moves only by [`Clock::advance`]; clones share it.
    pub fn manual(start: SystemTime) -> Self {
        let manual = Manual { start, origin: Self::system().monotonic(), passed: Mutex::default() };
        Self { manual: Some(Arc::new(manual)) }
    }

    /// The calendar time.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn now(&self) -> SystemTime {
        match &self.manual {
            None => SystemTime::now(),
            Some(manual) => manual.start + manual.passed(),
        }
    }

    /// A time that never goes back; only differences mean anything.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn monotonic(&self) -> Instant {
        match &self.manual {
            None => Instant::now(),
            Some(manual) => manual.origin + manual.passed(),
        }
    }

    /// Moves a manual clock on; the system's clock takes no notice.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.manual {
            *manual.passed.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }
}

impl Manual {
    fn passed(&self) -> Duration {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(SystemTime::UNIX_EPOCH);
        let before = clock.monotonic();
        assert_eq!(clock.monotonic(), before);
        clock.clone().advance(Duration::from_secs(5));
        assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(5));
        assert_eq!(clock.monotonic() - before, Duration::from_secs(5));
    }

    #[test]
    fn the_system_clock_does_not_go_back() {
        let clock = Clock::system();
        let before = clock.monotonic();
        clock.advance(Duration::from_secs(1_000_000));
        assert!(clock.monotonic() >= before);
        assert!(clock.monotonic() - before < Duration::from_secs(1_000_000));
    }
}
