//! The body of an answer, piece by piece or whole, each wait with a limit.
//!
//! Invariant: no more is kept than the caller asked for.
//! Not here: what the bytes mean.

use crate::WebError;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{HeaderMap, Response, StatusCode, body::Incoming};
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for the next piece of a body, unless the caller waits less.
pub const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// An answer, whose body has yet to be read.
#[derive(Debug)]
pub struct Answer {
    response: Response<Incoming>,
    patience: Duration,
}

impl Answer {
    pub(crate) fn new(response: Response<Incoming>, patience: Duration) -> Self {
        Self { response, patience }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    ///
    /// [`WebError::Silent`] and [`WebError::Broken`]; nothing more comes after one.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, WebError> {
        loop {
            let frame = timeout(self.patience, self.response.body_mut().frame()).await;
            let frame = frame.map_err(|_| WebError::Silent { waited: self.patience })?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| WebError::Broken { reason: error.to_string() })?;
            // What is no data are trailers, which nobody needs.
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
    }

    /// The whole body, of at most `max` bytes.
    ///
    /// # Errors
    ///
    /// [`WebError::TooLong`], and those of [`Answer::piece`].
    pub async fn whole(mut self, max: usize) -> Result<Bytes, WebError> {
        let mut first: Option<Bytes> = None;
        let mut all = Vec::new();
        let mut len = 0_usize;
        while let Some(piece) = self.piece().await? {
            len = len.saturating_add(piece.len());
            if len > max {
                return Err(WebError::TooLong { max });
            }
            match first.take() {
                None if all.is_empty() => first = Some(piece),
                before => {
                    all.extend_from_slice(&before.unwrap_or_default());
                    all.extend_from_slice(&piece);
                }
            }
        }
        Ok(first.unwrap_or_else(|| all.into()))
    }
}
