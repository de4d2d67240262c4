//! What a client is told when it does not get what it asked for.
//!
//! A sentence that names the object, as plain text or, for browsers, as a page.
//!
//! Invariant: a refusal is never stored by caches unless the same answer would come again.
//! Not here: 304, 412 and 416, which are answers about content (`content.rs`).

use crate::{body::Body, page};
use hyper::{
    Response, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
        HeaderValue, X_CONTENT_TYPE_OPTIONS,
    },
};

/// Longest sentence sent back, in bytes; it may quote a path that a stranger wrote.
///
/// Source: own choice; above the longest CID with its reason.
const SENTENCE_LEN_MAX: usize = 4096;

/// An answer that is an error.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: StatusCode,
    sentence: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// Refuses with a status and a sentence.
    pub(crate) fn new(status: StatusCode, sentence: impl Into<String>) -> Self {
        let mut sentence = sentence.into();
        if sentence.len() > SENTENCE_LEN_MAX {
            let mut end = SENTENCE_LEN_MAX;
            while !sentence.is_char_boundary(end) {
                end -= 1;
            }
            sentence.truncate(end);
            sentence.push('…');
        }
        Self { status, sentence, headers: Vec::new() }
    }

    /// Adds a header.
    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer, as a page or as plain text.
    pub(crate) fn into_response(self, as_page: bool) -> Response<Body> {
        let (kind, text) = if as_page {
            ("text/html; charset=utf-8", page::error(self.status, &self.sentence))
        } else {
            ("text/plain; charset=utf-8", format!("{}\n", self.sentence))
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if as_page {
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::POLICY));
        }
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        *response.body_mut() = Body::full(text);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn a_refusal_is_text_or_a_page() {
        let refusal = Refusal::new(StatusCode::NOT_FOUND, "no link named \"<x>\"")
            .with(CACHE_CONTROL, HeaderValue::from_static("max-age=5"));
        let text = refusal.clone().into_response(false);
        assert_eq!(text.status(), StatusCode::NOT_FOUND);
        assert_eq!(text.headers()[CACHE_CONTROL], "max-age=5", "the last header counts");
        let body = text.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "no link named \"<x>\"\n");
        let page = refusal.into_response(true);
        assert!(page.headers().contains_key(CONTENT_SECURITY_POLICY));
        let body = page.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains("&lt;x&gt;"));
    }

    #[test]
    fn a_long_sentence_is_cut() {
        let refusal = Refusal::new(StatusCode::BAD_REQUEST, "ü".repeat(SENTENCE_LEN_MAX));
        assert!(refusal.sentence.len() <= SENTENCE_LEN_MAX + 4);
    }
}
