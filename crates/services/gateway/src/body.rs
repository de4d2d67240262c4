//! The body of an answer: nothing, bytes, or a stream that is read as the client takes it.
//!
//! hyper asks for the next piece only when there is room to write it, so a slow client slows
//! the reading down and nothing piles up.
//!
//! Invariants: a body of known length yields exactly that many bytes or fails; a failure makes
//! hyper end the connection. A body holds its place among the concurrent requests until it ends.
//! Not here: where the bytes come from (`content.rs`, `directory.rs`).

use bytes::Bytes;
use futures::{Stream, stream::BoxStream};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use thiserror::Error;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep, sleep_until},
};

/// The error of whatever feeds a stream.
pub(crate) type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Why a body ends before its end.
#[derive(Debug, Error)]
pub(crate) enum BodyError {
    /// What feeds it failed.
    #[error("could not read on: {0}")]
    Source(Fault),
    /// The next piece did not come in time.
    #[error("nothing more arrived within the retrieval timeout")]
    Stalled,
    /// The whole answer took too long.
    #[error("the answer took longer than a request may")]
    Overdue,
    /// The content is shorter or longer than it says.
    #[error("the content does not have the length that it claims")]
    Length,
}

/// The body of an answer.
pub(crate) struct Body {
    source: Source,
    permit: Option<OwnedSemaphorePermit>,
    search: Option<OwnedSemaphorePermit>,
}

enum Source {
    Empty,
    Full(Bytes),
    Stream(Box<Streaming>),
}

struct Streaming {
    pieces: BoxStream<'static, Result<Bytes, Fault>>,
    /// Bytes still owed, where the length is known.
    left: Option<u64>,
    /// Longest wait for one piece.
    stall_limit: Option<Duration>,
    stall_timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    overdue: Option<Pin<Box<Sleep>>>,
}

impl Body {
    /// No bytes.
    pub(crate) fn empty() -> Self {
        Self { source: Source::Empty, permit: None, search: None }
    }

    /// Bytes in memory.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self { source: Source::Full(bytes.into()), permit: None, search: None }
    }

    /// Pieces of `len` bytes in all, or of a length that is not known.
    pub(crate) fn stream(
        pieces: impl Stream<Item = Result<Bytes, Fault>> + Send + 'static,
        len: Option<u64>,
    ) -> Self {
        let streaming = Streaming {
            pieces: Box::pin(pieces),
            left: len,
            stall_limit: None,
            stall_timer: None,
            waiting: false,
            overdue: None,
        };
        Self { source: Source::Stream(Box::new(streaming)), permit: None, search: None }
    }

    /// Keeps a place among the concurrent requests until the body has ended.
    pub(crate) fn hold(&mut self, permit: Option<OwnedSemaphorePermit>) {
        self.permit = permit;
    }

    /// Keeps a place among the searches of the routing API until the body has ended.
    pub(crate) fn hold_search(&mut self, permit: OwnedSemaphorePermit) {
        self.search = Some(permit);
    }

    /// Sets the longest wait for one piece and the time by which all must be sent.
    pub(crate) fn limit(&mut self, stall: Option<Duration>, deadline: Option<Instant>) {
        if let Source::Stream(streaming) = &mut self.source {
            streaming.stall_limit = stall;
            streaming.overdue = deadline.map(|deadline| Box::pin(sleep_until(deadline)));
        }
    }
}

impl Streaming {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if let Some(overdue) = &mut self.overdue
            && overdue.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(BodyError::Overdue)));
        }
        loop {
            return match self.pieces.as_mut().poll_next(cx) {
                Poll::Pending => self.poll_stalled(cx),
                Poll::Ready(Some(Ok(piece))) if piece.is_empty() => continue,
                Poll::Ready(Some(Ok(piece))) => {
                    self.waiting = false;
                    Poll::Ready(Some(self.account(piece)))
                }
                Poll::Ready(Some(Err(fault))) => Poll::Ready(Some(Err(BodyError::Source(fault)))),
                Poll::Ready(None) if self.left.unwrap_or(0) > 0 => {
                    Poll::Ready(Some(Err(BodyError::Length)))
                }
                Poll::Ready(None) => Poll::Ready(None),
            };
        }
    }

    /// Counts a piece against what is owed.
    fn account(&mut self, piece: Bytes) -> Result<Bytes, BodyError> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(piece.len() as u64).ok_or(BodyError::Length)?;
        }
        Ok(piece)
    }

    /// Waits for the next piece, within the limit. The time runs only while hyper wants one.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let Some(limit) = self.stall_limit else {
            return Poll::Pending;
        };
        let timer = self.stall_timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !self.waiting {
            timer.as_mut().reset(Instant::now() + limit);
            self.waiting = true;
        }
        timer.as_mut().poll(cx).map(|()| Some(Err(BodyError::Stalled)))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match std::mem::replace(&mut self.source, Source::Empty) {
            Source::Empty => Poll::Ready(None),
            Source::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Source::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Source::Stream(mut streaming) => {
                let piece = streaming.poll_piece(cx);
                if !matches!(piece, Poll::Ready(None | Some(Err(_)))) {
                    self.source = Source::Stream(streaming);
                }
                piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Full(bytes) => bytes.is_empty(),
            Source::Stream(streaming) => streaming.left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Stream(streaming) => {
                streaming.left.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use http_body_util::BodyExt as _;

    fn pieces(texts: &[&'static str]) -> Vec<Result<Bytes, Fault>> {
        texts.iter().map(|text| Ok(Bytes::from_static(text.as_bytes()))).collect()
    }

    async fn collect(body: Body) -> Result<Bytes, BodyError> {
        body.collect().await.map(http_body_util::Collected::to_bytes)
    }

    #[tokio::test]
    async fn a_stream_gives_its_pieces_in_order() {
        let body = Body::stream(stream::iter(pieces(&["ab", "", "c"])), Some(3));
        assert_eq!(body.size_hint().exact(), Some(3));
        assert_eq!(collect(body).await.unwrap(), "abc");
        let unknown = Body::stream(stream::iter(pieces(&["ab", "c"])), None);
        assert_eq!(unknown.size_hint().exact(), None);
        assert_eq!(collect(unknown).await.unwrap(), "abc");
        assert_eq!(collect(Body::empty()).await.unwrap(), "");
        assert_eq!(collect(Body::full("x")).await.unwrap(), "x");
    }

    #[tokio::test]
    async fn a_wrong_length_and_a_fault_fail() {
        let short = Body::stream(stream::iter(pieces(&["ab"])), Some(3));
        assert!(matches!(collect(short).await, Err(BodyError::Length)));
        let long = Body::stream(stream::iter(pieces(&["ab", "cd"])), Some(3));
        assert!(matches!(collect(long).await, Err(BodyError::Length)));
        let mut broken = pieces(&["ab"]);
        broken.push(Err("the disk is gone".into()));
        let broken = Body::stream(stream::iter(broken), Some(3));
        assert!(matches!(collect(broken).await, Err(BodyError::Source(_))));
    }

    #[tokio::test]
    async fn a_stream_that_stands_still_is_ended() {
        let mut stalled = Body::stream(stream::pending(), Some(3));
        stalled.limit(Some(Duration::from_millis(10)), None);
        assert!(matches!(collect(stalled).await, Err(BodyError::Stalled)));
        let mut overdue = Body::stream(stream::pending(), None);
        overdue.limit(None, Some(Instant::now()));
        assert!(matches!(collect(overdue).await, Err(BodyError::Overdue)));
    }
}
