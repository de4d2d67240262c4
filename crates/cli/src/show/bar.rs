//! A progress bar for bytes, on standard error.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar; it goes away when it is dropped.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar towards `len`, or a count if that is not known.
    pub(crate) fn new(len: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(len, ProgressDrawTarget::stderr());
        bar.set_style(style(len.is_some()));
        Self(bar)
    }

    /// So many bytes more.
    pub(crate) fn add(&self, len: u64) {
        self.0.inc(len);
    }

    /// So many bytes by now.
    pub(crate) fn set(&self, position: u64) {
        self.0.set_position(position);
    }

    /// The length is known now.
    pub(crate) fn set_len(&self, len: u64) {
        if self.0.length() != Some(len) {
            self.0.set_length(len);
            self.0.set_style(style(true));
        }
    }

    /// Says something behind the numbers.
    pub(crate) fn note(&self, text: String) {
        self.0.set_message(text);
    }

    /// Runs `write` with the bar out of the way.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(len_is_known: bool) -> ProgressStyle {
    let template = if len_is_known {
        "{bytes} / {total_bytes} [{bar:30}] {bytes_per_sec} {eta} {msg}"
    } else {
        "{bytes} {spinner} {bytes_per_sec} {msg}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
