//! A stream in memory with two ends, for tests.
//!
//! Not here: anything that runs.

use futures::{
    AsyncRead, AsyncWrite, TryStreamExt as _, channel::mpsc, ready, stream::IntoAsyncRead,
};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

/// Writes that may wait to be read.
const QUEUE_LEN: usize = 4096;

/// One end of a stream in memory.
pub(crate) struct Pipe {
    read: IntoAsyncRead<mpsc::Receiver<io::Result<Vec<u8>>>>,
    write: mpsc::Sender<io::Result<Vec<u8>>>,
}

/// Both ends.
pub(crate) fn pipe() -> (Pipe, Pipe) {
    let ((to_one, one), (to_other, other)) = (mpsc::channel(QUEUE_LEN), mpsc::channel(QUEUE_LEN));
    (
        Pipe { read: one.into_async_read(), write: to_other },
        Pipe { read: other.into_async_read(), write: to_one },
    )
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.read).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.write.poll_ready(cx)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        self.write.start_send(Ok(bytes.to_vec())).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write.disconnect();
        Poll::Ready(Ok(()))
    }
}
