//! Peers as JSON: one document, or a line each as they are found.
//!
//! Invariants: a document names at most [`LISTED_MAX`] peers, a stream as many as the search
//! finds, which is bounded; what the filter leaves out counts for neither.
//! Not here: IPNS records (`record.rs`).

use super::{
    EMPTY_AGE_SECS, FOUND_AGE_SECS, SEARCH_TIMEOUT, STALE_SECS, cache, filter::Filter, refused,
};
use crate::{body::Body, refusal::Refusal};
use bytes::Bytes;
use cairn_network::{Contact, Multiaddr, RoutingError};
use futures::{Stream, StreamExt as _, future, stream};
use hyper::{
    Response, StatusCode,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue},
    http::request::Parts,
};
use serde_json::{Value, json};
use std::time::SystemTime;
use tokio::time::sleep;

/// Peers of one document. Source: Kubo's default.
const LISTED_MAX: usize = 20;

/// The media type of one document.
const JSON: &str = "application/json";

/// The media type of lines.
const LINES: &str = "application/x-ndjson";

/// The protocol of those who serve blocks by HTTP.
const HTTP_PROTOCOL: &str = "transport-ipfs-gateway-http";

/// What the peers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Providers,
    Peers,
    /// All of them are told, in order: there are no filters.
    Closest,
}

/// The form of an answer, as the client wants it.
#[derive(Debug)]
pub(super) struct Peers {
    kind: Kind,
    filter: Filter,
    as_lines: bool,
    now: SystemTime,
}

impl Peers {
    /// Reads filters and form from a request.
    ///
    /// # Errors
    ///
    /// 406, if the client takes neither form.
    pub(super) fn new(kind: Kind, head: &Parts, now: SystemTime) -> Result<Self, Refusal> {
        let as_lines = wants_lines(&head.headers).ok_or_else(|| {
            let sentence = "accept application/json or application/x-ndjson";
            Refusal::new(StatusCode::NOT_ACCEPTABLE, sentence)
        })?;
        let filter = match kind {
            Kind::Closest => Filter::default(),
            _ => Filter::parse(head.uri.query().unwrap_or_default()),
        };
        Ok(Self { kind, filter, as_lines, now })
    }

    /// Answers with what a search finds.
    ///
    /// The answer begins with the first peer, so that its headers know whether there is one.
    ///
    /// # Errors
    ///
    /// 503, if nothing was found because there was nobody to ask.
    pub(super) async fn stream(
        &self,
        found: impl Stream<Item = Contact> + Send + 'static,
        could_ask: bool,
    ) -> Result<Response<Body>, Refusal> {
        let filter = self.filter.clone();
        let records = found
            .take_until(sleep(SEARCH_TIMEOUT))
            .filter_map(move |contact| future::ready(record(&filter, contact)));
        let mut records = Box::pin(records);
        let Some(first) = records.next().await else {
            return if could_ask {
                Ok(self.whole(&[]))
            } else {
                Err(refused(&RoutingError::NoPeers))
            };
        };
        if !self.as_lines {
            let mut all = vec![first];
            all.extend(records.take(LISTED_MAX - 1).collect::<Vec<_>>().await);
            return Ok(self.whole(&all));
        }
        let lines = stream::once(future::ready(first)).chain(records);
        let lines = lines.map(|record| Ok(Bytes::from(line(&record))));
        Ok(self.response(Body::stream(lines, None), false))
    }

    /// Answers with peers that are all known.
    pub(super) fn list(&self, found: Vec<Contact>) -> Response<Body> {
        let records = found.into_iter().filter_map(|contact| record(&self.filter, contact));
        self.whole(&records.take(LISTED_MAX).collect::<Vec<_>>())
    }

    fn whole(&self, records: &[Value]) -> Response<Body> {
        let text = if self.as_lines {
            records.iter().map(line).collect()
        } else {
            let name = if self.kind == Kind::Providers { "Providers" } else { "Peers" };
            json!({ name: records }).to_string()
        };
        let len = HeaderValue::from(text.len());
        let mut response = self.response(Body::full(text), records.is_empty());
        response.headers_mut().insert(CONTENT_LENGTH, len);
        response
    }

    fn response(&self, body: Body, is_empty: bool) -> Response<Body> {
        let mut response = Response::new(body);
        let kind = if self.as_lines { LINES } else { JSON };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let age_secs = if is_empty { EMPTY_AGE_SECS } else { FOUND_AGE_SECS };
        cache(response.headers_mut(), self.now, age_secs, STALE_SECS);
        response
    }
}

/// What is told of a peer, if it passes the filter.
fn record(filter: &Filter, contact: Contact) -> Option<Value> {
    let is_web =
        |addr: &Multiaddr| addr.protocol_stack().any(|name| matches!(name, "http" | "https"));
    // Of the others it is not known what they speak.
    let is_known = !contact.addrs.is_empty() && contact.addrs.iter().all(is_web);
    let protocols: &[&str] = if is_known { &[HTTP_PROTOCOL] } else { &[] };
    let contact = filter.apply(contact, protocols)?;
    let addrs: Vec<String> = contact.addrs.iter().map(ToString::to_string).collect();
    let id = contact.peer.to_string();
    Some(json!({ "Schema": "peer", "ID": id, "Addrs": addrs, "Protocols": protocols }))
}

fn line(record: &Value) -> String {
    format!("{record}\n")
}

/// Whether lines are wanted, or one document; `None` if neither is.
fn wants_lines(headers: &HeaderMap) -> Option<bool> {
    if !headers.contains_key(ACCEPT) {
        return Some(false);
    }
    let mut takes_json = false;
    for value in headers.get_all(ACCEPT) {
        for kind in value.to_str().unwrap_or_default().split(',') {
            match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
                LINES => return Some(true),
                JSON | "application/*" | "*/*" => takes_json = true,
                _ => {}
            }
        }
    }
    takes_json.then_some(false)
}

#[cfg(test)]
mod tests {
    use super::wants_lines;
    use hyper::{
        HeaderMap,
        header::{ACCEPT, HeaderValue},
    };

    #[test]
    fn the_form_is_the_clients_choice() {
        let rows = [
            ("application/json", Some(false)),
            ("*/*", Some(false)),
            ("text/html, application/*;q=0.5", Some(false)),
            ("application/x-ndjson", Some(true)),
            ("application/json, Application/X-NDJSON;q=0.1", Some(true)),
            ("text/html", None),
            ("", None),
        ];
        for (accept, expected) in rows {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(wants_lines(&headers), expected, "{accept}");
        }
        assert_eq!(wants_lines(&HeaderMap::new()), Some(false));
    }
}
