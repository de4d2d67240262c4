//! Writing messages to one outbound stream, and noticing when it is gone.
//!
//! Peers may reset an idle stream (Helia does so after seconds); the next message then opens a
//! new one. A message that could not be written is tried once more on the new stream.

use crate::bitswap::{
    engine::{Event, Link},
    protocol::Version,
    wire::Outgoing,
};
use futures::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use std::{future::poll_fn, io, pin::Pin, task::Poll};
use tokio::sync::mpsc;

/// What outlives a stream.
pub(super) struct Writer {
    pub(super) link: Link,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) messages: mpsc::Receiver<Outgoing>,
    /// What a broken stream did not take.
    pub(super) unsent: Option<Outgoing>,
}

/// Why writing ended.
pub(super) enum Ended {
    /// The stream is of no more use; another may be opened.
    Broken(Writer),
    /// The engine is gone.
    Stopped,
}

/// What happens first on an idle stream.
enum Next {
    Message(Option<Outgoing>),
    /// The other side closed or reset it.
    Gone,
}

impl Writer {
    /// Writes messages until the stream breaks or the engine is gone.
    pub(super) async fn run<S>(mut self, mut stream: S, version: Version) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if self.events.send(Event::Ready(self.link, version)).await.is_err() {
            return Ended::Stopped;
        }
        if let Some(message) = self.unsent.take() {
            let written = write(&mut stream, &message, version).await;
            self.report(&message).await;
            if written.is_err() {
                return Ended::Broken(self);
            }
        }
        loop {
            let message = match self.next(&mut stream).await {
                Next::Message(Some(message)) => message,
                Next::Message(None) => return Ended::Stopped,
                Next::Gone => {
                    // What was written must not be lost with the stream; a failure changes nothing.
                    drop(stream.close().await);
                    return Ended::Broken(self);
                }
            };
            if write(&mut stream, &message, version).await.is_err() {
                self.unsent = Some(message);
                return Ended::Broken(self);
            }
            self.report(&message).await;
        }
    }

    /// Waits for something to send; `None` when the engine is gone.
    pub(super) async fn wait(mut self) -> Option<Self> {
        if self.unsent.is_none() {
            self.unsent = Some(self.messages.recv().await?);
        }
        Some(self)
    }

    async fn report(&self, message: &Outgoing) {
        // The engine is gone only when everything stops.
        drop(self.events.send(Event::Sent(self.link, message.len())).await);
    }

    async fn next(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Next {
        let mut ignored = [0; 1];
        poll_fn(|cx| {
            if let Poll::Ready(message) = self.messages.poll_recv(cx) {
                return Poll::Ready(Next::Message(message));
            }
            // Nothing is ever said on this half: whatever comes, this stream is over.
            match Pin::new(&mut *stream).poll_read(cx, &mut ignored) {
                Poll::Ready(_) => Poll::Ready(Next::Gone),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &Outgoing,
    version: Version,
) -> io::Result<()> {
    for chunk in message.encode(version) {
        stream.write_all(&chunk).await?;
    }
    stream.flush().await
}
