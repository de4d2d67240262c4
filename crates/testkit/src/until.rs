//! Waiting for what other tasks do.
//!
//! Not here: waiting without a runtime (`block_on`).

use std::time::Duration;
use tokio::time::{interval, timeout};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(5);

/// How long is asked.
const PATIENCE: Duration = Duration::from_mins(2);

/// Asks until the answer is yes.
///
/// # Panics
///
/// If it is not within two minutes.
pub async fn until(mut question: impl AsyncFnMut() -> bool) {
    let asking = async {
        let mut ticks = interval(PAUSE);
        while !question().await {
            ticks.tick().await;
        }
    };
    timeout(PATIENCE, asking).await.expect("it never came to that");
}
