//! Background work with an owner: every task belongs to one [`Tasks`] and stops with it.
//!
//! A task that nobody owns outlives what it works on, and nobody sees it fail. So clippy forbids
//! `tokio::spawn`, and this is the only other door.
//!
//! Not here: work whose answer somebody waits for ([`crate::blocking`], or plain `.await`).

use crate::BlockingLanes;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::TaskTracker,
};
use tracing::{Instrument as _, info_span, warn};

/// Most pieces of blocking work that one group runs at once; more wait for their turn.
const BLOCKING_COUNT_MAX: usize = 64;

/// A group of background tasks that stop together; clones are handles on the same group.
///
/// Dropping the last handle cancels the tasks; [`Tasks::stop`] also waits for them.
#[derive(Debug, Clone)]
pub struct Tasks {
    group: Arc<Group>,
}

#[derive(Debug)]
struct Group {
    tracker: TaskTracker,
    stop: CancellationToken,
    lanes: BlockingLanes,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::with_token(CancellationToken::new())
    }
}

impl Tasks {
    fn with_token(stop: CancellationToken) -> Self {
        let lanes = BlockingLanes::new(BLOCKING_COUNT_MAX);
        Self { group: Arc::new(Group { tracker: TaskTracker::new(), stop, lanes }) }
    }

    /// Makes a group that also stops when this one does, but may stop alone before.
    #[must_use]
    pub fn child(&self) -> Self {
        Self::with_token(self.group.stop.child_token())
    }

    /// Runs `work` until it ends or the group stops, whichever comes first.
    ///
    /// `work` must be safe to cancel: it is dropped at whatever `.await` it has reached. It must
    /// not hold a handle on its own group, which would then never be dropped.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.group.stop.clone();
        let task = async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        };
        // The tracker, not the handle, owns the task from here on.
        drop(self.group.tracker.spawn(task.instrument(info_span!("task", name))));
    }

    /// Runs `work` on the blocking pool, once fewer than 64 others do.
    ///
    /// Never started if the group stops first; once started it is not interrupted, so long work
    /// looks at [`Tasks::is_stopping`] through a handle of its own kind ([`Tasks::token`]).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn spawn_blocking(&self, name: &'static str, work: impl FnOnce() + Send + 'static) {
        let lanes = self.group.lanes.clone();
        let stop = self.group.stop.clone();
        let span = info_span!("task", name);
        let task = async move {
            let run = lanes.run(move || {
                if !stop.is_cancelled() {
                    span.in_scope(work);
                }
            });
            run.await;
        };
        drop(self.group.tracker.spawn(task));
    }

    /// The token that is cancelled when the group stops.
    pub fn token(&self) -> CancellationToken {
        self.group.stop.clone()
    }

    /// Whether the group has been told to stop.
    pub fn is_stopping(&self) -> bool {
        self.group.stop.is_cancelled()
    }

    /// Ends when the group is told to stop.
    pub fn stopping(&self) -> WaitForCancellationFutureOwned {
        self.group.stop.clone().cancelled_owned()
    }

    /// Stops every task and waits up to `grace` for them to finish.
    pub async fn stop(&self, grace: Duration) {
        let group = &self.group;
        group.stop.cancel();
        group.tracker.close();
        if timeout(grace, group.tracker.wait()).await.is_err() {
            warn!(left = group.tracker.len(), ?grace, "tasks still running, giving up on them");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::Tasks;
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        time::Duration,
    };
    use tokio::sync::oneshot;

    /// Tells its channel when it is dropped.
    struct Bell(Option<oneshot::Sender<()>>);
    impl Drop for Bell {
        fn drop(&mut self) {
            if let Some(sender) = self.0.take() {
                sender.send(()).unwrap();
            }
        }
    }

    async fn endless(bell: Bell) {
        let _bell = bell;
        std::future::pending::<()>().await;
    }

    #[tokio::test]
    async fn stopping_drops_the_work_and_waits_for_it() {
        let tasks = Tasks::default();
        let (sender, mut receiver) = oneshot::channel();
        tasks.spawn("endless", endless(Bell(Some(sender))));
        tasks.stop(Duration::from_secs(10)).await;
        assert_eq!(receiver.try_recv(), Ok(()));
        assert!(tasks.is_stopping());
    }

    #[tokio::test]
    async fn dropping_the_last_handle_stops_the_group() {
        let tasks = Tasks::default();
        let (sender, receiver) = oneshot::channel();
        tasks.clone().spawn("endless", endless(Bell(Some(sender))));
        drop(tasks);
        assert_eq!(receiver.await, Ok(()));
    }

    #[tokio::test]
    async fn a_child_stops_with_its_parent_but_not_the_other_way_round() {
        let parent = Tasks::default();
        let (first, second) = (parent.child(), parent.child());
        first.stop(Duration::from_secs(10)).await;
        assert!(!parent.is_stopping() && !second.is_stopping());
        parent.stop(Duration::from_secs(10)).await;
        second.stopping().await;
        assert!(second.is_stopping());
    }

    #[tokio::test]
    async fn stop_waits_for_blocking_work() {
        let tasks = Tasks::default();
        let (started, starting) = oneshot::channel();
        let done = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&done);
        tasks.spawn_blocking("once", move || {
            started.send(()).unwrap();
            flag.store(true, Ordering::SeqCst);
        });
        starting.await.unwrap();
        tasks.stop(Duration::from_secs(10)).await;
        assert!(done.load(Ordering::SeqCst));
    }
}
