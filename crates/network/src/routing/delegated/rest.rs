//! Leaving a server alone that fails: for a while that doubles with each failure in a row.
//!
//! Invariant: never for longer than [`REST_MAX`], whatever the server says.
//! Not here: what counts as a failure.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The first pause.
const REST_MIN: Duration = Duration::from_secs(1);

/// The longest one.
pub(crate) const REST_MAX: Duration = Duration::from_mins(5);

/// Doublings after which the pause is the longest in any case.
const FAILURES_MAX: u32 = 16;

/// How a server has been doing.
#[derive(Debug, Default)]
pub(crate) struct Rest(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    until: Option<Instant>,
}

impl Rest {
    /// Whether it is to be left alone now.
    pub(crate) fn is_resting(&self, now: Instant) -> bool {
        self.lock().until.is_some_and(|until| now < until)
    }

    /// It answered.
    pub(crate) fn succeeded(&self) {
        *self.lock() = State::default();
    }

    /// It did not, and wants to be left alone for `at_least`.
    pub(crate) fn failed(&self, now: Instant, at_least: Duration) {
        let mut state = self.lock();
        let pause = REST_MIN * 2_u32.saturating_pow(state.failures.min(FAILURES_MAX));
        state.failures = state.failures.saturating_add(1);
        state.until = now.checked_add(pause.max(at_least).min(REST_MAX));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{REST_MAX, Rest};
    use cairn_runtime::Clock;
    use std::time::Duration;

    #[test]
    fn pauses_double_up_to_a_limit_and_end_with_an_answer() {
        let (rest, now) = (Rest::default(), Clock::system().monotonic());
        let secs = Duration::from_secs;
        assert!(!rest.is_resting(now));
        for pause in [1, 2, 4] {
            rest.failed(now, Duration::ZERO);
            assert!(rest.is_resting(now + secs(pause).mul_f32(0.99)));
            assert!(!rest.is_resting(now + secs(pause)));
        }
        rest.failed(now, secs(60));
        assert!(rest.is_resting(now + secs(59)), "as it asked for");
        for _ in 0..100 {
            rest.failed(now, Duration::MAX);
        }
        assert!(!rest.is_resting(now + REST_MAX));
        rest.succeeded();
        assert!(!rest.is_resting(now));
        rest.failed(now, Duration::ZERO);
        assert!(!rest.is_resting(now + secs(1)), "it begins anew");
    }
}
