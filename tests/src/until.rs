//! Waiting for what happens elsewhere.
//!
//! Not here: waiting for a process (`process.rs`).

use crate::fail;
use std::{thread, time::Duration};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks, for two minutes.
const LOOKS_MAX: usize = 2400;

/// Looks again and again until it is so.
///
/// # Panics
///
/// With `what` if it is not so within two minutes.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..LOOKS_MAX {
        if is_so() {
            return;
        }
        thread::park_timeout(PAUSE);
    }
    fail(&format!("not within two minutes: {what}"));
}
