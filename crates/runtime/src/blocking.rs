//! Slow work off the async threads.
//!
//! Disk reads, fsync and hashing of more than about a millisecond would stall every connection
//! that shares the thread. They run on tokio's blocking pool instead; [`BlockingLanes`] bounds
//! how many of one kind run there at once, so that one busy part cannot take the whole pool.
//!
//! Not here: work without a waiting caller ([`crate::Tasks`]).

use std::sync::Arc;
use tokio::{sync::Semaphore, task::spawn_blocking};

/// Runs `work` on the blocking pool and returns its answer.
///
/// Dropping the future does not stop `work`; it runs to its end and the answer is dropped.
///
/// # Panics
///
/// With `work`'s own panic, or outside a tokio runtime.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        },
    }
}

/// A share of the blocking pool: at most so many pieces of work at once, the rest wait in order.
#[derive(Debug, Clone)]
pub struct BlockingLanes {
    permits: Arc<Semaphore>,
}

impl BlockingLanes {
    /// Makes a share of `count` threads (at least one).
    pub fn new(count: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(count.max(1))) }
    }

    /// Runs `work` as [`blocking`] does, once there is room.
    ///
    /// Dropped while waiting for room, `work` never runs.
    ///
    /// # Panics
    ///
    /// As [`blocking`].
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.expect("invariant: the semaphore is never closed");
        blocking(move || {
            let answer = work();
            drop(permit);
            answer
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::{BlockingLanes, blocking};
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    #[tokio::test]
    async fn returns_the_answer() {
        assert_eq!(blocking(|| 6 * 7).await, 42);
    }

    #[tokio::test]
    #[should_panic(expected = "told you")]
    async fn passes_a_panic_on() {
        blocking(|| panic!("told you")).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn lanes_bound_what_runs_at_once() {
        let lanes = BlockingLanes::new(2);
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let work = (0..32).map(|_| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            lanes.run(move || {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                std::thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
            })
        });
        futures::future::join_all(work).await;
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    }
}
