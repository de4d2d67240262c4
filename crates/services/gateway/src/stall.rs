//! A connection that does not wait forever for a client that has stopped reading.
//!
//! Whoever asks for a large file and then reads nothing holds the blocks that were read ahead
//! for it. After [`WRITE_TIMEOUT`] without a byte taken the connection fails instead.
//!
//! Not here: clients that send their request slowly (hyper's header timeout, `server.rs`).

use crate::settings::WRITE_TIMEOUT;
use std::{
    io::{Error, ErrorKind, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// A stream whose writes fail after standing still for too long.
#[derive(Debug)]
pub(crate) struct StallGuard<T> {
    inner: T,
    /// Longest time without progress.
    limit: Duration,
    /// Runs while a write waits.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl<T> StallGuard<T> {
    /// Guards a stream with the usual limit.
    pub(crate) fn new(inner: T) -> Self {
        Self::with_limit(inner, WRITE_TIMEOUT)
    }

    fn with_limit(inner: T, limit: Duration) -> Self {
        Self { inner, limit, timer: None, waiting: false }
    }

    /// Passes on an outcome, or fails where it has been pending for too long.
    fn watch<O>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<Result<O, Error>>,
    ) -> Poll<Result<O, Error>> {
        if outcome.is_ready() {
            self.waiting = false;
            return outcome;
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !self.waiting {
            timer.as_mut().reset(Instant::now() + limit);
            self.waiting = true;
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client reads nothing")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for StallGuard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for StallGuard<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Error>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watch(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.watch(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_given_up() {
        let (near, _far) = tokio::io::duplex(8);
        let mut guarded = StallGuard::with_limit(near, Duration::from_millis(20));
        guarded.write_all(b"12345678").await.expect("fits");
        let error = guarded.write_all(b"9").await.expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_slow_client_is_served() {
        let (near, mut far) = tokio::io::duplex(1);
        let mut guarded = StallGuard::with_limit(near, Duration::from_mins(1));
        let mut read = [0; 5];
        let (written, taken) = tokio::join!(guarded.write_all(b"hello"), far.read_exact(&mut read));
        written.expect("all is taken");
        taken.expect("all arrives");
        assert_eq!(&read, b"hello");
    }
}
